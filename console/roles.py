"""Roles and the permissions they are made of."""

from typing import Annotated

from pydantic import BaseModel, Field

from console.surface import SURFACE, Call
from scrm.errors import Conflict, NotFound
from scrm.staff import roles
from scrm.staff.permissions import PERMISSIONS
from web.shapes import RowId, Taken, Text

MANAGE = "staff.manage"


class RoleItem(BaseModel):
    """A role; `built_in` ones cannot be changed, `brand_id` null is for every brand."""

    id: int
    name: str
    built_in: bool
    brand_id: int | None
    permissions: list[str]
    holders: int


class PermissionItem(BaseModel):
    """A permission as people read it; `yours`: whether you have it and may give it."""

    code: str
    title: str
    group: str
    yours: bool


class RoleList(BaseModel):
    """The roles, built-in ones first, and all permissions there are."""

    items: list[RoleItem]
    permissions: list[PermissionItem]


class RoleInput(Taken):
    """A role's name and permissions."""

    name: Annotated[Text, Field(min_length=1, max_length=32)]
    permissions: Annotated[list[str], Field(max_length=100)]


class NewRole(RoleInput):
    """A new role, of a brand or (null) of every brand."""

    brand_id: RowId | None = None


class RoleMade(BaseModel):
    """The id of a new role."""

    id: int


@SURFACE.get("/roles", permission=MANAGE)
async def role_list(call: Call) -> RoleList:
    """角色与权限."""
    found = await roles.every(call.me)
    return RoleList(
        items=[
            RoleItem(
                id=one.id,
                name=one.name,
                built_in=one.code is not None,
                brand_id=one.brand_id,
                permissions=sorted(one.permissions),
                holders=one.holders,
            )
            for one in found
        ],
        permissions=[
            PermissionItem(code=one.code, title=one.title, group=one.group, yours=call.me.may(one.code))
            for one in PERMISSIONS
        ],
    )


@SURFACE.post("/roles", permission=MANAGE, status=201, errors=[Conflict])
async def add_role(call: Call, body: NewRole) -> RoleMade:
    """新建角色."""
    made = await roles.add(
        call.actor, by=call.me, name=body.name, brand_id=body.brand_id, permissions=body.permissions, now=call.now
    )
    return RoleMade(id=made)


@SURFACE.put("/roles/{role_id}", permission=MANAGE, status=204, errors=[NotFound, Conflict])
async def change_role(call: Call, role_id: int, body: RoleInput) -> None:
    """修改角色."""
    await roles.change(
        call.actor, by=call.me, role_id=role_id, name=body.name, permissions=body.permissions, now=call.now
    )


@SURFACE.delete("/roles/{role_id}", permission=MANAGE, status=204, errors=[NotFound, Conflict])
async def remove_role(call: Call, role_id: int) -> None:
    """删除角色."""
    await roles.remove(call.actor, by=call.me, role_id=role_id, now=call.now)
