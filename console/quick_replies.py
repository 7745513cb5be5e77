"""Quick replies: filled in for a conversation's fan, and written by whoever they belong to."""

from typing import Annotated

from pydantic import BaseModel, Field

from console.inbox import ANSWER, BrandQuery, opened
from console.surface import SURFACE, Call
from scrm import db
from scrm.conversations import quick_replies
from scrm.conversations.quick_replies import QuickReply
from scrm.errors import Forbidden, Invalid, NotFound
from scrm.members import profiles
from scrm.points import summary
from scrm.staff import audit
from scrm.staff.audit import Entry
from scrm.staff.permissions import SUPERVISE
from web.shapes import Lines, RowId, Taken, Text

ERRORS = (NotFound, Forbidden, Invalid)


class QuickReplyItem(BaseModel):
    """A text as it was written, and `filled` for the fan where one was asked about; `own`: only the caller's."""

    id: int
    own: bool
    title: str
    text: str
    filled: str


class QuickReplyList(BaseModel):
    """One's own first, then the brand's."""

    items: list[QuickReplyItem]


class QuickReplyBody(Taken):
    """A text with {昵称}, {积分}, {等级} and {客服} where they belong."""

    title: Annotated[Text, Field(min_length=1, max_length=32)]
    text: Annotated[Lines, Field(min_length=1, max_length=600)]


class NewQuickReply(QuickReplyBody):
    """For the brand, which takes inbox.supervise, or for oneself."""

    brand: RowId
    own: bool = True


class QuickReplyMade(BaseModel):
    """Its id."""

    id: int


@SURFACE.get("/quick-replies", permission=ANSWER, errors=[Invalid, NotFound])
async def quick_reply_list(call: Call, query: BrandQuery) -> QuickReplyList:
    """快捷回复."""
    found = await quick_replies.for_staff(brand_id=call.brand(query.brand), staff_id=call.me.staff_id)
    return QuickReplyList(items=[_item(one, one.text) for one in found])


@SURFACE.get("/inbox/{conversation_id}/quick-replies", permission=ANSWER, errors=[NotFound, Forbidden])
async def quick_replies_for(call: Call, conversation_id: int) -> QuickReplyList:
    """快捷回复，变量已按这位粉丝填好."""
    brand_id, row = await opened(call, conversation_id)
    profile = await profiles.of(call.parts.sealer, row.member_id)
    async with db.connection() as raw:
        held = await summary.of(raw, row.member_id, brand_id, call.now)
    values = {
        "昵称": profile.nickname or "",
        "积分": str(held.points.balance - held.points.debt),
        "等级": held.standing.level.name if held.standing else "会员",
        "客服": call.me.name,
    }
    found = await quick_replies.for_staff(brand_id=brand_id, staff_id=call.me.staff_id)
    return QuickReplyList(items=[_item(one, quick_replies.filled(one.text, values)) for one in found])


@SURFACE.post("/quick-replies", permission=ANSWER, errors=ERRORS)
async def add_quick_reply(call: Call, body: NewQuickReply) -> QuickReplyMade:
    """新建快捷回复."""
    brand_id = call.brand(body.brand)
    if not body.own:
        _supervises(call)
    owner = call.me.staff_id if body.own else None

    async def change() -> int:
        return await quick_replies.add(
            brand_id=brand_id, staff_id=owner, title=body.title, text=body.text, now=call.now
        )

    def entry(made: int) -> Entry:
        return Entry("quick_reply.added", f"quick_reply:{made}", body.title, brand_id, after={"text": body.text})

    return QuickReplyMade(id=await audit.along(call.actor, change, entry, call.now))


@SURFACE.put("/quick-replies/{quick_reply_id}", permission=ANSWER, status=204, errors=ERRORS)
async def change_quick_reply(call: Call, quick_reply_id: int, body: QuickReplyBody) -> None:
    """修改快捷回复."""
    brand_id, before = await _mine(call, quick_reply_id)

    async def change() -> tuple[str, str]:
        return await quick_replies.change(quick_reply_id=quick_reply_id, title=body.title, text=body.text)

    def entry(written: tuple[str, str]) -> Entry:
        title, text = written
        was, now = {"title": before.title, "text": before.text}, {"title": title, "text": text}
        return Entry("quick_reply.changed", f"quick_reply:{quick_reply_id}", title, brand_id, was, now)

    await audit.along(call.actor, change, entry, call.now)


@SURFACE.delete("/quick-replies/{quick_reply_id}", permission=ANSWER, status=204, errors=ERRORS)
async def remove_quick_reply(call: Call, quick_reply_id: int) -> None:
    """删除快捷回复."""
    brand_id, before = await _mine(call, quick_reply_id)

    async def change() -> None:
        await quick_replies.remove(quick_reply_id=quick_reply_id)

    entry = Entry("quick_reply.removed", f"quick_reply:{quick_reply_id}", before.title, brand_id)
    await audit.along(call.actor, change, lambda _: entry, call.now)


async def _mine(call: Call, quick_reply_id: int) -> tuple[int, QuickReply]:
    brand_id, found = await quick_replies.one(quick_reply_id)
    reach = call.me.brands
    if (reach is not None and brand_id not in reach) or found.staff_id not in {None, call.me.staff_id}:
        raise NotFound("没有这条快捷回复")
    if found.staff_id is None:
        _supervises(call)
    return brand_id, found


def _supervises(call: Call) -> None:
    if not call.me.may(SUPERVISE):
        raise Forbidden("修改品牌的快捷回复需要主管权限")


def _item(one: QuickReply, filled: str) -> QuickReplyItem:
    return QuickReplyItem(id=one.id, own=one.staff_id is not None, title=one.title, text=one.text, filled=filled)
