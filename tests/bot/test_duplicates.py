"""The same push more than once: one event, one effect, one answer, wherever and whenever the repetition comes."""

import asyncio

import pytest

from bot.replies import TextReply
from handlers import ROUTERS
from tests.bot.desk import Desk, quick
from tests.bot.house import House, until
from tests.bot.metered import counted, reading


@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_a_repetition_while_the_first_is_still_worked_on_waits_for_its_answer(
    house: House, desk: Desk, where: str
) -> None:
    account = await house.account()
    first = await house.server(desk.router)
    second = await house.server(desk.router) if where == "elsewhere" else first
    push = account.text("oFan", "慢")
    desk.close("慢")
    before = reading("fensi_push_duplicates_total")

    async def both_came() -> bool:
        return reading("fensi_push_duplicates_total") == before + 2

    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(push.to(first))]
        await desk.begun("慢")
        answers += [group.create_task(push.to(second)) for _ in range(2)]
        await until(both_came)
        desk.open("慢")
    assert [answer.result().text for answer in answers] == ["答慢"] * 3
    assert desk.log == [("begun", "慢"), ("ended", "慢")]
    assert await house.kinds(account) == ["wechat.text"]


@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("way", ["quick", "work"])
async def test_a_repetition_afterwards_gets_the_stored_answer(house: House, desk: Desk, where: str, way: str) -> None:
    account = await house.account()
    answers = quick(你好=TextReply("快答")) if way == "quick" else desk.router
    first = await house.server(answers)
    # Its handlers would say something else, so what it says is what was stored.
    second = await house.server(quick(你好=TextReply("别的"))) if where == "elsewhere" else first
    push = account.text("oFan", "你好")
    said = (await push.to(first)).text
    assert said == ("快答" if way == "quick" else "答你好")
    async with counted("fensi_push_duplicates_total", by=2):
        assert [(await push.to(second)).text for _ in range(2)] == [said, said]
    assert len(desk.contexts) == (0 if way == "quick" else 1)
    assert await house.kinds(account) == ["wechat.text"]


async def test_a_storm_of_repetitions_at_two_processes_has_one_effect(house: House, desk: Desk) -> None:
    account = await house.account()
    servers = [await house.server(desk.router), await house.server(desk.router)]
    fans = [f"oFan{n}" for n in range(10)]
    # Different fans, one MsgId: each is somebody else's message.
    pushes = [account.text(fan, fan, msg_id="24000000000000000") for fan in fans]
    deliveries = [(push, server) for push in pushes for server in servers for _ in range(3)]
    said = await asyncio.gather(*(push.to(server) for push, server in deliveries))
    assert [answer.text for answer in said] == [f"答{push.body['FromUserName']}" for push, _ in deliveries]
    assert sorted(text for what, text in desk.log if what == "begun") == fans
    assert await house.kinds(account) == ["wechat.text"] * 10
    rows = await house.rows("SELECT count(DISTINCT member_id) AS n FROM fan WHERE account_id = $1", account.id)
    assert rows == [{"n": 10}]


async def test_events_are_known_by_fan_time_name_key_and_ticket(house: House) -> None:
    account = await house.account()
    server = await house.server(*ROUTERS)
    at = account.now()
    same = [account.event("oFan", "subscribe", EventKey="qrscene_a", Ticket="T1", at=at) for _ in range(3)]
    others = [
        account.event("oFan", "subscribe", EventKey="qrscene_a", Ticket="T1", at=at - 1),
        account.event("oFan", "subscribe", EventKey="qrscene_b", Ticket="T1", at=at),
        account.event("oFan", "subscribe", EventKey="qrscene_a", Ticket="T2", at=at),
        account.event("oFan", "unsubscribe", EventKey="", at=at),
        account.event("oOther", "subscribe", EventKey="qrscene_a", Ticket="T1", at=at),
    ]
    for push in [*same, *others]:
        assert (await push.to(server)).status == 200
    assert len(await house.kinds(account)) == 1 + len(others)
    fan = await house.fan(account, "oFan")
    assert fan is not None
    assert fan.follow_count == 4


async def test_an_equal_push_at_another_account_is_another_push(house: House) -> None:
    one, other = await house.account(), await house.account()
    server = await house.server(quick(你好=TextReply("您好")))
    for account in (one, other):
        assert (await account.text("oFan", "你好", msg_id="77").to(server)).text == "您好"
        assert await house.kinds(account) == ["wechat.text"]


async def test_a_push_without_an_id_is_known_by_its_content(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(desk.router)
    push = account.text("oFan", "你好")
    del push.body["MsgId"]
    assert [(await push.to(server)).text for _ in range(2)] == ["答你好"] * 2
    push.body["Content"] = "再见"
    assert (await push.to(server)).text == "答再见"
    assert await house.kinds(account) == ["wechat.text"] * 2


async def test_a_push_whose_row_was_pruned_is_still_known(house: House) -> None:
    """Pushes are forgotten after days, events never: a very late repetition has no effect and no answer."""
    account = await house.account()
    server = await house.server(quick(你好=TextReply("您好")))
    push = account.text("oFan", "你好")
    await push.to(server)
    await house.rows("DELETE FROM push WHERE key = $1 RETURNING key", house.key(push))
    assert (await push.to(server)).raw == b"success"
    assert await house.kinds(account) == ["wechat.text"]
