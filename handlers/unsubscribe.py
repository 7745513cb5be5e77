"""取消关注: nothing can be said any more; the fan stays known, and a running dialogue ends."""

from bot.push_events import UnsubscribeEvent
from bot.router import Answer, Context, Router

router = Router("unsubscribe")


@router.on(UnsubscribeEvent)
async def unsubscribe(context: Context) -> Answer:
    """Say goodbye silently."""
    context.end_dialogue()
    return None
