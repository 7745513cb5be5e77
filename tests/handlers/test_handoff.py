"""转人工 heard at a phone: who is asked for, what is said once, and the silence while a person looks after the fan."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import ManualClock
from kit.ids import key_of
from scrm import db
from scrm.accounts.models import Account, Brand
from scrm.conversations import closing, desk, lines, queries, service, words
from scrm.conversations.changes import CHANNEL
from scrm.members.queries import FanView
from scrm.replies.rules import fold
from simulator.fan import ScriptedFan
from tests.bot.house import db_json, until
from tests.factories import SOMEBODY, make_staff
from tests.handlers.conftest import Scene
from tests.handlers.test_handlers import FALLBACK, heard

WAITING = "正在为您转接人工客服，请稍候，您可以先描述问题。"
CONNECTED = "已为您接通人工客服，请直接描述您的问题。"
SCORE = "本次人工服务已结束，感谢您的咨询！\n请为本次服务打分：回复 1 到 5 的数字，5 分为非常满意。"


@pytest.fixture(autouse=True)
async def own_brand(scene: Scene) -> None:
    """A brand of this test's own: another test's queue would be waited in."""
    brand = await Brand.create(name=f"品牌 {scene.account.appid}", created_at=scene.house.clock.now())
    await Account.filter(id=scene.account.id).update(brand_id=brand.id)


async def brand_of(scene: Scene) -> int:
    (row,) = await scene.house.rows("SELECT brand_id FROM account WHERE id = $1", scene.account.id)
    return int(row["brand_id"])


async def seat(scene: Scene, staff_id: int, capacity: int = 0) -> None:
    """Give somebody a seat, to which by default nothing is assigned."""
    await make_staff(staff_id)
    await desk.set_seat(brand_id=await brand_of(scene), staff_id=staff_id, capacity=capacity)
    await desk.heartbeat(staff_id=staff_id, now=scene.house.clock.now())


async def known(scene: Scene, fan: ScriptedFan) -> FanView:
    found = await scene.house.fan(scene.account, fan.openid(scene.at_wechat))
    assert found is not None
    return found


async def conversation_of(scene: Scene, fan: ScriptedFan) -> dict[str, Any]:
    """Return the fan's last conversation."""
    rows = await scene.house.rows(
        "SELECT * FROM conversation WHERE fan_id = $1 ORDER BY id DESC LIMIT 1", (await known(scene, fan)).id
    )
    return rows[0]


async def pulled(scene: Scene, fan: ScriptedFan, staff_id: int = SOMEBODY) -> int:
    await seat(scene, staff_id)
    return await service.pull_fan(
        fan_id=(await known(scene, fan)).id,
        brand_id=await brand_of(scene),
        staff_id=staff_id,
        now=scene.house.clock.now(),
    )


async def staff_says(scene: Scene, conversation: int, text: str, staff_id: int = SOMEBODY) -> None:
    verdict = await lines.send_message(
        conversation_id=conversation,
        brand_id=await brand_of(scene),
        staff_id=staff_id,
        key=key_of(conversation, text),
        content={"type": "text", "content": text},
        now=scene.house.clock.now(),
    )
    assert verdict.allowed, verdict.reason


async def close(scene: Scene, conversation: int, staff_id: int = SOMEBODY) -> None:
    await closing.close(
        conversation_id=conversation,
        brand_id=await brand_of(scene),
        staff_id=staff_id,
        now=scene.house.clock.now(),
    )


async def words_at(scene: Scene, fan: ScriptedFan, count: int) -> list[str]:
    """Return the last words that came to the phone besides passive replies, once there are so many."""

    async def there() -> bool:
        return len(await sent()) >= count

    async def sent() -> list[str]:
        rows = await scene.house.rows(
            "SELECT body, state FROM outbox WHERE fan_id = $1 AND state = 'sent' ORDER BY id",
            (await known(scene, fan)).id,
        )
        return [db_json(row["body"])["text"]["content"] for row in rows]

    await until(there)
    return await sent()


async def test_from_the_wish_to_the_score(scene: Scene, clock: ManualClock) -> None:
    await scene.rule("exact", "你好", "您好呀")
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    assert await heard(fan.text(at, "你好")) == "您好呀"
    clock.advance(seconds=1)
    assert await heard(fan.text(at, "转人工")) == WAITING
    # Once, whatever is said and how often.
    assert [await heard(fan.text(at, text)) for text in ("人工", "你好", "订单 8812 没收到")] == [None] * 3
    conversation = await pulled(scene, fan)
    assert (await conversation_of(scene, fan))["last_line"] == "订单 8812 没收到"
    assert (await conversation_of(scene, fan))["heard"] == 4
    assert await heard(fan.text(at, "你好")) is None
    await staff_says(scene, conversation, "我来查一下")
    await staff_says(scene, conversation, "明天送到")
    await close(scene, conversation)
    await close(scene, conversation)
    assert await words_at(scene, fan, 3) == ["我来查一下", "明天送到", SCORE]
    assert await heard(fan.text(at, "5分")) == "感谢您的评价，期待再次为您服务！"
    assert await heard(fan.text(at, "5")) == FALLBACK
    assert await heard(fan.text(at, "你好")) == "您好呀"
    assert (await conversation_of(scene, fan))["rating"] == 5
    # A new wish is a new conversation.
    assert await heard(fan.text(at, "人工")) == WAITING
    assert (await conversation_of(scene, fan))["id"] != conversation
    kinds = [kind for kind in await scene.house.kinds(scene.account) if kind.startswith("conversation.")]
    assert kinds == [
        f"conversation.{kind}"
        for kind in ("opened", "handed_over", "assigned", "closed", "rated", "opened", "handed_over")
    ]


async def test_after_the_end_what_is_no_score_is_what_it_always_was(scene: Scene, clock: ManualClock) -> None:
    await scene.rule("exact", "你好", "您好呀")
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    await fan.text(at, "在吗")
    for answer, said in [("你好", "您好呀"), ("3", FALLBACK)]:
        conversation = await pulled(scene, fan)
        await staff_says(scene, conversation, "在的")
        await close(scene, conversation)
        if answer == "3":
            clock.advance(minutes=30)
        assert await heard(fan.text(at, answer)) == said
        assert await heard(fan.text(at, "5")) == FALLBACK
        assert (await conversation_of(scene, fan))["rating"] is None


async def test_somebody_present_has_the_fan_at_once(scene: Scene, clock: ManualClock) -> None:
    await seat(scene, SOMEBODY, capacity=1)
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    assert await heard(fan.text(at, "人工客服")) == CONNECTED
    assert (await conversation_of(scene, fan))["staff_id"] == SOMEBODY


async def test_effects_without_words(scene: Scene) -> None:
    """Clicks and scans during a lease do what they do and say nothing."""
    await scene.rule("click", "points", "您有 100 积分")
    await scene.channel("store-7", "人民广场店")
    await scene.welcome("欢迎")
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    await pulled(scene, fan)
    scene.wechat.world.clock.advance(1)
    assert await heard(fan.click(at, "points")) is None
    assert await heard(fan.click(at, "CHECKIN")) is None
    assert await heard(fan.scan(at, scene="store-7")) is None
    assert await heard(fan.image(at)) is None
    assert "checkin.done" in await scene.house.kinds(scene.account)
    assert await scene.house.outbox(scene.account) == []
    assert (await conversation_of(scene, fan))["last_line"] == "[图片]"


async def test_whoever_looks_on_is_told_of_acts_and_nobody_else(scene: Scene) -> None:
    await scene.channel("store-7", "人民广场店")
    fan, other, at = scene.fan(), scene.fan(), scene.at_wechat
    await fan.follow(at)
    await other.follow(at)
    conversation = await pulled(scene, fan)
    told: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    def hear(_connection: object, _pid: object, _channel: object, payload: object) -> None:
        said = json.loads(str(payload))
        told.put_nowait((said["conversation"], said["kind"]))

    async with db.connection() as raw:
        await raw.add_listener(CHANNEL, hear)
        try:
            scene.wechat.world.clock.advance(1)
            await other.click(at, "STORES")
            await fan.click(at, "STORES")
            await fan.scan(at, scene="store-7")
            async with asyncio.timeout(5):
                assert [await told.get() for _ in range(2)] == [(conversation, "act")] * 2
            assert told.empty()
        finally:
            await raw.remove_listener(CHANNEL, hear)


async def test_a_dialogue_is_given_up_and_none_begins(scene: Scene) -> None:
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    assert await heard(fan.text(at, "兴趣")) is not None
    conversation = await pulled(scene, fan)
    assert [await heard(fan.text(at, text)) for text in ("2", "上海", "退出", "兴趣")] == [None] * 4
    assert await heard(fan.click(at, "PREFERENCES")) is None
    await service.return_to_bot(
        conversation_id=conversation, brand_id=await brand_of(scene), staff_id=SOMEBODY, now=scene.house.clock.now()
    )
    assert await heard(fan.text(at, "2")) == FALLBACK


async def test_a_person_may_be_asked_for_in_the_middle_of_a_dialogue(scene: Scene) -> None:
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    for text in ("兴趣", "2"):
        assert await heard(fan.text(at, text)) is not None
    # It was once taken for the name of a city.
    assert await heard(fan.text(at, "人工")) == WAITING
    assert await heard(fan.text(at, "上海")) is None


async def test_a_rule_hands_over(scene: Scene) -> None:
    await desk.set_skill(brand_id=await brand_of(scene), name="售后", title="售后")
    await scene.rule("contains", "退款", {"type": "handoff", "skill": "售后"})
    await scene.rule("click", "SERVICE", {"type": "handoff"})
    for act, skill in (("text", "售后"), ("click", "")):
        fan, at = scene.fan(), scene.at_wechat
        await fan.follow(at)
        assert await heard(fan.text(at, "我要退款") if act == "text" else fan.click(at, "SERVICE")) == WAITING
        found = await conversation_of(scene, fan)
        assert (found["reason"], found["skill"], found["state"]) == ("rule", skill, "waiting")


async def test_the_operators_exact_words_come_first(scene: Scene) -> None:
    await scene.rule("exact", "客服", "客服电话 400-800-1234，或回复“人工”")
    await scene.rule("contains", "人工", "我们的茶都是人工采摘的")
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    assert await heard(fan.text(at, "客服")) == "客服电话 400-800-1234，或回复“人工”"
    assert await heard(fan.text(at, "茶是人工采摘的吗")) == "我们的茶都是人工采摘的"
    assert await heard(fan.text(at, "请转人工！")) == WAITING


async def test_who_would_rather_have_the_bot(scene: Scene) -> None:
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    await fan.text(at, "人工")
    assert await heard(fan.text(at, "机器人")) is None
    assert await words_at(scene, fan, 1) == ["好的，已为您转回智能助手。需要时回复“人工”即可再次找到我们。"]
    assert (await conversation_of(scene, fan))["close_reason"] == "fan"
    assert await heard(fan.text(at, "机器人")) == FALLBACK


async def test_an_unfollow_ends_it(scene: Scene) -> None:
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    await fan.text(at, "人工")
    await fan.unfollow(at)
    assert (await conversation_of(scene, fan))["close_reason"] == "unfollowed"
    await fan.follow(at)
    assert await heard(fan.text(at, "你好")) == FALLBACK
    assert await scene.house.outbox(scene.account) == []


async def test_wechats_own_customer_service(scene: Scene, clock: ManualClock) -> None:
    """Between its events the bot is silent, and nothing of ours is said."""
    await desk.use_wechat_desk(account_id=scene.account.id, enabled=True)
    # The phone's server gives a handler little time, and a transfer that comes late is none.
    openid, server = "oKf", await scene.house.server()
    kf: dict[str, Any] = {"KfAccount": "test1@gh_fensi"}
    assert (await scene.account.event(openid, "subscribe", EventKey="").to(server)).status == 200

    async def says(text: str) -> str | None:
        reply = (await scene.account.text(openid, text).to(server)).reply
        return None if reply is None else reply["MsgType"]

    async def row() -> tuple[str, str, str]:
        (found,) = await scene.house.rows(
            "SELECT c.state, c.kf_account, c.close_reason FROM conversation c JOIN fan f ON f.id = c.fan_id "
            "WHERE f.openid = $1 AND f.account_id = $2 ORDER BY c.id DESC LIMIT 1",
            openid,
            scene.account.id,
        )
        return found["state"], found["kf_account"], found["close_reason"]

    transfer = "transfer_customer_service"
    assert [await says(text) for text in ("你好", "人工", "有人吗")] == ["text", transfer, transfer]
    # Nobody at WeChat's desk takes it; the fan goes on with the bot, and asks again.
    assert [await says(text) for text in ("机器人", "你好", "人工")] == [None, "text", transfer]
    await scene.account.event(openid, "kf_create_session", **kf).to(server)
    assert (await row(), await says("在吗")) == (("staff", "test1@gh_fensi", ""), None)
    switch: dict[str, Any] = {"FromKfAccount": "test1@gh_fensi", "ToKfAccount": "test2@gh_fensi"}
    await scene.account.event(openid, "kf_switch_session", **switch).to(server)
    assert (await row())[1] == "test2@gh_fensi"
    clock.advance(seconds=1)
    await scene.account.event(openid, "kf_close_session", KfAccount="test2@gh_fensi", CloseType="KF").to(server)
    assert (await row(), await says("你好")) == (("closed", "test2@gh_fensi", "wechat"), "text")
    # A session that begins without us is followed, too; its end said twice is one end.
    clock.advance(seconds=1)
    await scene.account.event(openid, "kf_create_session", **kf).to(server)
    assert await says("你好") is None
    for _ in range(2):
        await scene.account.event(openid, "kf_close_session", **kf).to(server)
    assert await says("你好") == "text"
    assert [body["text"]["content"] for body in await scene.house.outbox(scene.account)] == [
        "好的，已为您转回智能助手。需要时回复“人工”即可再次找到我们。"
    ]


async def test_the_transcript_tells_it_all(scene: Scene, clock: ManualClock) -> None:
    await scene.rule("exact", "你好", "您好呀")
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    for text in ("你好", "人工"):
        clock.advance(seconds=1)
        await fan.text(at, text)
    clock.advance(seconds=1)
    conversation = await pulled(scene, fan)
    clock.advance(seconds=1)
    await staff_says(scene, conversation, "在的")
    clock.advance(seconds=1)
    brand = await brand_of(scene)
    now = scene.house.clock.now()
    await lines.note(
        conversation_id=conversation, brand_id=brand, staff_id=SOMEBODY, key=key_of(1), text="老客户", now=now
    )
    await words_at(scene, fan, 1)
    told = await queries.transcript(conversation_id=conversation, brand_id=brand)
    assert [(line.source, line.kind, line.state) for line in reversed(told)] == [
        ("act", "wechat.event.subscribe", ""),
        ("fan", "wechat.text", ""),
        ("bot", "answer", ""),
        ("fan", "wechat.text", ""),
        ("bot", "answer", ""),
        ("system", "opened", ""),
        ("system", "handed_over", ""),
        ("system", "assigned", ""),
        ("outbox", "staff", "sent"),
        ("note", "noted", ""),
    ]
    assert [line.body.get("content") or line.body.get("text") for line in told] == [
        "老客户", {"content": "在的"}, "", "", "", WAITING, "人工", "您好呀", "你好", None
    ]  # fmt: skip
    # Pages of two come to the same.
    paged, before = [], None
    while page := await queries.transcript(conversation_id=conversation, brand_id=brand, before=before, limit=2):
        paged += page
        before = page[-1].cursor
    assert paged == told
    assert await queries.transcript(conversation_id=conversation, brand_id=brand + 1) == []


@pytest.mark.parametrize(
    "text",
    [
        "人工", "转人工", "人工客服", "转人工客服", "找人工", "我要人工", "客服", "在线客服", "联系客服", "找客服",
        "真人", "我想找人工客服", "请转人工！", "你好，转人工", "麻烦帮我转一下人工客服，谢谢", "人工服务",
        "人工在吗", "能不能转人工", "呼叫人工", "接人工吧", "talk to a human", "Agent", "ＨＵＭＡＮ",
    ],
)  # fmt: skip
def test_what_asks_for_a_person(text: str) -> None:
    assert words.asks_for_person(fold(text))


@given(st.from_regex(words._ASKS, fullmatch=True).filter(lambda text: len(text) <= 40))
def test_the_quick_look_lets_all_of_them_pass(text: str) -> None:
    assert words.asks_for_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "人工智能", "不要人工", "人工费多少", "手工还是人工", "茶是人工采摘的吗", "客服电话多少", "客服态度真好",
        "找到了", "接", "我要", "转", "要", "请问人工湖怎么走", "agents of shield", "human rights", "", "真人秀",
        "人工" * 30,
    ],
)  # fmt: skip
def test_what_does_not(text: str) -> None:
    assert not words.asks_for_person(fold(text))


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("5", 5), ("５", 5), ("1分", 1), ("三星", 3), ("非常满意", 5), ("满意！", 4), ("一般", 3), ("不满意", 2),
        ("6", None), ("0", None), ("55", None), ("5 块钱", None), ("人工", None), ("", None), ("不太满意", None),
    ],
)  # fmt: skip
def test_scores(text: str, score: int | None) -> None:
    assert words.score_of(fold(text)) == score
