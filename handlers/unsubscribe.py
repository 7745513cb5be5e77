"""取消关注: nothing can be said any more; the fan stays known, and a running dialogue or conversation ends.

Unless it comes late, and the fan follows again: then all goes on.
"""

from bot.push_events import UnsubscribeEvent
from bot.router import Answer, Context, Router
from scrm.conversations.closing import fan_left
from scrm.members import queries as members

router = Router("unsubscribe")


@router.on(UnsubscribeEvent)
async def unsubscribe(context: Context) -> Answer:
    """Say goodbye silently."""
    assert context.fan_id is not None  # noqa: S101  # an unfollow is always somebody's
    fan = await members.fan(context.fan_id)
    if fan is None or fan.following:
        return None
    await fan_left(fan_id=context.fan_id, now=context.now)
    context.end_dialogue()
    return None
