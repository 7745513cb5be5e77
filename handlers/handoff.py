"""转人工: a fan asks for a person, or a rule does; while a person looks after them the bot only listens.

The handoff message answers the very push that asked, and only that one; the closing message leaves by the door out
(scrm.conversations). Where an account uses WeChat's own customer service the push is passed on to it instead.
"""

from collections.abc import Awaitable, Mapping
from typing import Any

from bot.messages import TextMessage
from bot.push_events import KfCloseSessionEvent, KfCreateSessionEvent, KfSwitchSessionEvent
from bot.replies import TextReply, TransferReply
from bot.router import NEEDS_WORK, UNHANDLED, Answer, Context, Router
from kit.clock import from_epoch
from scrm.conversations import closing, kf, lines, queries, service, words
from scrm.conversations.service import Handoff, Reason
from scrm.pushes.silence import PERSON
from scrm.replies.rules import fold

router = Router("handoff")


@router.on(TextMessage)
def ask(context: Context) -> Answer | Awaitable[Answer]:
    """Ask for a person. An operator's rule for these exact words comes first."""
    message = context.message
    assert isinstance(message, TextMessage)  # noqa: S101  # the router's promise, for the type checker
    if not words.asks_for_person(fold(message.content)):
        return UNHANDLED
    rule = context.rules.for_text(message.content)
    if rule is not None and rule.match == "exact":
        return UNHANDLED
    return NEEDS_WORK if context.fan_id is None else hand_over(context, "asked")


def by_rule(context: Context, content: Mapping[str, Any]) -> Answer | Awaitable[Answer]:
    """Ask for a person because an operator's rule says so (scrm.replies.content.Handoff)."""
    return NEEDS_WORK if context.fan_id is None else hand_over(context, "rule", content["skill"])


async def hand_over(context: Context, reason: Reason, skill: str = "") -> Answer:
    """Ask for a person and answer the push with the handoff message."""
    assert context.fan_id is not None  # noqa: S101  # asked as work only
    return say(
        context,
        await service.request_person(
            fan_id=context.fan_id,
            reason=reason,
            now=context.now,
            asked_by=context.key,
            asked_at=from_epoch(context.message.created_at),
            skill=skill,
        ),
    )


async def unsure(context: Context) -> Answer:
    """Note that the bot had no good answer; the second time in a while this asks for a person, else UNHANDLED."""
    assert context.fan_id is not None  # noqa: S101  # a question is always somebody's
    handed = await service.bot_unsure(
        fan_id=context.fan_id,
        push_key=context.key,
        now=context.now,
        asked_at=from_epoch(context.message.created_at),
    )
    return UNHANDLED if handed is None else say(context, handed)


def say(context: Context, handoff: Handoff) -> Answer:
    """Answer a push with what asking for a person came to."""
    context.purpose = "service"
    if handoff.desk == "wechat" and handoff.state == "waiting":
        return TransferReply()
    return None if handoff.says is None else TextReply(handoff.says)


@router.dialogue(PERSON)
async def listen(context: Context) -> Answer:
    """Pass on what the fan says to whoever looks after them, and say nothing."""
    assert context.fan_id is not None  # noqa: S101  # a dialogue is always somebody's
    message, fan_id = context.message, context.fan_id
    serving = await queries.serving(fan_id)
    if serving is None:
        return UNHANDLED  # closed this moment
    if serving.asked_by == context.key:
        # Its worker died after asking: the message is still owed.
        return await hand_over(context, "asked")
    leaves = isinstance(message, TextMessage) and words.leaves_queue(fold(message.content))
    if leaves and serving.state == "waiting" and await closing.leave_queue(fan_id=fan_id, now=context.now):
        return None
    if serving.state == "waiting" and serving.desk == "wechat":
        context.purpose = "service"
        return TransferReply()
    await lines.heard(fan_id=fan_id, now=context.now)
    return None


@router.dialogue(closing.RATING)
async def rate(context: Context) -> Answer:
    """Take the fan's next message for a score if it is one; anything else is what it always was."""
    message, dialogue = context.message, context.dialogue
    assert dialogue is not None  # noqa: S101  # the router's promise, for the type checker
    context.end_dialogue()
    score = words.score_of(fold(message.content)) if isinstance(message, TextMessage) else None
    if score is None:
        return UNHANDLED
    await closing.rate(conversation_id=dialogue.data["conversation_id"], score=score, now=context.now)
    return TextReply(words.thanks(score))


@router.on(KfCreateSessionEvent)
async def session_created(context: Context) -> Answer:
    """Fall silent: somebody at WeChat's own customer service has the fan."""
    event = context.message
    assert isinstance(event, KfCreateSessionEvent)  # noqa: S101  # the router's promise, for the type checker
    assert context.fan_id is not None  # noqa: S101  # a session is always somebody's
    await kf.session_created(fan_id=context.fan_id, kf_account=event.kf_account, now=context.now)
    return None


@router.on(KfSwitchSessionEvent)
async def session_switched(context: Context) -> Answer:
    """Follow a session from one of WeChat's desk to another."""
    event = context.message
    assert isinstance(event, KfSwitchSessionEvent)  # noqa: S101  # same
    assert context.fan_id is not None  # noqa: S101  # same
    await kf.session_switched(fan_id=context.fan_id, to_kf_account=event.to_kf_account, now=context.now)
    return None


@router.on(KfCloseSessionEvent)
async def session_closed(context: Context) -> Answer:
    """Speak again from the next message on."""
    assert context.fan_id is not None  # noqa: S101  # same
    await kf.session_closed(fan_id=context.fan_id, now=context.now)
    return None
