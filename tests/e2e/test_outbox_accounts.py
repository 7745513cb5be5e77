"""The outbox and accounts: one that is asked to slow down, disabled, or not served."""

from collections import Counter
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tortoise.context import TortoiseContext

from gateways.wechat import WeChatClients, WeChatMessenger
from kit.clock import ManualClock
from kit.ids import key_of
from kit.memory_state import MemoryState
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.outreach import service as outreach
from tests.conftest import START
from tests.e2e.outbox import Messenger, Observing, house_of, outbox, running, settled, until, worker

pytestmark = pytest.mark.e2e


async def test_a_platform_that_asks_to_slow_down_is_left_alone_for_the_account(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    house = await house_of(20, START)
    for fan in house.fans:
        await house.say(fan, "hello", START)
    asked: list[str] = []
    answers = [45011, 0]

    async def token(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "T", "expires_in": 7200})

    async def send(request: web.Request) -> web.Response:
        asked.append((await request.json())["touser"])
        return web.json_response({"errcode": answers.pop(0) if len(answers) > 1 else answers[0]})

    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", token)
    app.router.add_post("/cgi-bin/message/custom/send", send)
    tasks = Tasks()

    async with TestServer(app) as wechat, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{wechat.port}"
        messenger = WeChatMessenger(WeChatClients(http, MemoryState(), clock=clock, tasks=tasks, base_url=url))

        observing = Observing()
        async with running(worker(database_url, house, messenger, clock, observer=observing, sending=1)):
            await observing.put_back.wait()
        assert (len(asked), observing.outcomes) == (1, ["retry", "no_place"])
        assert Counter(await outbox()) == {("pending", "", 0): 19, ("pending", "", 1): 1}
        clock.advance(seconds=60)
        async with running(worker(database_url, house, messenger, clock, sending=1)):
            await until(settled)
        assert await tasks.drain(5) == 0
    assert (Counter(await outbox()), len(asked)) == ({("sent", "", 1): 19, ("sent", "", 2): 1}, 21)


async def test_messages_of_a_disabled_account_end_when_they_are_due(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    house = await house_of(3, START)
    for fan, hours in zip(house.fans, (0, 0, 1), strict=True):
        body = {"msgtype": "text", "text": {"content": "hello"}}
        due_at = START + timedelta(hours=hours)
        await outreach.say(key=key_of(fan), fan_id=fan, body=body, purpose="service", now=START, due_at=due_at)
    async with scrm_db.connection() as raw:
        await raw.execute("UPDATE account SET enabled = false")
    messenger, refused = Messenger(), ("refused", "account_disabled", 0)

    async def due_refused() -> bool:
        return await outbox() == [refused, refused, ("pending", "", 0)]

    async with running(worker(database_url, house, messenger, clock, served=False)):
        await until(due_refused)
    clock.advance(hours=1)
    async with running(worker(database_url, house, messenger, clock, served=False)):
        await until(settled)
    assert (await outbox(), messenger.asked, messenger.heard) == ([refused] * 3, 0, [])
    clock.advance(hours=1)
    assert await outreach.oldest_pending(clock.now()) == 0.0


async def test_messages_of_an_account_that_is_not_served_wait_until_the_gate_refuses_them(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    """Its secrets do not open, or it was added a moment ago: that may still change."""
    house = await house_of(2, START)
    for fan in house.fans:
        await house.say(fan, "hello", START)
    messenger, observing = Messenger(), Observing()
    async with running(worker(database_url, house, messenger, clock, served=False, observer=observing)):
        await observing.put_back.wait()
    assert (await outbox(), set(observing.outcomes)) == ([("pending", "", 0)] * 2, {"no_place"})
    async with running(worker(database_url, house, messenger, clock)):
        await until(settled)
    assert await outbox() == [("sent", "", 1)] * 2

    for fan in house.fans:
        await house.say(fan, "again", START)
    clock.advance(hours=48)
    async with running(worker(database_url, house, messenger, clock, served=False)):
        await until(settled)
    assert (await outbox())[2:] == [("refused", "window_closed", 0)] * 2
    assert messenger.heard == ["hello"] * 2
