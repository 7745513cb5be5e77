"""位置: a place somebody sends is confirmed; the places a phone reports by itself are only recorded."""

from bot.messages import LocationMessage
from bot.push_events import LocationEvent, LocationSelectEvent
from bot.replies import TextReply
from bot.router import Answer, Context, Router

router = Router("location")


@router.on(LocationMessage)
def sent(context: Context) -> Answer:
    """Confirm a place that was sent."""
    message = context.message
    assert isinstance(message, LocationMessage)  # noqa: S101  # the router's promise, for the type checker
    place = f"：{message.label}" if message.label else ""
    return TextReply(f"已收到您的位置{place}。附近有活动时我们会优先通知您。")


@router.on(LocationEvent, LocationSelectEvent)
def reported(_context: Context) -> Answer:
    """Keep quiet: the timeline has it, and a chosen place arrives as a message of its own."""
    return None
