"""Errands between our data and the platform: make a channel's code, publish a menu, compare menus."""

from typing import Any

from app.services import Services
from gateways.wechat.errors import Ambiguous, WeChatFailure
from gateways.wechat.transport import field
from kit.delivery import Sender
from scrm.channels import service as channels
from scrm.channels.models import Channel
from scrm.errors import Conflict, NotFound
from scrm.menus import service as menus


def client_of(opened: Services, account_id: int) -> Any:
    """Return the API client of an account; raises NotFound."""
    account = opened.directory.accounts().get(account_id)
    if account is None:
        raise NotFound("没有这个账号", field="account")
    return opened.clients.for_account(Sender(account.id, account.kind, account.appid, account.secret))


async def create_code(opened: Services, *, account_id: int, scene: str, name: str, cost_fen: int = 0) -> Channel:
    """Create a channel and its permanent QR code.

    Raises NotFound, Invalid, and Conflict with the platform's reason when it refuses.
    """
    client = client_of(opened, account_id)
    channels.check_scene(scene)
    channel = await Channel.get_or_none(account_id=account_id, scene=scene, ticket="")
    if channel is None:
        channel = await channels.create(
            account_id=account_id, scene=scene, name=name, cost_fen=cost_fen, now=opened.clock.now()
        )
    body = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": scene}}}
    try:
        code = await client.qrcode.create(body)
        ticket, url = field(code, "ticket", str), field(code, "url", str)
    except WeChatFailure as error:
        raise Conflict(f"微信没有创建二维码：{error}", field="scene") from None
    await channels.record_code(channel_id=channel.id, ticket=ticket, url=url)
    return await Channel.get(id=channel.id)


async def publish_menu(opened: Services, *, account_id: int, buttons: object | None = None) -> None:
    """Publish an account's menu, `buttons` or the stored one. Raises NotFound, Invalid, Conflict."""
    client = client_of(opened, account_id)
    if buttons is not None:
        await menus.define(account_id=account_id, buttons=buttons, now=opened.clock.now())
    wanted = await menus.wanted(account_id)
    if wanted is None:
        raise NotFound("这个账号还没有菜单定义", field="account")
    try:
        # Of what is no answer of WeChat's nobody knows that it was taken.
        field(await client.menu.create({"button": wanted}), "errcode", int)
    except WeChatFailure as error:
        raise Conflict(f"微信没有接受菜单：{error}", field="button") from None
    await menus.record_published(account_id=account_id, now=opened.clock.now())


async def menu_differences(opened: Services, account_id: int) -> list[str]:
    """Return where the menu that WeChat shows differs from ours; raises WeChatFailure."""
    wanted = await menus.wanted(account_id)
    if wanted is None:
        return []
    return menus.differences(wanted, await shown_menu(opened, account_id))


async def shown_menu(opened: Services, account_id: int) -> list[dict[str, Any]]:
    """Return the buttons that phones show; raises WeChatFailure."""
    shown = await client_of(opened, account_id).menu.get_menu_info()
    if not field(shown, "is_menu_open", int):
        return []
    return _buttons(field(shown, "selfmenu_info", dict).get("button"))


def _buttons(found: object) -> list[dict[str, Any]]:
    """Return buttons as WeChat shows them; raises Ambiguous for what are none."""
    if not isinstance(found, list) or not all(isinstance(button, dict) for button in found):
        raise Ambiguous("the answer lacks the menu's buttons")
    for button in found:
        field(button, "name", str)
        if children := button.get("sub_button"):
            _buttons(children.get("list") if isinstance(children, dict) else children)
    return found
