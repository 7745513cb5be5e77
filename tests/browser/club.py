"""A brand as its fans meet it in the browser: the real server, the simulated WeChat, an account and a mini-program."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Locator, Page, expect

from bot.router import NO_PARTS, Parts
from kit.clock import ManualClock
from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.accounts.models import Account as AccountRow
from scrm.assistant.answering import Assistant
from scrm.assistant.importing import import_file
from scrm.assistant.retrieval import Library
from scrm.checkins.service import set_policy
from scrm.gifts import catalogue
from scrm.gifts.catalogue import GiftTerms
from scrm.members.queries import FanView, fan_of
from scrm.points import ledger
from scrm.points.rulebook import install_preset
from scrm.selfservice.tools import TOOLS
from simulator import world as sim
from simulator.clock import Clock
from simulator.server import SimulatorServer
from simulator.testing import running
from tests.bot.house import AES_KEY, TOKEN, House, Server
from tests.bot.platform import Account
from worker.profiles import Profiles

PICTURES = "/assets/demo/gifts"


@dataclass
class Club:
    """One brand with an official account and a mini-program, known to both sides."""

    house: House
    wechat: SimulatorServer
    server: Server
    mini: Account
    official: Account
    brand_id: int
    clock: ManualClock

    def person(self, name: str) -> sim.Fan:
        return next(fan for fan in self.wechat.world.fans.values() if fan.nickname == name)

    async def fan(self, name: str, at: Account | None = None) -> FanView:
        """Return how we know a person."""
        account = at or self.mini
        openid = self.wechat.world.thread(account.appid, self.person(name).id).openid
        found = await fan_of(account.id, openid)
        assert found is not None
        return found

    async def profiles(self) -> int:
        """Learn who has become known at the official account, as a worker does; returns how many."""
        services = self.server.services
        return await Profiles(services.clients, services.directory.accounts, self.clock).ask()

    async def earn(
        self, name: str, amount: int, word: str = "gift", description: str = "活动奖励", asset: str = ledger.POINTS
    ) -> None:
        """Give a person points, or growth."""
        mine, now = await self.fan(name), self.clock.now()
        await ledger.award(
            key=key_of("test", mine.id, word),
            holder_id=mine.member_id,
            asset=asset,
            amount=amount,
            origin=ledger.Origin(description, "小程序", now),
            now=now,
        )

    async def gift(self, name: str, kind: str, *, stock: int = 5, picture: str = "cup.svg", **terms: Any) -> int:
        """Put a gift into the mall; a virtual one has the codes CODE-0, CODE-1, …"""
        made = await catalogue.create_gift(
            brand_id=self.brand_id,
            kind=kind,
            terms=GiftTerms(name, picture=f"{PICTURES}/{picture}", **terms),
            stock=stock if kind == "physical" else 0,
            now=self.clock.now(),
        )
        if kind == "virtual":
            codes = [f"CODE-{n}" for n in range(stock)]
            await catalogue.load_codes(self.server.services.sealer, gift_id=made, codes=codes, now=self.clock.now())
        return made

    async def stock(self, gift_id: int) -> int:
        (row,) = await self.house.rows("SELECT stock FROM gift WHERE id = $1", gift_id)
        left: int = row["stock"]
        return left

    async def redemptions(self) -> list[str]:
        """Return the states of all redemptions, oldest first."""
        return [row["state"] for row in await self.house.rows("SELECT state FROM redemption ORDER BY id")]

    async def sessions(self) -> list[str]:
        """Return how each session ended, "" for those that go on, oldest first."""
        rows = await self.house.rows("SELECT coalesce(revoked_why, '') AS why FROM member_session ORDER BY id")
        return [row["why"] for row in rows]


@asynccontextmanager
async def open_club(
    database_url: str, clock: ManualClock, pages: Path, *, knowledge: bytes | None = None
) -> AsyncIterator[Club]:
    """Open a brand; with `knowledge`, a CSV of questions and answers, its bot answers from that."""
    world = sim.World(clock=Clock(lambda: clock.now().timestamp()))
    async with (
        running(world, retry_pause=0.05, pages=pages) as wechat,
        scrm_db.database(database_url, pool=4),
        aiohttp.ClientSession() as http,
    ):
        house = House(database_url, clock, http)
        try:
            official, mini = await house.account(), await house.account("miniprogram")
            parts = NO_PARTS if knowledge is None else await _taught(knowledge, mini.id, clock)
            server = await house.server(wechat_url=wechat.url, pool=6, parts=parts)
            secrets = {"secret": "appsecret", "token": TOKEN, "aes_key": AES_KEY, "mode": "safe"}
            world.add_account(
                "service", name="青屿茶舍", appid=official.appid, callback_url=official.url(server), **secrets
            )
            world.add_account("miniprogram", name="青屿会员", appid=mini.appid, server=server.address, **secrets)
            brand_id = (await AccountRow.get(id=mini.id)).brand_id
            await install_preset(brand_id, "zippo", clock.now())
            await set_policy(brand_id=brand_id, cards_per_month=2)
            yield Club(house, wechat, server, mini, official, brand_id, clock)
        finally:
            await house.close()


async def _taught(knowledge: bytes, account_id: int, clock: ManualClock) -> Parts:
    brand_id = (await AccountRow.get(id=account_id)).brand_id
    await import_file(brand_id=brand_id, data=knowledge, form="csv", author="test", now=clock.now(), publish=True)
    library = Library(Tasks())
    await library.refresh()
    return Parts(Assistant(clock, knowledge=library, tools=TOOLS))


class Hand:
    """A hand on the phone's page."""

    def __init__(self, page: Page, club: Club) -> None:
        self.page, self.club = page, club

    def at(self, name: str) -> Locator:
        return self.page.get_by_test_id(name)

    async def tap(self, *names: str) -> None:
        """Tap these one after the other."""
        for name in names:
            await self.at(name).click()

    async def see(self, name: str, text: str) -> None:
        await expect(self.at(name)).to_have_text(text)

    async def pick_up(self, nickname: str) -> None:
        """Become a new fan, with the mini-program open."""
        await self.at("fan-nickname").first.fill(nickname)
        await self.at("fan-create").first.click()
        # The page chooses whom it has just made; only then is there somebody of that name to ask for.
        await expect(self.at("fan-select").locator("option:checked")).to_have_text(nickname)
        await expect(self.at("fan-select")).to_have_value(self.club.person(nickname).id)
        await self.tap(f"account-{self.club.mini.appid}")

    async def member(self, nickname: str) -> None:
        """Become a new fan and sign in to the mini-program."""
        await self.pick_up(nickname)
        await self.tap("mini-sign-in")
        await self.see("points", "0")

    async def write(self, text: str) -> None:
        """Write in the chat that is open."""
        box = self.at("chat-input")
        await expect(box.or_(self.at("chat-mode")).first).to_be_visible()
        if not await box.is_visible():
            await self.tap("chat-mode")
        await box.fill(text)
        await box.press("Enter")
