"""The rights of the person (PIPL): a copy of everything we hold about them, and being forgotten."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from miniprogram_api.surface import SURFACE, Call, Moment, Taken
from scrm.access import exporting
from scrm.access.leaving import delete_account
from scrm.errors import Conflict


class ExportQuery(Taken):
    """Where to go on: `next` of the page before."""

    after: Annotated[str, Field(max_length=64)] | None = None


class ExportPart(BaseModel):
    """What is held of one kind, in clear; a section may go on on the next page."""

    name: str
    title: str
    items: list[dict[str, Any]]


class Export(BaseModel):
    """A page of everything we hold about the caller; `next` goes into `after`, null at the end."""

    at: Moment
    sections: list[ExportPart]
    next: str | None


@SURFACE.get("/me/export")
async def export(call: Call, query: ExportQuery) -> Export:
    """导出我的全部个人信息."""
    parts, following = await exporting.page(call.parts.sealer, call.me.member_id, after=query.after)
    return Export(
        at=call.now,
        sections=[ExportPart(name=part.name, title=part.title, items=part.items) for part in parts],
        next=following,
    )


@SURFACE.delete("/me", status=204, errors=[Conflict])
async def delete_me(call: Call) -> None:
    """注销账号并删除个人信息.

    At once and for good: all sessions end, points are forfeited. 409 `open_redemptions` while a gift waits to be
    sent or its code to be shown. Whoever signs in again is a new member.
    """
    await delete_account(call.parts.sealer, member_id=call.me.member_id, now=call.now)
