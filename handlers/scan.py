"""扫码: a follower scans a channel's code; the channel's own text answers, else its name is confirmed."""

from bot.content import say
from bot.push_events import ScanEvent
from bot.replies import TextReply
from bot.router import Answer, Context, Router
from scrm.channels import queries as channels
from scrm.replies import service as replies

router = Router("scan")


@router.on(ScanEvent)
async def scan(context: Context) -> Answer:
    """Answer a scan by somebody who follows already."""
    event = context.message
    assert isinstance(event, ScanEvent)  # noqa: S101  # the router's promise, for the type checker
    channel = await channels.of_scene(context.account.id, event.scene)
    if channel is None:
        return None
    content = await replies.text_of_channel(context.account.id, channel.id)
    return say(context, content) if content else TextReply(f"您已扫描“{channel.name}”的二维码，欢迎光临！")
