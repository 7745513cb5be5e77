"""智能客服: what no rule answers is looked up, found in the brand's knowledge, or written by a model from it.

Whatever goes wrong the fan is told a sentence and offered a person; the second time in a row one is asked for. Where
a brand has neither knowledge nor a model, this file costs nothing: the others answer as if it were not there.
"""

import re
from collections.abc import Mapping
from typing import Any

from bot.messages import TextMessage
from bot.replies import TextReply
from bot.router import UNHANDLED, Answer, Context, Router
from handlers import handoff
from scrm.assistant.answering import Assistant, Question
from scrm.assistant.answers import AT_A_LOSS, Record
from scrm.assistant.sources import Piece
from scrm.errors import Conflict
from scrm.replies.rules import fold

router = Router("assistant")

DIALOGUE = "assistant"
MINUTES = 10
# Words to which no knowledge is an answer.
COURTESIES = frozenset(
    "谢谢 多谢 谢谢您 谢谢你 感谢 好的 好滴 嗯嗯 可以 收到 知道了 明白 明白了"  # noqa: SIM905  # reads as words
    " ok okay 你好 您好 在吗 早上好 晚安 再见 拜拜 哈哈".split()
)


def _assistant(context: Context) -> Assistant | None:
    found = context.parts.assistant
    return found if found is not None and found.serves(context.account.brand_id) else None


def _asks(message: Any) -> bool:
    """Say whether a text may be a question: it has words, and more than good manners."""
    said = fold(message.content).strip("。.！!～~？?，, ")
    return said not in COURTESIES and re.search(r"[^\W_]{2}", said) is not None


@router.on(TextMessage, when=_asks, given=lambda context: _assistant(context) is not None)
async def answer(context: Context) -> Answer:
    """Answer a question."""
    assistant = _assistant(context)
    if assistant is None:
        return UNHANDLED
    try:
        record = await assistant.answer(_question(context))
    except Conflict:  # the fan has deleted their account meanwhile: there is nobody to answer
        return None
    return UNHANDLED if record is None else await _said(context, record)


@router.dialogue(DIALOGUE)
async def choose(context: Context) -> Answer:
    """Take the number of a question that was offered; anything else is a question of its own."""
    message, dialogue, assistant = context.message, context.dialogue, _assistant(context)
    assert dialogue is not None  # noqa: S101  # the router's promise, for the type checker
    context.end_dialogue()
    if assistant is None or not isinstance(message, TextMessage):
        return UNHANDLED
    choices: list[Mapping[str, Any]] = dialogue.data["choices"]
    said = fold(message.content).strip("。.、)）")
    number = {"一": 1, "二": 2, "三": 3}.get(said) or (int(said) if said in {"1", "2", "3"} else 0)
    if not 1 <= number <= len(choices):
        return UNHANDLED
    try:
        record = await assistant.choose(_question(context), Piece(**choices[number - 1]))
    except Conflict:  # same
        return None
    return TextReply(record.said)


def _question(context: Context) -> Question:
    message = context.message
    assert isinstance(message, TextMessage)  # noqa: S101  # same
    assert context.fan_id is not None  # noqa: S101  # a text is always somebody's
    assert context.member_id is not None  # noqa: S101  # same
    return Question(
        key=context.key,
        brand_id=context.account.brand_id,
        brand=context.account.name,
        account_id=context.account.id,
        fan_id=context.fan_id,
        member_id=context.member_id,
        text=message.content,
        asked_at=context.now,
    )


async def _said(context: Context, record: Record) -> Answer:
    if record.outcome == "menu":
        context.continue_dialogue(DIALOGUE, "choose", {"choices": list(record.choices)}, MINUTES)
    if record.outcome in AT_A_LOSS and (handed := await handoff.unsure(context)) is not UNHANDLED:
        return handed
    return TextReply(record.said, ai=record.ai)
