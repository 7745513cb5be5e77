"""The WeChat client around a mini-program: login and phone codes, and `wx.request` to its own server only.

A real client makes a mini-program's requests itself: no browser, so no CORS, but nothing outside the request
domain that is registered for the mini-program, and never for longer than the timeout.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from simulator import pictures
from simulator.actions import ActionError
from simulator.endpoints import WECHAT
from simulator.phone import ACTIONS, json_answer, json_body, text_of, thread_of
from simulator.wechat import WeChat
from simulator.world import Account, Json, Thread

METHODS = ("GET", "POST", "PUT", "DELETE")
BODY_MOST = 256 << 10  # bytes a page may send
ANSWER_MOST = 4 << 20  # bytes a server may answer
HEADER_MOST = 8 << 10
QUERY_MOST = 512  # characters of what a mini-program is opened with
CHUNK = 1 << 16
# Set by the client, or meant for one connection: what a page says of these is dropped, as the platform does.
NOT_THE_PAGES = frozenset(
    {"host", "referer", "user-agent", "content-length", "connection", "transfer-encoding", "cookie", "expect"}
)


@dataclass(frozen=True)
class Answer:
    """What the mini-program's server answered; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: str


class MiniClient:
    """Makes the requests of mini-programs. Raises ActionError with a sentence for the person."""

    def __init__(self, wechat: WeChat, *, timeout: float) -> None:
        self._wechat = wechat
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open connections."""
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def stop(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def request(
        self, thread: Thread, url: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: str = ""
    ) -> Answer:
        """Ask the mini-program's server, without following redirects.

        409: no server is registered; 400: another address or a wrong request; 502: unreachable, or an answer that
        is too large or no text; 504: no answer in time.
        """
        account = self._wechat.world.accounts[thread.appid]
        target = _allowed(account, url)
        sent = {n: v for n, v in (headers or {}).items() if n.lower() not in NOT_THE_PAGES}
        sent["Referer"] = f"https://servicewechat.com/{account.appid}/0/page-frame.html"
        fault = self._wechat.faults.for_request(account.appid)
        try:
            async with asyncio.timeout(self._timeout):
                if fault is not None:
                    await asyncio.sleep(fault.delay)
                    if fault.drop == "before":
                        raise _unreachable()
                    if fault.status is not None:
                        return Answer(fault.status, {"content-type": "text/plain"}, "Internal Server Error")
                answer = await self._ask(method, target, sent, body)
        except TimeoutError as error:
            raise ActionError("小程序的服务器没有及时回应", status=504) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _unreachable() from error
        if fault is not None and fault.drop == "after":
            raise _unreachable()
        return answer

    async def _ask(self, method: str, target: URL, headers: dict[str, str], body: str) -> Answer:
        assert self._session is not None  # noqa: S101  # started with the server
        data = body.encode() if body else None
        async with self._session.request(method, target, headers=headers, data=data, allow_redirects=False) as answer:
            raw = bytearray()
            async for chunk in answer.content.iter_chunked(CHUNK):
                raw += chunk
                if len(raw) > ANSWER_MOST:
                    raise ActionError("小程序的服务器回答的内容太大", status=502)
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                raise ActionError("小程序的服务器回答的不是文字", status=502) from error
            return Answer(answer.status, {n.lower(): v for n, v in answer.headers.items()}, text)


def _unreachable() -> ActionError:
    return ActionError("连不上小程序的服务器", status=502)


def _allowed(account: Account, url: str) -> URL:
    """Return the address if it belongs to the registered request domain. Raises ActionError."""
    if account.kind != "miniprogram":
        raise ActionError("只有小程序可以发起请求", status=409)
    if not account.server:
        raise ActionError("这个小程序还没有登记服务器域名", status=409)
    try:
        target, registered = URL(url), URL(account.server)
        same = target.origin() == registered.origin() and target.user is None
    except ValueError as error:
        raise ActionError("应为 http:// 或 https:// 地址", "url") from error
    if not same:
        raise ActionError("这个地址不在小程序的服务器域名里", "url")
    return target.with_fragment(None)


# what the phone page calls

CLIENT = web.AppKey("mini_client", MiniClient)


def _mini_thread(request: web.Request) -> Thread:
    thread = thread_of(request)
    if request.app[WECHAT].world.accounts[thread.appid].kind != "miniprogram":
        raise ActionError("这不是小程序", status=409)
    return thread


async def login(request: web.Request) -> web.Response:
    """`wx.login`: hand out a code."""
    return json_answer({"code": request.app[ACTIONS].login_code(_mini_thread(request))})


async def phone_number(request: web.Request) -> web.Response:
    """The phone-number button: hand out a code, and show which number the person is about to give."""
    thread = _mini_thread(request)
    number = request.app[WECHAT].world.fans[thread.fan_id].phone
    return json_answer({"code": request.app[ACTIONS].phone_code(thread), "phone": f"{number[:3]}****{number[-4:]}"})


async def make_request(request: web.Request) -> web.Response:
    """`wx.request`: {"url", "method"?, "headers"?, "body"?} → {"status", "headers", "body"}."""
    thread, body = _mini_thread(request), await json_body(request)
    method = body.get("method", "GET")
    if method not in METHODS:
        raise ActionError(f"应为 {'、'.join(METHODS)}", "method")
    data = body.get("body", "")
    if not isinstance(data, str) or len(data.encode(errors="replace")) > BODY_MOST:
        raise ActionError("应为不超过 256 KB 的文字", "body")
    answer = await request.app[CLIENT].request(
        thread, text_of(body, "url", 2048), method=method, headers=_headers(body), body=data
    )
    return json_answer({"status": answer.status, "headers": answer.headers, "body": answer.body})


def _headers(body: Json) -> dict[str, str]:
    given: Any = body.get("headers", {})
    if (
        not isinstance(given, dict)
        or not all(isinstance(value, str) and value.isprintable() and value.isascii() for value in given.values())
        or not all(name.isascii() and name.replace("-", "").isalnum() for name in given)
        or sum(len(name) + len(value) for name, value in given.items()) > HEADER_MOST
    ):
        raise ActionError("应为 {名称: 文字}", "headers")
    return given


async def code_picture(request: web.Request) -> web.Response:
    """Draw a mini-program's code: it leads to the link that opens the mini-program here with this query."""
    appid = request.match_info["appid"]
    if (account := request.app[WECHAT].world.accounts.get(appid)) is None or account.kind != "miniprogram":
        raise ActionError("没有这个小程序", status=404)
    query = request.url.raw_query_string
    if len(query) > QUERY_MOST:
        raise ActionError(f"不超过 {QUERY_MOST} 个字符", "query")
    link = f"{request.url.origin()}/phone/#/{appid}//mini?{query}"
    return web.Response(body=pictures.qr_png(link), content_type="image/png")


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of the client."""
    mini = "/phone/api/mini/{appid}/{fan_id}"
    return [
        web.get("/phone/api/mini/{appid}/code", code_picture),
        web.post(mini + "/login", login),
        web.post(mini + "/phone-number", phone_number),
        web.post(mini + "/request", make_request),
    ]
