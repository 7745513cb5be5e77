"""A form whose answer was lost: pressed again it is the same write, and with other words another one."""

import re

import pytest
from playwright.async_api import Locator, Page, Route, expect

from scrm.db import fetch
from scrm.gifts import catalogue
from scrm.gifts.catalogue import GiftTerms
from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture
from tests.factories import make_account, make_fan, value

pytestmark = pytest.mark.browser
LOST = "连不上服务器，请检查网络后重试"


async def _lose(route: Route) -> None:
    """The server does it, and its answer gets lost."""
    if route.request.method == "GET":
        await route.continue_()
        return
    await route.fetch()
    await route.abort()


async def losing(page: Page, address: str) -> None:
    await page.route(re.compile(address), _lose)


async def found_again(page: Page) -> None:
    """The sentence was said, and the network is back."""
    await expect(page.get_by_text(LOST).first).to_be_visible(timeout=10_000)
    await page.unroute_all()


async def gift(at: Desk, name: str = "白瓷茶盘") -> int:
    brand = await value("SELECT min(id) FROM brand")
    return await catalogue.create_gift(
        brand_id=brand, kind="physical", terms=GiftTerms(name=name, price=20), now=at.clock.now(), stock=10
    )


async def enter(at: Desk, path: str) -> Page:
    await at.person("chen.qing", "admin")
    page = await at.page()
    await page.goto(f"/console{path}")
    await at.sign_in(page, "chen.qing")
    return page


async def ten_more_unheard(at: Desk) -> tuple[int, Locator]:
    """Add ten to a gift's stock, and lose the answer; returns the gift's id and the drawer, still filled in."""
    made = await gift(at)
    page = await enter(at, "/mall")
    await page.get_by_role("button", name="库存").click()
    drawer = page.get_by_role("dialog", name="库存：白瓷茶盘")
    await drawer.get_by_label("数量").fill("10")
    await drawer.locator("input[name=reason]").fill("春茶季到货")
    await losing(page, r"/stock$")
    await drawer.locator("[data-test=save-stock]").click()
    await found_again(page)
    return made, drawer


async def test_stock_is_added_once(desk: Desk) -> None:  # noqa: F811
    made, drawer = await ten_more_unheard(desk)
    assert await value("SELECT stock FROM gift WHERE id = $1", made) == 20
    await drawer.locator("[data-test=save-stock]").click()
    await expect(drawer.locator("[data-test=stock-now]")).to_have_text("20")
    assert await value("SELECT stock FROM gift WHERE id = $1", made) == 20
    # It was answered: the same words once more are meant once more.
    await drawer.get_by_label("数量").fill("10")
    await drawer.locator("input[name=reason]").fill("春茶季到货")
    await drawer.locator("[data-test=save-stock]").click()
    await expect(drawer.locator("[data-test=stock-now]")).to_have_text("30")


async def test_other_words_are_another_write(desk: Desk) -> None:  # noqa: F811
    made, drawer = await ten_more_unheard(desk)
    await drawer.get_by_label("数量").fill("5")
    await drawer.locator("[data-test=save-stock]").click()
    await expect(drawer.locator("[data-test=stock-now]")).to_have_text("25")
    assert await value("SELECT stock FROM gift WHERE id = $1", made) == 25


async def test_what_is_refused_may_be_asked_for_again(desk: Desk) -> None:  # noqa: F811
    """A refusal is an answer that the server keeps: under the same key it would be told for good."""
    made = await gift(desk)
    page = await enter(desk, "/mall")
    await page.get_by_role("button", name="库存").click()
    drawer = page.get_by_role("dialog", name="库存：白瓷茶盘")
    await drawer.get_by_text("减少", exact=True).click()
    await drawer.get_by_label("数量").fill("15")
    await drawer.locator("input[name=reason]").fill("盘点")
    await drawer.locator("[data-test=save-stock]").click()
    await expect(page.locator(".el-message--error")).to_be_visible()
    await fetch("UPDATE gift SET stock = 20 WHERE id = $1", made)
    await drawer.locator("[data-test=save-stock]").click()
    await expect(drawer.locator("[data-test=stock-now]")).to_have_text("5")


async def test_points_are_given_once_also_from_a_dialog_that_was_closed(desk: Desk) -> None:  # noqa: F811
    account = await make_account(appid="wx-unsure-2")
    fan = await make_fan(account)
    page = await enter(desk, f"/members/{fan.member_id}?tab=points")
    await page.locator("[data-test=adjust]").click()
    await page.fill("input[name=amount]", "100")
    await page.fill("textarea[name=reason]", "活动补发")
    await losing(page, r"/points$")
    await page.locator("[data-test=save-adjust]").click()
    await found_again(page)
    await page.get_by_role("dialog").get_by_role("button", name="取消").click()
    await page.locator("[data-test=adjust]").click()
    await page.fill("input[name=amount]", "100")
    await page.fill("textarea[name=reason]", "活动补发")
    await page.locator("[data-test=save-adjust]").click()
    await expect(page.locator("[data-test=statement]")).to_contain_text("人工调整：活动补发")
    assert await value("SELECT count(*) FROM audit WHERE action = 'points.adjusted'") == 1


async def test_an_entry_is_written_once(desk: Desk) -> None:  # noqa: F811
    page = await enter(desk, "/knowledge/new")
    await page.fill("input[name=title]", "几点开门？")
    await page.fill("textarea[name=body]", "早上九点。")
    await losing(page, r"/knowledge/entries$")
    await page.locator("[data-test=save]").click()
    await found_again(page)
    await expect(page.get_by_text(LOST)).to_have_count(0)
    # It is made, and what was to be read of it afterwards gets lost: the third try is still the same.
    await page.route(re.compile(r"/knowledge/entries/\d+$"), lambda route: route.abort())
    await page.locator("[data-test=save]").click()
    await expect(page.get_by_text(LOST)).to_be_visible(timeout=10_000)
    await page.unroute_all()
    await page.locator("[data-test=save]").click()
    await expect(page).to_have_url(re.compile(r"/console/knowledge/\d+$"))
    assert await value("SELECT count(*) FROM knowledge_entry") == 1


async def test_a_rule_is_made_once_and_is_no_conflict_with_itself(desk: Desk) -> None:  # noqa: F811
    page = await enter(desk, "/rules")
    await page.get_by_role("button", name="新建规则").click()
    await page.fill("input[name=pattern]", "营业时间")
    await page.locator("textarea").first.fill("早上九点到晚上十点。")
    await losing(page, r"/rules$")
    await page.locator("[data-test=save-rule]").click()
    await found_again(page)
    await page.locator("[data-test=save-rule]").click()
    await expect(page.get_by_text("已保存，一秒内生效")).to_be_visible()
    assert await value("SELECT count(*) FROM reply_rule WHERE pattern = '营业时间'") == 1
