"""Interest facts: fixed transcripts by the preset's rules, the reader of the timeline, the model's second opinion."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tortoise.context import TortoiseContext

from gateways.llm.client import Endpoint, LLMClient
from kit.clock import ManualClock
from scrm import db as scrm_db
from scrm.assistant import budgets
from scrm.assistant.interest_questions import read
from scrm.assistant.interest_rules import InterestRules, notice
from scrm.assistant.interests import SETTLED, intents_of, interests_of, read_on
from scrm.assistant.settings import preset_rules, set_settings
from scrm.errors import Invalid
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from simulator.llm import CHAT
from simulator.server import SimulatorServer
from simulator.testing import running
from tests.conftest import START
from tests.factories import TEXT, happens, make_account, make_fan
from worker.interests import notice_interests

TRANSCRIPTS = [
    ("你们的明前龙井还有吗", "想要购买", ["绿茶"]),
    ("老白茶多少钱一饼", "咨询价格", ["白茶"]),
    ("有没有送长辈的礼盒，红茶也行", None, ["送礼", "红茶"]),
    ("刻字要等几天到", "查询物流", ["定制刻字"]),
    ("收到的茶壶破损了，怎么退款", "退换售后", ["茶具"]),
    ("别再给我推普洱了", None, []),
    ("我不太喜欢乌龙，绿茶倒是可以", "称赞", ["绿茶"]),
    ("打火机打不着火", "退换售后", ["打火机"]),
    ("这个是正品吗", "辨别真伪", []),
    ("叫人工", "转人工", []),
    ("限量版什么时候上新", None, ["新品", "收藏"]),
    ("积分商城里的盖碗怎么换", "兑换礼品", ["茶具"]),
    ("查一下我的积分", "查询积分", []),
    ("太差了，我要投诉", "投诉", []),
    ("茶会还能报名吗", None, ["线下活动"]),
    ("ＺＩＰＰＯ 煤油去哪买", None, ["打火机"]),
    ("今天天气真好", None, []),
    ("", None, []),
]


@pytest.mark.parametrize(("text", "intent", "interests"), TRANSCRIPTS)
def test_transcripts(text: str, intent: str | None, interests: list[str]) -> None:
    found = notice(text, preset_rules())
    assert [one.name for one in found if one.kind == "intent"] == ([intent] if intent else [])
    assert [one.name for one in found if one.kind == "interest"] == interests


@given(st.text())
def test_any_text_gives_names_of_the_rules_alone(text: str) -> None:
    rules = preset_rules()
    names = {one.name for one in (*rules.intents, *rules.interests)}
    found = notice(text, rules)
    assert {one.name for one in found} <= names
    assert notice(text, rules) == found


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"intent": "投诉", "interests": ["绿茶"]}', ["投诉", "绿茶"]),
        ('```json\n{"intent": "", "interests": ["绿茶", "编的"]}\n```', ["绿茶"]),
        ('{"intent": ["投诉"], "interests": "绿茶"}', []),
        ('{"intent": {}, "interests": [[]]}', []),
        ("我觉得是绿茶", []),
        ("{", []),
        ("", []),
    ],
)
def test_a_models_opinion_is_believed_as_far_as_the_rules_names_go(answer: str, expected: list[str]) -> None:
    assert [one.name for one in read(answer, preset_rules())] == expected


async def wrote(fan: FanView, *texts: str, ago: timedelta = timedelta(minutes=10)) -> None:
    for n, text in enumerate(texts):
        moment = START - ago + timedelta(seconds=n)
        await happens(fan, TEXT, moment, {"content": text})


async def noticed() -> list[tuple[str, str, str]]:
    rows = await scrm_db.fetch(
        "SELECT kind, payload FROM event WHERE kind IN ('interest.noticed', 'intent.noticed') ORDER BY id"
    )
    data = [(row["kind"].split(".")[0], json.loads(row["payload"])) for row in rows]
    return [(kind, payload[kind], payload["source"]) for kind, payload in data]


@pytest.fixture
async def fan(db: TortoiseContext) -> FanView:
    return await make_fan(await make_account())


async def test_every_text_becomes_dated_evidence_once(fan: FanView) -> None:
    await wrote(fan, "老白茶多少钱", "龙井还有吗")
    clock = ManualClock(START)
    for _ in range(3):
        await notice_interests(clock, None)
    assert await noticed() == [
        ("intent", "咨询价格", "rule"),
        ("interest", "白茶", "rule"),
        ("intent", "想要购买", "rule"),
        ("interest", "绿茶", "rule"),
    ]
    white, green = sorted(await interests_of(fan.member_id, START), key=lambda one: one.name)
    assert (white.name, white.times, white.last_at) == ("白茶", 1, START - timedelta(minutes=10))
    assert green.evidence != white.evidence
    (key,) = await scrm_db.fetch("SELECT key FROM event WHERE payload->>'content' = '老白茶多少钱'")
    assert white.evidence == (str(key["key"]),)
    assert [intent for _, intent in await intents_of(fan.member_id, START)] == ["想要购买", "咨询价格"]


async def test_what_is_not_settled_yet_is_read_again(fan: FanView) -> None:
    await wrote(fan, "老白茶多少钱", ago=timedelta(seconds=5))
    assert await read_on(now=START) is not None
    (row,) = await scrm_db.fetch("SELECT event_id FROM interest_progress")
    assert row["event_id"] == 0
    # A row that took a lower number and was committed later would be found now.
    assert await read_on(now=START) is not None
    assert len(await noticed()) == 2
    later = START + SETTLED
    after = await read_on(now=later)
    (row,) = await scrm_db.fetch("SELECT event_id FROM interest_progress")
    assert row["event_id"] > 0
    assert await read_on(now=later, after=after) is None


async def test_many_readers_at_once_note_everything_once(fan: FanView) -> None:
    await wrote(fan, *[f"第{n}次问：龙井还有吗" for n in range(60)], ago=timedelta(hours=1))

    async def reader() -> None:
        after = None
        while (after := await read_on(now=START, after=after, limit=7)) is not None:
            pass

    await asyncio.gather(*[reader() for _ in range(4)])
    await reader()
    assert len(await noticed()) == 120
    (green,) = await interests_of(fan.member_id, START)
    assert (green.name, green.times, len(green.evidence)) == ("绿茶", 60, 3)


async def test_evidence_fades_and_the_whole_person_counts(db: TortoiseContext) -> None:
    account = await make_account()
    one, other = await make_fan(account), await make_fan(await make_account(kind="miniprogram"))
    await wrote(one, "喜欢龙井", ago=timedelta(days=60))
    await wrote(other, "喜欢普洱", ago=timedelta(days=1))
    await notice_interests(ManualClock(START), None)
    for fan in (one, other):
        await link_unionid(fan_id=fan.id, unionid="u-1", now=START)
    for fan in (one, other):
        found = await interests_of(fan.member_id, START)
        assert [(interest.name, interest.weight) for interest in found] == [("黑茶普洱", 0.7817), ("绿茶", 0.2)]
    assert [i.name for i in await interests_of(one.member_id, START + timedelta(days=320))] == ["黑茶普洱"]


async def test_a_brand_has_its_own_rules(fan: FanView) -> None:
    (row,) = await scrm_db.fetch("SELECT brand_id FROM account WHERE id = $1", fan.account_id)
    own = {"interests": [{"name": "星空", "words": ["银河", "黑洞"], "confidence": 1.0}]}
    await set_settings(brand_id=row["brand_id"], data={"interests": own}, now=START)
    await wrote(fan, "黑洞里有什么", "老白茶多少钱")
    await notice_interests(ManualClock(START), None)
    assert await noticed() == [("interest", "星空", "rule")]
    with pytest.raises(Invalid) as caught:
        await set_settings(brand_id=row["brand_id"], data={"interests": {"intents": [{"name": ""}]}}, now=START)
    assert (caught.value.field or "").startswith("interests.intents.0.")
    assert InterestRules.model_validate(own).intents == ()


@pytest.fixture
async def wechat() -> AsyncIterator[SimulatorServer]:
    async with running() as server:
        yield server


@pytest.fixture
async def model(wechat: SimulatorServer) -> AsyncIterator[LLMClient]:
    client = LLMClient(Endpoint(f"{wechat.url}/v1", "a-model", "k", price_in=1, price_out=1))
    await client.open()
    yield client
    await client.close()


async def test_the_model_is_asked_what_no_rule_understood(
    fan: FanView, wechat: SimulatorServer, model: LLMClient
) -> None:
    await wrote(fan, "想找一把泡大红袍的壶", "你们家花茶闻着香", "在干嘛", "老白茶多少钱")
    # "壶" is in no rule; the simulated model sees the 茶具 in it no better, so it is told what to say.
    wechat.wechat.faults.add_api(path=CHAT, say='{"intent": "投诉", "interests": ["茶具", "编的"]}')
    await wrote(fan, "有没有那种小小一壶的套装")
    clock = ManualClock(START)
    for _ in range(2):
        await notice_interests(clock, model)
    assert [one for one in await noticed() if one[2] == "model"] == [
        ("intent", "投诉", "model"),
        ("interest", "茶具", "model"),
    ]
    assert len(list(wechat.wechat.quotas.made(CHAT))) == 1
    (row,) = await scrm_db.fetch("SELECT brand_id FROM account WHERE id = $1", fan.account_id)
    used = await budgets.used(row["brand_id"], (START + timedelta(hours=8)).date(), purpose="interests")
    assert used.calls == 1
    assert await scrm_db.fetch("SELECT 1 FROM interest_question") == []


async def test_over_budget_and_failing_models_leave_nothing_behind(
    fan: FanView, wechat: SimulatorServer, model: LLMClient
) -> None:
    (row,) = await scrm_db.fetch("SELECT brand_id FROM account WHERE id = $1", fan.account_id)
    await set_settings(brand_id=row["brand_id"], data={"budgets": {"interests": 1}}, now=START)
    await wrote(fan, "小小一壶的套装有几种", "小小一壶的套装有大的吗")
    wechat.wechat.faults.add_api(path=CHAT, status=400, times=1)
    clock = ManualClock(START)
    await notice_interests(clock, model)
    # One failed and waits, one was over the budget and is dropped.
    assert len(list(wechat.wechat.quotas.made(CHAT))) == 1
    assert len(await scrm_db.fetch("SELECT 1 FROM interest_question")) == 1
    clock.advance(minutes=3)
    await notice_interests(clock, model)
    assert await scrm_db.fetch("SELECT 1 FROM interest_question") == []
    assert [one for one in await noticed() if one[2] == "model"] == []
