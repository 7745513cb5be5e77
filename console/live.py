"""What happens in the inbox, live: one stream per browser, cut to its brand and to what its owner may see."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Literal

from pydantic import BaseModel

from console.surface import SURFACE, Call
from scrm.errors import Invalid, NotFound
from scrm.staff.permissions import SUPERVISE
from web.hub import Heard, Listener, Notice
from web.shapes import Moment, RowId, Taken
from web.streams import Said, Stream

# Seconds between two beats: on each the browser says that somebody sits there (desk.PRESENCE is three of them).
BEAT = 20.0


class LiveQuery(Taken):
    """Whose inbox."""

    brand: RowId


class Happening(BaseModel):
    """Something happened in a conversation; whoever shows it reads it anew.

    `kind` is a change's (scrm.conversations.changes.KINDS), noted, message, delivery, read, or typing by `name`.
    """

    conversation: int
    kind: str
    state: str
    staff_id: int | None
    name: str = ""


class Anew(BaseModel):
    """Something may have been missed: everything shown is to be read anew."""

    why: Literal["gap"] = "gap"


class Beat(BaseModel):
    """The connection lives, and this is the server's time: the browser's own clock may be wrong."""

    now: Moment


@SURFACE.stream("/live", permission="inbox.answer", errors=[NotFound, Invalid])
async def live(call: Call, query: LiveQuery) -> Stream:
    """接待动态（服务器推送）.

    Events `happened`, `resync` and `beat`. With `Last-Event-ID` it goes on where the browser was, or says `resync`.
    """
    return _said(call, call.brand(query.brand))


def wanted(heard: Heard, *, brand_id: int, staff_id: int, supervises: bool) -> bool:
    """Whether somebody is told: of their own brand; of colleagues' conversations only whoever supervises."""
    if heard.get("brand") != brand_id or heard.get("by") == staff_id:
        return False
    theirs = heard.get("state") == "staff" and heard.get("staff") != staff_id
    return supervises or not theirs or staff_id in (heard.get("named") or ())


async def _said(call: Call, brand_id: int) -> AsyncGenerator[Said, None]:
    staff_id, supervises = call.me.staff_id, call.me.may(SUPERVISE)

    def mine(heard: Heard) -> bool:
        return wanted(heard, brand_id=brand_id, staff_id=staff_id, supervises=supervises)

    loop = asyncio.get_running_loop()
    with call.parts.hub.listening(mine, since=call.last_event) as listener:
        yield Said("beat", Beat(now=call.parts.clock.now()))
        due = loop.time() + BEAT
        while True:
            notice = await _next(listener, due - loop.time())
            if notice is None:
                due = loop.time() + BEAT
                yield Said("beat", Beat(now=call.parts.clock.now()))
            elif notice.heard is None:
                yield Said("resync", Anew(), notice.number)
            else:
                yield Said("happened", _happening(notice.heard), notice.number)


async def _next(listener: Listener, seconds: float) -> Notice | None:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            return await listener.next()
    except TimeoutError:
        return None


def _happening(heard: Heard) -> Happening:
    return Happening(
        conversation=heard["conversation"],
        kind=heard["kind"],
        state=heard.get("state") or "",
        staff_id=heard.get("staff"),
        name=heard.get("name") or "",
    )
