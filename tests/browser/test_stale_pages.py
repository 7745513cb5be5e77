"""Pages that are behind: what a colleague changed meanwhile is not written over, and is shown."""

import pytest
from playwright.async_api import expect

from scrm.db import fetch
from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture
from tests.browser.test_members import enter
from tests.factories import value

pytestmark = pytest.mark.browser
STALE = "刚被别人修改，请看过后再改"


async def test_disabling_on_an_old_page_gives_no_role_back(desk: Desk) -> None:  # noqa: F811
    await desk.person("wang.wu", "admin")
    page, other = await enter(desk, "/staff"), await desk.page()
    await other.goto("/console/staff")
    await desk.sign_in(other, "chen.qing")
    row, theirs = (one.get_by_role("row").filter(has_text="wang.wu") for one in (page, other))
    await expect(row).to_contain_text("管理员")
    await theirs.get_by_role("button", name="编辑").click()
    form = other.get_by_role("dialog", name="编辑 wang.wu")
    await form.locator(".el-select").first.click()
    await other.get_by_role("option", name="只读").click()
    await form.locator("[data-test=save]").click()
    await expect(theirs).to_contain_text("只读")

    await row.get_by_role("button", name="更多").click()
    await page.get_by_role("menuitem", name="停用").click()
    await page.get_by_role("dialog", name="停用员工").get_by_role("button", name="停用员工").click()
    await expect(page.get_by_text(f"wang.wu的资料{STALE}")).to_be_visible()
    # The page has caught up, and does it now.
    await expect(row).to_contain_text("只读")
    await row.get_by_role("button", name="更多").click()
    await page.get_by_role("menuitem", name="停用").click()
    await page.get_by_role("dialog", name="停用员工").get_by_role("button", name="停用员工").click()
    await expect(row).to_contain_text("已停用")
    role = "SELECT r.code FROM staff s JOIN role r ON r.id = s.role_id WHERE s.login = 'wang.wu'"
    assert await value(role) == "viewer"


async def test_a_form_that_is_behind_says_so_and_shows_what_is_when_opened_again(desk: Desk) -> None:  # noqa: F811
    await desk.person("wang.wu", "admin")
    page = await enter(desk, "/staff")
    row = page.get_by_role("row").filter(has_text="wang.wu")
    await row.get_by_role("button", name="编辑").click()
    await fetch("UPDATE staff SET name = '王五', version = version + 1 WHERE login = 'wang.wu'")
    form = page.get_by_role("dialog", name="编辑")
    await form.locator("input[name=name]").fill("老王")
    await form.locator("[data-test=save]").click()
    await expect(form.locator(".el-alert")).to_contain_text(STALE)
    await form.get_by_role("button", name="取消").click()
    await row.get_by_role("button", name="编辑").click()
    await expect(form.locator("input[name=name]")).to_have_value("王五")
    await form.locator("input[name=name]").fill("老王")
    await form.locator("[data-test=save]").click()
    await expect(row).to_contain_text("老王")


async def test_the_switch_of_a_rule_undoes_no_reply(desk: Desk) -> None:  # noqa: F811
    account = await value("SELECT min(id) FROM account")
    await fetch(
        """
        INSERT INTO reply_rule (account_id, match, pattern, reply, created_at)
        VALUES ($1, 'exact', '营业时间', '{"type": "text", "content": "九点"}', $2)
        """,
        account,
        desk.clock.now(),
    )
    page = await enter(desk, "/rules")
    row = page.get_by_role("row").filter(has_text="营业时间")
    await expect(row).to_contain_text("九点")
    later = """UPDATE reply_rule SET reply = '{"type": "text", "content": "十点"}', version = version + 1"""
    await fetch(later)
    await row.locator(".el-switch").click()
    await expect(page.get_by_text(f"这条规则{STALE}")).to_be_visible()
    await expect(row).to_contain_text("十点")
    await row.locator(".el-switch").click()
    await expect(page.get_by_text("已停用")).to_be_visible()
    (kept,) = await fetch("SELECT reply ->> 'content' AS says, enabled FROM reply_rule WHERE pattern = '营业时间'")
    assert (kept["says"], kept["enabled"]) == ("十点", False)
