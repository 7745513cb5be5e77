"""Logs name no person and no secret: everything that can happen is made to happen, then every line is searched."""

import asyncio
import logging

import pytest
import structlog

from bot.isolation import LEASE
from bot.recovery import PATIENCE
from bot.replies import Reply
from bot.router import Context
from handlers import ROUTERS
from kit.clock import ManualClock
from simulator import world as sim
from simulator.clock import Clock
from simulator.testing import running
from tests.bot.desk import Desk
from tests.bot.house import AES_KEY, BRIEF, SECRET_KEY, TOKEN, House
from tests.bot.test_takeover import abandoned
from tests.db.outage import gate

OPENID = "oFanPersonalId0123456789abcd"
PHONE = "13812345678"
WORDS = "我的手机是" + PHONE
CITY = "乌鲁木齐"


async def test_a_whole_day_of_trouble_leaves_no_personal_word_in_the_logs(
    own_house: House,
    desk: Desk,
    clock: ManualClock,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    house = own_house

    async def breaks(context: Context) -> Reply:
        raise RuntimeError(f"{context.message.openid} {WORDS}")

    async def settled() -> bool:
        return await house.rows("SELECT 1 FROM outbox WHERE state IN ('pending', 'claimed', 'sending')") == []

    desk.acts[WORDS + "！"] = breaks
    world = sim.World(clock=Clock(lambda: clock.now().timestamp()))
    async with running(world) as wechat, gate(house.url) as way:
        account = await house.account()
        world.add_account("service", appid=account.appid, secret="appsecret", token=TOKEN, aes_key=AES_KEY)
        server = await house.server(*ROUTERS, wechat_url=wechat.url, url=way.url)
        steered = await house.server(desk.router, wechat_url=wechat.url, url=way.url, budget=BRIEF)
        # A day's ordinary business.
        await account.event(OPENID, "subscribe", EventKey="qrscene_a").to(server)
        for text in (WORDS, "兴趣", "2", CITY, "是"):
            assert (await account.text(OPENID, text).to(server)).status == 200
        # Trouble with a handler, at once and late.
        await account.text(OPENID, WORDS + "！").to(steered)
        desk.close(WORDS + "！")
        await account.text(OPENID, WORDS + "！").to(steered)
        desk.open(WORDS + "！")
        await steered.idle()
        # The platform does not know the fan, so the late sentence cannot be delivered.
        async with house.delivering(server):
            async with asyncio.timeout(5):
                while await house.rows("SELECT 1 FROM outbox WHERE state IN ('pending', 'claimed', 'sending')"):  # noqa: ASYNC110  # a row tells nobody
                    await asyncio.sleep(0.02)
        # Strangers and nonsense.
        plain = account.render(account.text(OPENID, WORDS).body)
        sealed, body = account.envelope(plain)
        await account.post(server, body, account.signed(sealed=sealed, token="guess"))
        await account.post(server, plain, account.signed())
        broken, body = account.envelope(plain[:-10])
        await account.post(server, body, account.signed(sealed=broken))
        # A process that dies, and one that takes over.
        await abandoned(house, desk, account.text(OPENID, WORDS))
        clock.advance(seconds=LEASE.total_seconds() + PATIENCE.total_seconds() + 1)
        await steered.recover()
        # The database away, for pushes and for what runs in the background.
        await way.shut()
        await account.text(OPENID, WORDS).to(server)
        watcher = server.services.tasks.spawn(server.services.directory.watch(0.01), "directory")
        await asyncio.sleep(0.1)
        watcher.cancel()
        await way.open()
        # Secrets that no longer open.
        await house.rows("UPDATE account SET token_sealed = 'nonsense' RETURNING id")
        watcher = server.services.tasks.spawn(server.services.directory.watch(0.01), "directory")
        await asyncio.sleep(0.2)
        watcher.cancel()
        await house.close()
    output = capsys.readouterr()
    lines = output.out + output.err + "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    for expected in ("handler failed", "malformed push kept", "push not accepted", "accounts not refreshed"):
        assert expected in lines
    for secret in (
        OPENID,
        PHONE,
        WORDS,
        CITY,
        "优惠活动",
        "appsecret",
        TOKEN,
        AES_KEY,
        SECRET_KEY,
        sealed,
        "access_token=",
    ):
        assert secret not in lines, secret
    assert not structlog.contextvars.get_contextvars()
