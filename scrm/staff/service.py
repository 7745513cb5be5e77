"""Commands about staff: adding people, changing what they are, resetting passwords.

Whoever acts stands in `by` with their reach: nobody sees, makes or changes staff of brands beyond their own, or
gives away a permission they do not have. `by` None is the command line, which may do everything.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from tortoise.exceptions import IntegrityError

from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Forbidden, Invalid, NotFound
from scrm.staff import sessions
from scrm.staff.audit import Actor, Entry, record
from scrm.staff.models import Staff
from scrm.staff.passwords import Passwords, check, made_up
from scrm.staff.queries import StaffView, staff_by_id
from scrm.staff.roles import RoleView, role_for
from scrm.staff.sessions import Caller

Status = Literal["active", "disabled"]


@dataclass(frozen=True, slots=True)
class Given:
    """What is said about a member of staff. `brands` None: every brand, also those to come."""

    name: str
    role_id: int
    brands: Collection[int] | None
    skills: Sequence[str] = ()
    capacity: int = 5
    status: Status = "active"


async def add(
    passwords: Passwords,
    actor: Actor,
    *,
    by: Caller | None,
    login: str,
    given: Given,
    now: datetime,
    password: str | None = None,
) -> tuple[int, str]:
    """Add somebody and return their id and first password; without `password` one is made up.

    A made-up password has to be changed at the first sign-in. Raises Invalid naming the field, Conflict when the
    login name is taken, Forbidden for more than `by` may give. Opens its own transaction after hashing.
    """
    login = login.strip().lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9._@-]{1,31}", login):
        raise Invalid("登录名为 2 到 32 位小写字母、数字或 . _ @ -，以字母或数字开头", field="login")
    first = password or made_up()
    check(first, login=login)
    stored = await passwords.hash(first)
    return await _add(actor, by, login, stored, password is None, given, now), first


@command
async def _add(
    tx: Transaction,
    actor: Actor,
    by: Caller | None,
    login: str,
    stored: str,
    must_change: bool,
    given: Given,
    now: datetime,
) -> int:
    raw = tx.connection
    given = _clean(given)
    role = await _allowed(raw, by, given)
    if await Staff.filter(login=login).exists():
        raise Conflict("这个登录名已经有人使用", code="login_taken", field="login")
    try:
        made = await Staff.create(
            login=login,
            name=given.name,
            password_hash=stored,
            must_change=must_change,
            status=given.status,
            role_id=role.id,
            all_brands=given.brands is None,
            skills=list(given.skills),
            capacity=given.capacity,
            created_at=now,
        )
    except IntegrityError:
        # Somebody added them between our look and our insert.
        raise Conflict("这个登录名已经有人使用", code="login_taken", field="login") from None
    await _set_brands(raw, made.id, given.brands)
    after = {"login": login, **_said(given, role)}
    await record(raw, actor, _entry("staff.added", made.id, given, after=after), now)
    return made.id


@command
async def change(
    tx: Transaction,
    actor: Actor,
    *,
    by: Caller | None,
    staff_id: int,
    given: Given,
    now: datetime,
    expected: int | None = None,
) -> None:
    """Set what somebody is. Whoever is disabled, or may do or see less than before, has to sign in again.

    `expected` is the version that was changed from. Raises NotFound, Invalid naming the field, Forbidden for more than
    `by` may give or for disabling oneself, and Conflict: `stale_version` when somebody was faster, `last_admin` when
    nobody would be left who can manage staff of all brands.
    """
    raw = tx.connection
    # One change at a time: two administrators who disable each other at the same moment must not both succeed.
    await raw.execute("SELECT FROM role WHERE code = 'admin' FOR NO KEY UPDATE")
    given = _clean(given)
    was = await within_reach(by, staff_id)
    _not_above(by, was.permissions)
    if expected is not None and was.version != expected:
        raise Conflict(f"{was.name}的资料刚被别人修改，请看过后再改", code="stale_version", field="expected")
    role = await _allowed(raw, by, given)
    if by is not None and by.staff_id == staff_id and (given.status, given.role_id) != (was.status, was.role_id):
        raise Forbidden("不能停用自己或修改自己的角色", code="own_role")
    before = {
        "name": was.name,
        "role": was.role,
        "brands": _names(was.brands),
        "skills": list(was.skills),
        "capacity": was.capacity,
        "status": was.status,
    }
    after = _said(given, role)
    if (before, was.role_id) == (after, role.id):
        return
    await Staff.filter(id=staff_id).update(
        name=given.name,
        status=given.status,
        role_id=role.id,
        all_brands=given.brands is None,
        skills=list(given.skills),
        capacity=given.capacity,
        version=was.version + 1,
    )
    await _set_brands(raw, staff_id, given.brands)
    if was.role_code == "admin" and was.brands is None and not await _admins(raw):
        raise Conflict("至少要保留一位可管理全部品牌的管理员", code="last_admin")
    if given.status == "disabled":
        await sessions.revoke(raw, staff_id, why="disabled", now=now)
    entry = _entry("staff.changed", staff_id, given, before=before, after=after)
    await record(raw, actor, entry, now)


async def reset_password(
    passwords: Passwords, actor: Actor, *, by: Caller | None, staff_id: int, now: datetime, password: str | None = None
) -> str:
    """Give somebody a new first password, ending all their sessions, and return it.

    It has to be changed at the next sign-in, unless it was handed in. Raises NotFound, Invalid, and Forbidden for
    somebody who may do more than `by`.
    """
    who = await within_reach(by, staff_id)
    _not_above(by, who.permissions)
    first = password or made_up()
    check(first, login=who.login)
    await _reset(actor, by, staff_id, await passwords.hash(first), password is None, now)
    return first


@command
async def _reset(
    tx: Transaction, actor: Actor, by: Caller | None, staff_id: int, stored: str, must_change: bool, now: datetime
) -> None:
    raw = tx.connection
    # Asked again, while nobody can be changed: they may have risen above `by` while the password was worked on.
    await raw.execute("SELECT FROM role WHERE code = 'admin' FOR NO KEY UPDATE")
    who = await within_reach(by, staff_id)
    _not_above(by, who.permissions)
    await Staff.filter(id=who.id).update(password_hash=stored, must_change=must_change)
    await sessions.revoke(raw, who.id, why="password", now=now)
    entry = Entry("password.reset", f"staff:{who.id}", who.name, _one(who.brands))
    await record(raw, actor, entry, now)


@command
async def sign_out_everywhere(tx: Transaction, actor: Actor, *, by: Caller | None, staff_id: int, now: datetime) -> int:
    """End all sessions of somebody; returns how many ended. Raises NotFound, and Forbidden as above."""
    who = await within_reach(by, staff_id)
    _not_above(by, who.permissions)
    ended = await sessions.revoke(tx.connection, staff_id, why="revoked", now=now)
    if ended:
        entry = Entry("session.revoked", f"staff:{staff_id}", who.name, _one(who.brands), after={"sessions": ended})
        await record(tx.connection, actor, entry, now)
    return ended


async def within_reach(by: Caller | None, staff_id: int) -> StaffView:
    """Return somebody whom `by` may know about; raises NotFound for anybody else."""
    found = await staff_by_id(staff_id)
    if found is None or not (
        by is None or by.brands is None or (found.brands is not None and found.brands <= by.brands)
    ):
        raise NotFound("没有这位员工")
    return found


async def _allowed(raw: Connection, by: Caller | None, given: Given) -> RoleView:
    """Return the role, when `by` may give it, and the brands."""
    role = await role_for(by, given.role_id)
    _not_above(by, role.permissions)
    if role.brand_id is not None and (given.brands is None or set(given.brands) != {role.brand_id}):
        # Whoever manages that brand may change it, and would with it change what somebody may do elsewhere.
        raise Invalid("这个角色只用于另一个品牌", field="role_id")
    if given.brands is None:
        if by is not None and by.brands is not None:
            raise Forbidden("您只能为自己负责的品牌添加员工", code="beyond_brands", field="brands")
        return role
    known = {
        row["id"] for row in await raw.fetch("SELECT id FROM brand WHERE id = ANY($1::bigint[])", list(given.brands))
    }
    reach = known if by is None or by.brands is None else known & by.brands
    if not given.brands or not set(given.brands) <= reach:
        raise Invalid("请选择您负责的品牌，至少一个", field="brands")
    return role


def _not_above(by: Caller | None, permissions: Collection[str]) -> None:
    if by is not None and not set(permissions) <= by.permissions:
        raise Forbidden("不能授予或管理超出您自己权限的角色", code="beyond_permissions", field="role_id")


async def _admins(raw: Connection) -> int:
    count: int = await raw.fetchval(
        """
        SELECT count(*) FROM staff s JOIN role r ON r.id = s.role_id
        WHERE r.code = 'admin' AND s.status = 'active' AND s.all_brands
        """
    )
    return count


async def _set_brands(raw: Connection, staff_id: int, brands: Collection[int] | None) -> None:
    await raw.execute(
        "DELETE FROM staff_brand WHERE staff_id = $1 AND brand_id <> ALL($2::bigint[])", staff_id, list(brands or ())
    )
    await raw.execute(
        """
        INSERT INTO staff_brand (staff_id, brand_id) SELECT $1, unnest($2::bigint[])
        ON CONFLICT (staff_id, brand_id) DO NOTHING
        """,
        staff_id,
        list(brands or ()),
    )


def _clean(given: Given) -> Given:
    name = given.name.strip()
    if not 1 <= len(name) <= 32 or any(unicodedata.category(letter) == "Cc" for letter in name):
        raise Invalid("姓名为 1 到 32 个字", field="name")
    if given.status not in get_args(Status):
        raise Invalid("状态只能是 active 或 disabled", field="status")
    if not 0 <= given.capacity <= 100:
        raise Invalid("同时接待数为 0 到 100", field="capacity")
    skills = list(dict.fromkeys(skill.strip() for skill in given.skills if skill.strip()))
    if len(skills) > 20 or any(len(skill) > 20 for skill in skills):
        raise Invalid("技能最多 20 项，每项最多 20 个字", field="skills")
    brands = None if given.brands is None else frozenset(given.brands)
    return Given(name, given.role_id, brands, skills, given.capacity, given.status)


def _said(given: Given, role: RoleView) -> dict[str, Any]:
    return {
        "name": given.name,
        "role": role.name,
        "brands": _names(given.brands),
        "skills": list(given.skills),
        "capacity": given.capacity,
        "status": given.status,
    }


def _names(brands: Collection[int] | None) -> list[int] | str:
    return "全部品牌" if brands is None else sorted(brands)


def _one(brands: Collection[int] | None) -> int | None:
    """Whose matter it is: the brand of whoever works for one only, else the house's."""
    return next(iter(brands)) if brands is not None and len(brands) == 1 else None


def _entry(
    action: str,
    staff_id: int,
    given: Given,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Entry:
    return Entry(action, f"staff:{staff_id}", given.name, _one(given.brands), before, after)
