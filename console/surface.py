"""The console's surface: what an endpoint is handed, who may call it, and from where.

    @SURFACE.get("/rules", permission="rules.edit")
    async def rules(call: Call, query: RulesQuery) -> RuleList:
        "自动回复规则."
        return … await queries.rules(brands=call.within(query.brand))

Every route names a permission of scrm.staff.permissions, or SELF where being signed in is enough.
"""

import hmac
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from aiohttp import web

from bot.directory import Directory
from gateways.wechat.clients import WeChatClients
from kit.clock import Clock
from kit.ids import key_of
from kit.seal import Sealer
from kit.state import SharedState
from scrm.assistant.answering import Assistant
from scrm.assistant.retrieval import Library
from scrm.errors import Forbidden, NotFound
from scrm.staff import sessions
from scrm.staff.audit import Actor
from scrm.staff.passwords import Passwords
from scrm.staff.permissions import KNOWN
from scrm.staff.sessions import ABSOLUTE, Caller, NotSignedIn
from web.addresses import address_of
from web.endpoints import Endpoint, Surface
from web.hub import Hub
from web.shapes import Page, RowId

# Whoever is signed in, about themselves or what every page needs.
SELF = "self"
SURFACE = Surface("console", "/api/console", permissions=KNOWN | {SELF})

COOKIE = "fensi_staff"
CSRF_HEADER = "X-CSRF-Token"
# A page says so of what it asks for by itself, long after anybody has touched it.
UNATTENDED_HEADER = "X-Unattended"


class BrandPage(Page):
    """A page of a list, newest first, of one brand or of all that the caller works for."""

    brand: RowId | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What the surface works with."""

    directory: Directory
    clients: WeChatClients
    clock: Clock
    sealer: Sealer
    state: SharedState
    passwords: Passwords
    public_url: str
    hub: Hub
    library: Library | None = None
    assistant: Assistant | None = None

    @property
    def model(self) -> bool:
        """Whether the assistant has a model to write answers with."""
        return self.assistant is not None and self.assistant.writes

    @property
    def https(self) -> bool:
        """Whether browsers reach us encrypted; then the cookie goes no other way."""
        return self.public_url.startswith("https:")

    def csrf(self, token_hash: str) -> str:
        """Return the CSRF token of a session: bound to it, and worth nothing with another."""
        return hmac.digest(self.sealer.key("console csrf"), token_hash.encode(), "sha256").hex()


@dataclass(slots=True)
class CookieOut:
    """The cookie that the answer is to set; empty ends it, None leaves it alone."""

    value: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request: when, by whom, from where, and the business key of what it asks for."""

    parts: Parts
    now: datetime
    caller: Caller | None
    key: UUID
    address: str
    agent: str
    presented: str = field(repr=False)
    # What a stream's browser saw last.
    last_event: str = ""
    cookie: CookieOut = field(default_factory=CookieOut)

    @property
    def scope(self) -> str | None:
        """Who asks, for limits and repetitions."""
        return None if self.caller is None else f"staff:{self.caller.staff_id}"

    @property
    def me(self) -> Caller:
        """Who is signed in. Raises NotSignedIn where nobody has to be."""
        if self.caller is None:
            raise NotSignedIn
        return self.caller

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit trail."""
        return Actor(self.me.staff_id, self.me.name, self.address)

    def within(self, brand: int | None) -> list[int] | None:
        """Return the brands a list is about: the chosen one or all of the caller's; None is no limit at all.

        Raises NotFound for a brand that is not the caller's.
        """
        if brand is not None:
            return [self.brand(brand)]
        return None if self.me.brands is None else sorted(self.me.brands)

    def brand(self, brand_id: int) -> int:
        """Return a brand that the caller works for. Raises NotFound for any other: to them it does not exist."""
        return self.at(brand_id, "没有这个品牌")

    def at(self, brand_id: int, missing: str) -> int:
        """As `brand`, for something that is there: raises NotFound with the words for what there is not."""
        if self.me.brands is not None and brand_id not in self.me.brands:
            raise NotFound(missing)
        return brand_id


class Guard:
    """Finds who is signed in and refuses what they may not do, or what their browser was tricked into asking."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ours = urlsplit(parts.public_url).netloc

    async def __call__(self, request: web.Request, endpoint: Endpoint, key: str | None) -> Call:
        """Return what the endpoint is handed. Raises NotSignedIn, and Forbidden by its code:

        cross_origin, csrf, password_change_required, forbidden.
        """
        parts, now = self._parts, self._parts.clock.now()
        if endpoint.sends:
            self._check_origin(request)
        presented = request.cookies.get(COOKIE, "")
        caller = None if endpoint.public else await self._caller(request, endpoint, presented, now)
        return Call(
            parts,
            now,
            caller,
            uuid.uuid4() if key is None or caller is None else key_of("console", caller.staff_id, key),
            _readable(address_of(request))[:45],
            _readable(request.headers.get("User-Agent", ""))[:200],
            presented,
            request.headers.get("Last-Event-ID", "")[:64],
        )

    async def _caller(self, request: web.Request, endpoint: Endpoint, presented: str, now: datetime) -> Caller:
        if not presented:
            raise NotSignedIn
        # What a page does by itself shows that it is open, not that anybody is there.
        alone = endpoint.stream or endpoint.automatic or UNATTENDED_HEADER in request.headers
        caller = await sessions.caller(presented, now, noted=not alone)
        if endpoint.sends:
            shown = request.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(_readable(shown).encode(), self._parts.csrf(caller.token_hash).encode()):
                raise Forbidden("页面已过期，请刷新后重试", code="csrf")
        if endpoint.permission != SELF:
            if caller.must_change:
                raise Forbidden("请先修改初始密码", code="password_change_required")
            if not caller.may(endpoint.permission):
                raise Forbidden("您没有这项权限，请联系管理员")
        return caller

    def _check_origin(self, request: web.Request) -> None:
        # Browsers say where a write comes from; what says nothing is no browser, and has no cookie to abuse.
        origin = request.headers.get("Origin")
        if origin is None:
            foreign = request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}
        else:
            foreign = _netloc(origin) not in {request.host, self._ours}
        if foreign:
            raise Forbidden("请求来自别的网站，已拒绝", code="cross_origin")


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # such as "http://["
        return None


def _readable(header: str) -> str:
    """Return a header without the bytes that are no text; they could not be stored."""
    return header.encode("utf-8", "replace").decode()


def dress(call: Call, response: web.Response) -> None:
    """Set or end the session's cookie, where the call has come to one."""
    value = call.cookie.value
    if value is not None:
        response.set_cookie(
            COOKIE,
            value,
            max_age=int(ABSOLUTE.total_seconds()) if value else 0,
            path="/api/console",
            httponly=True,
            secure=call.parts.https,
            samesite="Lax",
        )
