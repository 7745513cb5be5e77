"""The outbox and accounts: one that is asked to slow down, to be mended, disabled, or not served."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tortoise.context import TortoiseContext

from gateways.wechat import WeChatClients, WeChatMessenger
from gateways.wechat.errors import ALERTS
from kit.clock import ManualClock, SystemClock
from kit.delivery import Delivery, Outcome
from kit.ids import key_of
from kit.memory_state import MemoryState
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.accounts.service import AccountView, set_enabled
from scrm.outreach import service as outreach
from scrm.outreach.gate import Verdict
from scrm.outreach.queries import disabled, oldest_pending, stuck
from simulator.server import SimulatorServer
from simulator.testing import running as running_wechat
from simulator.world import Account, Grant, Thread
from tests.conftest import START
from tests.e2e.outbox import House, Messenger, Observing, house_of, outbox, running, settled, until, worker
from tests.e2e.outbox_process import account_view
from worker.outbox import OutboxWorker

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


@dataclass
class Connected:
    """A house whose account stands at a simulated WeChat, too, and a worker that tries it again after 0.3 s."""

    house: House
    wechat: SimulatorServer
    threads: list[Thread]
    accounts: dict[int, AccountView]
    outbox: OutboxWorker
    observing: Observing

    @property
    def at_wechat(self) -> Account:
        return self.wechat.world.accounts["wxtest"]

    def change(self, **changes: Any) -> None:
        """Change what the worker knows of the account."""
        account_id = self.house.account_id
        self.accounts[account_id] = replace(self.accounts[account_id], **changes)

    def received(self) -> list[list[dict[str, Any]]]:
        return [[message.content for message in thread.messages] for thread in self.threads]

    async def tried(self) -> bool:
        """Say whether WeChat refused more than once, and messages found no place in between."""
        return self.observing.outcomes.count("retry") >= 2 and self.observing.put_back.is_set()


@pytest.fixture
async def connected(db: TortoiseContext, database_url: str) -> AsyncIterator[Connected]:
    clock, tasks, observing = SystemClock(), Tasks(), Observing()
    async with running_wechat() as wechat, aiohttp.ClientSession() as http:
        at_wechat = wechat.world.add_account("service", appid="wxtest", secret="secret")
        house = await house_of(3, clock.now())
        threads = [wechat.fan().thread(at_wechat) for _ in house.fans]
        async with scrm_db.connection() as raw:
            for fan, thread in zip(house.fans, threads, strict=True):
                thread.following, thread.grants["pay"] = True, Grant(1e12, None)
                await raw.execute("UPDATE fan SET openid = $2 WHERE id = $1", fan, thread.openid)
                await house.say(fan, "hello", clock.now())
        accounts = {house.account_id: account_view(house.account_id)}
        clients = WeChatClients(http, MemoryState(), clock=clock, tasks=tasks, base_url=wechat.url)
        messenger = WeChatMessenger(clients, mending=0.3)
        outbox = OutboxWorker(database_url, messenger, lambda: accounts, clock, Tasks(), observing, sending=2)
        yield Connected(house, wechat, threads, accounts, outbox, observing)
        assert await tasks.drain(5) == 0


@pytest.mark.parametrize("mended", ["here", "there"])
async def test_messages_wait_for_a_wrong_secret_to_be_mended_and_go_on_by_themselves(
    connected: Connected, mended: str
) -> None:
    if mended == "here":
        connected.change(secret="mistyped")
    else:
        connected.at_wechat.secret = "reset by somebody"
    async with running(connected.outbox):
        await until(connected.tried)
        assert {state for state, _, _ in await outbox()} <= {"pending", "claimed", "sending"}
        found = await stuck(ALERTS, now=SystemClock().now())
        assert [(one.account_id, one.code) for one in found.values()] == [(connected.house.account_id, 40125)]
        if mended == "here":
            connected.change(secret="secret")
        else:
            connected.at_wechat.secret = "secret"
        await until(settled)
    assert [state for state, _, _ in await outbox()] == ["sent"] * 3
    assert connected.received() == [[{"text": "hello"}]] * 3
    assert await stuck(ALERTS, now=SystemClock().now()) == {}


async def test_one_message_of_two_workers_probes_a_rested_account_and_the_others_follow_it(
    db: TortoiseContext, database_url: str
) -> None:
    clock, state, tasks, observing = SystemClock(), MemoryState(), Tasks(), Observing()
    house = await house_of(40, clock.now())
    for fan in house.fans:
        await house.say(fan, "hello", clock.now())
    asked: list[float] = []
    mended, answered = False, asyncio.Event()

    async def token(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "T", "expires_in": 7200})

    async def send(_request: web.Request) -> web.Response:
        asked.append(monotonic())
        if not mended:
            return web.json_response({"errcode": 40164, "errmsg": "not in whitelist"})
        await answered.wait()
        return web.json_response({"errcode": 0})

    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", token)
    app.router.add_post("/cgi-bin/message/custom/send", send)

    async with TestServer(app) as wechat, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{wechat.port}"
        workers = []
        for _ in range(2):
            clients = WeChatClients(http, state, clock=clock, tasks=tasks, base_url=url)
            messenger = WeChatMessenger(clients, mending=1.0)
            workers.append(worker(database_url, house, messenger, clock, observer=observing, sending=8))
        async with running(*workers):
            # The first ones were under way together; whatever comes later comes alone.
            await until(lambda: _is(asked and monotonic() - asked[0] > 4))
            first = [at for at in asked if at - asked[0] < 1]
            probes = asked[len(first) :]
            assert len(first) <= 16
            assert len(probes) >= 2
            assert all(later - one >= 1 for one, later in zip([first[-1], *probes], probes, strict=False))
            mended, before = True, len(asked)
            await until(lambda: _is(len(asked) > before))
            turned_away = observing.outcomes.count("no_place")
            await until(lambda: _is(observing.outcomes.count("no_place") >= turned_away + 20))
            assert len(asked) == before + 1
            answered.set()
            await until(settled)
        assert await tasks.drain(5) == 0
    assert (len(asked), {state for state, _, _ in await outbox()}) == (before + 40, {"sent"})


async def _is(truth: object) -> bool:
    return bool(truth)


async def test_messages_wait_for_an_address_to_be_allowed(connected: Connected) -> None:
    fault = connected.wechat.wechat.faults.add_api(path="/cgi-bin/message/custom/send", errcode=40164, times=None)
    async with running(connected.outbox):
        await until(connected.tried)
        assert connected.received() == [[]] * 3
        connected.wechat.wechat.faults.api.remove(fault)
        await until(settled)
    assert [state for state, _, _ in await outbox()] == ["sent"] * 3
    assert connected.received() == [[{"text": "hello"}]] * 3


async def test_what_nobody_mends_ends_when_its_window_closes(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    """Also what never got a place: the gate is asked about it all the same."""
    house = await house_of(5, START)
    for fan in house.fans:
        await house.say(fan, "hello", START)
    refused = Delivery(Outcome.RETRY, 40125, "no", 30.0, whole_account=True)
    messenger = Messenger(*[refused] * 20)
    messenger.places = [0.0, 30.0]
    observing = Observing()
    async with running(worker(database_url, house, messenger, clock, observer=observing, sending=1)):
        await observing.put_back.wait()
    assert Counter(await outbox()) == {("pending", "no", 1): 1, ("pending", "", 0): 4}
    clock.advance(hours=48)
    messenger.places = [30.0] * 10
    async with running(worker(database_url, house, messenger, clock, sending=1)):
        await until(settled)
    assert Counter(await outbox()) == {("refused", "window_closed", 1): 1, ("refused", "window_closed", 0): 4}
    assert messenger.heard == ["hello"]


async def test_messages_of_a_disabled_account_wait_until_it_is_enabled_or_their_window_closes(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    house = await house_of(3, START)
    for fan in house.fans:
        await house.say(fan, "hello", START)
    await set_enabled(account_id=house.account_id, enabled=False)
    new = await outreach.say(
        key=key_of("new"), fan_id=house.fans[0], body={"msgtype": "text"}, purpose="service", now=START
    )
    assert new == Verdict(False, "account_disabled")
    # Known to this worker, and not yet to this one, which asks the gate before it sends.
    for served in (False, True):
        messenger, observing = Messenger(), Observing()

        async def turned_away(outcomes: list[str] = observing.outcomes) -> bool:
            return outcomes.count("no_place") >= 3

        async with running(worker(database_url, house, messenger, clock, served=served, observer=observing)):
            await until(turned_away)
        assert set(observing.outcomes) == {"no_place"}
        assert (await outbox(), messenger.heard) == ([("pending", "", 0)] * 3, [])
    clock.advance(hours=1)
    assert await oldest_pending(clock.now()) == 0.0
    assert [(one.account_id, one.waiting) for one in await disabled()] == [(house.account_id, 3)]
    await set_enabled(account_id=house.account_id, enabled=True)
    assert (await oldest_pending(clock.now()), await disabled()) == (3600.0, [])
    messenger = Messenger()
    async with running(worker(database_url, house, messenger, clock)):
        await until(settled)
    assert (await outbox(), messenger.heard) == ([("sent", "", 1)] * 3, ["hello"] * 3)

    await house.say(house.fans[0], "again", clock.now())
    await set_enabled(account_id=house.account_id, enabled=False)
    clock.advance(hours=47)
    async with running(worker(database_url, house, messenger, clock, served=False)):
        await until(settled)
    assert (await outbox())[3:] == [("refused", "window_closed", 0)]


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
