"""Settings of the service desk: what is typed outlives the saving of something else, and fast clicks all count."""

import re

import pytest
from playwright.async_api import Page, Route, expect

from scrm.conversations import desk as seats
from scrm.db import fetch
from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture
from tests.browser.test_members import enter
from tests.factories import value

pytestmark = pytest.mark.browser


async def answered(page: Page, operation: str) -> None:
    """Wait for the desk that is read after a write, and for what hangs on it."""
    async with page.expect_response(
        lambda one: one.request.method == "GET" and bool(re.search(r"/desk/\d+$", one.url))
    ):
        await page.get_by_role("button", name=operation).click()


async def test_words_stay_typed_while_something_else_is_saved(desk: Desk) -> None:  # noqa: F811
    page = await enter(desk, "/desk?tab=words")
    words, response = page.locator("textarea[name=connected]"), page.get_by_label("首次响应")
    await words.fill("您好，马上为您接通。")
    await response.fill("45")
    await response.press("Tab")
    await answered(page, "保存时限")
    await expect(page.get_by_text("已保存", exact=True)).to_be_visible()
    await expect(words).to_have_value("您好，马上为您接通。")
    await page.get_by_label("承诺时间").fill("25")
    await page.get_by_label("承诺时间").press("Tab")
    await page.get_by_text("微信公众平台自带的客服").first.click()
    await expect(page.get_by_text("改由微信客服接待")).to_be_visible()
    await expect(words).to_have_value("您好，马上为您接通。")
    # Another account's words are others, and these are still there afterwards.
    for whose in ("仅", "全品牌通用"):
        await page.locator(".whose").click()
        await page.get_by_role("option", name=whose).first.click()
        await expect(words).to_have_value("" if whose == "仅" else "您好，马上为您接通。")
    await answered(page, "保存话术")
    await expect(page.get_by_text("话术已保存")).to_be_visible()
    await expect(page.get_by_label("承诺时间")).to_have_value("25")
    await page.reload()
    await expect(words).to_have_value("您好，马上为您接通。")
    await expect(page.get_by_label("首次响应")).to_have_value("45")
    await expect(page.get_by_label("承诺时间")).to_have_value("30")


async def test_every_fast_click_on_a_seat_counts(desk: Desk) -> None:  # noqa: F811
    await desk.person("li.na", "agent")
    (clerk,) = await fetch("UPDATE staff SET name = '李娜' WHERE login = 'li.na' RETURNING id")
    brand = await value("SELECT min(id) FROM brand")
    await seats.set_skill(brand_id=brand, name="aftersale", title="售后")
    await seats.set_skill(brand_id=brand, name="presale", title="售前")
    await seats.set_seat(brand_id=brand, staff_id=clerk["id"], capacity=4, skills=[])
    page = await enter(desk, "/desk?tab=seats")
    number = page.get_by_label("李娜的同时接待数")
    await expect(number).to_have_value("4")

    async def slowly(route: Route) -> None:
        await page.wait_for_timeout(300)
        await route.continue_()

    await page.route(re.compile(r"/desk/"), slowly)
    more = page.locator("tr", has_text="李娜").locator(".el-input-number__increase").first
    for _ in range(3):
        await more.click()
    await expect(number).to_have_value("7")
    # While that is being saved, and then while it is being read, the next ones come.
    async with page.expect_request(lambda one: one.method == "PUT"):
        pass
    await more.click()
    await page.locator('input[aria-label="李娜的技能"]').click(force=True)
    for title in ("售后", "售前"):
        await page.get_by_role("option", name=title).click()
    await expect(number).to_have_value("8")
    await expect(page.get_by_text("已保存李娜的坐席").first).to_be_visible()
    kept = 'SELECT capacity = 8 AND skills = \'["aftersale", "presale"]\' FROM seat WHERE staff_id = $1'
    for _ in range(50):
        if await value(kept, clerk["id"]):
            break
        await page.wait_for_timeout(100)
    assert await value(kept, clerk["id"])
    await page.reload()
    await expect(number).to_have_value("8")
    queues = page.get_by_role("row").filter(has_text=re.compile("aftersale|presale"))
    await expect(queues.filter(has_text="李娜")).to_have_count(2)


async def test_a_seat_that_is_refused_shows_what_is(desk: Desk) -> None:  # noqa: F811
    await desk.person("li.na", "agent")
    (clerk,) = await fetch("UPDATE staff SET name = '李娜' WHERE login = 'li.na' RETURNING id")
    brand = await value("SELECT min(id) FROM brand")
    await seats.set_seat(brand_id=brand, staff_id=clerk["id"], capacity=4, skills=[])
    page = await enter(desk, "/desk?tab=seats")
    number = page.get_by_label("李娜的同时接待数")
    await expect(number).to_have_value("4")
    refusal = '{"title": "没有这位员工", "code": "not_found"}'
    await page.route(
        re.compile(r"/seats/"), lambda one: one.fulfill(status=404, content_type="application/json", body=refusal)
    )
    await page.locator("tr", has_text="李娜").locator(".el-input-number__increase").first.click()
    await expect(number).to_have_value("5")
    await expect(page.get_by_text("没有这位员工")).to_be_visible()
    await expect(number).to_have_value("4")
