"""While a person looks after a fan: what the fan does besides writing is told to the page that shows them.

It stands in the conversation and opens a minute in which staff may answer. What is said to it the others decide.
"""

from collections.abc import Awaitable

from bot.push_events import (
    ClickEvent,
    ScanCodePushEvent,
    ScanCodeWaitEvent,
    ScanEvent,
    SubscribeEvent,
    UserEnterTempSessionEvent,
)
from bot.router import UNHANDLED, Answer, Context, Router
from scrm.conversations import lines
from scrm.pushes.silence import PERSON

router = Router("watched")


@router.on(ClickEvent, ScanCodePushEvent, ScanCodeWaitEvent, ScanEvent, SubscribeEvent, UserEnterTempSessionEvent)
def acts(context: Context) -> Answer | Awaitable[Answer]:
    """Tell of what was done, and leave the answer to others."""
    # Known only when it is worked on, as everything of such a fan is: nobody else pays for this.
    served = context.dialogue is not None and context.dialogue.name == PERSON
    return _tell(context) if served else UNHANDLED


async def _tell(context: Context) -> Answer:
    assert context.fan_id is not None  # noqa: S101  # a dialogue is always somebody's
    await lines.acted(fan_id=context.fan_id)
    return UNHANDLED
