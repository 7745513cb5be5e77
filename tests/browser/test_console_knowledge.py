"""The pages of what the bot says, in a real browser: publishing, two editors, importing, rules, the record."""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from bot.router import Parts
from kit.clock import ManualClock
from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.assistant import knowledge
from scrm.assistant.answering import Assistant
from scrm.assistant.content import Content
from scrm.assistant.retrieval import Library
from tests.bot.house import House, Server
from tests.bot.platform import Account
from tests.browser.conftest import STATIC
from tests.browser.test_console import Desk

pytestmark = pytest.mark.browser


@dataclass
class Shop:
    """A desk at a house whose bot answers from what is written there."""

    desk: Desk
    house: House
    server: Server
    account: Account
    brand_id: int
    library: Library

    async def told(self, text: str, openid: str = "oFan") -> str | None:
        """Write as a fan, and return what the bot says."""
        await self.library.refresh()
        await self.server.refresh()
        return (await self.account.text(openid, text).to(self.server)).text

    async def publish(self, title: str, body: str) -> int:
        """Write an entry by hand and publish it."""
        now = self.desk.clock.now()
        made = await knowledge.create(
            brand_id=self.brand_id,
            kind="qa",
            content=Content(title, body),
            author="fensi",
            key=key_of("test", title),
            now=now,
        )
        await knowledge.publish(brand_id=self.brand_id, entry_id=made, version=1, now=now)
        return made

    async def signed_in(self, login: str, path: str, role: str = "operator") -> Page:
        """Return the page of somebody new."""
        await self.desk.person(login, role)
        page = await self.desk.page()
        await page.goto(f"/console{path}")
        await self.desk.sign_in(page, login)
        return page


@pytest.fixture
async def shop(database_url: str, clock: ManualClock, chromium: Browser) -> AsyncIterator[Shop]:
    """The real server with the built pages, and an assistant without a model."""
    if not (STATIC / "console" / "index.html").is_file():
        pytest.skip("the console is not built: run `make setup`")
    async with scrm_db.database(database_url, pool=3), aiohttp.ClientSession() as http:
        house = House(database_url, clock, http)
        try:
            account = await house.account()
            (row,) = await house.rows("SELECT brand_id FROM account WHERE id = $1", account.id)
            library = Library(Tasks())
            server = await house.server(parts=Parts(Assistant(clock, knowledge=library)))
            desk = Desk(server.address, clock, chromium, [])
            yield Shop(desk, house, server, account, row["brand_id"], library)
            assert desk.complaints == []
        finally:
            await house.close()


async def shot(page: Page, name: str) -> None:
    """Keep a picture where FENSI_SHOTS says, for whoever wants to look."""
    if folder := os.environ.get("FENSI_SHOTS"):
        await page.wait_for_timeout(500)
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def test_an_answer_is_written_published_tested_and_rolled_back(shop: Shop) -> None:
    page = await shop.signed_in("chen.qing", "/knowledge")
    await expect(page.get_by_text("还没有知识")).to_be_visible()
    await page.get_by_role("button", name="写问答").click()
    await page.fill("input[name=title]", "退货的运费谁出？")
    await page.fill("textarea[name=body]", "质量问题由我们承担，其他原因由您承担。<img src=x onerror=alert(1)>")
    await expect(page.locator(".preview .bubble").nth(1)).to_contain_text("<img src=x onerror=alert(1)>")
    await shot(page, "entry-new")
    await page.locator("[data-test=publish]").click()
    await expect(page.get_by_text("已发布，粉丝现在就能问到")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/console/knowledge/\d+$"))
    assert "其他原因由您承担" in (await shop.told("退货的运费谁出") or "")

    await page.fill("textarea[name=body]", "七天内退货，运费都由我们承担。")
    await page.keyboard.press("Control+s")
    await expect(page.get_by_text("已存为新草稿")).to_be_visible()
    await expect(page.get_by_text("已发布第 1 版，有新草稿")).to_be_visible()
    assert "其他原因由您承担" in (await shop.told("退货的运费谁出呢") or "")
    await page.locator("[data-test=publish]").click()
    await expect(page.get_by_text("已发布", exact=True)).to_be_visible()
    assert "都由我们承担" in (await shop.told("退货的运费谁出啊") or "")

    await page.get_by_role("button", name="历史版本").click()
    await expect(page.locator("del").first).to_be_visible()
    await shot(page, "versions")
    await page.get_by_role("button", name=re.compile("第 1 版")).click()
    await page.locator("[data-test=roll-back]").click()
    await expect(page.get_by_text("已发布第 1 版，有新草稿")).to_be_visible()
    assert "其他原因由您承担" in (await shop.told("退货的运费谁出哦") or "")

    await page.goto("/console/knowledge?tab=question")
    await page.fill("input[name=question]", "退货运费谁出")
    await page.get_by_role("button", name="测试", exact=True).click()
    await expect(page.locator("[data-test=verdict]")).to_have_text("直接回答")
    await expect(page.locator("[data-test=seen]")).to_contain_text("来源：退货的运费谁出？")
    await expect(page.get_by_label("找到的资料").get_by_text("退货", exact=True)).to_be_visible()
    await page.locator("[data-test=rehearse]").click()
    await expect(page.get_by_text("用时 0")).to_be_visible()
    await shot(page, "question")


async def test_two_editors_are_told_of_each_other(shop: Shop) -> None:
    made = await shop.publish("几点开门？", "十点。")
    first = await shop.signed_in("chen.qing", f"/knowledge/{made}")
    second = await shop.signed_in("li.na", f"/knowledge/{made}")
    await expect(second.locator("textarea[name=body]")).to_have_value("十点。")
    await first.fill("textarea[name=body]", "九点半。")
    await first.locator("[data-test=save]").click()
    await expect(first.get_by_text("第 2 版，chen.qing")).to_be_visible()

    await second.fill("textarea[name=body]", "九点。")
    await second.locator("[data-test=save]").click()
    await expect(second.locator("[data-test=conflict]")).to_contain_text("已被 chen.qing 修改（第 2 版")
    await expect(second.locator("textarea[name=body]")).to_have_value("九点。")
    await second.get_by_role("button", name="对比两份修改").click()
    await expect(second.get_by_role("dialog").locator("del")).to_have_text("半")
    await shot(second, "conflict")
    await second.keyboard.press("Escape")
    await second.get_by_role("button", name="保留我的，存为新版本").click()
    await expect(second.get_by_text("第 3 版，li.na")).to_be_visible()
    await expect(second.locator("[data-test=conflict]")).to_have_count(0)
    rows = await shop.house.rows("SELECT body, author FROM knowledge_version ORDER BY number")
    assert [row["body"] for row in rows] == ["十点。", "九点半。", "九点。"]


async def test_what_is_not_saved_is_asked_about(shop: Shop) -> None:
    made = await shop.publish("几点开门？", "十点。")
    page = await shop.signed_in("chen.qing", f"/knowledge/{made}")
    await page.fill("textarea[name=body]", "九点。")
    await page.get_by_role("button", name="知识列表").click()
    await expect(page.get_by_text("修改还没有保存，离开后会丢失。")).to_be_visible()
    await page.get_by_role("button", name="取消").click()
    await expect(page.locator("textarea[name=body]")).to_have_value("九点。")
    await page.get_by_role("button", name="知识列表").click()
    await page.get_by_role("button", name="不保存并离开").click()
    await expect(page.get_by_role("link", name="几点开门？")).to_be_visible()


async def test_a_file_is_imported_and_its_bad_rows_are_named(shop: Shop) -> None:
    page = await shop.signed_in("chen.qing", "/knowledge")
    await page.get_by_role("button", name="导入").click()
    table = "编号,问题,答案,分类\nopen,几点开门？,十点开门。,门店\nbad,没有答案,,门店\n"
    picture = {"name": "faq.xlsx", "mimeType": "application/octet-stream", "buffer": b"x"}
    await page.set_input_files("[data-test=file]", picture)  # type: ignore[arg-type]  # a FilePayload
    await expect(page.get_by_text("只能导入 .md 或 .csv 文件")).to_be_visible()
    await expect(page.locator("[data-test=import]")).to_be_disabled()
    given = {"name": "faq.csv", "mimeType": "text/csv", "buffer": table.encode("gb18030")}
    await page.set_input_files("[data-test=file]", given)  # type: ignore[arg-type]  # same
    await page.get_by_text("立即发布，粉丝马上能问到").click()
    await page.locator("[data-test=import]").click()
    rejected = page.get_by_role("row").filter(has_text="未导入")
    await expect(rejected).to_contain_text("正文或答案的长度为 1 到 2000 个字符")
    await expect(page.get_by_role("row").filter(has_text="新增")).to_contain_text("几点开门？")
    await shot(page, "import")
    await page.get_by_role("button", name="完成").click()
    await expect(page.locator(".entries").get_by_role("row").filter(has_text="几点开门？")).to_contain_text("已发布")
    await shot(page, "entries")
    assert "十点开门。" in (await shop.told("几点开门") or "")


async def test_a_question_without_an_answer_becomes_one(shop: Shop) -> None:
    await shop.publish("几点开门？", "十点开门。")
    # Of three fans: whoever is not helped twice gets a person.
    for openid, text in (("oA", "可以带宠物进店吗"), ("oB", "可以带宠物进店吗？"), ("oC", "几点开门")):
        await shop.told(text, openid)
    page = await shop.signed_in("li.na", "/knowledge?tab=unanswered", "supervisor")
    row = page.get_by_role("row").filter(has_text="可以带宠物进店吗")
    await expect(row).to_contain_text("没有找到答案")
    await expect(row.get_by_role("cell").nth(1)).to_have_text("2")
    await shot(page, "unanswered")
    await row.get_by_role("button", name="写成问答").click()
    await expect(page.locator("input[name=title]")).to_have_value("可以带宠物进店吗？")
    await page.fill("textarea[name=body]", "可以，请牵好绳子。")
    await page.locator("[data-test=publish]").click()
    await expect(page.get_by_text("已发布，粉丝现在就能问到")).to_be_visible()
    await page.goto("/console/knowledge?tab=unanswered")
    await expect(page.get_by_text("没有答不上来的问题")).to_be_visible()

    await page.get_by_role("navigation").get_by_text("智能客服").click()
    asked = page.get_by_role("row").filter(has_text="几点开门")
    await expect(asked).to_contain_text("知识库回答")
    await shot(page, "log")
    await asked.get_by_role("button", name="为什么这样回答").click()
    await expect(page.get_by_text("知识库里有一条明显最接近的内容")).to_be_visible()
    await expect(page.get_by_role("dialog").get_by_role("link", name="几点开门？")).to_be_visible()
    await shot(page, "why")
    await page.keyboard.press("Escape")
    await page.get_by_role("tab", name="预算与设置").click()
    await page.fill("input[name=assistant-name]", "茶小青")
    await page.locator("[data-test=save-assistant]").click()
    await expect(page.get_by_text("已保存，马上生效")).to_be_visible()
    await shot(page, "settings")
    (kept,) = await shop.house.rows("SELECT data ->> 'name' AS name FROM assistant_setting")
    assert kept["name"] == "茶小青"


async def test_synonyms_are_edited(shop: Shop) -> None:
    await shop.publish("运费多少？", "满九十九元免运费。")
    page = await shop.signed_in("chen.qing", "/knowledge?tab=synonyms")
    await page.get_by_role("button", name="新增一组").click()
    for word in ("运费", "邮费"):
        await page.keyboard.type(word)
        await page.keyboard.press("Enter")
    await page.locator("[data-test=save-synonyms]").click()
    await expect(page.get_by_text("已保存，马上生效")).to_be_visible()
    await shot(page, "synonyms")
    await page.get_by_role("tab", name="测试一个问题").click()
    await page.fill("input[name=question]", "邮费多少")
    await page.get_by_role("button", name="测试", exact=True).click()
    await expect(page.get_by_text("邮费 ＝ 运费")).to_be_visible()


async def test_a_rule_is_written_tried_and_switched_off(shop: Shop) -> None:
    page = await shop.signed_in("chen.qing", "/rules")
    await page.get_by_role("button", name="新建规则").click()
    await page.fill("input[name=pattern]", "优惠券")
    await page.fill("textarea[name=content]", "回复“领券”领取今天的优惠券。")
    await shot(page, "rule-form")
    await page.locator("[data-test=save-rule]").click()
    row = page.get_by_role("row").filter(has_text="优惠券")
    await expect(row).to_contain_text("包含")
    await page.fill("input[name=sentence]", "有没有优惠券呀")
    await page.get_by_role("button", name="试试").click()
    await expect(page.locator("[data-test=tried]")).to_have_text("由规则“优惠券”（包含，顺序 100）回复")
    await shot(page, "rules")
    assert await shop.told("有没有优惠券呀") == "回复“领券”领取今天的优惠券。"

    await page.get_by_role("button", name="新建规则").click()
    await page.fill("input[name=pattern]", " 优惠券 ")
    await page.fill("textarea[name=content]", "又一条")
    await page.locator("[data-test=save-rule]").click()
    await expect(page.locator(".el-form-item__error")).to_have_text("已经有一条匹配方式和关键词都相同的规则")
    await page.get_by_role("dialog").get_by_text("正则表达式").click()
    await page.fill("input[name=pattern]", "(")
    await page.locator("[data-test=save-rule]").click()
    await expect(page.locator(".el-form-item__error")).to_have_text("正则表达式写法有误")
    await page.get_by_role("button", name="取消").click()

    await row.get_by_role("switch").locator("..").click()
    await expect(page.locator("[data-test=tried]")).to_have_text("没有规则符合，交给智能客服和知识库回答")
    assert await shop.told("有没有优惠券吗") != "回复“领券”领取今天的优惠券。"
    await row.get_by_role("button", name="删除").click()
    await page.get_by_role("dialog").get_by_role("button", name="删除").click()
    await expect(page.get_by_text("还没有规则")).to_be_visible()

    await page.get_by_role("tab", name="欢迎语").click()
    await page.get_by_role("button", name="新建欢迎语").click()
    await page.fill("textarea[name=content]", "欢迎来喝茶！")
    await page.locator("[data-test=save-welcome]").click()
    await expect(page.get_by_text("欢迎来喝茶！")).to_be_visible()
    await shot(page, "welcomes")
    told = await shop.account.event("oNew", "subscribe").to(shop.server)
    assert told.text == "欢迎来喝茶！"
