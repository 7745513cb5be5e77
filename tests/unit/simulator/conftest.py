"""A tiny account server that the simulator pushes to, and a client of the simulator's APIs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from simulator.server import SimulatorServer
from simulator.testing import running
from simulator.world import Account

Json = dict[str, Any]
PAUSE = 0.02  # seconds between attempts; five in real life


@dataclass
class Push:
    """What the account's server received."""

    query: dict[str, str]
    raw: bytes
    headers: dict[str, str]


@dataclass
class Receiver:
    """The account's server: `answer` decides what each push gets."""

    url: str = ""
    pushes: list[Push] = field(default_factory=list)
    answer: Callable[[Push], Awaitable[web.Response]] | None = None
    echo: bool = True

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(text=request.query["echostr"] if self.echo else "no")
        push = Push(dict(request.query), await request.read(), dict(request.headers))
        self.pushes.append(push)
        return await self.answer(push) if self.answer else web.Response(text="success")


class Api:
    """Calls the simulator as an account's server does."""

    def __init__(self, session: aiohttp.ClientSession, server: SimulatorServer) -> None:
        self.session, self.server = session, server
        self.token = ""

    async def login(self, account: Account) -> str:
        params = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret}
        self.token = (await self.get("/cgi-bin/token", **params))["access_token"]
        return self.token

    async def get(self, path: str, **params: str) -> Json:
        params = {"access_token": self.token} | params if self.token else params
        async with self.session.get(self.server.url + path, params=params) as answer:
            assert answer.status == 200
            body: Json = await answer.json(content_type=None)
            return body

    async def post(self, path: str, body: Json | None = None, **params: str) -> Json:
        from simulator.wire import to_json

        params = {"access_token": self.token} | params
        async with self.session.post(self.server.url + path, params=params, data=to_json(body or {})) as answer:
            assert answer.status == 200
            found: Json = await answer.json(content_type=None)
            return found

    async def say(self, openid: str, text: str = "你好") -> int:
        """Send a customer-service text; return the errcode."""
        body = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        code: int = (await self.post("/cgi-bin/message/custom/send", body))["errcode"]
        return code


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_route("*", "/wechat", found.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{site.port}/wechat"
    yield found
    await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    async with running(retry_pause=PAUSE) as found:
        yield found


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


@pytest.fixture
async def account(server: SimulatorServer, receiver: Receiver) -> Account:
    return server.world.add_account("service", name="花店", callback_url=receiver.url)


@pytest.fixture
async def api(session: aiohttp.ClientSession, server: SimulatorServer, account: Account) -> Api:
    found = Api(session, server)
    await found.login(account)
    return found
