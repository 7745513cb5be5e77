"""The client of one account: wechatpy's API objects, and ours, over an awaitable transport with a kept token.

    client.message.send_text(openid, "你好")      # wechatpy's methods, each returning an awaitable
    client.kf.send(openid, {"msgtype": "text", …})  # what wechatpy lacks: see additions.py

Calls raise the tree of `gateways.wechat.errors`. Reads are repeated after passing trouble; whatever changes
something is sent once, and once more only after the platform has refused its token.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, Protocol, Self

from wechatpy.client import WeChatClient as WeChatPyClient
from wechatpy.client.api.base import BaseWeChatAPI
from yarl import URL

from gateways.wechat import additions, apis
from gateways.wechat.errors import Action, Ambiguous, Unreachable, Unsupported, WeChatError, WeChatFailure, policy
from gateways.wechat.observer import Observer, Unobserved
from gateways.wechat.tokens import Keeper, credential_in
from gateways.wechat.transport import API_HOST, SHOW_QR, Call, Transport, json_body, query, read_file
from kit.clock import Clock
from kit.state import SharedState
from kit.tasks import Tasks

STABLE_TOKEN = "/cgi-bin/stable_token"  # noqa: S105  # a path

# POST in name, but they only read.
_READING_POSTS = frozenset({
    STABLE_TOKEN, "/cgi-bin/user/info/batchget", "/cgi-bin/user/tag/get", "/cgi-bin/tags/getidlist",
    "/cgi-bin/tags/members/getblacklist", "/cgi-bin/material/get_material", "/cgi-bin/material/batchget_material",
    "/cgi-bin/draft/get", "/cgi-bin/draft/batchget", "/cgi-bin/freepublish/get", "/cgi-bin/freepublish/batchget",
    "/cgi-bin/freepublish/getarticle", "/cgi-bin/menu/trymatch", "/cgi-bin/message/mass/get",
    "/cgi-bin/openapi/quota/get", "/wxa/getwxacodeunlimit", "/wxa/getwxacode", "/wxa/msg_sec_check",
})  # fmt: skip
# GET in name, but they change something or spend a code that counts once.
_CHANGING_GETS = frozenset({
    "/cgi-bin/menu/delete", "/customservice/kfaccount/del", "/wxa/resetusersessionkey", "/wxa/undocodeaudit",
    "/wxa/revertcoderelease", "/sns/jscode2session", "/sns/oauth2/access_token", "/sns/oauth2/refresh_token",
})  # fmt: skip


class Credentials(Protocol):
    """What the client needs to know of an account."""

    @property
    def account_id(self) -> int:
        """Our own number of the account, for metrics."""
        ...

    @property
    def appid(self) -> str:
        """The platform's name of the account."""
        ...

    @property
    def secret(self) -> str:
        """The AppSecret. Never logged."""
        ...


@dataclass(frozen=True, slots=True)
class Retries:
    """How reads are repeated: after these pauses (seconds, each stretched by up to half), within `limit` in all."""

    pauses: tuple[float, ...] = (0.2, 0.8)
    limit: float = 15.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    stretch: Callable[[], float] = field(default=secrets.SystemRandom().random)


class WeChatClient(WeChatPyClient):  # type: ignore[misc]  # wechatpy has no types
    """Calls the platform for one account. Made by `WeChatClients`; holds no connection of its own."""

    card = apis.Card()
    cloud = apis.Cloud()
    customservice = apis.CustomService()
    datacube = apis.DataCube()
    jsapi = apis.JSAPI()
    material = apis.Material()
    media = apis.Media()
    qrcode = apis.QRCode()
    tag = apis.Tag()
    user = apis.User()
    wxa = apis.Wxa()

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Bind the API objects; wechatpy's own way would evaluate every property before __init__ has run."""
        self = object.__new__(cls)
        for name in dir(cls):
            if isinstance(api := getattr(cls, name), BaseWeChatAPI):
                setattr(self, name, type(api)(self))
        return self

    def __init__(
        self,
        account: Credentials,
        transport: Transport,
        state: SharedState,
        *,
        clock: Clock,
        tasks: Tasks,
        observer: Observer | None = None,
        retries: Retries | None = None,
    ) -> None:
        # wechatpy's __init__ opens a session of requests; nothing of it is wanted.
        self.account_id = account.account_id
        self.appid = account.appid
        self.secret = account.secret
        self.kf = additions.Kf(self)
        self.notify = additions.Notify(self)
        self.security = additions.Security(self)
        self.login = additions.Login(self)
        self.links = additions.Links(self)
        self.openapi = additions.OpenAPI(self)
        self._transport = transport
        self._clock = clock
        self._observer = observer or Unobserved()
        self._retries = retries or Retries()
        self._keep = partial(Keeper, state=state, clock=clock, tasks=tasks)
        # A new secret starts afresh: it is proved by a token of its own.
        self._key = f"{self.appid}:{hashlib.sha256(self.secret.encode()).hexdigest()[:12]}"
        self._token = self._keep(f"wechat:token:{self._key}", self._stable_token, may_force=True)
        self._tickets: dict[str, Keeper] = {}

    @property
    def base_url(self) -> str:
        """Where the platform's APIs are."""
        return self._transport.base_url

    @property
    def mp_base_url(self) -> str:
        """Where the platform's pictures of QR codes are."""
        return self._transport.mp_base_url

    async def token(self) -> str:
        """Return the access token, for the rare address that must hold it. Never store, show or log it."""
        return await self._token.get()

    async def check(self) -> None:
        """Ask the platform for the token, kept or not, to learn that it answers and knows the AppSecret.

        The stable token is the one that everybody has, so nobody is disturbed. Raises WeChatFailure.
        """
        await self._stable_token(False)

    async def token_at_hand(self) -> bool:
        """Whether a token that counts is kept, without asking the platform. Raises StateUnavailable."""
        return await self._token.at_hand()

    def tickets(self, kind: str) -> Keeper:
        """Return the keeper of a ticket: "jsapi" or "wx_card"."""

        async def fetch(_: bool) -> tuple[str, float]:
            answer = await self.api("GET", "/cgi-bin/ticket/getticket", params={"type": kind})
            return credential_in(answer, "ticket")

        if kind not in self._tickets:
            self._tickets[kind] = self._keep(f"wechat:ticket:{self._key}:{kind}", fetch)
        return self._tickets[kind]

    async def api(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        data: Any = None,
        files: Any = None,
        within: float | None = None,
        once: bool = False,
    ) -> Any:
        """Call an API by its path (from "/" on, without host) and return its JSON, or the bytes of a file.

        `data` is sent as JSON, beside `files` as form fields, and as it is when it is bytes; `files` maps a
        field to bytes, a binary file, or (name, content[, content type]); `within` is seconds in all; `once`
        keeps a read from being repeated.
        Raises a WeChatFailure, or Unsupported for what we never call.
        """
        _refuse_forbidden(path)
        given = files.items() if isinstance(files, Mapping) else files or ()
        uploads = tuple([(name, await read_file(name, file)) for name, file in given])
        raw = data.encode() if isinstance(data, str) else data
        body = raw if isinstance(raw, bytes | None) else None if uploads else json_body(raw)
        call = Call(
            method=method.upper(),
            path=path,
            params=query(params),
            body=body,
            files=uploads,
            fields=query(data) if uploads else (),
            within=within,
        )
        return await self._repeated(call) if _only_reads(call) and not once else await self._with_token(call)

    async def _request(
        self,
        method: str,
        url_or_endpoint: str,
        *,
        api_base_url: str = f"{API_HOST}/cgi-bin/",
        params: Mapping[str, Any] | None = None,
        data: Any = None,
        json: Any = None,
        files: Any = None,
        result_processor: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Serve wechatpy's API objects, whose addresses name WeChat's own host; ours may be another."""
        url = URL(url_or_endpoint if url_or_endpoint.startswith("http") else api_base_url + url_or_endpoint)
        if str(url.origin()) != API_HOST:
            raise Unsupported(f"{url.host}: the token is sent to nobody but the platform")
        answer = await self.api(
            method,
            url.path,
            params={**url.query, **(params or {})},
            data=data if json is None else json,
            files=files,
        )
        if result_processor is None:
            return answer
        try:
            return result_processor(answer)
        except (LookupError, TypeError, ValueError) as error:
            raise Ambiguous(f"{url.path}: the answer lacks {error}") from None

    async def _repeated(self, call: Call) -> Any:
        give_up_at = self._clock.now().timestamp() + self._retries.limit
        for pause in self._retries.pauses:
            try:
                return await self._with_token(call)
            except (Unreachable, Ambiguous, WeChatError) as failure:
                passing = not isinstance(failure, WeChatError) or failure.errcode == -1
                if not passing or self._clock.now().timestamp() + pause >= give_up_at:
                    raise
            await self._retries.sleep(pause * (1 + self._retries.stretch() / 2))
        return await self._with_token(call)

    async def _with_token(self, call: Call) -> Any:
        if call.path.startswith("/sns/") or call.path in (STABLE_TOKEN, SHOW_QR):
            return await self._exchange(call, None)
        token = await self._token.get()
        try:
            return await self._exchange(call, token)
        except WeChatError as error:
            if policy(error.errcode) is not Action.REFRESH_TOKEN:
                raise
        return await self._exchange(call, await self._token.renew(token))

    async def _exchange(self, call: Call, token: str | None) -> Any:
        started, outcome = self._clock.now(), "cancelled"
        try:
            answer = await self._transport.send(call, token)
            outcome = "ok"
        except WeChatFailure as failure:
            outcome = failure.outcome
            raise
        finally:
            seconds = (self._clock.now() - started).total_seconds()
            self._observer.on_call(self.account_id, call.path, outcome, seconds)
        return answer

    async def _stable_token(self, force: bool) -> tuple[str, float]:
        body = {
            "grant_type": "client_credential",
            "appid": self.appid,
            "secret": self.secret,
            "force_refresh": force,
        }
        # A forced refresh counts even when its answer is lost: a second one within 30 s is refused, and not budgeted.
        token = credential_in(await self.api("POST", STABLE_TOKEN, data=body, once=force), "access_token")
        self._observer.on_token_refresh(self.account_id, force)
        return token

    # What wechatpy's base class offers besides, and nobody may use here.

    @property
    def access_token(self) -> NoReturn:
        """Refuse: a token cannot be waited for in a property."""
        raise Unsupported("access_token: use `await client.token()`")

    @property
    def session(self) -> NoReturn:
        """Refuse: wechatpy's storage is synchronous."""
        raise Unsupported("session: tokens and tickets are kept in SharedState")

    @property
    def expires_at(self) -> NoReturn:
        """Refuse: the keeper knows."""
        raise Unsupported("expires_at: the token is renewed when the platform refuses it")

    def fetch_access_token(self) -> NoReturn:
        """Refuse: the classic token kills its predecessor."""
        raise Unsupported("fetch_access_token: the stable token is fetched when needed")


def _refuse_forbidden(path: str) -> None:
    if "clear_quota" in path or path == "/cgi-bin/openapi/quota/clear":
        raise Unsupported("zeroing a quota spends a monthly allowance and hides why it ran out")
    if path == "/cgi-bin/token":
        raise Unsupported("the classic token kills its predecessor; the stable token is fetched when needed")


def _only_reads(call: Call) -> bool:
    return call.path in _READING_POSTS if call.method == "POST" else call.path not in _CHANGING_GETS
