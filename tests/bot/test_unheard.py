"""Answers that were stored when no request could carry them any more: a repetition takes them, or the door out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from bot.engine import OWED, REPEATED
from bot.recovery import AGAIN
from bot.replies import Reply, TextReply
from bot.router import Context
from handlers.fallback import APOLOGY
from kit.clock import ManualClock
from scrm import db
from scrm.pushes.repetitions import owe_doubtful
from tests.bot.desk import Desk, quick
from tests.bot.house import BRIEF, House, until
from tests.bot.metered import counted
from tests.bot.platform import Account
from tests.bot.test_late import follow, text_body
from tests.db.outage import gate

# Whoever ends a push with an answer waits in the middle of its commit while the table holds a row.
STALL = """
CREATE TABLE stalled (at timestamptz);
CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WHILE EXISTS (SELECT FROM stalled) LOOP PERFORM pg_sleep(0.01); END LOOP;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER stall AFTER INSERT OR UPDATE ON push DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.answer IS NOT NULL) EXECUTE FUNCTION stall();
"""


@pytest.fixture
async def stalling(own_house: House) -> House:
    """A house whose database can be made to hang where an answer is committed."""
    async with db.connection() as raw:
        await raw.execute(STALL)
    return own_house


@asynccontextmanager
async def stalled() -> AsyncIterator[None]:
    """Let commits of answers hang while the block runs."""
    async with db.connection() as raw:
        await raw.execute("INSERT INTO stalled VALUES (now())")
    try:
        yield
    finally:
        async with db.connection() as raw:
            await raw.execute("DELETE FROM stalled")


async def commit_hangs() -> bool:
    return await db.fetch("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%stall%' OR wait_event = 'PgSleep'") != []


async def is_late(house: House, account: Account) -> bool:
    return await house.rows("SELECT state FROM push WHERE account_id = $1 AND state = 'late'", account.id) != []


async def test_an_answer_that_took_work_leaves_by_the_door_out(stalling: House, desk: Desk) -> None:
    house = stalling
    account = await house.account()
    here, elsewhere = [await house.server(desk.router, budget=BRIEF) for _ in range(2)]
    await follow(account, here)
    push = account.text("oFan", "慢")
    async with counted("fensi_pushes_total", by=1, kind="wechat.text", outcome="late"):
        async with stalled():
            # It may be stored any moment: the platform is asked to come again.
            assert (await push.to(here)).status == 503
            # And told in the end that nothing more is needed: what is being stored is not lost.
            assert (await push.to(elsewhere)).raw == b"success"
        await until(lambda: is_late(house, account))
        await here.services.tasks.drain(5)
    assert await house.outbox(account) == [text_body("答慢")]
    row = await house.push(push)
    assert (row["state"], row["answer"], row["reason"]) == ("late", None, "")
    assert [(await push.to(server)).raw for server in (here, elsewhere)] == [b"success"] * 2
    assert await house.outbox(account) == [text_body("答慢")]
    assert desk.log == [("begun", "慢"), ("ended", "慢")]


async def test_an_apology_leaves_by_the_door_out(stalling: House, desk: Desk) -> None:
    house = stalling

    async def breaks(_context: Context) -> Reply:
        raise ValueError("secret words")

    desk.acts["坏"] = breaks
    account = await house.account()
    server = await house.server(desk.router, budget=BRIEF)
    await follow(account, server)
    push = account.text("oFan", "坏")
    async with stalled():
        assert (await push.to(server)).status == 503

    async def sent() -> bool:
        return await house.outbox(account) != []

    await until(sent)
    assert await house.outbox(account) == [text_body(APOLOGY.content)]
    row = await house.push(push)
    assert (row["state"], row["answer"], row["reason"]) == ("failed", None, "handler:ValueError")


async def test_a_repetition_that_had_gone_when_it_was_told_is_no_hearer(stalling: House, desk: Desk) -> None:
    house = stalling
    account = await house.account()
    here, elsewhere = [await house.server(desk.router, budget=BRIEF) for _ in range(2)]
    await follow(account, here)
    push = account.text("oFan", "慢")
    assert (await push.to(here)).text == "答慢"

    async def hearers(count: int) -> bool:
        return bool((await house.push(push))["told"] == count)

    assert (await push.to(elsewhere)).text == "答慢"
    assert await hearers(1)
    async with stalled():
        # How it stands is not known in time: the platform is asked to come again.
        assert (await push.to(elsewhere)).raw == b"too_slow"
    await elsewhere.services.tasks.drain(5)
    await until(lambda: hearers(1))
    assert (await push.to(elsewhere)).text == "答慢"
    assert await hearers(2)


async def test_an_answer_from_memory_leaves_by_the_door_out(stalling: House) -> None:
    house = stalling
    account = await house.account()
    server = await house.server(quick(快=TextReply("快答")), budget=BRIEF)
    push = account.text("oFan", "快")
    async with counted("fensi_pushes_total", by=1, kind="wechat.text", outcome="late"):
        async with stalled():
            assert [(await push.to(server)).status for _ in range(3)] == [503] * 3
        await until(lambda: is_late(house, account))
        await server.services.tasks.drain(5)
    assert await house.outbox(account) == [text_body("快答")]
    assert (await push.to(server)).raw == b"success"
    assert await house.kinds(account) == ["wechat.text"]


async def test_an_account_that_may_not_send_holds_it(stalling: House) -> None:
    house = stalling
    account = await house.account("subscription", verified=False)
    server = await house.server(quick(快=TextReply("快答")), budget=BRIEF)
    push = account.text("oFan", "快")
    async with stalled():
        assert (await push.to(server)).status == 503
    await until(lambda: is_late(house, account))
    assert (await house.push(push))["reason"] == ""
    assert (await account.text("oFan", "快").to(server)).text == "快答\n\n快答"


async def test_a_worker_sends_what_a_process_that_died_left_unheard(
    stalling: House, desk: Desk, clock: ManualClock
) -> None:
    house = stalling
    account = await house.account()
    dying, worker = await house.server(quick(快=TextReply("快答")), budget=BRIEF), await house.server(desk.router)
    await follow(account, worker)
    push = account.text("oFan", "快")
    async with stalled():
        assert (await push.to(dying)).status == 503

    async def owed() -> bool:
        return await house.rows("SELECT 1 FROM owed_answer") != []

    await until(owed)
    await dying.die()
    clock.advance(seconds=OWED.total_seconds() - 1)
    assert (await worker.send_owed(), await house.outbox(account)) == (0, [])
    clock.advance(seconds=1)
    assert await worker.send_owed() == 1
    assert await house.outbox(account) == [text_body("快答")]
    row = await house.push(push)
    assert (row["state"], row["answer"]) == ("late", None)
    assert not await owed()
    assert (await worker.send_owed(), await house.outbox(account)) == (0, [text_body("快答")])


async def test_an_answer_that_was_stored_as_the_database_was_lost_is_owed(stalling: House, clock: ManualClock) -> None:
    """The push is refused, for nobody knows; repetitions may not come before the database is back."""
    house = stalling
    account = await house.account()
    async with gate(house.url) as way:
        server = await house.server(quick(快=TextReply("快答")), url=way.url)
        await follow(account, server)
        push = account.text("oFan", "快")
        async with stalled():
            request = asyncio.ensure_future(push.to(server))
            await until(commit_hangs)
            await way.shut()
            assert ((answer := await request).status, answer.raw) == (503, b"database_away")
            assert [(await push.to(server)).status for _ in range(2)] == [503] * 2
        await way.open()

        async def owed() -> bool:
            return await house.rows("SELECT 1 FROM owed_answer") != []

        await until(owed)
        row = await house.push(push)
        assert (row["state"], row["told"]) == ("answered", 0)
        clock.advance(seconds=REPEATED.total_seconds())
        assert (await server.send_owed(), await house.outbox(account)) == (1, [text_body("快答")])
        assert ((await push.to(server)).raw, await server.send_owed()) == (b"success", 0)
        await house.close()


async def test_what_another_request_was_answered_is_not_doubtful(own_house: House, clock: ManualClock) -> None:
    account = await own_house.account()
    server = await own_house.server(quick(快=TextReply("快答")))
    push = account.text("oFan", "快")
    assert (await push.to(server)).text == "快答"
    (row,) = await own_house.rows("SELECT key, received_at FROM push")
    for ours, owed in ((row["received_at"] + timedelta(microseconds=1), 0), (row["received_at"], 1)):
        await owe_doubtful(accepted={row["key"]: ours}, due_at=clock.now())
        assert len(await own_house.rows("SELECT 1 FROM owed_answer")) == owed


async def test_a_worker_leaves_what_a_repetition_was_told(stalling: House, clock: ManualClock) -> None:
    house = stalling
    account = await house.account()
    rules = quick(快=TextReply("快答"))
    dying, worker = await house.server(rules, budget=BRIEF), await house.server(rules)
    await follow(account, worker)
    push = account.text("oFan", "快")
    async with stalled():
        assert (await push.to(dying)).status == 503

    async def owed() -> bool:
        return await house.rows("SELECT 1 FROM owed_answer") != []

    await until(owed)
    await dying.die()
    assert (await push.to(worker)).text == "快答"
    clock.advance(seconds=OWED.total_seconds())
    assert (await worker.send_owed(), await house.outbox(account), await owed()) == (0, [], False)
    assert (await house.push(push))["state"] == "answered"


async def test_what_cannot_be_sent_is_owed_still_and_keeps_nobody_from_theirs(
    stalling: House, clock: ManualClock
) -> None:
    house = stalling
    account = await house.account()
    rules = quick(快=TextReply("快答"))
    dying, worker = await house.server(rules, budget=BRIEF), await house.server(rules)
    for openid in ("oFan", "oMei"):
        await follow(account, worker, openid)
    # At once, for a process that lives sends each after a second.
    pushes = [account.text(openid, "快") for openid in ("oFan", "oMei")]
    async with stalled():
        assert [answer.status for answer in await asyncio.gather(*(push.to(dying) for push in pushes))] == [503, 503]

    async def owed() -> list[UUID]:
        return [row["push_key"] for row in await house.rows("SELECT push_key FROM owed_answer ORDER BY due_at")]

    async def both() -> bool:
        return len(await owed()) == 2

    await until(both)
    await dying.die()
    first = house.key(pushes[0])
    was = "UPDATE push SET answer = $2::jsonb WHERE key = $1 RETURNING key"
    await house.rows(was, first, '{"type": "a later release knows"}')
    clock.advance(seconds=OWED.total_seconds())
    assert (await worker.send_owed(), await house.outbox(account), await owed()) == (1, [text_body("快答")], [first])
    await house.rows(was, first, '{"type": "text", "content": "快答"}')
    assert await worker.send_owed() == 0
    clock.advance(seconds=AGAIN.total_seconds())
    assert (await worker.send_owed(), await owed()) == (1, [])
    assert await house.outbox(account) == [text_body("快答")] * 2


async def test_what_leaves_in_time_is_owed_no_more(stalling: House) -> None:
    house = stalling
    account = await house.account()
    server = await house.server(quick(快=TextReply("快答")), budget=BRIEF)
    await follow(account, server)
    push = account.text("oFan", "快")
    async with stalled():
        assert (await push.to(server)).status == 503
    await until(lambda: is_late(house, account))
    assert await house.rows("SELECT 1 FROM owed_answer") == []
