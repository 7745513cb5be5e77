"""The assistant through the API: why it answered so, what it could not answer, rehearsing, and its settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from bot.router import Parts
from gateways.llm.client import Endpoint, LLMClient
from kit.clock import ManualClock
from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.assistant import knowledge
from scrm.assistant.answering import Assistant
from scrm.assistant.content import Content
from scrm.assistant.retrieval import Library
from scrm.assistant.settings import settings_of
from scrm.events.redaction import redact
from scrm.selfservice.tools import TOOLS
from simulator import world as sim
from simulator.clock import Clock
from simulator.testing import running
from tests.bot.house import House, Server
from tests.bot.platform import Account
from tests.console.conftest import Office, open_office

NO_LEVELS = '{"会员等级": "本品牌没有设置等级"}'


@dataclass
class Shop:
    """A console of a house whose bot answers fans of one brand, with the simulator's model where it is asked for."""

    office: Office
    account: Account
    server: Server
    library: Library
    brand_id: int

    async def publish(self, title: str, body: str) -> int:
        now = self.office.clock.now()
        made = await knowledge.create(
            brand_id=self.brand_id,
            kind="qa",
            content=Content(title, body),
            author="staff:1",
            key=key_of("test", title),
            now=now,
        )
        await knowledge.publish(brand_id=self.brand_id, entry_id=made, version=1, now=now)
        await self.library.refresh()
        return made

    async def told(self, openid: str, text: str) -> str | None:
        return (await self.account.text(openid, text).to(self.server)).text


@pytest.fixture(params=["no model"])
async def shop(request: pytest.FixtureRequest, database_url: str, clock: ManualClock) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        wechat = await stack.enter_async_context(
            running(sim.World(clock=Clock(lambda: clock.now().timestamp())), retry_pause=0.02)
        )
        await stack.enter_async_context(scrm_db.database(database_url, pool=6))
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        model = None
        if request.param == "model":
            model = LLMClient(Endpoint(f"{wechat.url}/v1", "a-model", "sk-test", price_in=200, price_out=800))
            await model.open()
            stack.push_async_callback(model.close)
        house, library = House(database_url, clock, http), Library(Tasks())
        stack.push_async_callback(house.close)
        account = await house.account()
        parts = Parts(Assistant(clock, knowledge=library, model=model, tools=TOOLS))
        office, console = await open_office(house, http, clock, parts=parts)
        stack.push_async_callback(console.close)
        (row,) = await office.rows("SELECT brand_id FROM account WHERE id = $1", account.id)
        yield Shop(office, account, await house.server(parts=parts), library, row["brand_id"])


async def test_the_record_says_why_and_counts_what_had_no_answer(shop: Shop) -> None:
    made = await shop.publish("几点开门？", "十点开门。")
    for openid, text in (
        ("oA", "可以带宠物进店吗"),
        ("oB", "可以带宠物进店吗？"),
        ("oC", "停车场在哪儿"),
        ("oD", "几点开门"),
    ):
        await shop.told(openid, text)
    who = await shop.office.signed_in("agent")
    log = (await who.get(f"/assistant/answers?brand={shop.brand_id}")).body["items"]
    assert [(one["asked"], one["outcome"]) for one in log] == [
        ("几点开门", "knowledge"),
        ("停车场在哪儿", "doubt"),
        ("可以带宠物进店吗？", "doubt"),
        ("可以带宠物进店吗", "doubt"),
    ]
    lost = (await who.get(f"/assistant/answers?brand={shop.brand_id}&outcome=loss&limit=2")).body
    assert ([one["id"] for one in lost["items"]], lost["next"]) == ([log[1]["id"], log[2]["id"]], log[2]["id"])
    why = (await who.get(f"/assistant/answers/{log[0]['id']}")).body
    assert [(one["entry_id"], one["title"]) for one in why["sources"]] == [(made, "几点开门？")]
    assert (why["item"]["said"], why["written"], why["tools"]) == ("十点开门。\n\n来源：几点开门？", "", [])

    async def open_questions() -> list[tuple[Any, ...]]:
        items = (await who.get(f"/assistant/unanswered?brand={shop.brand_id}")).body["items"]
        return [(one["text"], one["times"], one["fans"], one["verdict"]) for one in items]

    assert await open_questions() == [
        ("可以带宠物进店吗？", 2, 2, "nothing"),
        ("停车场在哪儿", 1, 1, "nothing"),
    ]
    await shop.publish("可以带宠物进店吗？", "可以，请牵好绳子。")
    assert [line[-1] for line in await open_questions()] == ["answer", "nothing"]
    stranger = await shop.office.signed_in("agent", [shop.office.brands[0]])
    assert (await stranger.get(f"/assistant/answers/{log[0]['id']}")).said == (404, "not_found")


async def test_whoever_is_erased_takes_the_question_along(shop: Shop) -> None:
    who = await shop.office.signed_in("agent")
    await shop.publish("几点开门？", "十点开门。")
    await shop.told("oA", "可以带宠物进店吗")
    async with scrm_db.transaction() as tx:
        (member,) = await tx.connection.fetch("SELECT member_id FROM fan WHERE openid = 'oA'")
        await redact(tx.connection, [member["member_id"]], shop.office.clock.now())
    (one,) = (await who.get(f"/assistant/answers?brand={shop.brand_id}")).body["items"]
    assert one["asked"] is None
    assert (await who.get(f"/assistant/unanswered?brand={shop.brand_id}")).body == {"items": []}


async def test_a_question_is_tried_with_the_rules_that_come_first(shop: Shop) -> None:
    made = await shop.publish("几点开门？", "十点开门。")
    who = await shop.office.signed_in("agent")

    async def tried(text: str) -> Any:
        return (await who.post("/knowledge/question", {"brand": shop.brand_id, "text": text})).body

    found = await tried("几点开门")
    assert (found["verdict"], found["seen"], found["rules"]) == ("answer", "十点开门。\n\n来源：几点开门？", [])
    assert [one["entry_id"] for one in found["passages"]] == [made]
    assert found["passages"][0]["matched"] == ["几点", "点开", "开门"]
    assert found["passages"][0]["nearness"] == "near"
    nothing = await tried("停车")
    assert (nothing["verdict"], nothing["passages"]) == ("nothing", [])
    assert nothing["seen"].startswith("抱歉，这个问题我还拿不准")
    await shop.office.house.rule(shop.account, "contains", "开门", "问前台")
    assert (await tried("几点开门"))["rules"] == [{"account": "测试号", "pattern": "开门"}]
    assert (await shop.office.rows("SELECT count(*) AS n FROM assistant_answer"))[0]["n"] == 0


@pytest.mark.parametrize("shop", ["model"], indirect=True)
async def test_a_rehearsal_is_charged_and_kept_nowhere(shop: Shop) -> None:
    await shop.publish("几点开门？", "十点开门。")
    who = await shop.office.signed_in("operator")
    body = {"brand_id": shop.brand_id, "text": "几点开门"}
    sure = (await who.post("/assistant/rehearsal", body)).body
    assert (sure["outcome"], sure["said"], sure["cost_fen"]) == ("knowledge", "十点开门。\n\n来源：几点开门？", 0)
    written = (await who.post("/assistant/rehearsal", {**body, "text": "我的会员是什么级别呀"})).body
    assert (written["outcome"], written["ai"], written["model"]) == ("answered", True, "simulated-model")
    # Nobody asks: what is looked up is about nobody.
    assert [(one["name"], one["result"]) for one in written["tools"]] == [("my_level", NO_LEVELS)]
    assert written["cost_fen"] > 0
    used = (await who.get(f"/assistant/settings?brand={shop.brand_id}")).body
    assert (used["model"], used["used"]["calls"], used["used"]["fen"]) == (True, 2, written["cost_fen"])
    assert await shop.office.rows("SELECT 1 FROM assistant_answer") == []
    agent = await shop.office.signed_in("agent")
    assert (await agent.post("/assistant/rehearsal", body)).said == (403, "forbidden")


async def test_settings_change_what_is_shown_and_nothing_else(shop: Shop) -> None:
    who = await shop.office.signed_in("supervisor")
    path = f"/assistant/settings?brand={shop.brand_id}"
    shown = (await who.get(path)).body
    budgets = {**shown["budgets"], "fen": 500}
    body = {
        "brand_id": shop.brand_id,
        "enabled": False,
        "name": "茶小青",
        "banned": ["最好", "最好"],
        "budgets": budgets,
    }
    for _ in range(2):
        assert (await who.call("PUT", "/assistant/settings", body)).status == 204
    kept = await settings_of(shop.brand_id)
    assert (kept.enabled, kept.name, kept.banned, kept.budgets.fen) == (False, "茶小青", ("最好",), 500)
    assert [action for action, _ in await shop.office.trail()].count("assistant.changed") == 1
    assert (await who.call("PUT", "/assistant/settings", {**body, "budgets": {**budgets, "fen": -1}})).status == 422
    operator = await shop.office.signed_in("operator")
    assert (await operator.call("PUT", "/assistant/settings", body)).said == (403, "forbidden")
    assert (await operator.get(path)).body["banned"] == ["最好"]
