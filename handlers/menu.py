"""菜单点击: a menu key is answered by its click rule; a key without one gets a hint instead of silence."""

from collections.abc import Awaitable

from bot.content import say
from bot.push_events import ClickEvent, ScanCodeWaitEvent
from bot.replies import TextReply
from bot.router import Answer, Context, Router
from handlers.handoff import by_rule

router = Router("menu")


@router.on(ClickEvent)
def click(context: Context) -> Answer | Awaitable[Answer]:
    """Answer a click by the rule of its key."""
    event = context.message
    assert isinstance(event, ClickEvent)  # noqa: S101  # the router's promise, for the type checker
    rule = context.rules.for_click(event.key)
    if rule is not None and rule.reply["type"] == "handoff":
        return by_rule(context, rule.reply)
    return say(context, rule.reply) if rule else TextReply("这个功能正在准备中，敬请期待。")


@router.on(ScanCodeWaitEvent)
def scanned_and_waits(context: Context) -> Answer:
    """Answer the menu's own scanner, which shows a spinner until something comes."""
    event = context.message
    assert isinstance(event, ScanCodeWaitEvent)  # noqa: S101  # same
    return TextReply(f"扫码结果：{event.scan_result}" if event.scan_result else "没有识别到内容，请再试一次。")
