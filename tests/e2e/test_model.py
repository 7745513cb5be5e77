"""A language model that is slow, failing or talking garbage, and servers that die asking it, with real processes.

WeChat is told success within its five seconds, the fan is answered once by the door out, and the brand pays for what
was asked, at most the reserve of what nobody came back from.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from tortoise.context import TortoiseContext

from kit.clock import SystemClock
from scrm import db as scrm_db
from scrm.assistant import phrases
from scrm.assistant.importing import import_file
from simulator.fan import Pushed, ScriptedFan
from simulator.llm import CHAT
from simulator.server import SimulatorServer
from tests.e2e.processes import Fensi, Process, Shop, nothing_open, open_shop, until

pytestmark = pytest.mark.e2e

QUESTION = "鲜花签收后几小时内可以申请退款"
ARTICLE = "# 退款说明\n\n鲜花签收后 6 小时内可以申请退款，须附照片。运费由本店承担。\n"
ANSWER = f"鲜花签收后 6 小时内可以申请退款，须附照片。\n\n来源：退款说明\n{phrases.AI_MARK}"


async def open_place(wechat: SimulatorServer) -> Shop:
    """Open a shop that has an article on refunds, which only the model can put into words."""
    shop = await open_shop(wechat)
    now = SystemClock().now()
    (row,) = await scrm_db.fetch("SELECT brand_id FROM account WHERE id = $1", shop.id)
    report = await import_file(
        brand_id=row["brand_id"], data=ARTICLE.encode(), form="md", author="test", now=now, publish=True
    )
    assert report.count("created") == 1
    return shop


def model_at(wechat: SimulatorServer, **more: str) -> dict[str, Any]:
    """Return the settings of a server that asks the simulator's model."""
    return {
        "llm_base_url": f"{wechat.url}/v1",
        "llm_model": "simulated-model",
        "llm_api_key": "sk-test",
        "wechat_url": wechat.url,
        **more,
    }


def asked(wechat: SimulatorServer) -> int:
    """Return how often the model was asked."""
    return len(list(wechat.wechat.quotas.made(CHAT)))


async def records() -> list[dict[str, Any]]:
    """Return what is on record of the answers: outcome, reason and words, in order."""
    rows = await scrm_db.fetch("SELECT outcome, reason, said FROM assistant_answer ORDER BY id")
    return [dict(row) for row in rows]


async def bill() -> tuple[list[tuple[bool, int]], set[tuple[int, int]]]:
    """Return (settled, tokens) of each call, and the (calls, tokens) that the brand and its people are charged."""
    calls = await scrm_db.fetch("SELECT settled, tokens FROM assistant_call ORDER BY id")
    usage = await scrm_db.fetch("SELECT calls, tokens FROM assistant_usage WHERE purpose = 'answers'")
    return [tuple(row) for row in calls], {tuple(row) for row in usage}


async def heard(shop: Shop, fan: ScriptedFan) -> bool:
    return bool(shop.heard(fan))


def once(shop: Shop, fan: ScriptedFan) -> str:
    (said,) = shop.heard(fan)
    return said


def in_time(pushed: Pushed) -> None:
    """WeChat had to ask only once: within its five seconds it was told that the answer follows, or the answer."""
    assert (pushed.outcome, pushed.attempts) == ("success", 1), pushed.detail


async def test_ten_seconds_of_thought_against_four_and_a_half(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_place(wechat)
    shop.answered_by(await fensi.serve(**model_at(wechat)))
    await fensi.work()
    wechat.wechat.faults.add_api(path=CHAT, delay=10.0)
    (fan,) = shop.fans(1)
    in_time(await fan.text(shop.account, QUESTION))
    assert shop.heard(fan) == []
    await until(lambda: heard(shop, fan), 30, "the answer follows")
    await until(nothing_open, what="the push and the message have ended")
    assert once(shop, fan) == ANSWER
    assert (asked(wechat), shop.sends()) == (1, 1)
    assert await records() == [{"outcome": "answered", "reason": "", "said": ANSWER}]
    ((settled, tokens),), usage = await bill()
    assert settled
    assert usage == {(1, tokens)}


# Between failures the model says something, too: five in a row would open the breaker, and nobody would be asked.
TROUBLES: list[tuple[dict[str, Any], str, str]] = [
    ({"status": 500}, "failed", phrases.BUSY),
    ({"say": "empty"}, "doubt", phrases.UNSURE),
    ({"drop": "after"}, "failed", phrases.BUSY),
    ({"say": "签收后 48 小时内可以退款[1]"}, "doubt", phrases.UNSURE),
    ({"say": "garbage"}, "failed", phrases.BUSY),
    ({"say": "oversize"}, "failed", phrases.BUSY),
]


async def test_whatever_comes_late_from_the_model_each_fan_hears_one_sentence(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_place(wechat)
    shop.answered_by(await fensi.serve(**model_at(wechat, reply_budget="1")))
    await fensi.work()
    for fault, outcome, told in TROUBLES:
        rule = wechat.wechat.faults.add_api(path=CHAT, times=None, delay=2.0, **fault)
        fans = shop.fans(2)
        for pushed in await asyncio.gather(*[fan.text(shop.account, QUESTION) for fan in fans]):
            in_time(pushed)
        for fan in fans:
            await until(partial(heard, shop, fan), 30, f"an answer in spite of {fault}")
        wechat.wechat.faults.api.remove(rule)
        await until(nothing_open, what="every push and message has ended")
        assert [once(shop, fan) for fan in fans] == [told] * 2
        assert [(row["outcome"], row["said"]) for row in (await records())[-2:]] == [(outcome, told)] * 2
    assert len(await records()) == shop.sends() == 2 * len(TROUBLES)


async def killed_while_asking(
    shop: Shop, wechat: SimulatorServer, fan: ScriptedFan, server: Process, urls: list[str], others: Sequence[str] = ()
) -> Pushed:
    """Let a fan ask, kill the server that asks the model, and end its leases at once instead of in six seconds.

    Pushes go to `urls`, and from the kill on to `others`, if there are any.
    """
    wechat.wechat.faults.add_api(path=CHAT, delay=60.0)
    push = asyncio.create_task(fan.text(shop.account, QUESTION))

    async def asking() -> bool:
        return asked(wechat) == 1

    try:
        await until(asking, what="the model is being asked")
        await server.kill()
        urls[:] = others or urls
        await scrm_db.fetch("UPDATE push SET lease_until = now() - interval '1 minute' WHERE state = 'running'")
        await scrm_db.fetch("UPDATE turn SET lease_until = now() - interval '1 minute'")
        return await push
    finally:
        push.cancel()


@pytest.mark.parametrize("who", ["another server", "the worker"])
async def test_a_server_killed_while_the_model_is_asked(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer, who: str
) -> None:
    shop = await open_place(wechat)
    one = await fensi.serve(**model_at(wechat))
    urls, others = [one.url + shop.path], []
    if who == "another server":
        two = await fensi.serve(**model_at(wechat))
        others.append(two.url + shop.path)
    else:
        # WeChat finds nobody any more.
        wechat.wechat.callbacks.timing.attempts = 1
    await fensi.work(**model_at(wechat))
    shop.account.callback_url = urls[0]
    # The repetition after the kill goes to the other.
    wechat.wechat.faults.add_callback(urls=urls)
    (fan,) = shop.fans(1)
    await killed_while_asking(shop, wechat, fan, one, urls, others)
    await until(lambda: heard(shop, fan), 40, "somebody else answers")
    await until(nothing_open, 40, "the push and the message have ended")
    assert once(shop, fan) == ANSWER
    assert asked(wechat) == 2
    assert await records() == [{"outcome": "answered", "reason": "", "said": ANSWER}]
    # The first call was never settled: it stays charged at the most it could cost, the second at what it did.
    ((first, reserve), (second, cost)), usage = await bill()
    assert (first, second) == (False, True)
    assert usage == {(2, reserve + cost)}
    assert cost < reserve
