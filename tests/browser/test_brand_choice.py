"""The brand that a page looks at is its own: what is chosen in another tab changes nothing under it."""

import re

import pytest
from playwright.async_api import expect

from scrm.db import fetch
from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture
from tests.browser.test_members import enter
from tests.factories import value

pytestmark = pytest.mark.browser


async def test_another_tabs_choice_keeps_this_tabs_form(desk: Desk) -> None:  # noqa: F811
    await fetch("INSERT INTO brand (name, created_at) VALUES ('白露茶舍', now()) RETURNING id")
    first = await value("SELECT name FROM brand WHERE id = (SELECT min(id) FROM brand)")
    page = await enter(desk, "/points-rules")
    await page.locator(".brands").click()
    await page.get_by_role("option", name=first).click()
    await page.get_by_role("button", name="新建规则").click()
    await page.fill("input[name=module]", "用户中心")
    await page.fill("input[name=name]", "写了很久的规则")

    other = await page.context.new_page()
    await other.goto("/console/points-rules")
    await expect(other.locator(".brands")).to_contain_text(first)
    await other.locator(".brands").click()
    await other.get_by_role("option", name="白露茶舍").click()
    await expect(other.locator(".brands")).to_contain_text("白露茶舍")

    # A token that is over is fetched anew with who one is, as whenever a stream comes back.
    refused = '{"title": "页面过期了", "code": "csrf"}'
    await page.route(
        re.compile(r"/points-rules$"),
        lambda one: one.fulfill(status=403, content_type="application/json", body=refused),
        times=1,
    )
    async with page.expect_response(re.compile(r"/api/console/me$")):
        await page.locator("[data-test=save-points-rule]").click()
    await expect(page.get_by_text("已保存")).to_be_visible()
    await expect(page.locator(".brands")).to_contain_text(first)
    brand = "SELECT b.name FROM points_rule r JOIN brand b ON b.id = r.brand_id JOIN points_rule_version v"
    assert await value(f"{brand} ON v.rule_id = r.id WHERE v.name = '写了很久的规则'") == first
    # What was chosen last is where the next page begins.
    await page.reload()
    await expect(page.locator(".brands")).to_contain_text("白露茶舍")
