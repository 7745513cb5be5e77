"""Servers and workers that are killed or stopped under load: what was accepted is answered once, by whom ever."""

import asyncio
import random
import signal
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from tortoise.context import TortoiseContext

from handlers.preferences import ASK_INTEREST
from scrm import db as scrm_db
from simulator.fan import Pushed, ScriptedFan
from simulator.server import SimulatorServer
from simulator.world import QrCode
from tests.e2e.processes import HOURS, MANUAL, SCENE, WELCOME, Fensi, open_shop, until

pytestmark = pytest.mark.e2e


async def count(sql: str, *args: object) -> int:
    rows = await scrm_db.fetch(f"SELECT count(*) FROM {sql}", *args)  # noqa: S608  # written below
    return int(rows[0][0])


async def nothing_open() -> bool:
    """Whether every accepted push and every message has come to its end."""
    running = await count("push WHERE state = 'running'")
    return running + await count("outbox WHERE state IN ('pending', 'claimed', 'sending')") == 0


def same_to_every_copy(pushed: Pushed) -> bool:
    """Whether all deliveries of one push that got words as their answer got the same ones."""
    said = {str(copy.reply.get("Content")) for copy in pushed.copies if copy.reply}
    return len(said) <= 1


async def test_three_hundred_fans_two_servers_and_one_of_them_killed(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_shop(wechat)
    rng = random.Random(20261122)
    one = await fensi.serve(reply_budget="1.0")
    two = await fensi.serve(reply_budget="1.0")
    worker = await fensi.work()
    urls = shop.answered_by(one, two)
    wechat.wechat.faults.add_callback(times=None, copies=(1, 3), jitter=5.0, urls=urls)
    wechat.world.qrcodes["t"] = QrCode("t", shop.account.appid, SCENE, True, "", 0.0, None)

    # What each quarter of the fans does, and what they are to hear; a long answer comes in two parts.
    async def write(fan: ScriptedFan, text: str) -> Pushed:
        return await fan.text(shop.account, text)

    fans = shop.fans(300)
    rng.shuffle(fans)
    texts = {0: "营业时间", 2: "兴趣", 3: "手册"}
    expected = {0: HOURS, 1: WELCOME, 2: ASK_INTEREST, 3: MANUAL}
    group = {fan.person.id: n % 4 for n, fan in enumerate(fans)}
    for fan in fans:
        fan.thread(shop.account).following = group[fan.person.id] != 1
    acts = [
        asyncio.create_task(
            write(fan, texts[group[fan.person.id]])
            if group[fan.person.id] in texts
            else fan.follow(shop.account, scene=SCENE)
        )
        for fan in fans
    ]
    try:
        await until(lambda: some("push", 110), what="110 pushes stored")
        async with scrm_db.connection() as raw, AsyncExitStack() as slowly:
            # Nobody can read the welcome texts: whoever greets a fan hangs, in both servers.
            await slowly.enter_async_context(raw.transaction())
            await raw.execute("LOCK TABLE welcome IN ACCESS EXCLUSIVE MODE")
            await until(lambda: some("push WHERE state = 'running'", 12), what="12 pushes hang")
            await two.kill()
            urls.remove(two.url + shop.path)
            await asyncio.sleep(1.2)  # past the budget of those that hang in the other server
        urls.append((await fensi.serve(reply_budget="1.0", port=two.port)).url + shop.path)
        pushed = await asyncio.gather(*acts)
    finally:
        for act in acts:
            act.cancel()
    await until(nothing_open, 40, "every push and message has ended")

    assert Counter(push.outcome for push in pushed) == Counter(replied=0) + Counter(
        push.outcome for push in pushed if push.outcome in {"replied", "success"}
    )
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
    print([[len(t) for t in shop.heard(fan)] for fan in fans if group[fan.person.id] == 3][:20], len(MANUAL))
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
