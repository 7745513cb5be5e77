"""The phone's page beside another window of the same browser, under a wrong address, and far from China."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from simulator.server import SimulatorServer
from simulator.testing import running

pytestmark = pytest.mark.browser


@pytest.fixture
async def wechat(phone_pages: Path) -> AsyncIterator[SimulatorServer]:
    async with running(pages=phone_pages, attempt_timeout=0.5, retry_pause=0.05) as server:
        yield server


@pytest.fixture
async def far_away(chromium: Browser) -> AsyncIterator[BrowserContext]:
    context = await chromium.new_context(
        viewport={"width": 1360, "height": 920}, locale="zh-CN", timezone_id="America/New_York"
    )
    yield context
    await context.close()


async def open_phone(context: BrowserContext, url: str) -> Page:
    page = await context.new_page()
    page.set_default_timeout(10_000)
    await page.goto(url)
    return page


async def test_a_malformed_address_names_nothing(wechat: SimulatorServer, far_away: BrowserContext) -> None:
    """It once stopped the page with "URI malformed", and trying again could not help."""
    account = wechat.world.add_account("service", name="青禾茶社")
    page = await open_phone(far_away, f"{wechat.url}/phone/#/%E0%A4%A/%")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await expect(page.get_by_test_id("fan-nickname").first).to_be_visible()
    await expect(page.get_by_test_id("retry")).to_have_count(0)
    await page.get_by_test_id("fan-nickname").first.fill("小雨")
    await page.get_by_test_id("fan-create").first.click()
    await expect(page.get_by_test_id("follow")).to_be_visible()
    # Typed into the page that is open, too.
    await page.evaluate("location.hash = '#/%E0%A4%A/%/chats'")
    await expect(page.get_by_test_id("fan-select")).to_have_value("")
    assert account.appid in page.url
    assert errors == []


async def test_times_are_chinas(wechat: SimulatorServer, far_away: BrowserContext) -> None:
    wechat.world.add_account("service", name="青禾茶社")
    page = await far_away.new_page()
    await page.clock.install(time=datetime(2026, 3, 1, 16, 5, tzinfo=UTC))  # 2 March, 00:05 in China
    await page.goto(f"{wechat.url}/phone/")
    await expect(page.locator(".status .time")).to_have_text("00:05")


async def test_windows_do_not_undo_each_others_ticks(wechat: SimulatorServer, far_away: BrowserContext) -> None:
    """The last window to write once forgot what the other had noted."""
    wechat.world.add_account("service", name="青禾茶社", callback_url=f"{wechat.url}/phone/", token="t")
    first = await open_phone(far_away, f"{wechat.url}/phone/")
    await first.get_by_test_id("fan-nickname").first.fill("小雨")
    await first.get_by_test_id("fan-create").first.click()
    await expect(first.get_by_test_id("follow")).to_be_visible()
    second = await open_phone(far_away, first.url)
    tried = "fensi-phone/tried"
    fan, appid = await first.get_by_test_id("fan-select").input_value(), wechat.world.accounts
    key = f"{fan}/{next(iter(appid))}"
    # What one window writes is seen in the other at once …
    await first.evaluate("([k, v]) => localStorage.setItem(k, v)", [tried, f'{{"{key}": ["menu"]}}'])
    await expect(second.get_by_test_id("hint-menu")).to_have_attribute("data-done", "true")
    await expect(second.get_by_test_id("hint-follow")).to_have_attribute("data-done", "false")
    # … and a push that its server did not take ticks nothing.
    await second.get_by_test_id("follow").click()
    await expect(second.get_by_test_id("push-log").locator("li").first).to_have_attribute("data-outcome", "failed")
    await expect(second.get_by_test_id("hint-follow")).to_have_attribute("data-done", "false")
