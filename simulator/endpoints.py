"""How API calls are served: one decorator registers an endpoint, one function applies what all share.

Shared are the record of calls, faults, the token check, the method, the JSON body, permissions and quotas.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from simulator import wire
from simulator.errors import RefusedError
from simulator.faults import ApiFault
from simulator.quotas import CallRecord
from simulator.wechat import WeChat
from simulator.world import Account, Json, Kind, Thread, World

WECHAT = web.AppKey("wechat", WeChat)
OFFICIAL: frozenset[Kind] = frozenset({"service", "subscription"})
MINI: frozenset[Kind] = frozenset({"miniprogram"})
EVERY: frozenset[Kind] = OFFICIAL | MINI
# What a handler meets in a body that nobody would write: the platform answers that, too, with an errcode.
GARBAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
FORM_MOST = 16 * 1024 * 1024
UNTYPED = "application/octet-stream"  # what a client says, or leaves unsaid, that did not look into the file
PREFIXES = ("cgi-bin", "wxa", "sns", "wxaapi", "customservice", "datacube")

# A \uXXXX escape of a character that need not be escaped; an escaped backslash before it does not count.
_ESCAPED = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00[0-7])")


@dataclass
class File:
    """An answer that is bytes, not JSON."""

    data: bytes
    content_type: str
    filename: str = ""


@dataclass(frozen=True)
class Upload:
    """A file of a form, as the sender describes it."""

    filename: str
    content_type: str
    data: bytes


@dataclass
class Call:
    """One API call that passed the shared checks. `account` is the token's; without a token, a blank."""

    wechat: WeChat
    account: Account
    query: Mapping[str, str]
    body: Json
    form: Mapping[str, Upload | str]
    remote: str

    @property
    def world(self) -> World:
        """The simulated world."""
        return self.wechat.world

    @property
    def now(self) -> float:
        """Simulated seconds."""
        return self.wechat.world.clock.time()

    def text(self, name: str, errcode: int = 40035) -> str:
        """Return a non-empty string from the body, or refuse."""
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise RefusedError(errcode, f"{name} missing" if errcode == 40035 else "")
        return value

    def openids(self, name: str, most: int) -> list[Thread]:
        """Return the threads of a list of openids of at most `most`. Raises 40032 and 40003."""
        value = self.body.get(name)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise RefusedError(40032)
        return [self.thread(openid) for openid in value]

    def thread(self, openid: object) -> Thread:
        """Return the thread of an openid at this account. Raises 40003."""
        thread = self.world.by_openid(self.account.appid, openid) if isinstance(openid, str) else None
        if thread is None:
            raise RefusedError(40003)
        return thread


Answer = Json | File
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True)
class Endpoint:
    """An API: how it is called, who may, and how often."""

    method: str
    path: str
    handler: Handler
    token: bool
    kinds: frozenset[Kind]
    verified: bool
    basic: bool
    daily: int | None
    minute: int | None
    upload: bool


@dataclass
class Registry:
    """All endpoints by path; a path with two methods has two entries."""

    by_path: dict[str, dict[str, Endpoint]] = field(default_factory=dict)


REGISTRY = Registry()


def endpoint(
    method: str,
    path: str,
    *,
    token: bool = True,
    kinds: frozenset[Kind] = EVERY,
    verified: bool = False,
    basic: bool = False,
    daily: int | None = None,
    minute: int | None = None,
    upload: bool = False,
) -> Callable[[Handler], Handler]:
    """Register an API.

    `token`: needs ?access_token; `kinds`, and `verified` among official accounts: others get 48001;
    `basic`: what an unverified 订阅号 has, too, which may only reply: the rest is 48001 to it;
    `daily`, `minute`: quotas of an account; `upload`: the body is multipart, not JSON.
    """

    def register(handler: Handler) -> Handler:
        entry = Endpoint(method, path, handler, token, kinds, verified, basic, daily, minute, upload)
        REGISTRY.by_path.setdefault(path, {})[method] = entry
        return handler

    return register


def routes() -> list[web.AbstractRouteDef]:
    """Return a route for every registered path and one for all others: what is wrong is an errcode, not a 404."""
    others = [f"/{prefix}/{{path:.*}}" for prefix in PREFIXES]
    return [web.route("*", path, serve) for path in [*REGISTRY.by_path, *others]]


async def serve(request: web.Request) -> web.StreamResponse:
    """Serve one API call, from the fault that may strike it to the record of it."""
    wechat = request.app[WECHAT]
    path = request.path
    given = await _given(request)
    record = CallRecord(
        wechat.world.clock.ms(), request.method, path, _appid(wechat, request, given.body), None, given.body
    )
    wechat.quotas.record(record)
    fault = wechat.faults.for_api(path, record.appid)
    if fault is not None:
        await asyncio.sleep(fault.delay)
        if fault.drop == "before":
            return hang_up(request)
        if fault.status is not None:
            return web.Response(status=fault.status, text="Internal Server Error")
    try:
        answer = await _answer(wechat, request, fault, given)
        record.errcode = answer.get("errcode", 0) if isinstance(answer, dict) else 0
    except (RefusedError, *GARBAGE) as error:
        refused = error if isinstance(error, RefusedError) else RefusedError(47001)
        record.errcode = refused.errcode
        answer = refusal(wechat, path, refused)
    if fault is not None and fault.drop == "after":
        return hang_up(request)
    if isinstance(answer, File):
        headers = {"Content-Disposition": f'attachment; filename="{answer.filename}"'} if answer.filename else {}
        return web.Response(body=answer.data, content_type=answer.content_type, headers=headers)
    # WeChat labels its JSON differently from API to API; sns answers call themselves text.
    kind = "text/plain" if path.startswith("/sns/") else "application/json"
    return web.Response(body=wire.to_json(answer), content_type=kind, charset="utf-8")


def refusal(wechat: WeChat, path: str, refused: RefusedError) -> Json:
    """Render an errcode as the platform does: the text ends in a request id."""
    text = refused.text
    if path.startswith("/sns/"):
        text = text.split(", could get access_token", maxsplit=1)[0] + ","
    rid = "-".join(wechat.world.hex(8) for _ in range(3))
    return {"errcode": refused.errcode, "errmsg": f"{text} rid: {rid}"} | refused.extra


@dataclass
class _Given:
    """What a call brings beside its query; `refused`: it could not be read."""

    body: Json = field(default_factory=dict)
    form: Mapping[str, Upload | str] = field(default_factory=dict)
    refused: RefusedError | None = None


def _endpoint(request: web.Request) -> Endpoint | None:
    return REGISTRY.by_path.get(request.path, {}).get(request.method)


async def _given(request: web.Request) -> _Given:
    api = _endpoint(request)
    if api is None or api.method != "POST":
        return _Given()
    if api.upload:
        return _Given(form=await form_of(request))
    try:
        return _Given(_body(await request.read()))
    except RefusedError as refused:
        return _Given(refused=refused)


def _appid(wechat: WeChat, request: web.Request, body: Json) -> str:
    """Return whose call this is, for the record and the faults: the token says it, or the credentials do."""
    api = _endpoint(request)
    if api is None or api.token:
        try:
            return wechat.tokens.account(request.query.get("access_token")).appid
        except RefusedError:
            pass
    return request.query.get("appid") or str(body.get("appid", ""))


async def _answer(wechat: WeChat, request: web.Request, fault: ApiFault | None, given: _Given) -> Answer:
    methods = REGISTRY.by_path.get(request.path)
    if methods is None:
        raise RefusedError(40066)
    api = methods.get(request.method)
    if api is None:
        raise RefusedError(43002 if "POST" in methods else 43001)
    if given.refused is not None:
        raise given.refused
    account = wechat.tokens.account(request.query.get("access_token")) if api.token else _NOBODY
    if fault is not None and fault.errcode is not None:
        injected = RefusedError(fault.errcode)
        injected.text = fault.text
        raise injected
    if api.token:
        if not _may(account, api):
            raise RefusedError(48001)
        wechat.quotas.spend(account.appid, api.path, api.daily, api.minute)
    call = Call(wechat, account, request.query, given.body, given.form, request.remote or "")
    return await api.handler(call)


def _may(account: Account, api: Endpoint) -> bool:
    if account.kind not in api.kinds:
        return False
    if account.verified or account.kind not in OFFICIAL:
        return True
    return api.basic if account.kind == "subscription" else not api.verified


def _body(raw: bytes) -> Json:
    if not raw.strip():
        return {}
    if _ESCAPED.search(raw):
        raise RefusedError(40033)
    try:
        return wire.from_json(raw)
    except wire.WireError as error:
        raise RefusedError(47001) from error


async def form_of(request: web.Request) -> Mapping[str, Upload | str]:
    """Read a multipart form; one that cannot be read to its end brings nothing. Not request.post(): where an upload
    breaks off, that leaves its temporary file open."""
    form: dict[str, Upload | str] = {}
    left = FORM_MOST
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None:
                return {}
            data = bytearray()
            while chunk := await part.read_chunk():
                data += chunk
                left -= len(chunk)
                if left < 0:
                    raise web.HTTPRequestEntityTooLarge(FORM_MOST, FORM_MOST - left)
            kind = part.headers.get("Content-Type", UNTYPED).partition(";")[0].strip().lower()
            file = part.filename
            form[part.name] = bytes(data).decode(errors="replace") if file is None else Upload(file, kind, bytes(data))
    except (AssertionError, LookupError, RuntimeError, ValueError, BadHttpMessage):
        return {}
    return form


def hang_up(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


OK: Json = {"errcode": 0, "errmsg": "ok"}
_NOBODY = Account("", "", "service", "", "")
