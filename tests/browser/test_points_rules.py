"""The page of point rules in a real browser: a rule tried and made, its next version, and why somebody got less."""

import pytest
from playwright.async_api import expect

import scrm.points.happenings  # noqa: F401  # registers the events that rules look at
from scrm.db import fetch
from scrm.points import rulebook
from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture
from tests.factories import happens, make_account, make_fan, value

pytestmark = pytest.mark.browser


async def test_a_rule_is_tried_made_changed_and_explained(desk: Desk) -> None:  # noqa: F811
    account = await make_account(appid="wx-rules-1")
    fan = await make_fan(account)
    brand = await value("SELECT brand_id FROM account WHERE id = $1", account)
    await rulebook.install_preset(brand, "a039", desk.clock.now())
    await fetch("UPDATE brand SET growth_word = '经验' WHERE id = $1", brand)
    await desk.person("chen.qing", "operator")
    page = await desk.page()
    await page.goto("/console/points-rules")
    await desk.sign_in(page, "chen.qing")
    table = page.locator("[data-test=points-rules]")
    await expect(table.locator("tbody tr")).to_have_count(3)
    await expect(table).to_contain_text("发帖得 3 积分、3 经验；每人每天最多 15 积分、15 经验")
    await expect(table).not_to_contain_text("成长值")

    await page.locator("[data-test=growth-word]").click()
    asked = page.get_by_role("dialog", name="成长值的叫法")
    await expect(asked.locator("input")).to_have_value("经验")
    await asked.locator("input").fill("一二三四五六七八九")
    await asked.get_by_role("button", name="保存").click()
    await expect(asked).to_contain_text("请填写 1 到 8 个字")
    await asked.locator("input").fill("茶气")
    await asked.get_by_role("button", name="保存").click()
    await expect(table).to_contain_text("发帖得 3 积分、3 茶气；每人每天最多 15 积分、15 茶气")
    await expect(table.locator("thead")).to_contain_text("茶气")
    await expect(table).not_to_contain_text("经验")

    await page.get_by_role("button", name="新建规则").click()
    form = page.get_by_role("dialog")
    await form.locator(".el-select").nth(1).click()
    await page.get_by_role("option", name="点赞帖子").click()
    await form.locator("input[name=module]").fill("社区")
    await form.locator("input[name=name]").fill("点赞")
    await form.get_by_label("积分", exact=True).fill("2")
    await form.get_by_label("每人每天积分").fill("5")
    await form.get_by_label("次数").fill("4")
    await form.locator("[data-test=try-points-rule]").click()
    await expect(form.locator("[data-test=trial-sum]")).to_have_text("会员共得积分 5")
    await expect(form).to_contain_text("第 3 次 · 会员 积分：应给 2，实给 1，已达当日上限")
    await form.locator("[data-test=save-points-rule]").click()
    await expect(table.locator("tbody tr")).to_have_count(4)
    row = table.locator("tbody tr").filter(has_text="点赞帖子得 2 积分；每人每天最多 5 积分")
    await expect(row).to_contain_text("自定义规则")

    for n in range(3):
        await happens(fan, "post.liked", desk.clock.now(), {"post": str(n), "author": fan.member_id})
    await row.get_by_role("button", name="编辑").click()
    await expect(form.get_by_label("每人每天积分")).to_have_value("5")
    await form.get_by_label("积分", exact=True).fill("4")
    await form.locator("[data-test=save-points-rule]").click()
    row = table.locator("tbody tr").filter(has_text="点赞帖子得 4 积分")
    await row.get_by_role("button", name="历史版本").click()
    versions = page.locator("[data-test=versions] .el-timeline-item")
    await expect(versions).to_have_count(2)
    await expect(versions.nth(0)).to_contain_text("第 2 版 生效中")
    await page.keyboard.press("Escape")

    await row.get_by_role("button", name="发放记录").click()
    awards = page.locator("[data-test=awards] tbody tr")
    await expect(awards).to_have_count(3)
    await expect(awards.nth(0)).to_contain_text("已达当日上限")
    await expect(awards.nth(0)).to_contain_text(str(fan.member_id))
    await expect(awards.nth(2)).to_contain_text("已发放")
