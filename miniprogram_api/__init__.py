"""The members' JSON API: its endpoints under /api/mp/{appid}, and their OpenAPI document."""

from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from bot.directory import Directory
from gateways.wechat.clients import WeChatClients
from kit.clock import Clock
from kit.seal import Sealer
from kit.state import SharedState
from miniprogram_api import addresses, checkin, gifts, invitations, me, phone, points, privacy, profile, sign_in
from miniprogram_api.surface import SURFACE, Guard, Parts
from scrm.access.tokens import Tokens
from web import openapi
from web.dispatch import Dispatch, Limits
from web.idempotency import Repetitions

MOUNT = "/api/mp"
# Each of these registers its endpoints by being imported.
GROUPS = (sign_in, me, profile, phone, checkin, points, gifts, addresses, invitations, privacy)


def create(
    *,
    directory: Directory,
    clients: WeChatClients,
    clock: Clock,
    sealer: Sealer,
    state: SharedState,
    spawn: Callable[[Coroutine[Any, Any, None], str], Any],
    limits: Limits | None = None,
) -> web.Application:
    """Return the API as an application to mount at MOUNT, with its middleware."""
    parts = Parts(directory, clients, clock, sealer, Tokens(sealer.key("member tokens")))
    dispatch = Dispatch(
        SURFACE,
        Guard(parts, spawn),
        state=state,
        repetitions=Repetitions(sealer, clock),
        limits=limits or Limits(),
    )
    return dispatch.application("/{appid}", document)


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the members' API."""
    return openapi.document(
        SURFACE,
        title="Fensi 粉丝: 小程序会员接口",
        version="0.1.0",
        description=(
            "登录后以 `Authorization: Bearer <access_token>` 访问。时间为 UTC，日期和月份按 Asia/Shanghai 的自然日。"
            "每个写操作都可带 `Idempotency-Key`。错误是 RFC 9457 的 problem+json，`code` 稳定不变。"
        ),
        always={
            404: "没有，或不属于您",
            413: "请求内容太大",
            429: "请求太频繁，请按 Retry-After 稍后再试",
            503: "服务暂时不可用，请稍后再试",
        },
    )
