"""What a fan asked, between the pages of the knowledge base: whose brand, which question, and in no address."""

import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser import test_console_knowledge
from tests.browser.test_console_knowledge import Shop
from tests.factories import value

pytestmark = pytest.mark.browser
shop = test_console_knowledge.shop


def addresses(page: Page) -> list[str]:
    """Every address that the page asks for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


async def test_an_older_rehearsal_does_not_stand_under_a_newer_question(shop: Shop) -> None:
    await shop.publish("几点开门？", "早上九点。")
    await shop.publish("退货的运费谁出？", "由我们承担。")
    await shop.library.refresh()
    page = await shop.signed_in("chen.qing", "/knowledge?tab=question")
    held: list[Route] = []
    await page.route(re.compile(r"/assistant/rehearsal$"), lambda route: held.append(route), times=1)

    async def ask(text: str) -> None:
        await page.fill("input[name=question]", text)
        await page.get_by_role("button", name="测试", exact=True).click()

    seen = page.locator("[data-test=seen]")
    await ask("几点开门")
    await expect(seen).to_contain_text("早上九点")
    async with page.expect_request(re.compile(r"/assistant/rehearsal$")):
        await page.locator("[data-test=rehearse]").click()
    await ask("退货的运费谁出")
    await expect(seen).to_contain_text("由我们承担")
    async with page.expect_response(re.compile(r"/assistant/rehearsal$")) as late:
        await held[0].continue_()
    assert (await late.value).status == 200
    await expect(page.locator("[data-test=rehearse]")).not_to_have_class(re.compile("is-loading"))
    await expect(seen).to_contain_text("由我们承担")
    await expect(page.get_by_text("用时 0")).to_have_count(0)
    await page.unroute_all()
    await page.locator("[data-test=rehearse]").click()
    await expect(page.get_by_text("用时 0")).to_be_visible()


async def test_a_fans_words_are_in_no_address(shop: Shop) -> None:
    words = "可以带Wangcai进店吗？"
    await shop.publish("几点开门？", "早上九点。")
    await shop.told(words)
    page = await shop.signed_in("chen.qing", "/knowledge?tab=unanswered")
    asked = addresses(page)
    row = page.get_by_role("row").filter(has_text=words)
    await row.get_by_role("button", name="测试").click()
    await expect(page.locator("input[name=question]")).to_have_value(words)
    await expect(page.locator("[data-test=verdict]")).to_be_visible()
    await page.reload()
    await expect(page.locator("input[name=question]")).to_have_value(words)
    await page.get_by_role("link", name=re.compile("写成问答")).click()
    await expect(page.locator("input[name=title]")).to_have_value(words)
    await page.go_back()
    await page.get_by_role("button", name="不保存并离开").click()
    await page.get_by_role("tab", name="没答上来的问题").click()
    await row.get_by_role("button", name="写成问答").click()
    await expect(page.locator("input[name=title]")).to_have_value(words)
    await expect(page).to_have_url(re.compile(r"/console/knowledge/new$"))
    await page.reload()
    await expect(page.locator("input[name=title]")).to_have_value(words)
    assert [one for one in asked if "wangcai" in one.lower()] == []


async def test_another_question_from_the_list_is_asked_too(shop: Shop) -> None:
    await shop.publish("几点开门？", "早上九点。")
    for openid, words in (("oA", "可以带宠物进店吗？"), ("oB", "能开发票吗？")):
        await shop.told(words, openid)
    page = await shop.signed_in("chen.qing", "/knowledge?tab=unanswered")
    for words in ("可以带宠物进店吗？", "能开发票吗？", "可以带宠物进店吗？"):
        await page.get_by_role("tab", name="没答上来的问题").click()
        await page.get_by_role("row").filter(has_text=words).get_by_role("button", name="测试").click()
        await expect(page.locator("input[name=question]")).to_have_value(words)
        await expect(page.get_by_label("粉丝会看到").locator(".bubble.mine")).to_have_text(words)


async def test_a_new_entry_says_its_brand(shop: Shop) -> None:
    await shop.house.rows("INSERT INTO brand (name, created_at) VALUES ('白露茶舍', now()) RETURNING id")
    page = await shop.signed_in("chen.qing", "/knowledge/new")
    name = await value("SELECT name FROM brand WHERE id = $1", shop.brand_id)
    note = page.get_by_text(re.compile("^正在查看“"))
    await expect(note).to_contain_text(f"“{name}”")
    await page.locator(".brands").click()
    await page.get_by_role("option", name="白露茶舍").click()
    await expect(note).to_have_count(0)
    await page.fill("input[name=title]", "几点开门？")
    await page.fill("textarea[name=body]", "早上九点。")
    await page.locator("[data-test=save]").click()
    await expect(page.get_by_text("草稿已保存")).to_be_visible()
    brand = "SELECT b.name FROM knowledge_entry e JOIN brand b ON b.id = e.brand_id"
    assert await value(brand) == "白露茶舍"
