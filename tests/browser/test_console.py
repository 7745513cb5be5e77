"""The console in a real browser: signing in and out, what a role sees, a network that fails, a session that ends."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from kit.clock import ManualClock
from scrm import db as scrm_db
from scrm.staff import roles, service
from scrm.staff.audit import COMMAND_LINE
from scrm.staff.passwords import Passwords
from tests.bot.house import House
from tests.browser.conftest import STATIC

pytestmark = pytest.mark.browser

PASSWORD = "qingyu-2026-tea"


@dataclass
class Desk:
    """A server, and pages of browsers at it. Whatever a page complains about is kept."""

    address: str
    clock: ManualClock
    chromium: Browser
    complaints: list[str]

    async def page(self) -> Page:
        context: BrowserContext = await self.chromium.new_context(
            base_url=self.address, locale="zh-CN", viewport={"width": 1366, "height": 768}
        )
        page = await context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        # A refused request is a line in Chromium's console too; those are asked for here.
        page.on(
            "console",
            lambda said: (
                self.complaints.append(said.text)
                if said.type == "error" and "Failed to load resource" not in said.text
                else None
            ),
        )
        return page

    async def person(self, login: str, role: str, *, password: str | None = PASSWORD) -> str:
        """Make somebody and return their password; None makes one up that has to be changed."""
        given = service.Given(login, (await roles.role_by_code(role)).id, None)
        _, first = await service.add(
            Passwords(), COMMAND_LINE, by=None, login=login, given=given, now=self.clock.now(), password=password
        )
        return first

    async def sign_in(self, page: Page, login: str, password: str = PASSWORD) -> None:
        await page.fill("input[name=username]", login)
        await page.fill("input[name=password]", password)
        await page.get_by_role("button", name="登录", exact=True).click()


@pytest.fixture
async def desk(database_url: str, clock: ManualClock, chromium: Browser) -> AsyncIterator[Desk]:
    """The real server with the built pages; skips where they were not built."""
    if not (STATIC / "console" / "index.html").is_file():
        pytest.skip("the console is not built: run `make setup`")
    async with scrm_db.database(database_url, pool=2), aiohttp.ClientSession() as http:
        house = House(database_url, clock, http)
        try:
            await house.account()
            server = await house.server()
            made = Desk(server.address, clock, chromium, [])
            yield made
            assert made.complaints == []
        finally:
            await house.close()


async def test_from_the_first_password_to_signing_out(desk: Desk) -> None:
    first = await desk.person("chen.qing", "admin", password=None)
    page = await desk.page()
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    await page.goto("/console/audit")
    await expect(page).to_have_url(re.compile(r"/console/sign-in\?back=/audit$"))
    # Whoever only opens the page is asked to sign in, and nothing has failed.
    assert failed == []
    await desk.sign_in(page, "chen.qing", "not-the-password")
    await expect(page.locator(".el-form-item__error")).to_have_text("登录名或密码不对")
    await desk.sign_in(page, "chen.qing", first)

    await expect(page.get_by_text("请先设置您自己的密码")).to_be_visible()
    for name, value in (("present", first), ("new", PASSWORD), ("again", PASSWORD)):
        await page.fill(f"input[name={name}]", value)
    await page.get_by_role("button", name="保存新密码").click()
    await expect(page.get_by_text("，chen.qing")).to_be_visible()

    await page.get_by_role("navigation").get_by_text("员工与角色").click()
    await page.get_by_role("button", name="新增员工").click()
    await page.fill("input[name=login]", "Li.Na")
    await page.fill("input[name=name]", "李娜")
    await page.locator("[data-test=save]").click()
    shown = page.locator("[data-test=first-password]")
    await expect(shown).to_have_text(re.compile(r"^\w{5}-\w{4}-\w{5}$"))
    given = await shown.inner_text()
    await page.get_by_role("button", name="我已记下").click()
    await expect(page.get_by_role("row").filter(has_text="李娜")).to_contain_text("待改初始密码")

    await page.get_by_role("navigation").get_by_text("操作日志").click()
    await expect(page.get_by_role("row").filter(has_text="新增员工").first).to_contain_text("李娜")
    assert given not in await page.content()

    await page.locator("[data-test=user]").click()
    await page.get_by_role("menuitem", name="退出登录").click()
    await expect(page.get_by_role("heading", name="登录工作台")).to_be_visible()
    await page.goto("/console/staff")
    await expect(page).to_have_url(re.compile(r"/console/sign-in\?back=/staff$"))


async def test_a_role_sees_its_own_pages_only(desk: Desk) -> None:
    await desk.person("li.na", "agent")
    page = await desk.page()
    await page.goto("/console/")
    await desk.sign_in(page, "li.na")
    await expect(page.get_by_text("您以“客服”身份登录")).to_be_visible()
    await expect(page.get_by_role("navigation").get_by_text("员工与角色")).to_have_count(0)
    await page.goto("/console/audit")
    await expect(page.get_by_text("您的角色不能打开“操作日志”")).to_be_visible()
    await page.goto("/console/no/such/page")
    await expect(page.get_by_text("地址可能写错了")).to_be_visible()


async def test_a_failing_network_is_said_and_a_repetition_helps(desk: Desk) -> None:
    await desk.person("chen.qing", "admin")
    page = await desk.page()
    await page.goto("/console/")
    await desk.sign_in(page, "chen.qing")
    await expect(page.get_by_text("，chen.qing")).to_be_visible()
    tried = []

    async def fail(route: Route) -> None:
        tried.append(route.request.url)
        await route.abort()

    await page.route("**/api/console/accounts*", fail)
    await page.get_by_role("navigation").get_by_text("公众号与小程序").click()
    await expect(page.locator("[data-test=failure]")).to_contain_text("连不上服务器")
    assert len(tried) == 3  # twice more by itself
    await page.unroute("**/api/console/accounts*")
    await page.get_by_role("button", name="重试").click()
    await expect(page.get_by_text("24 小时内没有收到推送")).to_be_visible()
    await page.get_by_role("button", name="检测微信接口").click()
    await expect(page.get_by_text("连不上微信接口")).to_be_visible()


async def test_a_session_that_ends_leads_to_the_sign_in_and_back(desk: Desk) -> None:
    await desk.person("chen.qing", "admin")
    page = await desk.page()
    await page.goto("/console/staff")
    await desk.sign_in(page, "chen.qing")
    await expect(page.get_by_role("button", name="新增员工")).to_be_visible()
    desk.clock.advance(hours=3)
    await page.get_by_role("navigation").get_by_text("操作日志").click()
    await expect(page.get_by_text("登录已过期，请重新登录")).to_be_visible()
    await desk.sign_in(page, "chen.qing")
    await expect(page).to_have_url(re.compile(r"/console/audit$"))
    await expect(page.get_by_text("记录不可修改")).to_be_visible()


async def test_the_page_is_fenced_and_its_files_are_kept(desk: Desk) -> None:
    async with aiohttp.ClientSession(desk.address) as http:
        async with http.get("/console/staff") as page:
            text = await page.text()
        assert (page.status, page.content_type, page.headers["Cache-Control"]) == (200, "text/html", "no-cache")
        assert "script-src 'self';" in page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        (script,) = re.findall(r'<script type="module"[^>]* src="(/console/assets/[^"]+\.js)"', text)
        async with http.get(script) as answer:
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Content-Encoding"] == "gzip"
        for gone in ("/console/assets/old-0.js", "/console/assets/../../../pyproject.toml"):
            async with http.get(gone) as answer:
                assert answer.status == 404 or "pyproject" not in await answer.text()
        async with http.get("/console", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/console/")


@pytest.mark.parametrize(
    ("role", "pages"),
    [
        (
            "supervisor",
            "首页 会话 知识库 智能客服 实时看板 客服报表 排班与客服设置 会员 标签 自动回复",
        ),
        ("agent", "首页 会话 知识库 智能客服 会员 标签"),
    ],
)
async def test_the_menu_is_what_a_role_may_and_every_page_of_it_opens_whole(desk: Desk, role: str, pages: str) -> None:
    await desk.person("li.na", role)
    page = await desk.page()
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status in (403, 404) else None)
    await page.goto("/console/")
    await desk.sign_in(page, "li.na")
    items = page.get_by_role("navigation").get_by_role("menuitem")
    await expect(items).to_have_text(pages.split())
    for name in pages.split():
        await items.get_by_text(name, exact=True).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    assert refused == []
    await page.goto("/console/audit")
    await expect(page.get_by_text("您的角色不能打开“操作日志”")).to_be_visible()
