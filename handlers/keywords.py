"""关键词自动回复: the operator's rules answer a text, exact words before patterns, by priority."""

from collections.abc import Awaitable

from bot.content import say
from bot.messages import TextMessage
from bot.router import UNHANDLED, Answer, Context, Router
from handlers.handoff import by_rule

router = Router("keywords")


@router.on(TextMessage)
def keyword(context: Context) -> Answer | Awaitable[Answer]:
    """Answer a text by the first rule that matches it."""
    message = context.message
    assert isinstance(message, TextMessage)  # noqa: S101  # the router's promise, for the type checker
    rule = context.rules.for_text(message.content)
    if rule is None:
        return UNHANDLED
    return by_rule(context, rule.reply) if rule.reply["type"] == "handoff" else say(context, rule.reply)
