"""What the commands `fensi staff …` do: the first administrator, and a new password for whoever lost theirs."""

import argparse

from app.commands import in_database, secret
from app.settings import Settings
from kit.clock import SystemClock
from scrm import db
from scrm.errors import NotFound
from scrm.staff import roles, service
from scrm.staff.audit import COMMAND_LINE
from scrm.staff.passwords import Passwords
from scrm.staff.queries import staff_by_login, staff_list
from scrm.staff.sessions import IDLE


def add(settings: Settings, given: argparse.Namespace) -> int:
    """Add somebody; prints the password when it was made up."""
    chosen = secret("password", given.password)

    async def work() -> str:
        brands = None
        if given.brand:
            rows = await db.fetch("SELECT id, name FROM brand WHERE name = ANY($1)", given.brand)
            if missing := sorted(set(given.brand) - {row["name"] for row in rows}):
                raise NotFound(f"没有这个品牌：{missing[0]}", field="brand")
            brands = {row["id"] for row in rows}
        role = await roles.role_by_code(given.role)
        _, password = await service.add(
            Passwords(),
            COMMAND_LINE,
            by=None,
            login=given.login or given.name,
            given=service.Given(given.name, role.id, brands),
            password=chosen,
            now=SystemClock().now(),
        )
        return password

    password = in_database(settings, work)
    print(f"{given.login or given.name} may sign in at {settings.public_url}/console/")
    if chosen is None:
        print(f"first password (to be changed): {password}")
    return 0


def listing(settings: Settings, _given: argparse.Namespace) -> int:
    """List who may sign in."""
    now = SystemClock().now()
    rows = in_database(settings, lambda: staff_list(brands=None, now=now, idle_since=now - IDLE, limit=1000))
    for row in reversed(rows):
        reach = "every brand" if row.brands is None else f"brands {', '.join(map(str, sorted(row.brands)))}"
        state = "" if row.status == "active" else "  (disabled)"
        print(f"{row.id:>4}  {row.login:20} {row.role:8} {reach:16} {row.name}{state}")
    if not rows:
        print("nobody yet: fensi staff add --help")
    return 0


def reset(settings: Settings, given: argparse.Namespace) -> int:
    """Give somebody a new first password."""
    chosen = secret("password", given.password)

    async def work() -> str:
        who = await staff_by_login(given.login)
        if who is None:
            raise NotFound("没有这位员工", field="login")
        return await service.reset_password(
            Passwords(), COMMAND_LINE, by=None, staff_id=who.id, password=chosen, now=SystemClock().now()
        )

    password = in_database(settings, work)
    print(f"new first password (to be changed): {password}" if chosen is None else "the password is set")
    return 0
