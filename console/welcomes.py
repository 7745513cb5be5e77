"""Welcome texts: what followers of an account are told, in general or by the channel they came through."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from console.rules import EDIT, AccountQuery, brand_of
from console.surface import SURFACE, Call
from scrm.errors import Invalid, NotFound
from scrm.replies import content, editing, queries, service
from scrm.replies.queries import WelcomeView
from scrm.staff import audit
from scrm.staff.audit import Entry
from web.shapes import RowId, Taken

Audience = Literal["any", "new", "returning"]
Greeting = Annotated[content.Text | content.Image | content.News | content.MiniProgramCard, Field(discriminator="type")]


class WelcomeItem(BaseModel):
    """A welcome text; `channel_id` null: of every channel without one of its own."""

    id: int
    channel_id: int | None
    channel: str | None
    audience: Audience
    reply: Greeting


class WelcomeChannel(BaseModel):
    """A channel that may have a text of its own."""

    id: int
    name: str


class WelcomeList(BaseModel):
    """An account's welcome texts, the general ones first, and its channels."""

    items: list[WelcomeItem]
    channels: list[WelcomeChannel]


class WelcomeInput(Taken):
    """What followers are told from now on, in place of what they were."""

    account_id: RowId
    channel_id: RowId | None = None
    audience: Audience
    reply: Greeting


class WelcomeWritten(BaseModel):
    """The text that was written."""

    id: int


@SURFACE.get("/welcomes", permission=EDIT, errors=[NotFound])
async def welcomes(call: Call, query: AccountQuery) -> WelcomeList:
    """一个账号的欢迎语."""
    await brand_of(call, query.account)
    return WelcomeList(
        items=[_item(one) for one in await queries.welcomes(query.account)],
        channels=[WelcomeChannel(id=one.id, name=one.name) for one in await queries.channels(query.account)],
    )


@SURFACE.put("/welcomes", permission=EDIT, errors=[NotFound, Invalid])
async def set_welcome(call: Call, body: WelcomeInput) -> WelcomeWritten:
    """写欢迎语，同一渠道和对象的原有内容被替换."""
    brand_id = await brand_of(call, body.account_id)
    own = await queries.channels(body.account_id)
    if body.channel_id is not None and body.channel_id not in {one.id for one in own}:
        raise NotFound("这个账号没有这个渠道", field="channel_id")

    async def change() -> tuple[int, bool]:
        before = await queries.welcomes(body.account_id)
        written = await service.set_welcome(
            account_id=body.account_id,
            channel_id=body.channel_id,
            audience=body.audience,
            reply=body.reply.model_dump(),
            now=call.now,
        )
        return written, await queries.welcome(written) not in before

    def line(done: tuple[int, bool]) -> Entry | None:
        written, changed = done
        where = _name(body.channel_id, own)
        told = {"audience": body.audience, "channel": where, "reply": body.reply.model_dump()}
        return Entry("welcome.set", f"welcome:{written}", where, brand_id, after=told) if changed else None

    written, _ = await audit.along(call.actor, change, line, call.now)
    return WelcomeWritten(id=written)


@SURFACE.delete("/welcomes/{welcome_id}", permission=EDIT, status=204, errors=[NotFound])
async def remove_welcome(call: Call, welcome_id: int) -> None:
    """删除欢迎语."""
    before = await queries.welcome(welcome_id)
    if before is None:
        raise NotFound("没有这条欢迎语")
    brand_id = call.brand(before.brand_id)

    async def change() -> None:
        await editing.remove_welcome(welcome_id=welcome_id)

    def line(_: None) -> Entry:
        told = {"audience": before.audience, "channel": before.channel or GENERAL, "reply": before.reply}
        return Entry("welcome.removed", f"welcome:{welcome_id}", before.channel or GENERAL, brand_id, before=told)

    await audit.along(call.actor, change, line, call.now)


GENERAL = "全部渠道"


def _name(channel_id: int | None, own: list[queries.ChannelName]) -> str:
    return next((one.name for one in own if one.id == channel_id), GENERAL)


def _item(view: WelcomeView) -> WelcomeItem:
    return WelcomeItem.model_validate(
        {
            "id": view.id,
            "channel_id": view.channel_id,
            "channel": view.channel,
            "audience": view.audience,
            "reply": view.reply,
        }
    )
