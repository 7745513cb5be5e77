"""One push, one answer: found at once or worked for, of every type, in every mode; and what happens when it breaks."""

import pytest

from bot.replies import (
    Article,
    ImageReply,
    MusicReply,
    NewsReply,
    Reply,
    TextReply,
    TransferReply,
    VideoReply,
    VoiceReply,
)
from bot.router import Context
from handlers.fallback import APOLOGY
from tests.bot.desk import Desk, quick
from tests.bot.house import House
from tests.bot.platform import USERNAME


@pytest.mark.parametrize(
    ("mode", "fmt"), [(mode, fmt) for mode in ("plain", "compatible", "safe") for fmt in ("xml", "json")]
)
async def test_every_mode_and_format_is_answered_in_kind(house: House, mode: str, fmt: str) -> None:
    account = await house.account(mode=mode, fmt=fmt)
    server = await house.server(quick(你好=TextReply("您好 ]]> <b>")))
    answer = await account.text("oFan", "你好").to(server)
    assert answer.status == 200
    assert answer.content_type == ("application/json" if fmt == "json" else "application/xml")
    assert answer.reply == {
        "ToUserName": "oFan",
        "FromUserName": USERNAME,
        "CreateTime": account.now() if fmt == "json" else str(account.now()),
        "MsgType": "text",
        "Content": "您好 ]]> <b>",
    }


async def test_a_quick_answer_is_stored_with_the_push(house: House) -> None:
    account = await house.account()
    server = await house.server(quick(你好=TextReply("您好")))
    push = account.text("oFan", "你好")
    assert (await push.to(server)).text == "您好"
    row = await house.push(push)
    assert (row["state"], row["answer"], row["attempts"]) == ("answered", {"type": "text", "content": "您好"}, 1)
    # Never running: there was nothing anybody could have had to take over.
    assert (row["lease_until"], row["fields"], row["received_at"]) == (None, None, house.clock.now())
    fan = await house.fan(account, "oFan")
    assert fan is not None
    assert row["fan_id"] == fan.id
    assert await house.events(account) == [("wechat.text", {"content": "你好", "msg_id": push.body["MsgId"]})]


async def test_silence_is_success_and_stored_too(house: House) -> None:
    account = await house.account()
    server = await house.server(quick(你好=None))
    push = account.text("oFan", "你好")
    answer = await push.to(server)
    assert (answer.status, answer.raw) == (200, b"success")
    row = await house.push(push)
    assert (row["state"], row["answer"]) == ("answered", {"type": "none"})


async def test_a_coroutine_runs_after_the_push_is_stored(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(desk.router)
    push = account.text("oFan", "你好")

    async def look(context: Context) -> Reply:
        row = await house.push(push)
        assert (row["state"], row["answer"], row["fan_id"]) == ("running", None, context.fan_id)
        assert row["lease_until"] > house.clock.now()
        assert await house.kinds(account) == ["wechat.text"]
        return TextReply(f"fan {context.fan_id} member {context.member_id}")

    desk.acts["你好"] = look
    answer = await push.to(server)
    fan = await house.fan(account, "oFan")
    assert fan is not None
    assert answer.text == f"fan {fan.id} member {fan.member_id}"
    row = await house.push(push)
    assert (row["state"], row["answer"]) == ("answered", {"type": "text", "content": answer.text})
    assert (row["lease_until"], row["fields"]) == (None, None)
    # The turn was given back.
    assert await house.rows("SELECT 1 FROM turn WHERE fan_id = $1", fan.id) == []


REPLIES: list[tuple[Reply, dict[str, object]]] = [
    (TextReply("文字\x01"), {"MsgType": "text", "Content": "文字"}),
    (ImageReply("m1"), {"MsgType": "image", "Image": {"MediaId": "m1"}}),
    (VoiceReply("m2"), {"MsgType": "voice", "Voice": {"MediaId": "m2"}}),
    (
        VideoReply("m3", "标题", "说明", "t3"),
        {"MsgType": "video", "Video": {"MediaId": "m3", "Title": "标题", "Description": "说明"}},
    ),
    (
        MusicReply("歌", "说明", "http://a/1", "http://a/2", "t4"),
        {
            "MsgType": "music",
            "Music": {
                "Title": "歌",
                "Description": "说明",
                "MusicUrl": "http://a/1",
                "HQMusicUrl": "http://a/2",
                "ThumbMediaId": "t4",
            },
        },
    ),
    (
        NewsReply((Article("标题", "说明", "http://p", "http://u"),)),
        {
            "MsgType": "news",
            "ArticleCount": "1",
            "Articles": {
                "item": {"Title": "标题", "Description": "说明", "PicUrl": "http://p", "Url": "http://u"},
            },
        },
    ),
    (TransferReply(), {"MsgType": "transfer_customer_service"}),
    (TransferReply("kf@test"), {"MsgType": "transfer_customer_service", "TransInfo": {"KfAccount": "kf@test"}}),
]


@pytest.mark.parametrize(("reply", "read"), REPLIES, ids=[type(reply).__name__ for reply, _ in REPLIES])
async def test_each_type_of_reply_is_read_back(house: House, desk: Desk, reply: Reply, read: dict[str, object]) -> None:
    """From a plain function, from a coroutine, and once more from what was stored."""
    account = await house.account()
    server = await house.server(quick(快=reply), desk.router)

    async def say(_context: Context) -> Reply:
        return reply

    desk.acts["慢"] = say
    head = {"ToUserName": "oFan", "FromUserName": USERNAME, "CreateTime": str(account.now())}
    for text in ("快", "慢"):
        push = account.text("oFan", text)
        assert (await push.to(server)).reply == {**head, **read}
        assert (await push.to(server)).reply == {**head, **read}


@pytest.mark.parametrize("way", ["quick", "work"])
async def test_a_handler_that_breaks_says_sorry_and_is_recorded(house: House, desk: Desk, way: str) -> None:
    async def breaks(context: Context) -> Reply:
        # What it had begun to arrange goes with it.
        context.continue_dialogue("desk", "half-done", {})
        context.later.append({"msgtype": "text", "text": {"content": "half-done"}})
        raise RuntimeError("13800000000")

    desk.acts["坏"] = breaks
    account = await house.account()
    server = await house.server(quick(坏=RuntimeError("13800000000")) if way == "quick" else desk.router, desk.router)
    push = account.text("oFan", "坏")
    assert (await push.to(server)).text == APOLOGY.content
    row = await house.push(push)
    assert (row["state"], row["reason"]) == ("failed", "handler:RuntimeError")
    # The same push again: the same sentence, and nobody tries a second time.
    tries = len(desk.contexts)
    assert (await push.to(server)).text == APOLOGY.content
    assert len(desk.contexts) == tries == (0 if way == "quick" else 1)
    assert await house.outbox(account) == []
    assert await house.rows("SELECT 1 FROM dialogue WHERE fan_id = $1", row["fan_id"]) == []
    # And the fan is not stuck.
    assert (await account.text("oFan", "好").to(server)).text == "答好"
    assert await house.kinds(account) == ["wechat.text", "wechat.text"]
