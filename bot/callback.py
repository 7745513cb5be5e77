"""`/wechat/{account}`: what WeChat calls. Verifies, opens, hands to the engine, seals the answer.

Whatever comes in, the answer is an answer, `success` or a 4xx; 503 when the push could not be stored, so
that WeChat brings it again. Nothing raises past here. Pushes come through aiohttp, or by bot.door.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from aiohttp import web
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge

from bot.directory import Directory, Served
from bot.engine import Engine
from bot.envelope import Opened, is_probe
from bot.errors import MalformedPush, Refused
from bot.normalise import MAX_BODY
from bot.refusals import Refusals
from bot.replies import Reply, render
from bot.signature import verify
from kit.clock import Clock
from kit.faults import describe
from kit.seal import Sealer
from kit.tasks import Tasks
from scrm.errors import Unavailable
from scrm.pushes import service as pushes
from web import metrics
from web.problems import REQUEST_ID

log = structlog.get_logger(__name__)

BODY_SECONDS = 5.0
CONTENT = {"xml": "application/xml; charset=utf-8", "json": "application/json; charset=utf-8"}
PATH = r"/wechat/{account:\d{1,18}}"


@dataclass(slots=True)
class Answer:
    """What goes back in the request, however the request came in. Refusals have a `request_id`, as in the log."""

    body: bytes
    content_type: str
    status: int = 200
    request_id: str | None = None


SUCCESS = Answer(b"success", "text/plain")


class Callback:
    """The two endpoints of every account's callback URL."""

    def __init__(self, directory: Directory, engine: Engine, clock: Clock, sealer: Sealer, tasks: Tasks) -> None:
        self._directory = directory
        self._engine = engine
        self._clock = clock
        self._sealer = sealer
        self._tasks = tasks
        self._looked_up_until = clock.now()
        self._refusals = Refusals()

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
        answer: asyncio.Future[Answer] = loop.create_future()

        def tell(given: Answer) -> None:
            if not answer.done():  # whoever asked may have left
                answer.set_result(given)

        self.begin(served, request.query, body, arrived, tell)
        return _response(await answer)

    def served(self, account_id: int) -> Served | None:
        """Return an account known here; None for one that may have been added a moment ago."""
        return self._directory.get(account_id)

    def begin(
        self, served: Served, query: Mapping[str, str], body: bytes, arrived: float, tell: Callable[[Answer], None]
    ) -> None:
        """Call `tell`, perhaps at once, with what to answer a push with, whatever it is.

        `arrived` is the loop's time at which it came.
        """
        now = int(self._clock.now().timestamp())
        try:
            if is_probe(body):
                tell(SUCCESS)
                return
            opened = served.envelope.open(body, query, now)
            self._engine.begin(served, opened.message, arrived, _Sealing(served, opened, now, arrived, tell))
        except MalformedPush as error:
            self._tasks.spawn(self._malformed(served, query, body, error.reason, tell), "malformed")
        except Exception as error:  # noqa: BLE001  # promised at the top of this file
            tell(self._told(served.account.id, _refusal(error)))

    def _told(self, account_id: int, answer: Answer) -> Answer:
        """Let the log tell of a refusal; what is our own fault has said so itself."""
        if 400 <= answer.status < 500:
            known = account_id if self._directory.get(account_id) else None
            self._refusals.tell(known, answer.status, answer.body.decode(), answer.request_id)
        return answer

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

    async def _malformed(
        self, served: Served, query: Mapping[str, str], body: bytes, reason: str, tell: Callable[[Answer], None]
    ) -> None:
        try:
            tell(await self._kept(served, query, body, reason))
        except BaseException as error:
            tell(_refusal(error if isinstance(error, Exception) else Unavailable(code="shutting_down")))
            if not isinstance(error, Exception):
                raise

    async def _kept(self, served: Served, query: Mapping[str, str], body: bytes, reason: str) -> Answer:
        metrics.PUSH_REFUSED.labels(reason.split(":", maxsplit=1)[0]).inc()
        genuine = verify(
            query.get("signature", ""), served.account.token, query.get("timestamp", ""), query.get("nonce", "")
        )
        if not genuine:
            return self._told(served.account.id, _refuse(400, reason))
        # It is WeChat's own: say success so that it is not repeated, and keep it for somebody to look at.
        log.warning("malformed push kept", account=served.account.id, reason=reason)
        await pushes.keep_malformed(
            account_id=served.account.id,
            reason=reason,
            body_sealed=self._sealer.seal(body[:8192].decode("utf-8", "backslashreplace")),
            received_at=self._clock.now(),
        )
        return SUCCESS

    def _guarded(
        self, endpoint: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            broken = False
            try:
                return await endpoint(request)
            except HTTPRequestEntityTooLarge:
                metrics.PUSH_REFUSED.labels("too_large").inc()
                answer = _refuse(413, "too_large")
            except web.HTTPException as error:
                answer = _refuse(error.status, error.reason)
            except web.RequestPayloadError:
                # It broke off, or is packed in a way that does not unpack.
                metrics.PUSH_REFUSED.labels("body").inc()
                answer, broken = _refuse(400, "body"), True
            except Exception as error:  # noqa: BLE001  # promised at the top of this file
                answer = _refusal(error)
            response = _response(self._told(int(request.match_info["account"]), answer))
            if broken:
                response.force_close()
            return response

        return guarded


@dataclass(slots=True, eq=False)
class _Sealing:
    """Waits for a push's reply (a Waiter), and tells it as WeChat is to get it."""

    served: Served
    opened: Opened
    now: int
    arrived: float
    tell: Callable[[Answer], None]
    told: bool = False

    def done(self) -> bool:
        return self.told

    def set_result(self, reply: Reply | None) -> None:
        opened = self.opened
        metrics.PUSH_SECONDS.observe(asyncio.get_running_loop().time() - self.arrived)
        try:
            if reply is None:
                answer = SUCCESS
            else:
                rendered = render(reply, opened.message, self.now, opened.fmt)
                answer = Answer(self.served.envelope.seal(rendered, opened, self.now), CONTENT[opened.fmt])
        except Exception as error:  # noqa: BLE001  # promised at the top of this file
            answer = _refusal(error)
        self.told = True
        self.tell(answer)

    def set_exception(self, error: Exception) -> None:
        self.told = True
        self.tell(_refusal(error))


async def _body(request: web.Request) -> bytes:
    """Read the body; raises HTTPRequestTimeout for one that is sent too slowly to be WeChat's."""
    if request.content.is_eof():
        return request.content.read_nowait()  # it came with the head, as nearly always
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


def _refusal(error: Exception) -> Answer:
    match error:
        case Refused():
            metrics.PUSH_REFUSED.labels(error.reason).inc()
            return _refuse(403, error.reason)
        case Unavailable():
            metrics.DATABASE_AWAY.inc()
            answer = _refuse(503, error.code)
            log.warning("push not accepted", code=error.code, request_id=answer.request_id)
            return answer
        case _:
            answer = _refuse(503, "internal")
            log.error("push failed", error=describe(error), request_id=answer.request_id)
            return answer


def _refuse(status: int, reason: str) -> Answer:
    # Made only now: of pushes that are answered the logs speak by the push's own key.
    request_id = f"{random.getrandbits(64):016x}"
    return Answer(reason.encode(), "text/plain; charset=utf-8", status, request_id)


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type}
    if answer.request_id is not None:
        headers[REQUEST_ID] = answer.request_id
    return web.Response(status=answer.status, body=answer.body, headers=headers)
