"""Sitting at the desk: the lease that a browser renews, and giving it up."""

from pydantic import BaseModel

from console.inbox import ANSWER, BrandQuery
from console.surface import SURFACE, Call
from scrm.conversations import assigning, desk
from scrm.errors import Invalid, NotFound
from web.shapes import Moment


class Presence(BaseModel):
    """Until when the caller counts as present unless their browser says so again."""

    present_until: Moment


class PresenceBody(BrandQuery):
    """At which brand's desk."""


@SURFACE.post("/inbox/presence", permission=ANSWER, automatic=True, errors=[NotFound, Invalid])
async def presence(call: Call, body: PresenceBody) -> Presence:
    """我在线.

    A browser says so on every `beat` of its stream; when it is gone, conversations go back after a minute. It does not
    put off the end of an idle session.
    """
    brand_id, staff_id = call.brand(body.brand), call.me.staff_id
    await desk.take_seat(brand_id=brand_id, staff_id=staff_id)
    until = await desk.heartbeat(staff_id=staff_id, now=call.now)
    await assigning.assign_brand(brand_id=brand_id, now=call.now)
    return Presence(present_until=until)


@SURFACE.post("/inbox/leave", permission=ANSWER, status=204)
async def leave(call: Call) -> None:
    """我离开一下，会话交给其他同事."""
    await desk.leave(staff_id=call.me.staff_id, now=call.now)
