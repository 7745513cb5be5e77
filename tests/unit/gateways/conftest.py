"""What the gateway tests stand on: a simulated WeChat, servers that misbehave, and clients of both."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from gateways.wechat import Retries, WeChatClients
from kit.clock import ManualClock
from kit.delivery import Sender
from kit.memory_state import MemoryState
from kit.state import SharedState
from kit.tasks import Tasks
from simulator.server import SimulatorServer
from simulator.testing import running
from simulator.world import Account, Grant, Thread

STABLE_TOKEN = "/cgi-bin/stable_token"
CUSTOM_SEND = "/cgi-bin/message/custom/send"
FOREVER = 1e12

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def unique() -> str:
    """A word that makes this test's keys its own, for a Redis shared with other runs."""
    return uuid4().hex


@pytest.fixture
async def wechat() -> AsyncIterator[SimulatorServer]:
    """A simulated WeChat over real HTTP."""
    async with running() as server:
        yield server


@pytest.fixture
def account(wechat: SimulatorServer) -> Account:
    """A verified service account."""
    return wechat.world.add_account("service", verified=True)


@pytest.fixture
def fan(wechat: SimulatorServer, account: Account) -> Thread:
    """A follower to whom the account may send any number of messages."""
    thread = wechat.fan().thread(account)
    thread.following = True
    thread.grants["pay"] = Grant(FOREVER, None)
    return thread


def sender_of(account: Account, account_id: int = 1) -> Sender:
    """Return the credentials of a simulated account."""
    return Sender(account_id, account.kind, account.appid, account.secret)


def fetches(wechat: SimulatorServer, account: Account) -> list[bool]:
    """Return whether each token fetch so far was forced."""
    return [call.body["force_refresh"] for call in wechat.wechat.quotas.made(STABLE_TOKEN, account.appid)]


@dataclass
class Naps:
    """A sleep that does not sleep, and remembers."""

    taken: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


@dataclass
class Watching:
    """An observer that remembers."""

    calls: list[tuple[int, str, str]] = field(default_factory=list)
    refreshes: list[tuple[int, bool]] = field(default_factory=list)
    alerts: list[tuple[int, int]] = field(default_factory=list)

    def on_call(self, account_id: int, path: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append((account_id, path, outcome))

    def on_token_refresh(self, account_id: int, forced: bool) -> None:
        self.refreshes.append((account_id, forced))

    def on_alert(self, account_id: int, errcode: int) -> None:
        self.alerts.append((account_id, errcode))


@pytest.fixture
def naps() -> Naps:
    return Naps()


MakeClients = Callable[..., WeChatClients]


@pytest.fixture
async def make_clients(clock: ManualClock, naps: Naps) -> AsyncIterator[MakeClients]:
    """Make `WeChatClients` of a base URL; each call stands for one process."""
    sessions: list[aiohttp.ClientSession] = []
    tasks = Tasks()

    def make(base_url: str, state: SharedState | None = None, **options: Any) -> WeChatClients:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=options.pop("connections", 100)))
        sessions.append(session)
        options.setdefault("retries", Retries(sleep=naps, stretch=lambda: 0.0))
        options.setdefault("total", 30.0)
        options.setdefault("connect", 30.0)
        return WeChatClients(session, state or MemoryState(), clock=clock, tasks=tasks, base_url=base_url, **options)

    yield make
    assert await tasks.drain(5) == 0
    for session in sessions:
        await session.close()


class OddServer:
    """Answers token fetches like WeChat or as `token` says, and everything else as `answer` says.

    Keeps every other request; the bodies of uploads are left for `answer` to read.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.token: Answer | None = None
        self.token_bodies: list[bytes] = []
        self.tokens_given = 0
        self.seen: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == STABLE_TOKEN:
            self.token_bodies.append(await request.read())
            if self.token is not None:
                return await self.token(request)
            self.tokens_given += 1
            return web.json_response({"access_token": f"T{self.tokens_given}", "expires_in": 7200})
        self.seen.append(request)
        if request.content_type != "multipart/form-data":
            self.bodies.append(await request.read())
        return await self.answer(request)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.seen]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[OddServer]:
    """Run an OddServer on a free port."""
    odd = OddServer(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", odd.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    odd.url = f"http://127.0.0.1:{site.port}"
    try:
        yield odd
    finally:
        await runner.cleanup()


def says(*answers: Any) -> Answer:
    """Answer with each of these in turn (JSON, or bytes as they are), then with the last one for ever."""
    left = list(answers)

    async def answer(_: web.Request) -> web.StreamResponse:
        given = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(body=given) if isinstance(given, bytes) else web.json_response(given)

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection after the request has been read."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
