"""A shop with an assistant: an account, a phone, a shelf of knowledge and the simulated model beside them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import aiohttp
import pytest

from bot.router import Parts
from gateways.llm.client import Endpoint, LLMClient
from kit.clock import ManualClock
from scrm import db as scrm_db
from scrm.assistant.answering import Assistant
from scrm.assistant.settings import set_settings
from scrm.assistant.sources import Passage, Piece
from scrm.selfservice.tools import TOOLS
from simulator import mind
from simulator import world as sim
from simulator.clock import Clock
from simulator.fan import ScriptedFan
from simulator.llm import CHAT
from simulator.quotas import CallRecord
from simulator.server import SimulatorServer
from simulator.testing import running
from tests.bot.house import AES_KEY, TOKEN, House, Server, db_json
from tests.bot.platform import Account

KEY = "sk-tests-own-secret-key-0123456789"
BRAND = "测试号"

QA = "qa"
ARTICLE = "article"


@dataclass(frozen=True)
class Looked:
    """What the shelf found."""

    verdict: Literal["answer", "menu", "nothing"]
    passages: tuple[Passage, ...]


@dataclass
class Shelf:
    """Knowledge in memory, found by the pairs of letters that a question shares with titles and texts."""

    pieces: dict[int, list[Piece]] = field(default_factory=dict)

    def put(self, brand_id: int, kind: Literal["qa", "article"], title: str, text: str) -> None:
        own = self.pieces.setdefault(brand_id, [])
        own.append(Piece(len(own) + 1, 100 + len(own), kind, title, text))

    def covers(self, brand_id: int) -> bool:
        return bool(self.pieces.get(brand_id))

    async def search(self, brand_id: int, text: str, *, limit: int = 3, now: datetime) -> Looked:
        wanted = mind.grams(text)

        def score(piece: Piece) -> float:
            return len(wanted & mind.grams(f"{piece.title} {piece.text}")) / max(1, len(wanted))

        ranked = sorted(((score(piece), -piece.entry_id, piece) for piece in self.pieces[brand_id]), reverse=True)
        found = [
            Piece(piece.entry_id, piece.version_id, piece.kind, piece.title, piece.text, points)
            for points, _, piece in ranked
            if points > 0
        ][:limit]
        best = found[0].score if found else 0.0
        return Looked("answer" if best >= 0.6 else "menu" if best >= 0.4 else "nothing", tuple(found))


@dataclass
class Shop:
    """One service account of one brand, known to both sides, with an assistant."""

    house: House
    wechat: SimulatorServer
    shelf: Shelf
    clock: ManualClock
    account: Account
    at: sim.Account
    brand_id: int
    server: Server
    model: LLMClient

    def parts(self, *, model: bool = True, seconds: float = 20.0) -> Parts:
        assistant = Assistant(
            self.clock, knowledge=self.shelf, model=self.model if model else None, tools=TOOLS, seconds=seconds
        )
        return Parts(assistant)

    async def serve(self, *, budget: float = 4.5, **parts: Any) -> Server:
        """Let another process answer from now on."""
        self.server = await self.house.server(wechat_url=self.wechat.url, budget=budget, parts=self.parts(**parts))
        self.at.callback_url = self.account.url(self.server)
        return self.server

    async def fan(self) -> ScriptedFan:
        fan = self.wechat.fan()
        await fan.follow(self.at)
        return fan

    async def ask(self, fan: ScriptedFan, text: str) -> str:
        """Write, wait until all is done, and return the one thing the fan was told, passively or later."""
        before = len(fan.inbox(self.at))
        pushed = await fan.text(self.at, text)
        assert pushed.outcome in {"replied", "success"}, pushed.detail
        assert pushed.attempts == 1
        await self.server.idle(30)
        if pushed.reply is None:
            async with self.house.delivering(self.server):
                await fan.wait_for(self.at, lambda _: len(fan.inbox(self.at)) > before)
        told = fan.inbox(self.at)[before:]
        assert len(told) == 1, [message.content for message in told]
        return str(told[0].content["text"])

    async def settings(self, **data: Any) -> None:
        await set_settings(brand_id=self.brand_id, data=data, now=self.clock.now())

    def calls(self) -> list[CallRecord]:
        """Return the requests the model got."""
        return list(self.wechat.wechat.quotas.made(CHAT))

    def fault(self, **fields: Any) -> None:
        self.wechat.wechat.faults.add_api(path=CHAT, times=fields.pop("times", None), **fields)

    async def records(self) -> list[dict[str, Any]]:
        """Return the record of answers, oldest first."""
        rows = await self.house.rows("SELECT * FROM assistant_answer ORDER BY id")
        return [{**row, "passages": db_json(row["passages"]), "tools": db_json(row["tools"])} for row in rows]


Until = Callable[[], Awaitable[object]]


@pytest.fixture
async def shop(database_url: str, clock: ManualClock) -> AsyncIterator[Shop]:
    """A shop whose assistant has a model and an empty shelf."""
    world = sim.World(clock=Clock(lambda: clock.now().timestamp()))
    async with AsyncExitStack() as stack:
        wechat = await stack.enter_async_context(running(world, retry_pause=0.02))
        await stack.enter_async_context(scrm_db.database(database_url, pool=3))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        model = LLMClient(Endpoint(f"{wechat.url}/v1", "a-model", KEY, price_in=200, price_out=800))
        await model.open()
        stack.push_async_callback(model.close)
        house = House(database_url, clock, http)
        stack.push_async_callback(house.close)
        account = await house.account()
        (row,) = await house.rows("SELECT brand_id FROM account WHERE id = $1", account.id)
        at = world.add_account(
            "service", appid=account.appid, secret="appsecret", token=TOKEN, aes_key=AES_KEY, mode="safe"
        )
        made = Shop(house, wechat, Shelf(), clock, account, at, row["brand_id"], None, model)  # type: ignore[arg-type]  # set next
        await made.serve()
        yield made
