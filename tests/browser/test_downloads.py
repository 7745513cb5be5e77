"""Files that are refused or break off: the page stays, and says why."""

import re

import pytest
from playwright.async_api import Route, expect

from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture
from tests.browser.test_members import enter, people

pytestmark = pytest.mark.browser


async def test_a_file_after_the_session_ended_leads_to_the_sign_in_and_back(desk: Desk) -> None:  # noqa: F811
    page = await enter(desk, "/mall?tab=redemptions")
    await expect(page.get_by_text("没有要发货的")).to_be_visible()
    desk.clock.advance(hours=3)
    await page.locator("[data-test=to-ship]").click()
    await expect(page.get_by_text("登录已过期，请重新登录")).to_be_visible()
    await desk.sign_in(page, "chen.qing")
    await expect(page).to_have_url(re.compile(r"/console/mall\?tab=redemptions$"))
    async with page.expect_download() as begun:
        await page.locator("[data-test=to-ship]").click()
    assert (await begun.value).suggested_filename.startswith("待发货-")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, '{"title": "您的角色不能导出", "code": "forbidden"}', "您的角色不能导出"),
        (429, '{"title": "导出太频繁，请稍后再试", "code": "too_many"}', "导出太频繁，请稍后再试"),
        (500, "<html>", "服务出错了（500）"),
    ],
)
async def test_a_refused_export_is_said_on_the_page(desk: Desk, status: int, body: str, said: str) -> None:  # noqa: F811
    await people(desk)
    page = await enter(desk, "/members")
    await expect(page.get_by_text("共 3 位会员")).to_be_visible()
    await page.route(re.compile(r"/members/export\?"), lambda one: one.fulfill(status=status, body=body))
    await page.locator("[data-test=export]").click()
    await expect(page.get_by_text(said)).to_be_visible()
    await expect(page.get_by_text("共 3 位会员")).to_be_visible()


async def test_half_a_file_is_not_saved(desk: Desk) -> None:  # noqa: F811
    await people(desk)
    page = await enter(desk, "/members")
    await expect(page.get_by_text("共 3 位会员")).to_be_visible()
    saved = []
    page.on("download", lambda one: saved.append(one))

    async def cut(route: Route) -> None:
        await route.abort("connectionreset")

    await page.route(re.compile(r"/members/export\?"), cut)
    await page.locator("[data-test=export]").click()
    await expect(page.get_by_text("连不上服务器，请检查网络后重试")).to_be_visible()
    assert saved == []
