"""The staff's console: its endpoints under /api/console, their OpenAPI document, and the pages at /console/."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from aiohttp import web

from bot.directory import Directory
from console.surface import CSRF_HEADER, SURFACE, Guard, Parts, dress
from gateways.wechat.clients import WeChatClients
from kit.clock import Clock
from kit.seal import Sealer
from kit.state import SharedState
from scrm.assistant.answering import Assistant
from scrm.assistant.retrieval import Library
from scrm.conversations.changes import CHANNEL
from scrm.staff.passwords import Passwords
from web import openapi
from web.dispatch import Dispatch, Limits, Rate
from web.hub import Hub
from web.idempotency import Repetitions
from web.pages import HEADERS

# Every file here registers its endpoints by being imported; a new page's endpoints are one more file.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

MOUNT = "/api/console"
# A page asks for several things at once; a person does not click faster.
LIMITS = Limits(member=Rate(20, 100), address=Rate(200, 800), public=Rate(2, 20))

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create(
    *,
    directory: Directory,
    clients: WeChatClients,
    clock: Clock,
    sealer: Sealer,
    state: SharedState,
    public_url: str,
    database_url: str,
    spawn: Spawn,
    assistant: Assistant | None = None,
    passwords: Passwords | None = None,
    library: Library | None = None,
    limits: Limits = LIMITS,
) -> web.Application:
    """Return the API as an application to mount at MOUNT, with its middleware."""
    hub = Hub(database_url, (CHANNEL,))
    parts = Parts(
        directory, clients, clock, sealer, state, passwords or Passwords(), public_url, hub, library, assistant
    )
    dispatch = Dispatch(
        SURFACE, Guard(parts), state=state, repetitions=Repetitions(sealer, clock), limits=limits, dress=dress
    )
    api = dispatch.application("", document, outside=[private])
    api.cleanup_ctx.append(partial(_hearing, hub, spawn))
    return api


async def _hearing(hub: Hub, spawn: Spawn, _app: web.Application) -> AsyncIterator[None]:
    running = spawn(hub.run(), "hub")
    yield
    running.cancel()


@web.middleware
async def private(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let nobody between us and the browser keep an answer, nor a page of others show it."""
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = HEADERS["X-Content-Type-Options"]
        response.headers["Referrer-Policy"] = HEADERS["Referrer-Policy"]
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the console's API."""
    return openapi.document(
        SURFACE,
        title="Fensi 粉丝: 员工工作台接口",
        version="0.1.0",
        description=(
            "登录后浏览器带会话 Cookie 访问；每个写操作还要带 `X-CSRF-Token`（登录和 `/me` 的回答里有），"
            "并可带 `Idempotency-Key`。每个接口所需的权限见 `x-permission`，`self` 表示登录即可。"
            "页面自动发出的请求带 `X-Unattended: 1`，不延长登录时间。"
            "员工只能看到自己负责的品牌。时间为 UTC。错误是 RFC 9457 的 problem+json，`code` 稳定不变。"
        ),
        always={
            403: "没有权限，或请求来自别的网站",
            404: "没有，或不在您的品牌范围内",
            413: "请求内容太大",
            429: "请求太频繁，请按 Retry-After 稍后再试",
            503: "服务暂时不可用，请稍后再试",
        },
        security=openapi.Security(
            "session",
            {"type": "apiKey", "in": "cookie", "name": "fensi_staff"},
            [
                {
                    "name": CSRF_HEADER,
                    "in": "header",
                    "required": True,
                    "schema": {"type": "string"},
                    "description": "登录和 `/me` 的回答里的 `csrf`，与会话绑定。",
                }
            ],
        ),
    )
