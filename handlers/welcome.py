"""欢迎语: what a new follower is told, chosen by the channel they came through and whether they have been here."""

from bot.content import say
from bot.push_events import SubscribeEvent
from bot.router import Answer, Context, Router
from scrm.channels import queries as channels
from scrm.members import queries as members
from scrm.replies import service as replies

router = Router("welcome")


@router.on(SubscribeEvent)
async def welcome(context: Context) -> Answer:
    """Answer a follow. An account without any welcome text says nothing."""
    event = context.message
    assert isinstance(event, SubscribeEvent)  # noqa: S101  # the router's promise, for the type checker
    assert context.fan_id is not None  # noqa: S101  # a follow is always somebody's
    channel = await channels.of_scene(context.account.id, event.scene)
    fan = await members.fan(context.fan_id)
    content = await replies.welcome_for(
        context.account.id,
        channel_id=channel.id if channel else None,
        returning=fan is not None and (fan.follow_count > 1 or await members.has_left(fan)),
    )
    return say(context, content) if content else None
