"""Roles: the built-in ones, and those a brand or the house makes for itself."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tortoise.exceptions import IntegrityError

from scrm.db import Transaction, command, fetch
from scrm.errors import Conflict, Forbidden, Invalid, NotFound
from scrm.staff.audit import Actor, Entry, record
from scrm.staff.models import Role
from scrm.staff.permissions import KNOWN, granted
from scrm.staff.sessions import Caller


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role; `code` is a built-in one's, `brand_id` None what everybody may use, `holders` who has it."""

    id: int
    code: str | None
    name: str
    brand_id: int | None
    permissions: frozenset[str]
    holders: int


_SELECT = """
SELECT id, code, name, brand_id, permissions, (SELECT count(*) FROM staff WHERE role_id = role.id) AS holders FROM role
"""


def _view(row: Any) -> RoleView:
    chosen = json.loads(row["permissions"])
    permissions = granted(row["code"], chosen)
    return RoleView(row["id"], row["code"], row["name"], row["brand_id"], permissions, row["holders"])


async def every(by: Caller | None) -> list[RoleView]:
    """Return the roles `by` may use: the built-in ones first, then their own."""
    rows = await fetch(_SELECT + "ORDER BY code IS NULL, id")
    return [view for row in rows if _visible(by, view := _view(row))]


async def role_for(by: Caller | None, role_id: int) -> RoleView:
    """Return a role that `by` may use. Raises Invalid naming role_id."""
    rows = await fetch(_SELECT + "WHERE id = $1", role_id)
    if not rows or not _visible(by, view := _view(rows[0])):
        raise Invalid("没有这个角色", field="role_id")
    return view


async def role_by_code(code: str) -> RoleView:
    """Return a built-in role. Raises Invalid naming the role."""
    rows = await fetch(_SELECT + "WHERE code = $1", code)
    if not rows:
        raise Invalid("没有这个角色", field="role")
    return _view(rows[0])


def _visible(by: Caller | None, role: RoleView) -> bool:
    return by is None or by.brands is None or role.brand_id is None or role.brand_id in by.brands


@command
async def add(
    tx: Transaction,
    actor: Actor,
    *,
    by: Caller,
    name: str,
    brand_id: int | None,
    permissions: Collection[str],
    now: datetime,
) -> int:
    """Add a role and return its id. Raises Invalid naming the field, Conflict for a name that is taken, Forbidden."""
    name, chosen = _clean(name), _chosen(by, permissions)
    _own(by, brand_id)
    if brand_id is not None and not await tx.connection.fetchval("SELECT 1 FROM brand WHERE id = $1", brand_id):
        raise Invalid("没有这个品牌", field="brand_id")
    await _free(name, brand_id, None)
    try:
        made = await Role.create(name=name, brand_id=brand_id, permissions=chosen, created_at=now)
    except IntegrityError:
        raise Conflict("已有同名角色", code="name_taken", field="name") from None
    entry = Entry("role.added", f"role:{made.id}", name, brand_id, after={"name": name, "permissions": chosen})
    await record(tx.connection, actor, entry, now)
    return made.id


@command
async def change(
    tx: Transaction, actor: Actor, *, by: Caller, role_id: int, name: str, permissions: Collection[str], now: datetime
) -> None:
    """Set a role's name and permissions; they count at its holders' next click.

    Raises NotFound, Forbidden for a built-in one or for more than `by` may give, Invalid, Conflict.
    """
    was = await _changeable(by, role_id)
    name, chosen = _clean(name), _chosen(by, permissions)
    if not was.permissions <= by.permissions:
        raise Forbidden("不能修改超出您自己权限的角色", code="beyond_permissions")
    if by.role_id == role_id:
        raise Forbidden("不能修改自己的角色", code="own_role")
    await _free(name, was.brand_id, role_id)
    await Role.filter(id=role_id).update(name=name, permissions=chosen)
    before = {"name": was.name, "permissions": sorted(was.permissions)}
    after = {"name": name, "permissions": chosen}
    entry = Entry("role.changed", f"role:{role_id}", name, was.brand_id, before, after)
    await record(tx.connection, actor, entry, now)


@command
async def remove(tx: Transaction, actor: Actor, *, by: Caller, role_id: int, now: datetime) -> None:
    """Remove a role nobody has. Raises NotFound, Forbidden for a built-in one, Conflict `role_in_use`."""
    was = await _changeable(by, role_id)
    try:
        await Role.filter(id=role_id).delete()
    except IntegrityError:
        raise Conflict("还有员工使用这个角色，请先为他们换一个", code="role_in_use") from None
    before = {"name": was.name, "permissions": sorted(was.permissions)}
    await record(tx.connection, actor, Entry("role.removed", f"role:{role_id}", was.name, was.brand_id, before), now)


async def _changeable(by: Caller, role_id: int) -> RoleView:
    rows = await fetch(_SELECT + "WHERE id = $1", role_id)
    if not rows or not _visible(by, role := _view(rows[0])):
        raise NotFound("没有这个角色")
    if role.code is not None:
        raise Forbidden("系统角色不能修改，可以新建一个角色", code="built_in")
    _own(by, role.brand_id)
    return role


async def _free(name: str, brand_id: int | None, but: int | None) -> None:
    # By hand as well as by the key: for the key, two roles of the house with one name are different (null is null).
    rows = await fetch(
        "SELECT 1 FROM role WHERE name = $1 AND (brand_id IS NOT DISTINCT FROM $2 OR brand_id IS NULL) AND id <> $3",
        name,
        brand_id,
        but or 0,
    )
    if rows:
        raise Conflict("已有同名角色", code="name_taken", field="name")


def _own(by: Caller, brand_id: int | None) -> None:
    if by.brands is not None and (brand_id is None or brand_id not in by.brands):
        raise Forbidden("只能管理自己品牌的角色", code="beyond_brands", field="brand_id")


def _clean(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 32:
        raise Invalid("角色名为 1 到 32 个字", field="name")
    return name


def _chosen(by: Caller, permissions: Collection[str]) -> list[str]:
    if unknown := sorted(set(permissions) - KNOWN):
        raise Invalid(f"没有这个权限：{unknown[0]}", field="permissions")
    if not set(permissions) <= by.permissions:
        raise Forbidden("不能授予自己没有的权限", code="beyond_permissions", field="permissions")
    return sorted(set(permissions))
