"""A browser in another zone: what is typed into a form is Beijing time, as every list says it."""

import pytest
from playwright.async_api import Page, expect

from scrm.gifts import catalogue
from scrm.gifts.catalogue import GiftTerms
from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture
from tests.factories import value

pytestmark = pytest.mark.browser


async def in_new_york(at: Desk, path: str) -> Page:
    await at.person("chen.qing", "admin")
    context = await at.chromium.new_context(base_url=at.address, locale="zh-CN", timezone_id="America/New_York")
    page = await context.new_page()
    page.on("pageerror", lambda error: at.complaints.append(str(error)))
    await page.goto(f"/console{path}")
    await at.sign_in(page, "chen.qing")
    return page


async def typed(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label)
    await field.fill(text)
    await field.press("Enter")
    # It takes the browser's clock, which shows another time here.
    await expect(page.get_by_role("button", name="此刻")).to_have_count(0)


async def test_a_gifts_time(desk: Desk) -> None:  # noqa: F811
    brand = await value("SELECT min(id) FROM brand")
    terms = GiftTerms(name="白瓷茶盘", price=20)
    await catalogue.create_gift(brand_id=brand, kind="physical", terms=terms, now=desk.clock.now(), stock=1)
    page = await in_new_york(desk, "/mall")
    await page.get_by_role("button", name="编辑").click()
    await typed(page, "开始时间", "2026-12-01 10:00")
    await page.locator("[data-test=save-gift]").click()
    await expect(page.locator("[data-test=gifts]")).to_contain_text("2026/12/01 10:00")
    stored = "SELECT to_char(on_sale_from AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM gift"
    assert await value(stored) == "2026-12-01 02:00"
    await page.get_by_role("button", name="编辑").click()
    await expect(page.get_by_label("开始时间")).to_have_value("2026-12-01 10:00")
    await page.locator("[data-test=save-gift]").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert await value(stored) == "2026-12-01 02:00"


async def test_a_points_rules_time(desk: Desk) -> None:  # noqa: F811
    page = await in_new_york(desk, "/points-rules")
    await page.get_by_role("button", name="新建规则").click()
    await page.fill("input[name=module]", "用户中心")
    await page.fill("input[name=name]", "双十二")
    await typed(page, "开始时间", "2026-12-12 00:00")
    await page.locator("[data-test=save-points-rule]").click()
    await expect(page.get_by_text("已保存")).to_be_visible()
    stored = "SELECT to_char(max(effective_from) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM points_rule_version"
    assert await value(stored) == "2026-12-11 16:00"


async def test_an_entrys_time(desk: Desk) -> None:  # noqa: F811
    page = await in_new_york(desk, "/knowledge/new")
    await page.fill("input[name=title]", "双十二几点开始？")
    await page.fill("textarea[name=body]", "零点。")
    await typed(page, "失效时间", "2026-12-13 00:00")
    await page.locator("[data-test=save]").click()
    await expect(page.get_by_text("草稿已保存")).to_be_visible()
    stored = "SELECT to_char(valid_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM knowledge_version"
    assert await value(stored) == "2026-12-12 16:00"
    await page.reload()
    await expect(page.get_by_label("失效时间")).to_have_value("2026-12-13 00:00")
