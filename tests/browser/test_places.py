"""Where the phone is: on small screens, with the browser's Back and Forward, after a reload and with another fan."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from kit.clock import ManualClock
from tests.browser.club import Club, Hand, open_club

pytestmark = pytest.mark.browser


@pytest.fixture
async def club(database_url: str, clock: ManualClock, phone_pages: Path) -> AsyncIterator[Club]:
    async with open_club(database_url, clock, phone_pages) as found:
        yield found


@pytest.fixture
async def hand(chromium: Browser, club: Club) -> AsyncIterator[Hand]:
    """The phone's page, opened as a newcomer does; at the end it must have logged no error."""
    context = await chromium.new_context(viewport={"width": 1360, "height": 920}, locale="zh-CN")
    page = await context.new_page()
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(f"{club.wechat.url}/phone/")
    yield Hand(page, club)
    await context.close()
    assert errors == []


@pytest.mark.parametrize(("width", "height"), [(375, 812), (360, 640)])
async def test_nothing_lies_under_the_gifts_button(hand: Hand, club: Club, width: int, height: int) -> None:
    cup = await club.gift("手作青瓷杯", "physical", price=60, per_person=1)
    await hand.member("小雨")
    await hand.page.set_viewport_size({"width": width, "height": height})
    await hand.tap("mini-tab-Mall", f"gift-{cup}")
    last = hand.page.get_by_text("取消后积分按原有效期退回。")
    await last.scroll_into_view_if_needed()
    text, about, foot = [
        await one.evaluate("(e) => { const { top, bottom } = e.getBoundingClientRect(); return { top, bottom } }")
        for one in (last, hand.at("gift-about"), hand.page.locator(".foot"))
    ]
    assert about["bottom"] == foot["top"]
    assert text["bottom"] <= about["bottom"]
    assert foot["bottom"] <= height
    # On a phone of usual height all of it is in sight at once.
    assert await hand.at("gift-about").evaluate("(e) => e.scrollHeight > e.clientHeight") is (height == 640)
