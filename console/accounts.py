"""Accounts and their health: what has come in, whether WeChat's API answers, what is set up wrongly."""

from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel

from console.surface import SURFACE, BrandPage, Call
from gateways.wechat.client import WeChatClient
from gateways.wechat.errors import ALERTS, WeChatError, WeChatFailure
from kit.delivery import Sender
from kit.state import StateUnavailable
from scrm.accounts import queries
from scrm.accounts.queries import AccountHealth
from scrm.errors import NotFound
from scrm.outreach.queries import Stuck, stuck
from web.shapes import Moment

READ = "accounts.read"
# What WeChat's refusals ask of whoever looks after the account (gateways.wechat.errors.ALERTS).
MENDS = {
    40013: "AppID 不正确",
    40125: "AppSecret 不正确",
    40164: "服务器 IP 不在白名单内",
    40243: "AppSecret 已被冻结",
    48001: "没有客服消息接口的权限，请核对认证状态",
    48004: "接口被封禁",
    50004: "账号被禁止使用接口",
    50007: "账号已被冻结",
    61004: "服务器 IP 不在白名单内",
    89503: "此 IP 的调用需要管理员确认",
    89506: "管理员拒绝了此 IP 的调用",
    89507: "管理员拒绝了此 IP 的调用",
}


class Trouble(BaseModel):
    """Something to look at; `error` stops the account, `warning` does not."""

    level: Literal["error", "warning"]
    text: str


class AccountItem(BaseModel):
    """An account, its last 24 hours, and what is to be looked at. `token`: whether an access token is at hand."""

    id: int
    brand_id: int
    brand: str
    kind: Literal["service", "subscription", "miniprogram"]
    name: str
    appid: str
    mode: Literal["plain", "compatible", "safe"]
    verified: bool
    enabled: bool
    callback_url: str
    token: Literal["ready", "none", "unknown"]
    last_push_at: Moment | None
    pushes: int
    failed: int
    malformed: int
    troubles: list[Trouble]


class AccountList(BaseModel):
    """The accounts of the caller's brands."""

    items: list[AccountItem]


class AccountQuery(BrandPage):
    """The accounts of one brand, or of all that the caller works for."""


class PushHour(BaseModel):
    """An hour from `at` on: the pushes that came, and those among them that failed."""

    at: Moment
    pushes: int
    failed: int


class PushHours(BaseModel):
    """The last 24 hours, the oldest first; the last one is not over."""

    items: list[PushHour]


class Checked(BaseModel):
    """What WeChat's API says to this account."""

    fine: bool
    text: str


@SURFACE.get("/accounts", permission=READ)
async def account_list(call: Call, query: AccountQuery) -> AccountList:
    """公众号与小程序的运行状况."""
    found = await queries.health(brands=call.within(query.brand), now=call.now)
    waiting = await stuck(ALERTS, now=call.now)
    return AccountList(items=[await _item(call, one, waiting.get(one.id)) for one in found])


@SURFACE.get("/accounts/pushes", permission=READ)
async def pushes_by_hour(call: Call, query: AccountQuery) -> PushHours:
    """最近 24 小时的推送量."""
    found = await queries.pushes_by_hour(brands=call.within(query.brand), now=call.now)
    return PushHours(items=[PushHour.model_validate(asdict(one)) for one in found])


@SURFACE.post("/accounts/{account_id}/check", permission=READ, network=True, errors=[NotFound])
async def check_account(call: Call, account_id: int) -> Checked:
    """检测微信接口是否可用."""
    found = {one.id for one in await queries.health(brands=call.within(None), now=call.now)}
    client = _client(call, account_id)
    if account_id not in found:
        raise NotFound("没有这个账号")
    if client is None:
        return Checked(fine=False, text="账号已停用，或密钥无法解开（FENSI_SECRET_KEY 与添加时不同）")
    try:
        await client.token()
    except WeChatError as error:
        return Checked(fine=False, text=f"微信拒绝了请求（错误码 {error.errcode}），请核对 AppSecret 和 IP 白名单")
    except WeChatFailure:
        return Checked(fine=False, text="连不上微信接口，请检查服务器网络后重试")
    return Checked(fine=True, text="微信接口正常，已取得访问凭证")


async def _item(call: Call, one: AccountHealth, held: Stuck | None) -> AccountItem:
    return AccountItem.model_validate(
        {
            "id": one.id,
            "brand_id": one.brand_id,
            "brand": one.brand,
            "kind": one.kind,
            "name": one.name,
            "appid": one.appid,
            "mode": one.mode,
            "verified": one.verified,
            "enabled": one.enabled,
            "callback_url": f"{call.parts.public_url}/wechat/{one.id}",
            "token": await _token(_client(call, one.id)),
            "last_push_at": one.last_push_at,
            "pushes": one.pushes,
            "failed": one.failed,
            "malformed": one.malformed,
            "troubles": _troubles(call, one, held),
        }
    )


async def _token(client: WeChatClient | None) -> str:
    try:
        return "ready" if client is not None and await client.token_at_hand() else "none"
    except StateUnavailable:
        return "unknown"


def _client(call: Call, account_id: int) -> WeChatClient | None:
    account = call.parts.directory.accounts().get(account_id)
    if account is None:
        return None
    return call.parts.clients.for_account(Sender(account.id, account.kind, account.appid, account.secret))


def _troubles(call: Call, one: AccountHealth, held: Stuck | None) -> list[Trouble]:
    found = []
    if one.id in call.parts.directory.shut:
        found.append(("error", "密钥无法解开：FENSI_SECRET_KEY 与添加时不同，推送不会被处理"))
    if not one.enabled:
        found.append(("warning", "账号已停用，不再接收推送"))
    if held is not None:
        why = f"错误码 {held.code}" + (f"，{MENDS[held.code]}" if held.code in MENDS else "")
        found.append(("error", f"微信拒绝发送客服消息（{why}）：{held.waiting} 条消息在等待，处理后会自动继续发送"))
    if one.last_push_at is None and one.enabled and one.kind != "miniprogram":
        found.append(("warning", "24 小时内没有收到推送，请核对公众平台的服务器配置"))
    if one.failed:
        found.append(("error", f"24 小时内有 {one.failed} 条推送处理失败"))
    if one.malformed:
        found.append(("warning", f"24 小时内有 {one.malformed} 条推送无法识别"))
    if not one.verified and one.kind != "miniprogram":
        found.append(("warning", "未认证：不能发送客服消息，回复要等粉丝下次发言时送达"))
    if one.mode == "plain":
        found.append(("warning", "明文模式：消息没有加密，建议在公众平台改为安全模式"))
    return [Trouble.model_validate({"level": level, "text": text}) for level, text in found]
