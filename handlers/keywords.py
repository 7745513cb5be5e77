"""关键词自动回复: the operator's rules answer a text, exact words before patterns, by priority."""

from bot.content import say
from bot.messages import TextMessage
from bot.router import UNHANDLED, Answer, Context, Router

router = Router("keywords")


@router.on(TextMessage)
def keyword(context: Context) -> Answer:
    """Answer a text by the first rule that matches it."""
    message = context.message
    assert isinstance(message, TextMessage)  # noqa: S101  # the router's promise, for the type checker
    rule = context.rules.for_text(message.content)
    return say(context, rule.reply) if rule else UNHANDLED
