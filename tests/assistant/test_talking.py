"""What a fan hears from the assistant, at a phone: every way an answer comes about, and every way one does not."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from bot.messages import TextMessage
from bot.replies import TextReply
from bot.router import NEEDS_WORK, Context, Dispatcher, Parts
from gateways.llm.client import Endpoint, LLMClient
from handlers import ROUTERS
from kit.clock import ManualClock
from kit.ids import key_of
from kit.seal import Sealer
from scrm.accounts import service as accounts
from scrm.assistant import answers, phrases
from scrm.assistant.answering import Question
from scrm.points import ledger
from scrm.points.rulebook import install_preset
from scrm.replies.rules import RuleBook
from tests.assistant.conftest import KEY, Shop
from tests.bot.house import SECRET_KEY
from tests.conftest import START

FALLBACK = "您好，已收到您的消息。回复“帮助”可查看我能为您做什么。"
RETURNS = "签收后 7 天内可以退货，商品需保持完好。运费由本店承担。"


async def test_an_entry_that_surely_answers_needs_no_model(shop: Shop) -> None:
    shop.shelf.put(shop.brand_id, "qa", "怎么退货", RETURNS)
    fan = await shop.fan()
    assert await shop.ask(fan, "请问怎么退货") == f"{RETURNS}\n\n来源：怎么退货"
    assert shop.calls() == []
    (record,) = await shop.records()
    assert (record["outcome"], record["ai"], record["cost_micro"]) == ("knowledge", False, 0)
    assert [(p["entry_id"], p["version_id"], p["kind"]) for p in record["passages"]] == [(1, 100, "qa")]


async def test_a_menu_of_three_and_the_one_that_was_meant(shop: Shop) -> None:
    for title in ("怎么申请退货", "退货运费谁出", "换货要几天", "怎么查看积分"):
        shop.shelf.put(shop.brand_id, "qa", title, f"{title}：请在小程序里查看。")
    fan = await shop.fan()
    menu = await shop.ask(fan, "我要退货申请")
    assert menu == phrases.menu(["怎么申请退货", "退货运费谁出"]) or menu.startswith(
        "您想问的是不是：\n1. 怎么申请退货\n2. "
    )
    assert await shop.ask(fan, "２") == "退货运费谁出：请在小程序里查看。\n\n来源：退货运费谁出"
    # The menu is gone: a number means nothing any more.
    assert await shop.ask(fan, "1") == FALLBACK
    await shop.ask(fan, "我要退货申请")
    assert await shop.ask(fan, "怎么查看积分") == "怎么查看积分：请在小程序里查看。\n\n来源：怎么查看积分"
    assert [record["outcome"] for record in await shop.records()] == ["menu", "knowledge", "menu", "knowledge"]
    assert shop.calls() == []


async def test_a_number_that_was_not_offered_is_no_choice(shop: Shop) -> None:
    shop.shelf.put(shop.brand_id, "qa", "怎么申请退货", RETURNS)
    fan = await shop.fan()
    assert (await shop.ask(fan, "我要退货申请")).startswith("您想问的是不是：\n1. 怎么申请退货\n")
    assert await shop.ask(fan, "3") == FALLBACK


async def test_the_model_quotes_an_article_and_says_where_from(shop: Shop) -> None:
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    fan = await shop.fan()
    said = await shop.ask(fan, "几天内可以退货")
    assert said == f"签收后 7 天内可以退货，商品需保持完好。\n\n来源：售后服务\n{phrases.AI_MARK}"
    (record,) = await shop.records()
    (call,) = shop.calls()
    assert (record["outcome"], record["ai"], record["reason"], record["said"]) == ("answered", True, "", said)
    assert record["written"] == "签收后 7 天内可以退货，商品需保持完好。[1]"
    assert record["model"] == "simulated-model"
    assert record["cost_micro"] == record["tokens_in"] * 200 + record["tokens_out"] * 800 > 0
    # The openid and the member are nobody's business but ours.
    asked = str(call.body)
    assert fan.openid(shop.at) not in asked
    assert (await answers.find(record["key"])).said == said  # type: ignore[union-attr]  # it is there


async def test_the_model_looks_up_the_askers_own_points(shop: Shop) -> None:
    fan, other = await shop.fan(), await shop.fan()
    await give(shop, fan, 120)
    await give(shop, other, 99999)
    said = await shop.ask(fan, "帮忙看下我这边的积分现在够不够换东西")
    assert said == f"为您查到：可用积分：120 积分。\n\n{phrases.AI_MARK}"
    (record,) = await shop.records()
    assert record["tools"] == [
        {"name": "my_points", "arguments": "{}", "result": '{"可用积分": "120 积分"}', "refused": ""}
    ]
    assert len(shop.calls()) == 2


async def give(shop: Shop, fan: Any, amount: int) -> None:
    found = await shop.house.fan(shop.account, fan.openid(shop.at))
    assert found is not None
    await ledger.award(
        key=key_of("test", found.id),
        holder_id=found.member_id,
        asset="points",
        amount=amount,
        origin=ledger.Origin("测试", "公众号", START),
        now=START,
    )


async def test_a_plain_question_about_oneself_needs_no_model_at_all(shop: Shop) -> None:
    await install_preset(shop.brand_id, "zippo", START)
    await shop.serve(model=False)
    shop.shelf.put(shop.brand_id, "qa", "怎么退货", RETURNS)
    fan = await shop.fan()
    await give(shop, fan, 120)
    assert await shop.ask(fan, "我有多少积分？") == "为您查到：\n可用积分：120 积分"
    assert (await shop.ask(fan, "查一下我的等级")).startswith("为您查到：\n会员等级：")
    assert await shop.ask(fan, "我的兑换记录") == "您最近的兑换：\n兑换记录：还没有兑换过礼品"
    assert await shop.ask(fan, "今天签到了吗") == "为您查到：\n今天：还没签到\n连续签到：0 天"
    assert {record["outcome"] for record in await shop.records()} == {"self_service"}


async def test_without_a_model_an_article_is_quoted_and_what_is_unknown_admitted(shop: Shop) -> None:
    await shop.serve(model=False)
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    fan = await shop.fan()
    assert await shop.ask(fan, "几天内可以退货") == f"{RETURNS}\n\n来源：售后服务"
    assert await shop.ask(fan, "宇宙有多大") == phrases.UNSURE
    assert [record["reason"] for record in await shop.records()] == ["", "unsure"]


TROUBLES = [
    ({"status": 500}, phrases.BUSY, "failed", "broken"),
    ({"status": 429}, phrases.BUSY, "failed", "busy"),
    ({"status": 401}, phrases.BUSY, "failed", "refused"),
    ({"drop": "before"}, phrases.BUSY, "failed", "away"),
    ({"say": "garbage"}, phrases.BUSY, "failed", "broken"),
    ({"say": "oversize"}, phrases.BUSY, "failed", "broken"),
    ({"say": "empty"}, phrases.UNSURE, "doubt", "empty"),
    ({"say": "obey"}, phrases.UNSURE, "doubt", None),
    ({"say": "签收后 15 天内可以退货[1]"}, phrases.UNSURE, "doubt", "figure"),
    ({"say": "签收后可以退货[7]"}, phrases.UNSURE, "doubt", "citation"),
    ({"say": "好" * 3000}, phrases.UNSURE, "doubt", "too_long"),
]


@pytest.mark.parametrize(("fault", "told", "outcome", "reason"), TROUBLES)
async def test_whatever_the_model_does_the_fan_hears_one_sensible_sentence(
    shop: Shop, fault: dict[str, Any], told: str, outcome: str, reason: str | None
) -> None:
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    shop.fault(**fault)
    fan = await shop.fan()
    assert await shop.ask(fan, "几天内可以退货") == told
    (record,) = await shop.records()
    assert record["outcome"] == outcome
    assert reason is None or record["reason"] == reason
    assert record["said"] == told


async def test_a_slow_model_answers_late_once_and_marked(shop: Shop) -> None:
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    await shop.serve(budget=1.0)
    shop.fault(delay=2.5)
    fan = await shop.fan()
    pushed = await fan.text(shop.at, "几天内可以退货")
    # WeChat has been told success within its time, and knows nothing of the model.
    assert (pushed.outcome, pushed.attempts, pushed.reply) == ("success", 1, None)
    assert pushed.ms < 2000
    await shop.server.idle(30)
    async with shop.house.delivering(shop.server):
        said = await fan.wait_for(shop.at)
    assert said.content["text"].endswith(phrases.AI_MARK)
    (sent,) = shop.wechat.wechat.quotas.made("/cgi-bin/message/custom/send")
    assert sent.body["aimsgcontext"] == {"is_ai_msg": 1}
    assert len(fan.inbox(shop.at)) == 1


async def test_a_model_that_never_answers_is_given_up(shop: Shop) -> None:
    await shop.serve(budget=1.0, seconds=1.5)
    shop.fault(delay=10.0)
    fan = await shop.fan()
    assert await shop.ask(fan, "几天内可以退货") == phrases.BUSY
    (record,) = await shop.records()
    assert (record["outcome"], record["reason"]) == ("failed", "timeout")


async def test_an_account_that_may_not_send_holds_the_answer(shop: Shop) -> None:
    account = await shop.house.account("subscription", verified=False)
    at = shop.wechat.world.add_account(
        "subscription", appid=account.appid, secret="appsecret", token="callbacktoken", aes_key=account.aes_key,
        mode="safe", verified=False,
    )  # fmt: skip
    await shop.serve(budget=1.0)
    await shop.server.refresh()
    at.callback_url = account.url(shop.server)
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    shop.fault(delay=2.5, times=1)
    fan = shop.wechat.fan()
    await fan.follow(at)
    assert (await fan.text(at, "几天内可以退货")).outcome == "success"
    await shop.server.idle(30)
    pushed = await fan.text(at, "好的")
    assert pushed.reply is not None
    held, new = pushed.reply["Content"].split(phrases.AI_MARK)
    assert (held.startswith("签收后 7 天内可以退货"), new.strip()) == (True, FALLBACK)


async def test_the_second_time_at_a_loss_a_person_is_asked_for_and_the_bot_is_silent(
    shop: Shop, clock: ManualClock
) -> None:
    fan = await shop.fan()
    assert await shop.ask(fan, "宇宙有多大") == phrases.UNSURE
    clock.advance(minutes=31)  # long enough ago to be another matter
    assert await shop.ask(fan, "黑洞里有什么") == phrases.UNSURE
    handed = await shop.ask(fan, "太阳有多热")
    assert handed != phrases.UNSURE
    assert await shop.house.rows("SELECT state, reason FROM conversation") == [{"state": "waiting", "reason": "unsure"}]
    before = len(fan.inbox(shop.at))
    assert (await fan.text(shop.at, "月亮呢")).reply is None
    await shop.server.idle(30)
    assert len(fan.inbox(shop.at)) == before
    assert len(await shop.records()) == 3


async def test_when_too_many_wait_for_the_model_they_are_told(shop: Shop) -> None:
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    shop.model = LLMClient(Endpoint(f"{shop.wechat.url}/v1", "a-model", KEY), concurrency=1)
    await shop.model.open()
    await shop.serve()
    shop.fault(delay=0.5)
    fans = [await shop.fan() for _ in range(5)]
    told = Counter(await asyncio.gather(*[shop.ask(fan, "几天内可以退货") for fan in fans]))
    await shop.model.close()
    assert told[phrases.BUSY] == 3
    assert sum(count for said, count in told.items() if said.endswith(phrases.AI_MARK)) == 2
    assert len(shop.calls()) == 2


async def test_budgets_end_the_day_not_the_answers(shop: Shop, clock: ManualClock) -> None:
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    await shop.settings(budgets={"member_calls": 1})
    fan, other = await shop.fan(), await shop.fan()
    assert (await shop.ask(fan, "几天内可以退货")).endswith(phrases.AI_MARK)
    assert await shop.ask(fan, "几天内可以退货") == phrases.SPENT
    assert (await shop.ask(other, "几天内可以退货")).endswith(phrases.AI_MARK)
    clock.advance(hours=12)  # midnight in Shanghai
    assert (await shop.ask(fan, "几天内可以退货")).endswith(phrases.AI_MARK)
    await shop.settings(budgets={"fen": 0})
    assert await shop.ask(fan, "几天内可以退货") == phrases.BUSY
    assert len(shop.calls()) == 3
    assert [r["reason"] for r in await shop.records() if r["outcome"] == "over_budget"] == ["member", "brand"]


async def test_rules_and_dialogues_come_first(shop: Shop) -> None:
    shop.shelf.put(shop.brand_id, "qa", "怎么退货", RETURNS)
    await shop.house.rule(shop.account, "contains", "退货", "退货请看菜单")
    await shop.server.refresh()
    fan = await shop.fan()
    assert await shop.ask(fan, "怎么退货") == "退货请看菜单"
    await shop.ask(fan, "兴趣")
    assert await shop.ask(fan, "宇宙有多大") == "请回复 1 到 4 的数字，或回复“退出”。"
    assert await shop.records() == []


async def test_courtesies_and_a_brand_that_wants_none(shop: Shop) -> None:
    fan = await shop.fan()
    for text in ("谢谢！", "OK", "？？", "。", "😀", "5"):
        assert await shop.ask(fan, text) == FALLBACK
    await shop.settings(enabled=False)
    assert await shop.ask(fan, "宇宙有多大") == FALLBACK
    assert await shop.records() == []
    assert shop.calls() == []


async def test_the_same_push_at_two_processes_is_one_answer_at_one_price(shop: Shop) -> None:
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    elsewhere = await shop.house.server(wechat_url=shop.wechat.url, parts=shop.parts())
    fan = await shop.fan()
    urls = [shop.account.url(server) for server in (shop.server, elsewhere)]
    shop.wechat.wechat.faults.add_callback(copies=(4, 4), urls=urls)
    pushed = await fan.text(shop.at, "几天内可以退货")
    replies = {copy.reply["Content"] for copy in pushed.copies if copy.reply is not None}
    assert len(replies) == 1
    await asyncio.gather(shop.server.idle(), elsewhere.idle())
    assert len(shop.calls()) == 1
    assert len(await shop.records()) == 1


async def test_a_takeover_repeats_the_answer_and_does_not_pay_again(shop: Shop) -> None:
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    fan = await shop.fan()
    said = await shop.ask(fan, "几天内可以退货")
    (record,) = await shop.records()
    assistant = shop.parts().assistant
    assert assistant is not None

    again = await assistant.answer(
        Question(
            record["key"],
            shop.brand_id,
            "测试号",
            shop.account.id,
            record["fan_id"],
            record["member_id"],
            "别的",
            START,
        )
    )
    assert again is not None
    assert again.said == said
    assert len(shop.calls()) == 1


@pytest.mark.parametrize(
    ("parts", "text", "waits"),
    [
        ("none", "宇宙有多大", False),
        ("empty shelf", "宇宙有多大", False),
        ("model", "宇宙有多大", True),
        ("model", "谢谢", False),
    ],
)
async def test_where_there_is_nothing_to_answer_from_nobody_waits(
    shop: Shop, parts: str, text: str, waits: bool
) -> None:
    given = {"none": Parts(), "empty shelf": shop.parts(model=False), "model": shop.parts()}[parts]
    (view,) = [one for one in await accounts.every(Sealer(SECRET_KEY)) if one.id == shop.account.id]
    fields: dict[str, Any] = {"MsgType": "text", "Content": text, "MsgId": "1"}
    message = TextMessage("gh", "oFan", int(START.timestamp()), fields, content=text)
    context = Context(view, message, key_of("test"), START, RuleBook([]), parts=given)
    answer = Dispatcher(ROUTERS).now(context)
    assert answer is NEEDS_WORK if waits else answer == TextReply(FALLBACK)
