"""One message at a time per fan, also across processes; different fans in parallel."""

import asyncio

from bot.replies import Reply, TextReply
from bot.router import Context
from kit.clock import ManualClock
from tests.bot.desk import Desk, quick
from tests.bot.house import House


async def test_one_message_at_a_time_in_order_across_two_processes(house: House, desk: Desk) -> None:
    account = await house.account()
    servers = [await house.server(desk.router), await house.server(desk.router)]
    texts = [f"第{n}条" for n in range(6)]
    desk.close(*texts)
    async with asyncio.TaskGroup() as group:
        # Each arrives while the one before is being worked on, at the other process in turn.
        answers = [group.create_task(account.text("oFan", texts[0]).to(servers[0]))]
        for n, text in enumerate(texts):
            await desk.begun(text)
            if n + 1 < len(texts):
                push = account.text("oFan", texts[n + 1])
                answers.append(group.create_task(push.to(servers[(n + 1) % 2])))
                await house.stored(account, n + 2)
            desk.open(text)
    assert desk.log == [(what, text) for text in texts for what in ("begun", "ended")]
    assert [answer.result().text for answer in answers] == [f"答{text}" for text in texts]


async def test_a_crowd_of_one_fans_messages_never_overlaps(house: House, desk: Desk) -> None:
    account = await house.account()
    servers = [await house.server(desk.router), await house.server(desk.router)]
    texts = [f"第{n}条" for n in range(12)]

    async def linger(_context: Context) -> Reply:
        await asyncio.sleep(0.005)
        return TextReply("好")

    desk.acts = dict.fromkeys(texts, linger)
    await asyncio.gather(*(account.text("oFan", text).to(servers[n % 2]) for n, text in enumerate(texts)))
    assert sorted(text for what, text in desk.log if what == "begun") == sorted(texts)
    assert [what for what, _ in desk.log] == ["begun", "ended"] * 12


async def test_messages_that_wait_in_one_process_keep_their_order(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(desk.router)
    texts = [f"第{n}条" for n in range(5)]
    desk.close(texts[0])
    async with asyncio.TaskGroup() as group:
        for n, text in enumerate(texts):
            group.create_task(account.text("oFan", text).to(server))
            await house.stored(account, n + 1)
        desk.open(texts[0])
    assert [text for what, text in desk.log if what == "begun"] == texts


async def test_different_fans_are_served_side_by_side(house: House, desk: Desk) -> None:
    account = await house.account()
    servers = [await house.server(desk.router), await house.server(desk.router)]
    fans = [f"oFan{n}" for n in range(8)]
    desk.close(*fans)
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(account.text(fan, fan).to(servers[n % 2])) for n, fan in enumerate(fans)]
        for fan in fans:
            await desk.begun(fan)
        assert {what for what, _ in desk.log} == {"begun"}
        desk.open(*reversed(fans))
    assert [answer.result().text for answer in answers] == [f"答{fan}" for fan in fans]


async def test_a_quick_answer_waits_for_the_message_before_it(house: House, desk: Desk) -> None:
    account = await house.account()
    routers = (quick(快=TextReply("快答")), desk.router)
    first, second = await house.server(*routers), await house.server(*routers)
    desk.close("慢")
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(account.text("oFan", "慢").to(first))
        await desk.begun("慢")
        fast = [group.create_task(account.text("oFan", "快").to(server)) for server in (first, second)]
        await house.stored(account, 3)
        rows = await house.rows("SELECT state FROM push WHERE account_id = $1", account.id)
        assert [row["state"] for row in rows] == ["running"] * 3
        # Somebody else's is not held up.
        assert (await account.text("oOther", "快").to(first)).text == "快答"
        desk.open("慢")
    assert slow.result().text == "答慢"
    assert [answer.result().text for answer in fast] == ["快答", "快答"]


async def test_a_quick_answer_at_another_process_waits_too(house: House, desk: Desk, clock: ManualClock) -> None:
    """Found by review: a message accepted but still waiting for its turn was invisible to the other process."""
    account = await house.account()
    routers = (quick(快=TextReply("快答")), desk.router)
    servers = [await house.server(*routers), await house.server(*routers)]
    desk.close("慢一", "慢二")
    done: list[str] = []

    async def say(text: str, server: int) -> None:
        await account.text("oFan", text).to(servers[server])
        done.append(text)

    async with asyncio.TaskGroup() as group:
        group.create_task(say("慢一", 0))
        await desk.begun("慢一")
        for n, (text, server) in enumerate([("慢二", 0), ("快", 1)], 2):
            clock.advance(seconds=0.1)
            group.create_task(say(text, server))
            await house.stored(account, n)
        assert done == []
        desk.open("慢一", "慢二")
    assert done == ["慢一", "慢二", "快"]


async def test_what_follows_in_the_same_batch_waits_for_what_needs_work(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(quick(快=TextReply("快答")), desk.router)
    desk.close("慢")
    done: list[str] = []

    async def say(text: str) -> None:
        await account.text("oFan", text).to(server)
        done.append(text)

    async with asyncio.TaskGroup() as group:
        # Nobody awaits in between, so both may well share one commit.
        group.create_task(say("慢"))
        group.create_task(say("快"))
        await desk.begun("慢")
        await house.stored(account, 2)
        assert done == []
        desk.open("慢")
    assert done == ["慢", "快"]
