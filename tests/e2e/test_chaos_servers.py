"""Servers and workers that are killed or stopped under load: what was accepted is answered once, by whom ever."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from tortoise.context import TortoiseContext

from handlers.preferences import ASK_INTEREST
from scrm import db as scrm_db
from simulator.fan import Pushed, ScriptedFan
from simulator.server import SimulatorServer
from simulator.world import QrCode
from tests.e2e.processes import FALLBACK, HOURS, MANUAL, SCENE, WELCOME, Fensi, Shop, nothing_open, open_shop, until

pytestmark = pytest.mark.e2e


async def count(sql: str, *args: object) -> int:
    rows = await scrm_db.fetch(f"SELECT count(*) FROM {sql}", *args)  # noqa: S608  # written below
    return int(rows[0][0])


async def make_welcomes_shuttable() -> None:
    """Let who reads a welcome text wait while there is a row in `shut`.

    A lock would not do: who waits three seconds for one gives up, and on a busy machine that is soon over.
    """
    async with scrm_db.connection() as raw:
        await raw.execute(
            """
            ALTER TABLE welcome RENAME TO welcome_text;
            CREATE TABLE shut (since timestamptz);
            CREATE FUNCTION opened() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
            BEGIN
                WHILE EXISTS (SELECT FROM shut) LOOP
                    PERFORM pg_sleep(0.02);
                END LOOP;
                RETURN true;
            END $$;
            CREATE VIEW welcome AS SELECT * FROM welcome_text WHERE opened();
            """
        )


@asynccontextmanager
async def welcomes_shut() -> AsyncIterator[None]:
    """Let nobody read a welcome text for a while: at most the fifteen seconds that a statement may take."""
    async with scrm_db.connection() as raw:
        await raw.execute("INSERT INTO shut VALUES (now())")
        try:
            yield
        finally:
            await raw.execute("DELETE FROM shut")


def same_to_every_copy(pushed: Pushed) -> bool:
    """Whether all deliveries of one push that got words as their answer got the same ones."""
    said = {str(copy.reply.get("Content")) for copy in pushed.copies if copy.reply}
    return len(said) <= 1


async def test_three_hundred_fans_two_servers_and_one_of_them_killed(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_shop(wechat)
    rng = random.Random(20261122)
    await make_welcomes_shuttable()
    # Less than WeChat waits, and enough for a busy machine to accept what 300 send at once.
    budget = "4"
    one = await fensi.serve(reply_budget=budget)
    two = await fensi.serve(reply_budget=budget)
    worker = await fensi.work()
    urls = shop.answered_by(one, two)
    wechat.wechat.faults.add_callback(times=None, copies=(1, 3), jitter=5.0, urls=urls)
    wechat.world.qrcodes["t"] = QrCode("t", shop.account.appid, SCENE, True, "", 0.0, None)

    # What each quarter of the fans does, and what they are to hear; a long answer comes in two parts.
    texts = {0: "营业时间", 2: "兴趣", 3: "手册"}
    expected = {0: HOURS, 1: WELCOME, 2: ASK_INTEREST, 3: MANUAL}
    fans = [*shop.fans(225), *shop.fans(75, following=False)]
    group = {fan.person.id: 1 if n >= 225 else (0, 2, 3)[n % 3] for n, fan in enumerate(fans)}

    async def act(fan: ScriptedFan) -> Pushed:
        text = texts.get(group[fan.person.id])
        return await (fan.follow(shop.account, scene=SCENE) if text is None else fan.text(shop.account, text))

    async def greeted_late() -> bool:
        return any(
            record.url.startswith(one.url) and record.result == "success" and record.body.get("Event") == "subscribe"
            for record in wechat.wechat.callbacks.log
        )

    acts = [asyncio.create_task(act(fan)) for fan in rng.sample(fans, 300)]
    try:
        await until(lambda: some("push", 110), what="110 pushes stored")
        async with welcomes_shut():
            # Whoever greets a fan hangs, in both servers.
            await until(lambda: some("push WHERE state = 'running'", 12), what="12 pushes hang")
            await two.kill()
            urls.remove(two.url + shop.path)
            await until(greeted_late, what="the other server has run out of time for one of those that hang")
        urls.append((await fensi.serve(reply_budget=budget, port=two.port)).url + shop.path)
        pushed = await asyncio.gather(*acts)
    finally:
        for task in acts:
            task.cancel()
    await until(nothing_open, 40, "every push and message has ended")

    assert {push.outcome for push in pushed} == {"replied", "success"}
    assert all(map(same_to_every_copy, pushed))
    # One event, one answer, whoever gave it.
    rows = await scrm_db.fetch(
        """
        SELECT f.openid, count(*) AS events, min(e.kind) AS kind, count(DISTINCT f.member_id) AS members
        FROM event e JOIN fan f ON f.id = e.fan_id WHERE e.kind LIKE 'wechat.%' GROUP BY f.openid
        """
    )
    kinds = {n: "wechat.event.subscribe" if n == 1 else "wechat.text" for n in range(4)}
    assert {row["openid"]: (row["events"], row["kind"], row["members"]) for row in rows} == {
        fan.openid(shop.account): (1, kinds[group[fan.person.id]], 1) for fan in fans
    }
    heard = {fan.person.id: "".join(sorted(shop.heard(fan), key=MANUAL.find)) for fan in fans}
    assert heard == {person: expected[n] for person, n in group.items()}
    assert await count("push") == 300
    assert await count("push WHERE reason <> '' OR state = 'failed'") == 0
    assert await count("outbox WHERE state <> 'sent'") == 0
    assert await count("turn") == 0
    assert await count("dialogue WHERE name = 'preferences' AND step = 'interest'") == 75
    assert await count("channel_touch") == 75
    # The roads that this test is about were taken.
    assert await count("push WHERE state = 'late'") > 0
    assert "abandoned pushes resumed" in worker.log
    assert any(push.attempts > 1 for push in pushed)


async def some(rows: str, least: int) -> bool:
    return await count(rows) >= least


async def test_late_answers_while_the_worker_is_killed_again_and_again(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_shop(wechat)
    rng = random.Random(7)
    await make_welcomes_shuttable()
    server = await fensi.serve(reply_budget="0.5", database_pool="30")
    worker = await fensi.work()
    shop.answered_by(server)
    fans = shop.fans(20, following=False)

    async def greet_and_write(fan: ScriptedFan) -> list[str]:
        pushed = [await fan.follow(shop.account)]
        pushed += [await fan.text(shop.account, text) for text in ("一", "营业时间", "营业时间", "营业时间")]
        return [push.outcome for push in pushed]

    async with welcomes_shut():
        # The welcome hangs, and what a fan writes after it waits for its turn.
        outcomes = await asyncio.gather(*map(greet_and_write, fans))
        assert outcomes == [["success"] * 5] * 20
        assert await count("push WHERE state = 'running'") == 100
        wechat.wechat.faults.add_api(path="/cgi-bin/message/custom/send", times=None, delay=0.3)
    for _ in range(4):
        wanted = shop.sends() + rng.randrange(3, 12)
        await until(partial(sent, shop, wanted), what="a few more deliveries have begun")
        await asyncio.sleep(rng.random() * 0.3)
        await worker.kill()
        # What the dead worker held is settled when its leases are over; thirty seconds pass at once here.
        await scrm_db.fetch("UPDATE outbox SET lease_until = now() WHERE state IN ('claimed', 'sending') RETURNING id")
        worker = await fensi.work()
    await until(nothing_open, 30, "every push and message has ended")

    states = Counter(row["state"] for row in await scrm_db.fetch("SELECT state FROM outbox"))
    assert await count("push WHERE state = 'late' AND reason = ''") == 100
    assert set(states) == {"sent", "unknown"}
    assert states.total() == 100
    answers = [WELCOME, FALLBACK, HOURS, HOURS, HOURS]
    told = await scrm_db.fetch(
        """
        SELECT f.openid, array_agg(o.state ORDER BY o.id) AS states,
               array_agg(o.body #>> '{text,content}' ORDER BY o.id) AS texts
        FROM outbox o JOIN fan f ON f.id = o.fan_id GROUP BY f.openid
        """
    )
    ended = {row["openid"]: list(zip(row["states"], row["texts"], strict=True)) for row in told}
    for fan in fans:
        messages = ended[fan.openid(shop.account)]
        assert [text for _, text in messages] == answers
        # All that count as sent arrived, in order; of the unknown each did or did not, and none did twice.
        heard = shop.heard(fan)
        rest = iter(answers)
        assert all(text in rest for text in heard), heard
        assert Counter(heard) >= Counter(text for state, text in messages if state == "sent")
    assert shop.sends() <= 100


async def sent(shop: Shop, wanted: int) -> bool:
    return shop.sends() >= wanted


async def crowd(shop: Shop, stop: asyncio.Event, fans: int) -> list[Pushed]:
    """Let fans write, each again as soon as it has been answered, until told to stop."""

    async def writes(fan: ScriptedFan) -> list[Pushed]:
        pushed = []
        while not stop.is_set():
            pushed.append(await fan.text(shop.account, rng.choice(["营业时间", "兴趣", "取消", "手册"])))
        return pushed

    rng = random.Random(11)
    return [push for one in await asyncio.gather(*map(writes, shop.fans(fans))) for push in one]


async def accepted_exactly_what_was_answered(shop: Shop, pushed: list[Pushed]) -> None:
    """Check that a push has an event if it was answered, and none if it was not, so that nothing was lost."""
    rows = await scrm_db.fetch("SELECT payload ->> 'msg_id' AS id, count(*) FROM event GROUP BY 1")
    stored = {row["id"]: row["count"] for row in rows}
    log = shop.wechat.wechat.callbacks.log
    answered = {str(record.body["MsgId"]) for record in log if record.status == 200}
    assert stored == dict.fromkeys(answered, 1)
    assert {record.status for record in log} <= {200, None}
    assert len(answered) == sum(push.outcome in {"replied", "success"} for push in pushed)
    assert await count("push WHERE state = 'running'") == 0


async def test_a_server_that_is_told_to_stop_answers_what_it_accepted(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_shop(wechat)
    wechat.wechat.callbacks.timing.attempts = 1
    wechat.wechat.callbacks.timing.markfail_after = 10**9
    server = await fensi.serve()
    shop.answered_by(server)
    stop = asyncio.Event()
    load = asyncio.create_task(crowd(shop, stop, 60))
    await until(lambda: some("push", 300), what="300 pushes stored")
    server.tell(signal.SIGTERM)
    assert await server.ended() == 0
    stop.set()
    pushed = await load
    await accepted_exactly_what_was_answered(shop, pushed)
    assert '"stopped"' in server.log
    assert '"error"' not in server.log


async def test_several_processes_on_one_port(db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer) -> None:
    shop = await open_shop(wechat)
    server = await fensi.serve(workers=2)
    shop.answered_by(server)
    stop = asyncio.Event()
    load = asyncio.create_task(crowd(shop, stop, 20))
    await until(lambda: some("push", 100), what="100 pushes stored")
    first = server.children()
    assert len(first) == 2
    os.kill(first[0], signal.SIGKILL)
    await server.said('"serving"', 3)
    second = server.children()
    assert len(second) == 2
    assert len({*first, *second}) == 3
    assert "ended, starting it again" in server.log
    stored = await count("push")
    await until(lambda: some("push", stored + 100), what="100 more pushes stored")
    stop.set()
    pushed = await load
    # WeChat repeated what the killed one left unanswered, so nobody noticed.
    assert {push.outcome for push in pushed} <= {"replied", "success"}
    await until(nothing_running, 30, "every push has ended")
    await accepted_exactly_what_was_answered(shop, pushed)
    server.tell(signal.SIGTERM)
    assert await server.ended() == 0
    assert server.log.count('"stopped"') == 2


async def nothing_running() -> bool:
    return await count("push WHERE state = 'running'") == 0
