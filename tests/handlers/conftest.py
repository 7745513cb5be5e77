"""A phone, an account and a server that answers with the real handlers."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import aiohttp
import pytest

from kit.clock import ManualClock
from scrm import db as scrm_db
from scrm.channels import service as channels
from scrm.replies.service import set_welcome
from simulator import world as sim
from simulator.clock import Clock
from simulator.fan import ScriptedFan
from simulator.server import SimulatorServer
from simulator.testing import running
from tests.bot.house import AES_KEY, TOKEN, House, Server
from tests.bot.platform import Account
from tests.conftest import _copy


@dataclass
class Scene:
    """One service account, known to both sides."""

    house: House
    wechat: SimulatorServer
    server: Server
    account: Account
    at_wechat: sim.Account

    def fan(self) -> ScriptedFan:
        return self.wechat.fan()

    async def rule(self, match: str, pattern: str, answer: object) -> None:
        await self.house.rule(self.account, match, pattern, answer)  # type: ignore[arg-type]  # text or reply data
        await self.server.refresh()

    async def welcome(self, text: str, *, channel_id: int | None = None, audience: str = "any") -> None:
        await set_welcome(
            account_id=self.account.id,
            reply={"type": "text", "content": text},
            now=self.house.clock.now(),
            channel_id=channel_id,
            audience=audience,
        )

    async def channel(self, scene: str, name: str) -> int:
        """Make a channel here, and its code at the platform."""
        channel = await channels.create(account_id=self.account.id, scene=scene, name=name, now=self.house.clock.now())
        self.code(scene)
        return channel.id

    def code(self, scene: str) -> None:
        world = self.wechat.world
        code = sim.QrCode(f"T{scene}", self.account.appid, scene, True, "http://q", world.clock.time(), None)
        world.qrcodes[code.ticket] = code

    def media(self, kind: str = "image") -> str:
        """Upload a file to the account and return its media_id."""
        world = self.wechat.world
        media = sim.Media(world.word(20), self.account.appid, kind, "a.png", "image/png", b"png", world.clock.time())
        world.media[media.id] = media
        return media.id


@pytest.fixture(scope="session")
def handlers_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database that these tests fill side by side."""
    yield from _copy(server_url, template)


@pytest.fixture
async def scene(handlers_database_url: str, clock: ManualClock) -> AsyncIterator[Scene]:
    """A service account with nothing configured, a phone beside it, and the outbox being delivered."""
    world = sim.World(clock=Clock(lambda: clock.now().timestamp()))
    async with (
        running(world, retry_pause=0.02) as wechat,
        scrm_db.database(handlers_database_url, pool=3),
        aiohttp.ClientSession() as http,
    ):
        house = House(handlers_database_url, clock, http)
        try:
            account = await house.account()
            server = await house.server(wechat_url=wechat.url, budget=2)
            at_wechat = world.add_account(
                "service",
                appid=account.appid,
                secret="appsecret",
                token=TOKEN,
                aes_key=AES_KEY,
                mode="safe",
                callback_url=account.url(server),
            )
            async with house.delivering(server):
                yield Scene(house, wechat, server, account, at_wechat)
        finally:
            await house.close()
