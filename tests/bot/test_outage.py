"""The database away: pushes are refused quickly so that the platform brings them again; nothing accepted is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.isolation import LEASE
from bot.replies import TextReply
from handlers import ROUTERS
from kit.clock import ManualClock
from scrm.db import ACQUIRE_SECONDS, transaction
from tests.bot.desk import Desk, quick
from tests.bot.house import BRIEF, House, Server, until
from tests.bot.metered import counted, reading
from tests.bot.platform import Account
from tests.db.outage import Gate, gate


@pytest.fixture
async def way(own_house: House) -> AsyncIterator[Gate]:
    """What stands between the servers and their database."""
    async with gate(own_house.url) as standing:
        yield standing
        await own_house.close()


async def ready(server: Server, account: Account) -> int:
    async with account.http.get(f"{server.address}/readyz") as response:
        return response.status


async def test_pushes_are_refused_quickly_and_accepted_when_they_come_again(own_house: House, way: Gate) -> None:
    house = own_house
    account = await house.account()
    server = await house.server(*ROUTERS, url=way.url)
    assert (await account.text("oFan", "先来").to(server)).status == 200
    assert await ready(server, account) == 200
    await way.shut()
    pushes = [account.text("oFan", "你好"), account.text("oFan", "兴趣"), account.text("oNew", "你好")]
    away = reading("fensi_database_away_total")
    for _ in range(2):
        answers = await asyncio.gather(*(push.to(server) for push in pushes))
        assert [(answer.status, answer.raw) for answer in answers] == [(503, b"database_away")] * 3
        assert max(answer.seconds for answer in answers) < ACQUIRE_SECONDS + 2
    assert reading("fensi_database_away_total") == away + 6
    assert await ready(server, account) == 503
    # What needs no database still works: proving who we are, refusing strangers, being alive.
    async with account.http.get(account.url(server), params={**account.signed(), "echostr": "7"}) as response:
        assert (response.status, await response.text()) == (200, "7")
    answer = await account.post(server, b"<xml></xml>", account.signed(token="x"))
    assert answer.status == 403
    async with account.http.get(f"{server.address}/healthz") as response:
        assert response.status == 200
    await way.open()
    answers = await asyncio.gather(*(push.to(server) for push in pushes))
    assert [answer.status for answer in answers] == [200] * 3
    assert all(answer.text for answer in answers)
    assert await house.kinds(account) == ["wechat.text"] * 4
    assert await ready(server, account) == 200


async def test_a_malformed_push_that_cannot_be_kept_comes_again(own_house: House, way: Gate) -> None:
    house = own_house
    account = await house.account(mode="plain")
    server = await house.server(*ROUTERS, url=way.url)
    await way.shut()
    assert (await account.post(server, b"<xml>", account.signed())).status == 503
    await way.open()
    assert (await account.post(server, b"<xml>", account.signed())).raw == b"success"
    assert len(await house.rows("SELECT 1 FROM malformed_push")) == 1


@pytest.mark.parametrize("helper", ["retry", "recovery"])
async def test_work_whose_end_could_not_be_stored_is_done_again(
    own_house: House, way: Gate, desk: Desk, clock: ManualClock, helper: str
) -> None:
    house = own_house
    account = await house.account()
    server = await house.server(desk.router, url=way.url)
    await account.event("oFan", "subscribe", EventKey="").to(server)
    push = account.text("oFan", "慢")
    desk.close("慢")
    request = asyncio.ensure_future(push.to(server))
    await desk.begun("慢")
    await way.shut()
    desk.open("慢")
    # The answer is not stored, so it is not given either: the platform asks again.
    assert (await request).status == 503
    await way.open()
    clock.advance(seconds=30)
    if helper == "retry":
        async with counted("fensi_push_duplicates_total", by=1):
            assert (await push.to(server)).text == "答慢"
        assert await house.outbox(account) == []
    else:
        assert await server.recover() == 1
        assert [body["text"]["content"] for body in await house.outbox(account)] == ["答慢"]
    assert await house.kinds(account) == ["wechat.event.subscribe", "wechat.text"]
    assert desk.log.count(("begun", "慢")) == 2
    assert server.services.engine.busy == 0


async def test_leases_and_accounts_are_looked_after_again_when_it_is_back(
    own_house: House, way: Gate, desk: Desk
) -> None:
    house = own_house
    account = await house.account()
    server = await house.server(desk.router, url=way.url)
    tasks = server.services.tasks
    background = [
        tasks.spawn(server.services.directory.watch(0.02), "directory"),
        tasks.spawn(server.services.engine.keep_leases(), "leases"),
    ]
    await way.shut()
    await asyncio.sleep(0.2)
    await way.open()
    await house.rows("UPDATE account SET enabled = false RETURNING id")

    async def noticed() -> bool:
        return (await account.text("oFan", "你好").to(server)).status == 404

    await until(noticed)
    assert not any(task.done() for task in background)
    for task in background:
        task.cancel()


async def test_a_database_that_hangs_is_not_waited_for_beyond_the_budget(
    own_house: House, desk: Desk, clock: ManualClock
) -> None:
    """One under way may yet be stored after we gave up on it: its answer leaves by the door out, or is taken over."""
    house = own_house
    account = await house.account()
    server = await house.server(quick(快=TextReply("快答")), desk.router, budget=BRIEF)
    await account.text("oFan", "快").to(server)
    pushes = [account.text("oFan", "快"), account.text("oOther", "慢")]
    async with transaction() as tx:
        await tx.connection.execute("LOCK TABLE event_key")
        answers = await asyncio.gather(*(push.to(server) for push in pushes))
        assert [(answer.status, answer.raw) for answer in answers] == [(503, b"too_slow")] * 2
        assert max(answer.seconds for answer in answers) < BRIEF + 2
    await house.stored(account, 2)
    assert desk.log == []

    async def sent() -> bool:
        return await house.outbox(account) != []

    await until(sent)
    clock.advance(seconds=LEASE.total_seconds() + 1)
    assert [(await push.to(server)).text for push in pushes] == [None, "答慢"]
    assert [body["text"]["content"] for body in await house.outbox(account)] == ["快答"]
    assert await house.kinds(account) == ["wechat.text"] * 3
