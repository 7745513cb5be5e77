"""`fensi doctor` on an installation with one thing wrong at a time; tests/e2e types the command itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tortoise.context import TortoiseContext

from app.doctor import examine
from app.services import services
from app.settings import Settings
from app.wechat import create_code, menu_differences, publish_menu
from kit.clock import SystemClock
from kit.seal import Sealer
from scrm.accounts.service import add
from scrm.channels.models import Channel
from scrm.errors import Conflict
from scrm.menus import service as menus
from simulator.server import SimulatorServer
from simulator.testing import running
from simulator.world import Account
from web.addresses import Proxies

KEY = "the key of the doctor's tests"
MENU = [{"name": "积分", "type": "click", "key": "points"}, {"name": "官网", "type": "view", "url": "http://x"}]


@dataclass
class Clinic:
    """An account that both sides know."""

    settings: Settings
    url: str
    wechat: SimulatorServer
    account_id: int
    at_wechat: Account

    async def complaints(self, **changes: object) -> list[str]:
        """Return what is not fine, but for the pages and the callback, which need a set-up and a server."""
        found = await examine(self.settings.model_copy(update=changes), self.url)
        lines = [finding.text for finding in found if not finding.fine]
        return [line for line in lines if "pages" not in line and ": callback" not in line]


@pytest.fixture
async def clinic(db: TortoiseContext, database_url: str, tmp_path: Path) -> AsyncIterator[Clinic]:
    async with running() as wechat:
        at_wechat = wechat.world.add_account("service", appid="wx1", secret="s3cr3t0fours")
        account_id = await add(
            Sealer(KEY),
            kind="service",
            name="花店",
            appid="wx1",
            secret="s3cr3t0fours",
            token="callbacktoken",
            aes_key=None,
            now=SystemClock().now(),
        )
        settings = Settings(
            _env_file=None, var=tmp_path, database_url=database_url, secret_key=KEY, wechat_url=wechat.url
        )
        yield Clinic(settings, database_url, wechat, account_id, at_wechat)


async def test_a_menu_is_published_and_every_difference_is_told(clinic: Clinic) -> None:
    now = SystemClock().now()
    assert await clinic.complaints() == []
    await menus.define(account_id=clinic.account_id, buttons=MENU, now=now)
    name = f"account {clinic.account_id} “花店”: the menu on phones differs"
    assert await clinic.complaints() == [f"{name}: “积分”缺失；“官网”缺失"]
    async with services(clinic.settings, clinic.url) as opened:
        await publish_menu(opened, account_id=clinic.account_id)
        assert await menu_differences(opened, clinic.account_id) == []
    assert await clinic.complaints() == []
    assert clinic.at_wechat.menu is not None
    clinic.at_wechat.menu["button"][0]["key"] = "elsewhere"
    assert await clinic.complaints() == [f"{name}: “积分”内容不同"]


async def test_a_channels_code_is_made_once_the_platform_agrees(clinic: Clinic) -> None:
    clinic.wechat.wechat.faults.add_api(path="/cgi-bin/qrcode/create", errcode=45009, times=1)
    async with services(clinic.settings, clinic.url) as opened:

        async def make() -> Channel:
            return await create_code(opened, account_id=clinic.account_id, scene="store-7", name="七号店")

        with pytest.raises(Conflict, match="45009") as caught:
            await make()
        assert caught.value.field == "scene"
        channel = await make()
        assert channel.ticket in clinic.wechat.world.qrcodes
        # A code that exists is not made again: every printed poster hangs on it.
        with pytest.raises(Conflict, match="这个场景值已被使用"):
            await make()
    assert len(clinic.wechat.world.qrcodes) == 1


async def test_a_wrong_secret_names_the_account(clinic: Clinic) -> None:
    clinic.at_wechat.secret = "changed at the platform"
    (line,) = await clinic.complaints()
    assert line.startswith(f"account {clinic.account_id} “花店”: no access token from {clinic.wechat.url}: ")
    assert "s3cr3t0fours" not in line


async def test_the_key_on_this_machine_only_is_a_complaint_where_the_database_is_not(clinic: Clinic) -> None:
    said = await clinic.complaints(secret_key=None)
    assert said[0].startswith("FENSI_SECRET_KEY is not set: secrets are sealed with a key in ")
    assert said[1:] == ["FENSI_SECRET_KEY is not the one the accounts were added with: their secrets stay shut"]


async def test_proxies_that_are_everybody_are_a_complaint(clinic: Clinic) -> None:
    (line,) = await clinic.complaints(trusted_proxies=Proxies.parse("10.0.0.0/8, ::/0"))
    assert line == "FENSI_TRUSTED_PROXIES believes everybody: rate limits and the audit trail can be fooled"


async def test_an_empty_house_is_told_the_next_step(empty_database_url: str, database_url: str, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, var=tmp_path, database_url=database_url, secret_key=KEY)
    assert (await examine(settings, database_url))[-1].text == "no accounts yet: `fensi accounts add --help`"
    last = (await examine(settings, empty_database_url))[-1]
    assert (last.fine, last.text.endswith("migrations: run `fensi migrate`")) == (False, True)
