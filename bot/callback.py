"""`/wechat/{account}`: what WeChat calls. Verifies, opens, hands to the engine, seals the answer.

Whatever comes in, the answer is an answer, `success` or a 4xx; 503 when the push could not be stored, so
that WeChat brings it again. Nothing raises past here.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog
from aiohttp import web
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge

from bot.directory import Directory, Served
from bot.engine import Engine
from bot.envelope import is_probe
from bot.errors import MalformedPush, Refused
from bot.normalise import MAX_BODY
from bot.replies import render
from bot.signature import verify
from kit.clock import Clock
from kit.faults import describe
from kit.seal import Sealer
from scrm.errors import Unavailable
from scrm.pushes import service as pushes
from web import metrics
from web.problems import REQUEST_ID

log = structlog.get_logger(__name__)

BODY_SECONDS = 5.0
CONTENT = {
    "xml": {"Content-Type": "application/xml; charset=utf-8"},
    "json": {"Content-Type": "application/json; charset=utf-8"},
}
PATH = r"/wechat/{account:\d{1,18}}"


class Callback:
    """The two endpoints of every account's callback URL."""

    def __init__(self, directory: Directory, engine: Engine, clock: Clock, sealer: Sealer) -> None:
        self._directory = directory
        self._engine = engine
        self._clock = clock
        self._sealer = sealer
        self._looked_up_until = clock.now()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get(PATH, self._guarded(self.verify), allow_head=False),
            web.post(PATH, self._guarded(self.push)),
        ]

    @classmethod
    def described(cls) -> list[web.RouteDef]:
        """Return the routes with the endpoints themselves, for documentation."""
        return [web.get(PATH, cls.verify), web.post(PATH, cls.push)]  # type: ignore[arg-type]  # unbound, never called

    async def verify(self, request: web.Request) -> web.Response:
        """GET: prove to WeChat that this server belongs to the account."""
        served = await self._served(request)
        echo = served.envelope.verify_url(request.query, int(self._clock.now().timestamp()))
        return web.Response(text=echo, content_type="text/plain")

    async def push(self, request: web.Request) -> web.Response:
        """POST: one push, or one of its repetitions."""
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        served = await self._served(request)
        if (request.content_length or 0) > MAX_BODY:
            raise HTTPRequestEntityTooLarge(max_size=MAX_BODY)
        body = await _body(request)
        if len(body) > MAX_BODY:  # it came in pieces
            raise HTTPRequestEntityTooLarge(max_size=MAX_BODY)
        if is_probe(body):
            return _success()
        now = int(self._clock.now().timestamp())
        try:
            opened = served.envelope.open(body, _query(request), now)
        except MalformedPush as error:
            return await self._malformed(served, request, body, error.reason)
        reply = await self._engine.answer(served, opened.message, arrived)
        metrics.PUSH_SECONDS.observe(loop.time() - arrived)
        if reply is None:
            return _success()
        rendered = render(reply, opened.message, now, opened.fmt)
        return web.Response(body=served.envelope.seal(rendered, opened, now), headers=CONTENT[opened.fmt])

    async def _served(self, request: web.Request) -> Served:
        account_id = int(request.match_info["account"])
        served = self._directory.get(account_id)
        # An account added a moment ago is looked up at once, but strangers cannot make us look often.
        if served is None and self._clock.now() >= self._looked_up_until:
            self._looked_up_until = self._clock.now() + timedelta(seconds=0.5)
            await self._directory.refresh()
            served = self._directory.get(account_id)
        if served is None:
            raise web.HTTPNotFound
        return served

    async def _malformed(self, served: Served, request: web.Request, body: bytes, reason: str) -> web.Response:
        metrics.PUSH_REFUSED.labels(reason.split(":", maxsplit=1)[0]).inc()
        query = request.query
        genuine = verify(
            query.get("signature", ""), served.account.token, query.get("timestamp", ""), query.get("nonce", "")
        )
        if not genuine:
            return _refuse(400, reason)
        # It is WeChat's own: say success so that it is not repeated, and keep it for somebody to look at.
        log.warning("malformed push kept", account=served.account.id, reason=reason)
        await pushes.keep_malformed(
            account_id=served.account.id,
            reason=reason,
            body_sealed=self._sealer.seal(body[:8192].decode("utf-8", "backslashreplace")),
            received_at=self._clock.now(),
        )
        return _success()

    def _guarded(
        self, endpoint: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            try:
                return await endpoint(request)
            except Refused as error:
                metrics.PUSH_REFUSED.labels(error.reason).inc()
                return _refuse(403, error.reason)
            except Unavailable as error:
                metrics.DATABASE_AWAY.inc()
                log.warning("push not accepted", code=error.code)
                return _refuse(503, error.code)
            except HTTPRequestEntityTooLarge:
                metrics.PUSH_REFUSED.labels("too_large").inc()
                return _refuse(413, "too_large")
            except web.HTTPException as error:
                return _refuse(error.status, error.reason)
            except web.RequestPayloadError:
                # It broke off, or is packed in a way that does not unpack.
                metrics.PUSH_REFUSED.labels("body").inc()
                response = _refuse(400, "body")
                response.force_close()
                return response
            except Exception as error:  # noqa: BLE001  # promised at the top of this file
                log.error("push failed", error=describe(error))
                return _refuse(503, "internal")

        return guarded


def _query(request: web.Request) -> Mapping[str, str]:
    """Return the query, the quick way where nothing in it is escaped: WeChat's own never is."""
    raw = request.rel_url.raw_query_string
    if "%" in raw or "+" in raw or ";" in raw:
        return request.query
    query: dict[str, str] = {}
    for pair in raw.split("&"):
        name, _, value = pair.partition("=")
        query.setdefault(name, value)
    return query


async def _body(request: web.Request) -> bytes:
    """Read the body; raises HTTPRequestTimeout for one that is sent too slowly to be WeChat's."""
    if request.content.is_eof():
        return request.content.read_nowait()  # it came with the head, as nearly always
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


def _success() -> web.Response:
    return web.Response(body=b"success", content_type="text/plain")


def _refuse(status: int, reason: str) -> web.Response:
    # Made only now: of pushes that are answered the logs speak by the push's own key.
    request_id = f"{random.getrandbits(64):016x}"
    log.debug("push refused", request_id=request_id, status=status, reason=reason)
    return web.Response(status=status, text=reason, content_type="text/plain", headers={REQUEST_ID: request_id})
