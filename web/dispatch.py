"""From a request to an endpoint's answer: limits, guard, arguments, repetition, handler, in this order."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from kit.network import network_of
from kit.state import SharedState, StateUnavailable
from scrm.access.requests import Answered
from scrm.errors import Invalid
from web import docs, downloads, streams
from web.addresses import address_of
from web.endpoints import Endpoint, Surface, arguments
from web.idempotency import Repetitions, key_of_request
from web.problems import TooMany, problems

log = structlog.get_logger(__name__)


class Known(Protocol):
    """What a surface knows about a request; `scope` names who asks, such as "fan:12", None when nobody does."""

    @property
    def scope(self) -> str | None:
        """Who asks."""
        ...


CallT = TypeVar("CallT", bound=Known)
Guard = Callable[[web.Request, Endpoint, str | None], Awaitable[CallT]]
# Puts on an answer what the surface wants there, such as a cookie that the call has come to.
Dress = Callable[[CallT, web.Response], None]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second over time, and so many at once."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What one member, one address, and one address without signing in may ask for, and how slowly."""

    member: Rate = Rate(10, 40)
    address: Rate = Rate(100, 400)
    public: Rate = Rate(5, 30)
    # Seconds in which a body has to come: who dribbles keeps a connection, and nothing else, for no longer.
    body_seconds: float = 20.0


class Dispatch(Generic[CallT]):
    """Serves the endpoints of a surface. `guard` says who asks, or raises."""

    def __init__(
        self,
        surface: Surface,
        guard: Guard[CallT],
        *,
        state: SharedState,
        repetitions: Repetitions,
        limits: Limits,
        dress: Dress[CallT] | None = None,
    ) -> None:
        self._dress = dress
        self._closing = asyncio.Event()
        self._surface = surface
        self._guard = guard
        self._state = state
        self._repetitions = repetitions
        self._limits = limits

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """Return the routes under `prefix`."""
        found = []
        for endpoint in self._surface.endpoints:
            head = {"allow_head": False} if endpoint.method == "GET" else {}
            found.append(web.route(endpoint.method, prefix + endpoint.path, self._serving(endpoint), **head))
        return found

    def application(
        self, prefix: str, document: Callable[[], dict[str, Any]], *, outside: Sequence[Middleware] = ()
    ) -> web.Application:
        """Return the endpoints under `prefix`, and `document` as a page at /docs, as an application to mount.

        Errors become problem documents; the middlewares of `outside` come before that.
        """

        async def show_document(_request: web.Request) -> web.Response:
            page = docs.page(document())
            return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-cache"})

        api = web.Application(middlewares=[*outside, problems])
        # Streams would otherwise never end.
        api.on_shutdown.append(self._close)
        api.router.add_routes(self.routes(prefix))
        api.router.add_get("/docs", show_document)
        return api

    async def _close(self, _app: web.Application) -> None:
        self._closing.set()

    def _serving(self, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            where = network_of(address_of(request))
            await self._take(f"address:{where}", self._limits.address)
            if endpoint.public:
                await self._take(f"public:{where}", self._limits.public)
            key = key_of_request(request) if endpoint.writes else None
            call = await self._guard(request, endpoint, key)
            if call.scope is not None:
                await self._take(call.scope, self._limits.member)
            raw = b""
            if endpoint.sends and request.body_exists:
                raw = await _body(request, endpoint.max_body, self._limits.body_seconds)
            given = await arguments(endpoint, request, raw)

            if endpoint.stream:
                said = await _called(endpoint, call, given)
                return await streams.serve(
                    request, said, still=lambda: self._guard(request, endpoint, None), closing=self._closing
                )

            if endpoint.download:
                return await downloads.serve(request, await _called(endpoint, call, given))

            async def work() -> Answered:
                return _answered(endpoint, await _called(endpoint, call, given))

            if key is None or call.scope is None:
                answer = await work()
            else:
                answer = await self._repetitions.once(
                    request, raw, work, scope=call.scope, key=key, network=endpoint.network
                )
            response = _response(answer)
            if self._dress is not None:
                self._dress(call, response)
            return response

        return serve

    async def _take(self, who: str, rate: Rate) -> None:
        try:
            wait = await self._state.take(f"web:{self._surface.name}:{who}", rate.per_second, rate.burst, max_wait=0)
        except StateUnavailable:
            # Better unlimited for a while than closed.
            log.warning("rate limits are off: the shared state is away")
            return
        if wait > 0:
            raise TooMany(math.ceil(wait))


async def _body(request: web.Request, most: int, seconds: float) -> bytes:
    if (request.content_length or 0) > most:
        raise web.HTTPRequestEntityTooLarge(max_size=most)
    try:
        async with asyncio.timeout(seconds):
            raw = await request.read()
    except TimeoutError:
        raise Invalid("请求体没有及时送达，请重试", field="body") from None
    except web.RequestPayloadError:  # a broken Content-Encoding, or the phone has gone
        raise Invalid("请求体无法读取", field="body") from None
    if len(raw) > most:  # it came in pieces, or packed
        raise web.HTTPRequestEntityTooLarge(max_size=most)
    return raw


async def _called(endpoint: Endpoint, call: Any, given: dict[str, Any]) -> Any:
    if endpoint.takes_call:
        return await endpoint.handler(call=call, **given)
    return await endpoint.handler(**given)


def _answered(endpoint: Endpoint, result: Any) -> Answered:
    if endpoint.result is None:
        return Answered(endpoint.status, "")
    text = endpoint.result.model_validate(result).model_dump_json()
    return Answered(endpoint.status, text)


def _response(answer: Answered) -> web.Response:
    if not answer.body:
        return web.Response(status=answer.status)
    kind = "application/json" if answer.status < 400 else "application/problem+json"
    return web.Response(text=answer.body, status=answer.status, content_type=kind)
