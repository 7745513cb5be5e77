"""The demo brand's staff: their password is in the banner, so anywhere else they are a finding."""

from dataclasses import dataclass
from datetime import datetime

from scrm import db
from scrm.staff import roles, service
from scrm.staff.audit import COMMAND_LINE
from scrm.staff.passwords import Passwords
from scrm.staff.queries import staff_by_login

PASSWORD = "qingyu-tea-2026"  # noqa: S105  # printed for everybody


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the demo."""

    login: str
    name: str
    role: str
    title: str
    skills: tuple[str, ...] = ()


PEOPLE = (
    Person("chen.qing", "陈青", "admin", "管理员"),
    Person("wang.qiang", "王强", "supervisor", "客服主管", ("投诉",)),
    Person("li.na", "李娜", "agent", "客服", ("售后", "会员")),
)


async def ensure(now: datetime) -> None:
    """Make who is not there yet; whoever is stays as they are."""
    passwords = Passwords()
    for one in PEOPLE:
        if await staff_by_login(one.login) is None:
            role = await roles.role_by_code(one.role)
            given = service.Given(one.name, role.id, None, one.skills)
            await service.add(
                passwords, COMMAND_LINE, by=None, login=one.login, given=given, password=PASSWORD, now=now
            )


async def still_open() -> list[str]:
    """Return the logins that the published password opens in this database."""
    passwords = Passwords()
    rows = await db.fetch(
        "SELECT login, password_hash FROM staff WHERE login = ANY($1) AND status = 'active' ORDER BY login",
        [one.login for one in PEOPLE],
    )
    return [row["login"] for row in rows if await passwords.matches(row["password_hash"], PASSWORD)]


def complaint(logins: list[str]) -> str:
    """Say what is to be done about them."""
    return (
        f"staff of the demo can sign in here with a password that everybody knows: {', '.join(logins)}; "
        "give each another (`fensi staff reset LOGIN`), or use another database"
    )
