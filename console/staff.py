"""Staff: the list, adding, changing, first passwords."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from console.surface import SURFACE, BrandPage, Call
from scrm.errors import Conflict, Invalid, NotFound
from scrm.staff import queries, service
from scrm.staff.queries import StaffView
from scrm.staff.service import Given
from scrm.staff.sessions import IDLE
from web.shapes import Moment, RowId, Taken, Text

MANAGE = "staff.manage"
Skill = Annotated[Text, Field(min_length=1, max_length=20)]


class StaffQuery(BrandPage):
    """A page of staff; `text` is part of the name or login name."""

    text: Annotated[Text, Field(max_length=32)] = ""
    status: Literal["active", "disabled"] | None = None
    role: RowId | None = None


class StaffItem(BaseModel):
    """A member of staff; `brands` null: all brands; `sessions`: browsers where they are signed in."""

    id: int
    login: str
    name: str
    status: Literal["active", "disabled"]
    must_change_password: bool
    role_id: int
    role: str
    brands: list[int] | None
    skills: list[str]
    capacity: int
    version: int
    created_at: Moment
    signed_in_at: Moment | None
    sessions: int


class StaffList(BaseModel):
    """A page of staff, newest first; `next` goes into `before`, null at the end."""

    items: list[StaffItem]
    next: int | None


class StaffInput(Taken):
    """What somebody is. `brands` null: every brand, also those to come."""

    name: Annotated[Text, Field(min_length=1, max_length=32)]
    role_id: RowId
    brands: Annotated[list[RowId], Field(min_length=1, max_length=200)] | None
    skills: Annotated[list[Skill], Field(max_length=20)] = Field(default_factory=list)
    capacity: Annotated[int, Field(ge=0, le=100)] = 5


class NewStaff(StaffInput):
    """Somebody new."""

    login: Annotated[Text, Field(min_length=2, max_length=32)]


class ChangedStaff(StaffInput):
    """Somebody as they are to be; `expected` is the version that was changed from."""

    status: Literal["active", "disabled"] = "active"
    expected: Annotated[int, Field(ge=1, le=2**31 - 1)]


class StaffMade(BaseModel):
    """Somebody new with the first password: shown once, to be changed at the first sign-in."""

    id: int
    password: str


class FirstPassword(BaseModel):
    """A new first password: shown once, to be changed at the next sign-in."""

    password: str


class SignedOut(BaseModel):
    """How many sessions ended."""

    ended: int


@SURFACE.ask("/staff/search", permission=MANAGE)
async def staff_list(call: Call, body: StaffQuery) -> StaffList:
    """员工列表."""
    found = await queries.staff_list(
        brands=call.within(body.brand),
        now=call.now,
        idle_since=call.now - IDLE,
        text=body.text,
        status=body.status,
        role_id=body.role,
        before=body.before,
        limit=body.limit + 1,
    )
    shown = found[: body.limit]
    return StaffList(items=[_item(one) for one in shown], next=shown[-1].id if len(found) > body.limit else None)


@SURFACE.post("/staff", permission=MANAGE, status=201, network=True, errors=[Conflict, Invalid])
async def add_staff(call: Call, body: NewStaff) -> StaffMade:
    """新增员工."""
    made, password = await service.add(
        call.parts.passwords, call.actor, by=call.me, login=body.login, given=_given(body), now=call.now
    )
    return StaffMade(id=made, password=password)


@SURFACE.get("/staff/{staff_id}", permission=MANAGE, errors=[NotFound])
async def staff_member(call: Call, staff_id: int) -> StaffItem:
    """一位员工."""
    return _item(await service.within_reach(call.me, staff_id))


@SURFACE.put("/staff/{staff_id}", permission=MANAGE, status=204, errors=[NotFound, Conflict, Invalid])
async def change_staff(call: Call, staff_id: int, body: ChangedStaff) -> None:
    """修改员工.

    409 `stale_version`: somebody has changed them meanwhile.
    """
    given = _given(body, body.status)
    await service.change(call.actor, by=call.me, staff_id=staff_id, given=given, now=call.now, expected=body.expected)


@SURFACE.post("/staff/{staff_id}/password", permission=MANAGE, network=True, errors=[NotFound])
async def reset_password(call: Call, staff_id: int) -> FirstPassword:
    """重置密码."""
    password = await service.reset_password(
        call.parts.passwords, call.actor, by=call.me, staff_id=staff_id, now=call.now
    )
    return FirstPassword(password=password)


@SURFACE.post("/staff/{staff_id}/sign-out", permission=MANAGE, errors=[NotFound])
async def sign_out_staff(call: Call, staff_id: int) -> SignedOut:
    """让员工在所有设备上退出登录."""
    ended = await service.sign_out_everywhere(call.actor, by=call.me, staff_id=staff_id, now=call.now)
    return SignedOut(ended=ended)


def _given(body: StaffInput, status: Literal["active", "disabled"] = "active") -> Given:
    return Given(body.name, body.role_id, body.brands, body.skills, body.capacity, status)


def _item(view: StaffView) -> StaffItem:
    return StaffItem.model_validate(
        {
            "id": view.id,
            "login": view.login,
            "name": view.name,
            "status": view.status,
            "must_change_password": view.must_change,
            "role_id": view.role_id,
            "role": view.role,
            "brands": None if view.brands is None else sorted(view.brands),
            "skills": list(view.skills),
            "capacity": view.capacity,
            "version": view.version,
            "created_at": view.created_at,
            "signed_in_at": view.signed_in_at,
            "sessions": view.sessions,
        }
    )
