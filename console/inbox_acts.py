"""What staff do with a conversation: take it, pass it on, put it off, give it back, close it; and that they type."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from console.inbox import ANSWER, brand_of, opened, staff_names
from console.surface import SURFACE, Call
from kit.state import StateUnavailable
from scrm import db
from scrm.conversations import closing, desk_queries, lines, service
from scrm.conversations.changes import CHANNEL
from scrm.errors import Conflict, Forbidden, Invalid, NotFound
from scrm.staff import audit
from scrm.staff.audit import Entry
from web.shapes import Lines, Moment, RowId, Taken, Text

ERRORS = (NotFound, Conflict, Invalid)
# Of one person in one conversation so often, seconds.
TYPING_EVERY = 2.0


class TransferBody(Taken):
    """To somebody, or to the queue of a skill ("" is the general one)."""

    to_staff_id: RowId | None = None
    to_skill: Annotated[Text, Field(max_length=32)] | None = None
    note: Annotated[Text, Field(max_length=200)] = ""


class SnoozeBody(Taken):
    """For so many minutes, at most 30 days."""

    minutes: Annotated[int, Field(ge=1, le=30 * 24 * 60)]


class CloseBody(Taken):
    """With a summary for whoever reads it later."""

    summary: Annotated[Lines, Field(max_length=500)] = ""


class Closed(BaseModel):
    """Whether this very call closed it."""

    closed: bool


class PulledFan(BaseModel):
    """The conversation with the fan who was taken."""

    conversation_id: int


class Snoozed(BaseModel):
    """Until when."""

    until: Moment


@SURFACE.post("/inbox/{conversation_id}/pull", permission=ANSWER, status=204, errors=ERRORS)
async def pull(call: Call, conversation_id: int) -> None:
    """接入会话.

    Of several at once one has it, the others are refused `taken`.
    """
    brand_id = await brand_of(call, conversation_id)
    await service.pull(conversation_id=conversation_id, brand_id=brand_id, staff_id=call.me.staff_id, now=call.now)


@SURFACE.post("/inbox/fans/{fan_id}/pull", permission=ANSWER, errors=ERRORS)
async def pull_fan(call: Call, fan_id: int) -> PulledFan:
    """主动接待一位粉丝."""
    rows = await db.fetch("SELECT a.brand_id FROM fan f JOIN account a ON a.id = f.account_id WHERE f.id = $1", fan_id)
    if not rows:
        raise NotFound("没有这位粉丝")
    brand_id = call.brand(rows[0]["brand_id"])
    taken = await service.pull_fan(fan_id=fan_id, brand_id=brand_id, staff_id=call.me.staff_id, now=call.now)
    return PulledFan(conversation_id=taken)


@SURFACE.post("/inbox/{conversation_id}/transfer", permission=ANSWER, status=204, errors=ERRORS)
async def transfer(call: Call, conversation_id: int, body: TransferBody) -> None:
    """转接给同事或技能组."""
    brand_id = await brand_of(call, conversation_id)

    async def change() -> bool:
        return await service.transfer(
            conversation_id=conversation_id,
            brand_id=brand_id,
            staff_id=call.me.staff_id,
            key=call.key,
            now=call.now,
            to_staff_id=body.to_staff_id,
            to_skill=body.to_skill,
            note=body.note,
        )

    # To whom, as people call them: the trail outlives names of skills and is read by those who know no ids.
    staff = await staff_names([] if body.to_staff_id is None else [body.to_staff_id])
    titles = {one["name"]: one["title"] for one in await desk_queries.skills(brand_id)}
    after = {
        "to_staff": staff.get(body.to_staff_id or 0),
        "to_skill": None if body.to_skill is None else titles.get(body.to_skill, body.to_skill),
    }
    entry = _entry("conversation.transferred", conversation_id, brand_id, after)
    await audit.along(call.actor, change, lambda changed: entry if changed else None, call.now)


@SURFACE.post("/inbox/{conversation_id}/return", permission=ANSWER, status=204, errors=ERRORS)
async def return_to_bot(call: Call, conversation_id: int) -> None:
    """转回智能助手."""
    brand_id = await brand_of(call, conversation_id)
    await service.return_to_bot(
        conversation_id=conversation_id, brand_id=brand_id, staff_id=call.me.staff_id, now=call.now
    )


@SURFACE.post("/inbox/{conversation_id}/snooze", permission=ANSWER, errors=ERRORS)
async def snooze(call: Call, conversation_id: int, body: SnoozeBody) -> Snoozed:
    """暂缓处理，到时间或粉丝发言时恢复."""
    brand_id = await brand_of(call, conversation_id)
    until = call.now + timedelta(minutes=body.minutes)
    await service.snooze(
        conversation_id=conversation_id, brand_id=brand_id, staff_id=call.me.staff_id, until=until, now=call.now
    )
    return Snoozed(until=until)


@SURFACE.post("/inbox/{conversation_id}/wake", permission=ANSWER, status=204, errors=ERRORS)
async def wake(call: Call, conversation_id: int) -> None:
    """提前恢复处理."""
    brand_id = await brand_of(call, conversation_id)
    await service.wake(conversation_id=conversation_id, brand_id=brand_id, staff_id=call.me.staff_id, now=call.now)


@SURFACE.post("/inbox/{conversation_id}/close", permission=ANSWER, errors=ERRORS)
async def close(call: Call, conversation_id: int, body: CloseBody) -> Closed:
    """结束会话并写小结."""
    brand_id = await brand_of(call, conversation_id)

    async def change() -> bool:
        return await closing.close(
            conversation_id=conversation_id,
            brand_id=brand_id,
            staff_id=call.me.staff_id,
            now=call.now,
            summary=body.summary,
        )

    entry = _entry("conversation.closed", conversation_id, brand_id, {"summary": bool(body.summary)})
    closed = await audit.along(call.actor, change, lambda changed: entry if changed else None, call.now)
    return Closed(closed=closed)


@SURFACE.post("/inbox/{conversation_id}/read", permission=ANSWER, status=204, errors=[NotFound, Forbidden])
async def read(call: Call, conversation_id: int) -> None:
    """标记为已读."""
    brand_id, _ = await opened(call, conversation_id)
    await lines.read(conversation_id=conversation_id, brand_id=brand_id, staff_id=call.me.staff_id)


@SURFACE.post("/inbox/{conversation_id}/typing", permission=ANSWER, status=204, errors=[NotFound, Forbidden])
async def typing(call: Call, conversation_id: int) -> None:
    """告诉同事我正在输入.

    It is told, not stored: who does not listen at this moment never knows.
    """
    brand_id, row = await opened(call, conversation_id)
    try:
        if not await call.parts.state.set_if_absent(
            f"inbox:typing:{conversation_id}:{call.me.staff_id}", "1", TYPING_EVERY
        ):
            return
    except StateUnavailable:
        pass  # told a little too often, then
    told = {"brand": brand_id, "conversation": conversation_id, "kind": "typing", "state": row.state}
    told |= {"staff": row.staff_id, "name": call.me.name, "by": call.me.staff_id}
    await db.fetch("SELECT pg_notify($1, $2)", CHANNEL, json.dumps(told, ensure_ascii=False))


def _entry(action: str, conversation_id: int, brand_id: int, after: Mapping[str, object]) -> Entry:
    return Entry(action, f"conversation:{conversation_id}", f"会话 {conversation_id}", brand_id, after=after)
