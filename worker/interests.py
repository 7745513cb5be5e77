"""兴趣点: reads what fans wrote behind the timeline's end, and asks the model about what no rule understood."""

from kit.chat import ChatModel
from kit.clock import Clock
from scrm.assistant.interest_questions import ask_some
from scrm.assistant.interests import read_on

JOB = "assistant.interests"
BATCH = 20


async def notice_interests(clock: Clock, model: ChatModel | None) -> None:
    """Read on to the timeline's end, then ask what there is to ask. Run again, or twice at once, it does no harm."""
    after = None
    while (after := await read_on(now=clock.now(), after=after, ask_model=model is not None)) is not None:
        pass
    if model is not None:
        while await ask_some(model, clock, limit=BATCH) == BATCH:
            pass
