"""兜底: whatever a fan sends and nobody else answers gets a friendly sentence; everything else, silence."""

from bot.messages import TextMessage
from bot.replies import TextReply
from bot.router import Answer, Context, Router
from bot.wire import UserMessage

router = Router("fallback")

# What a fan is told when a handler breaks.
APOLOGY = TextReply("抱歉，服务开小差了，请稍后再试。")


@router.on(UserMessage)
def fallback(context: Context) -> Answer:
    """Answer what nobody else did."""
    if isinstance(context.message, TextMessage):
        return TextReply("您好，已收到您的消息。回复“帮助”可查看我能为您做什么。")
    return TextReply("已收到，谢谢您的分享！")
