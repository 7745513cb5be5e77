"""The 4.5 seconds: what is not ready goes another way, exactly once; and what no single passive reply can hold."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bot.late import BEHIND
from bot.replies import TEXT_LIMIT, Reply, TextReply, TransferReply
from bot.router import Context
from handlers import ROUTERS
from scrm.db import transaction
from tests.bot.desk import Desk, quick
from tests.bot.house import BRIEF, House, until
from tests.bot.metered import counted, reading
from tests.bot.platform import Account


def text_body(content: str) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": content}}


async def follow(account: Account, server: Any, openid: str = "oFan") -> None:
    """Let the fan be a follower, as nearly all who write are."""
    push = account.event(openid, "subscribe", EventKey="")

    async def followed() -> bool:
        return (await push.to(server)).status == 200  # a cold server may be too slow at first: the platform tries again

    await until(followed)


async def test_a_slow_answer_becomes_a_customer_service_message(house: House, desk: Desk) -> None:
    account = await house.account()
    here, elsewhere = [await house.server(desk.router, budget=BRIEF) for _ in range(2)]
    await follow(account, here)
    desk.close("慢")
    push = account.text("oFan", "慢")
    async with (
        counted("fensi_deadline_misses_total", by=1),
        counted("fensi_pushes_total", by=1, kind="wechat.text", outcome="late"),
    ):
        answer = await push.to(here)
        assert answer.raw == b"success"
        assert BRIEF <= answer.seconds < BRIEF + 2
        assert ("cancelled", "慢") not in desk.log
        # Nothing was said yet, and a repetition does not begin it again.
        assert await house.outbox(account) == []
        assert [(await push.to(server)).raw for server in (here, elsewhere)] == [b"success"] * 2
        desk.open("慢")
        await here.idle()
    assert await house.outbox(account) == [text_body("答慢")]
    row = await house.push(push)
    assert (row["state"], row["answer"], row["reason"]) == ("late", None, "")
    assert [(await push.to(server)).raw for server in (here, elsewhere)] == [b"success"] * 2
    assert await house.outbox(account) == [text_body("答慢")]
    assert desk.log == [("begun", "慢"), ("ended", "慢")]


async def test_a_repetition_that_cannot_look_in_time_is_not_asked_for_again(own_house: House, desk: Desk) -> None:
    """The push is stored, and somebody works on it: asking once more could only show the fan an error."""
    account = await own_house.account()
    here, elsewhere = await own_house.server(desk.router), await own_house.server(desk.router, budget=4)
    await follow(account, here)
    await follow(account, elsewhere, "oOther")
    desk.close("慢")
    push = account.text("oFan", "慢")
    first = asyncio.ensure_future(push.to(here))
    await desk.begun("慢")
    found = reading("fensi_push_duplicates_total")
    repetition = asyncio.ensure_future(push.to(elsewhere))

    async def known() -> bool:
        return reading("fensi_push_duplicates_total") > found

    await until(known)
    await asyncio.sleep(1.5)  # it has looked and found it being worked on
    async with transaction() as tx:
        await tx.connection.execute("LOCK TABLE push")
        assert (await repetition).raw == b"success"
    desk.open("慢")
    assert (await first).text == "答慢"
    assert desk.log == [("begun", "慢"), ("ended", "慢")]


async def test_messages_that_had_to_wait_for_a_slow_one_are_all_answered(house: House, desk: Desk) -> None:
    account = await house.account()
    servers = [await house.server(desk.router, budget=BRIEF) for _ in range(2)]
    await follow(account, servers[0])
    texts = ["一", "二", "三"]
    desk.close(*texts)
    first = asyncio.ensure_future(account.text("oFan", "一").to(servers[0]))
    await desk.begun("一")
    rest = [account.text("oFan", text).to(server) for text, server in zip(texts[1:], servers, strict=True)]
    answers = await asyncio.gather(first, *rest)
    assert [answer.raw for answer in answers] == [b"success"] * 3
    desk.open(*texts)
    for server in servers:
        await server.idle()
    said = [body["text"]["content"] for body in await house.outbox(account)]
    assert (said[0], sorted(said)) == ("答一", sorted(f"答{text}" for text in texts))


async def test_a_late_failure_says_sorry_by_the_door_out(house: House, desk: Desk) -> None:
    async def breaks(_context: Context) -> Reply:
        raise ValueError("secret words")

    desk.acts["坏"] = breaks
    desk.close("坏")
    account = await house.account()
    server = await house.server(desk.router, budget=BRIEF)
    await follow(account, server)
    push = account.text("oFan", "坏")
    assert (await push.to(server)).raw == b"success"
    desk.open("坏")
    await server.idle()
    assert await house.outbox(account) == [text_body("抱歉，服务开小差了，请稍后再试。")]
    row = await house.push(push)
    assert (row["state"], row["reason"]) == ("failed", "handler:ValueError")
    assert (await push.to(server)).raw == b"success"


async def test_a_late_answer_that_may_not_be_sent_leaves_its_reason(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(desk.router, *ROUTERS, budget=BRIEF)
    await follow(account, server)
    desk.close("慢")
    push = account.text("oFan", "慢")
    assert (await push.to(server)).raw == b"success"
    assert (await account.event("oFan", "unsubscribe", EventKey="").to(server)).raw == b"success"
    desk.open("慢")
    await server.idle()
    assert await house.outbox(account) == []
    row = await house.push(push)
    assert (row["state"], row["reason"]) == ("failed", "not_following")
    decisions = await house.rows("SELECT allowed, reason FROM outreach_decision WHERE account_id = $1", account.id)
    assert decisions == [{"allowed": False, "reason": "not_following"}]


async def test_a_follower_from_before_our_time_gets_a_late_answer_too(house: House, desk: Desk) -> None:
    """Nobody saw them follow, but only followers can write to an official account."""
    account = await house.account()
    server = await house.server(desk.router, budget=BRIEF)
    desk.close("慢")
    assert (await account.text("oFan", "慢").to(server)).raw == b"success"
    desk.open("慢")
    await server.idle()
    assert await house.outbox(account) == [text_body("答慢")]


class TestWithoutCustomerServiceMessages:
    """An unverified account: what cannot follow waits for the fan's next message."""

    async def test_a_late_answer_comes_with_the_next_message_once(self, house: House, desk: Desk) -> None:
        account = await house.account("subscription", verified=False)
        # The second process knows a quick answer, which must not slip past the one that waits.
        here = await house.server(desk.router, budget=BRIEF)
        there = await house.server(quick(在吗=TextReply("在的")), desk.router, budget=BRIEF)
        desk.close("慢")
        late = account.text("oFan", "慢")
        assert (await late.to(here)).raw == b"success"
        desk.open("慢")
        await here.idle()
        assert (await house.push(late))["state"] == "late"
        assert await house.outbox(account) == []
        assert (await account.text("oOther", "在吗").to(there)).text == "在的"
        following = account.text("oFan", "在吗")
        assert (await following.to(there)).text == "答慢\n\n在的"
        # Its repetition brings the same, the message after it nothing old.
        assert (await following.to(here)).text == "答慢\n\n在的"
        assert (await account.text("oFan", "在吗").to(there)).text == "在的"
        assert (await late.to(here)).raw == b"success"

    async def test_what_nobody_would_read_does_not_use_it_up(self, house: House, desk: Desk) -> None:
        account = await house.account("subscription", verified=False)
        server = await house.server(desk.router, budget=BRIEF)
        await follow(account, server)
        desk.close("慢")
        await account.text("oFan", "慢").to(server)
        desk.open("慢")
        await server.idle()
        unread: dict[str, dict[str, Any]] = {
            "VIEW": {"EventKey": "http://x"},
            "LOCATION": {"Latitude": "1", "Longitude": "2"},
            "TEMPLATESENDJOBFINISH": {"MsgID": "1", "Status": "success"},
            "unsubscribe": {"EventKey": ""},
        }
        for name, fields in unread.items():
            assert (await account.event("oFan", name, **fields).to(server)).raw == b"success", name
        assert (await account.event("oFan", "subscribe", EventKey="", at=account.now() + 1).to(server)).text == "答慢"
        assert (await account.text("oFan", "好").to(server)).text == "答好"

    async def test_a_long_text_comes_in_instalments(self, house: House, desk: Desk) -> None:
        long = "长" * 1500  # 4500 bytes: three parts

        async def say(_context: Context) -> Reply:
            return TextReply(long)

        desk.acts["长"] = say
        account = await house.account("subscription", verified=False)
        server = await house.server(desk.router)
        said = [(await account.text("oFan", text).to(server)).text or "" for text in ("长", "好", "好", "好")]
        assert all(len(part.encode()) <= TEXT_LIMIT for part in said)
        assert "".join(said).replace("\n\n", "") == long + "答好" * 3
        assert said[0] == long[:682]

    async def test_a_card_it_cannot_send_leaves_its_reason(self, house: House) -> None:
        account = await house.account("subscription", verified=False)
        await house.rule(account, "exact", "小程序", CARD)
        server = await house.server(*ROUTERS)
        push = account.text("oFan", "小程序")
        assert (await push.to(server)).raw == b"success"
        assert (await house.push(push))["reason"] == "no_capability"
        assert await house.outbox(account) == []
        assert (await account.text("oFan", "你好").to(server)).text is not None


CARD = {
    "type": "miniprogrampage",
    "title": "会员中心",
    "appid": "wxmini",
    "pagepath": "pages/me",
    "thumb_media_id": "t1",
}


async def test_a_card_follows_by_the_door_out(house: House) -> None:
    account = await house.account()
    await house.rule(account, "exact", "小程序", CARD)
    server = await house.server(*ROUTERS)
    await follow(account, server)
    push = account.text("oFan", "小程序")
    assert [(await push.to(server)).raw for _ in range(2)] == [b"success"] * 2
    card = {name: value for name, value in CARD.items() if name != "type"}
    assert await house.outbox(account) == [{"msgtype": "miniprogrampage", "miniprogrampage": card}]


@pytest.mark.parametrize("way", ["quick", "work", "late"])
async def test_a_long_text_is_a_passive_reply_and_what_follows_it(house: House, desk: Desk, way: str) -> None:
    long = "".join(f"{n:04d}行，说的是同一件事。\n" for n in range(150))

    async def say(context: Context) -> Reply:
        context.later.append(text_body("最后"))
        return TextReply(long)

    desk.acts["长"] = say
    desk.close("长")
    account = await house.account()
    routers = (quick(长=TextReply(long)),) if way == "quick" else (desk.router,)
    server = await house.server(*routers, budget=BRIEF)
    await follow(account, server)
    if way != "late":
        desk.open("长")
    answer = await account.text("oFan", "长").to(server)
    desk.open("长")
    await server.idle()
    following = [body["text"]["content"] for body in await house.outbox(account)]
    parts = [answer.text, *following] if way != "late" else following
    assert (answer.text is None) == (way == "late")
    assert "".join(str(part) for part in parts) == long + ("" if way == "quick" else "最后")
    assert len(parts) == (3 if way == "quick" else 4)
    assert all(len(str(part).encode()) <= TEXT_LIMIT and str(part).endswith("\n") for part in parts[:3])
    # What follows a passive reply must not overtake it.
    due = await house.rows("SELECT DISTINCT due_at FROM outbox WHERE account_id = $1", account.id)
    assert due == [{"due_at": house.clock.now() + (timedelta(0) if way == "late" else BEHIND)}]


class TestMiniProgram:
    """A mini-program's only passive reply is a transfer; everything else is a customer-service message."""

    @pytest.mark.parametrize("way", ["quick", "work"])
    async def test_words_leave_by_the_door_out(self, house: House, desk: Desk, way: str) -> None:
        account = await house.account("miniprogram", fmt="json")
        server = await house.server(quick(你好=TextReply("答你好")) if way == "quick" else desk.router)
        push = account.text("oFan", "你好", msg_id="49d72d67_1555684067")
        assert [(await push.to(server)).raw for _ in range(2)] == [b"success"] * 2
        assert await house.outbox(account) == [text_body("答你好")]
        assert (await house.push(push))["state"] == "answered"

    async def test_a_transfer_is_passive(self, house: House) -> None:
        account = await house.account("miniprogram", fmt="json")
        server = await house.server(quick(人工=TransferReply()))
        answer = await account.text("oFan", "人工").to(server)
        assert answer.reply is not None
        assert answer.reply["MsgType"] == "transfer_customer_service"

    async def test_entering_the_chat_opens_its_window(self, house: House, desk: Desk) -> None:
        account = await house.account("miniprogram", fmt="json")
        server = await house.server(*ROUTERS)
        push = account.event("oFan", "user_enter_tempsession", SessionFrom="orders")
        assert (await push.to(server)).raw == b"success"
        assert await house.events(account) == [("wechat.event.user_enter_tempsession", {"session_from": "orders"})]
