"""送达报告: what the platform reports about messages and jobs is recorded with the push; nobody waits for words."""

from bot.push_events import (
    MassSendJobFinishEvent,
    PublishJobFinishEvent,
    SubscribeMsgChangeEvent,
    SubscribeMsgPopupEvent,
    SubscribeMsgSentEvent,
    TemplateSendJobFinishEvent,
)
from bot.router import Answer, Context, Router

router = Router("delivery reports")


@router.on(
    TemplateSendJobFinishEvent,
    MassSendJobFinishEvent,
    PublishJobFinishEvent,
    SubscribeMsgPopupEvent,
    SubscribeMsgChangeEvent,
    SubscribeMsgSentEvent,
)
def report(_context: Context) -> Answer:
    """Say nothing; the consequence of the event's kind has noted it on the message (see bot.timeline)."""
    return None
