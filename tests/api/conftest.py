"""A mini-program, its official account and WeChat, and phones that speak the members' API over real HTTP."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import miniprogram_api
from app.services import Services
from kit.clock import ManualClock
from kit.ids import key_of
from kit.memory_state import MemoryState
from scrm import db as scrm_db
from scrm.accounts.models import Account as AccountRow
from scrm.members.queries import FanView, fan_of
from scrm.points import ledger
from simulator import world as sim
from simulator.clock import Clock
from simulator.server import SimulatorServer
from simulator.testing import running
from tests.bot.house import AES_KEY, TOKEN, House, Server
from tests.bot.platform import Account
from web.dispatch import Limits, Rate
from web.problems import problems

Json = dict[str, Any]
DOCUMENT = miniprogram_api.document()


@dataclass
class Answer:
    """What came back; `body` is None where there is none."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(repr=False)

    @property
    def code(self) -> str | None:
        """The code of a problem document."""
        found: str | None = self.body["code"] if self.status >= 400 else None
        return found


class Phone:
    """A person with a phone, at one mini-program. Every answer is checked against the OpenAPI document's statuses."""

    def __init__(self, mini: "Mini", fan: sim.Fan, appid: str, address: str | None = None) -> None:
        self.mini, self.fan, self.appid = mini, fan, appid
        self.address = address or mini.server.address
        self.access = self.refresh = ""

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, token: str | None = None, **more: Any
    ) -> Answer:
        headers = dict(more.pop("headers", {}))
        if token := self.access if token is None else token:
            headers["Authorization"] = f"Bearer {token}"
        if key is not None:
            headers["Idempotency-Key"] = key
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"{self.address}/api/mp/{self.appid}{path}"
        async with self.mini.http.request(method, url, data=data, headers=headers, **more) as answer:
            text = await answer.text()
            assert answer.status < 500 or answer.status == 503, text
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
                assert any(letter > "\x7f" for letter in json.loads(text)["title"]), "a sentence in Chinese"
            return Answer(answer.status, json.loads(text) if text else None, answer.headers)

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.call("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.call("POST", path, body, **more)

    async def code(self, which: str = "login_code") -> str:
        """Return what wx.login gives, or the phone-number button."""
        body = {"appid": self.appid, "fan_id": self.fan.id}
        async with self.mini.http.post(f"{self.mini.wechat.url}/sim/codes", json=body) as answer:
            found: str = (await answer.json())[which]
            return found

    def take(self, answer: Answer) -> None:
        """Keep the tokens of an answer."""
        assert answer.status == 200
        self.access, self.refresh = answer.body["access_token"], answer.body["refresh_token"]

    async def sign_in(self, **more: Any) -> "Phone":
        self.take(await self.post("/sign-in", {"code": await self.code()} | more))
        return self

    async def as_fan(self) -> FanView:
        """Return how we know this person."""
        openid = self.mini.wechat.world.thread(self.appid, self.fan.id).openid
        account = await AccountRow.get(appid=self.appid)
        found = await fan_of(account.id, openid)
        assert found is not None
        return found

    async def earn(self, amount: int, word: str = "gift") -> None:
        """Give this person points."""
        mine, now = await self.as_fan(), self.mini.clock.now()
        await ledger.award(
            key=key_of("test", mine.id, word),
            holder_id=mine.member_id,
            asset=ledger.POINTS,
            amount=amount,
            origin=ledger.Origin("活动奖励", "小程序", now),
            now=now,
        )


BOUNDLESS = Rate(1e6, 10**6)
NO_LIMITS = Limits(BOUNDLESS, BOUNDLESS, BOUNDLESS)


@dataclass
class Mini:
    """One brand with an official account and a mini-program."""

    house: House
    wechat: SimulatorServer
    server: Server
    account: Account
    official: Account
    clock: ManualClock
    http: aiohttp.ClientSession

    @property
    def services(self) -> Services:
        return self.server.services

    async def brand(self) -> int:
        return (await AccountRow.get(id=self.account.id)).brand_id

    def phone(self, name: str = "小明") -> Phone:
        return Phone(self, self.wechat.world.add_fan(name), self.account.appid)

    async def member(self, name: str = "小明") -> Phone:
        return await self.phone(name).sign_in()

    @asynccontextmanager
    async def limited(self, limits: Limits) -> AsyncIterator[str]:
        """Serve the API alone under other limits; yields its address."""
        mine = self.services
        app = web.Application(middlewares=[problems])
        app.add_subapp(
            miniprogram_api.MOUNT,
            miniprogram_api.create(
                directory=mine.directory,
                clients=mine.clients,
                clock=self.clock,
                sealer=mine.sealer,
                state=MemoryState(lambda: self.clock.now().timestamp()),
                spawn=mine.tasks.spawn,
                limits=limits,
            ),
        )
        async with TestServer(app) as server:
            yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
async def mini(database_url: str, clock: ManualClock) -> AsyncIterator[Mini]:
    """A mini-program and an official account, known to both sides."""
    world = sim.World(clock=Clock(lambda: clock.now().timestamp()))
    async with (
        running(world, retry_pause=0.02) as wechat,
        scrm_db.database(database_url, pool=4),
        aiohttp.ClientSession() as http,
    ):
        house = House(database_url, clock, http)
        try:
            official, account = await house.account(), await house.account("miniprogram")
            for kind, one in (("service", official), ("miniprogram", account)):
                world.add_account(kind, appid=one.appid, secret="appsecret", token=TOKEN, aes_key=AES_KEY)  # type: ignore[arg-type]
            server = await house.server(wechat_url=wechat.url, pool=6)
            yield Mini(house, wechat, server, account, official, clock, http)
        finally:
            await house.close()
