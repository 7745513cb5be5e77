"""While a person looks after a fan nothing of the bot's leaves, however it races with the moment they are taken."""

import asyncio

import pytest

from bot.replies import TextReply
from bot.router import Answer, Context
from handlers import ROUTERS
from scrm.conversations import desk as office
from scrm.conversations import service
from tests.bot.desk import Desk
from tests.bot.house import BRIEF, House, Server
from tests.bot.platform import Account
from tests.bot.test_late import follow, text_body
from tests.factories import make_staff


async def taken(house: House, account: Account, openid: str = "oFan") -> int:
    """Let one of the staff take a fan, and return the conversation."""
    (row,) = await house.rows("SELECT brand_id FROM account WHERE id = $1", account.id)
    staff_id = await make_staff()
    await office.set_seat(brand_id=row["brand_id"], staff_id=staff_id, capacity=0)
    fan = await house.fan(account, openid)
    assert fan is not None
    return await service.pull_fan(fan_id=fan.id, brand_id=row["brand_id"], staff_id=staff_id, now=house.clock.now())


async def dialogue(house: House, account: Account) -> list[str]:
    rows = await house.rows(
        "SELECT d.name FROM dialogue d JOIN fan f ON f.id = d.fan_id WHERE f.account_id = $1", account.id
    )
    return [row["name"] for row in rows]


async def test_an_answer_that_was_being_thought_of_is_dropped(house: House, desk: Desk) -> None:
    """The bot asks a slow model, somebody of the staff takes the fan, the model answers: nobody hears it."""
    account = await house.account()
    server = await house.server(desk.router)
    await follow(account, server)
    desk.close("慢")

    async def rich(context: Context) -> Answer:
        context.later.append(text_body("还有这个"))
        context.continue_dialogue("more", "step", {})
        return TextReply("模型的回答")

    desk.acts["慢"] = rich  # type: ignore[assignment]  # a reply in this case
    push = account.text("oFan", "慢")
    answering = asyncio.create_task(push.to(server))
    await desk.begun("慢")
    await taken(house, account)
    desk.open("慢")
    assert (await answering).raw == b"success"
    row = await house.push(push)
    assert (row["state"], row["answer"], row["reason"]) == ("answered", {"type": "none"}, "with_person")
    assert await house.outbox(account) == []
    # The dialogue it had begun did not begin.
    assert await dialogue(house, account) == ["person"]


async def test_a_late_one_is_dropped_too(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(desk.router, budget=BRIEF)
    await follow(account, server)
    desk.close("慢")
    push = account.text("oFan", "慢")
    assert (await push.to(server)).raw == b"success"
    await taken(house, account)
    desk.open("慢")
    await server.idle()
    row = await house.push(push)
    assert (row["state"], row["reason"]) == ("late", "with_person")
    assert await house.outbox(account) == []


async def test_one_on_its_way_out_is_refused_at_the_door(house: House, desk: Desk) -> None:
    """Decided and waiting in the outbox when the fan is taken: the gate is asked once more before it is sent."""
    account = await house.account()
    server = await house.server(desk.router, budget=BRIEF)
    await follow(account, server)
    desk.close("慢")
    assert (await account.text("oFan", "慢").to(server)).raw == b"success"
    desk.open("慢")
    await server.idle()
    assert await house.outbox(account) == [text_body("答慢")]
    await taken(house, account)
    async with house.delivering(server):
        await house.notify()
        async with asyncio.timeout(5):
            while True:
                rows = await house.rows("SELECT state, detail FROM outbox WHERE account_id = $1", account.id)
                if rows[0]["state"] != "pending" and rows[0]["state"] != "claimed":
                    break
    assert rows == [{"state": "refused", "detail": "with_person"}]


async def test_what_an_unverified_account_holds_waits_on(house: House, desk: Desk) -> None:
    """Held answers are the bot's: not said while a person has the fan, and not lost."""
    account = await house.account(verified=False)
    server = await house.server(desk.router, budget=BRIEF)
    await follow(account, server)
    desk.close("慢")
    assert (await account.text("oFan", "慢").to(server)).raw == b"success"
    desk.open("慢")
    await server.idle()
    conversation = await taken(house, account)
    assert (await account.text("oFan", "在吗").to(server)).raw == b"success"
    (row,) = await house.rows("SELECT brand_id, staff_id FROM conversation WHERE id = $1", conversation)
    await service.return_to_bot(
        conversation_id=conversation, brand_id=row["brand_id"], staff_id=row["staff_id"], now=house.clock.now()
    )
    assert (await account.text("oFan", "好").to(server)).text == "答慢\n\n答好"


async def test_a_worker_that_dies_after_asking_leaves_one_message_to_say(house: House) -> None:
    account = await house.account()
    first, second = await house.server(*ROUTERS), await house.server(*ROUTERS)
    await follow(account, first)
    fan = await house.fan(account, "oFan")
    assert fan is not None
    push = account.text("oFan", "人工")
    # What the dead worker had committed.
    done = await service.request_person(fan_id=fan.id, reason="asked", now=house.clock.now(), asked_by=house.key(push))
    answers = await asyncio.gather(*(push.to(server) for server in (first, second) for _ in range(2)))
    assert len({answer.text for answer in answers}) == 1
    assert (answers[0].text or "").startswith("正在为您转接人工客服")
    assert (await account.text("oFan", "人工").to(second)).raw == b"success"
    rows = await house.rows("SELECT id FROM conversation WHERE fan_id = $1", fan.id)
    assert rows == [{"id": done.conversation_id}]


async def test_the_wish_arriving_at_several_processes_at_once_is_answered_once(house: House) -> None:
    account = await house.account()
    servers = [await house.server(*ROUTERS) for _ in range(2)]
    await follow(account, servers[0])
    pushes = [account.text("oFan", "人工") for _ in range(6)]
    answers = await asyncio.gather(*(push.to(servers[n % 2]) for n, push in enumerate(pushes)))
    assert [answer.raw == b"success" for answer in answers].count(False) == 1
    fan = await house.fan(account, "oFan")
    assert fan is not None
    assert len(await house.rows("SELECT 1 FROM conversation WHERE fan_id = $1", fan.id)) == 1


@pytest.mark.parametrize("repetition", range(3))
async def test_plain_answers_race_with_being_taken(house: House, repetition: int) -> None:
    """Forty fans write while they are taken: what was accepted after that is silent, what was before is answered."""
    account = await house.account()
    await house.rule(account, "exact", "你好", "您好呀")
    servers: list[Server] = [await house.server(*ROUTERS, pool=5) for _ in range(2)]
    openids = [f"oRace{n}" for n in range(40)]
    for n, openid in enumerate(openids):
        await follow(account, servers[n % 2], openid)

    async def writes(openid: str, server: Server) -> str | None:
        return (await account.text(openid, "你好").to(server)).text

    async def is_taken(openid: str, server: Server) -> list[str | None]:
        await server.call(taken(house, account, openid))
        return [await writes(openid, server) for _ in range(2)]

    both = await asyncio.gather(
        *(
            asyncio.gather(writes(openid, servers[n % 2]), is_taken(openid, servers[(n + repetition) % 2]))
            for n, openid in enumerate(openids)
        )
    )
    # Before or after, but never anything else; and after it, nothing.
    assert {first for first, _ in both} <= {"您好呀", None}
    assert [after for _, after in both] == [[None, None]] * 40
    assert await house.outbox(account) == []


async def test_silence_outlives_every_other_dialogue(house: House) -> None:
    """Neither the end of one nor the step of another, finished late, lifts it."""
    account = await house.account()
    server = await house.server(*ROUTERS)
    await follow(account, server)
    assert (await account.text("oFan", "兴趣").to(server)).text is not None
    await taken(house, account)
    for text in ("2", "退出", "兴趣"):
        assert (await account.text("oFan", text).to(server)).raw == b"success"
    assert (await account.event("oFan", "CLICK", EventKey="PREFERENCES").to(server)).raw == b"success"
    assert await dialogue(house, account) == ["person"]
