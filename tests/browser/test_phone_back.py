"""Back closes what lies over the phone's screen, and only that; Forward and a reload do not find it again."""

import io
import re

import pytest
from PIL import Image
from playwright.async_api import FilePayload, Route, expect

from tests.browser.club import Club, Hand

pytestmark = pytest.mark.browser


async def test_a_sheet_of_the_mini_program(hand: Hand, club: Club) -> None:
    page = hand.page
    ticket = await club.gift("品茗券", "virtual", price=60)
    await hand.member("小雨")
    await club.earn("小雨", 100)
    await hand.tap("mini-tab-Mall", f"gift-{ticket}", "redeem")
    await expect(hand.at("redeem-confirm")).to_be_visible()
    await page.go_back()
    await expect(hand.at("redeem-confirm")).to_be_hidden()
    await hand.see("gift-name", "品茗券")
    # Forward finds no sheet, and leaves nothing behind that Back would have to pass.
    await page.go_forward()
    await hand.see("gift-name", "品茗券")
    await expect(hand.at("redeem-confirm")).to_be_hidden()
    await page.go_back()
    await hand.see("mini-title", "积分商城")
    await page.go_forward()
    await hand.see("gift-name", "品茗券")
    # Closed by hand, it is no level either.
    await hand.tap("redeem")
    await page.get_by_role("dialog", name="确认兑换").locator("..").locator(".van-popup__close-icon").click()
    await expect(hand.at("redeem-confirm")).to_be_hidden()
    await page.go_back()
    await hand.see("mini-title", "积分商城")
    assert await club.redemptions() == []


async def test_a_reload_under_a_sheet_leaves_the_page(hand: Hand, club: Club) -> None:
    page = hand.page
    ticket = await club.gift("品茗券", "virtual", price=60)
    await hand.member("小雨")
    await club.earn("小雨", 100)
    await hand.tap("mini-tab-Mall", f"gift-{ticket}", "redeem")
    await expect(hand.at("redeem-confirm")).to_be_visible()
    await page.reload()
    await hand.see("gift-name", "品茗券")
    await expect(hand.at("redeem-confirm")).to_be_hidden()
    await page.go_back()
    await hand.see("mini-title", "积分商城")


async def test_a_page_opened_from_a_sheet_takes_its_place(hand: Hand, club: Club) -> None:
    page = hand.page
    await hand.member("小雨")
    await hand.tap("mini-menu", "mini-service")
    await expect(hand.at("chat-input")).to_be_visible()
    await page.go_back()
    await hand.see("mini-title", "会员中心")
    await expect(hand.at("mini-service")).to_be_hidden()
    await page.go_forward()
    await expect(hand.at("chat-input")).to_be_visible()


async def test_a_sheet_at_work_stays(hand: Hand, club: Club) -> None:
    page = hand.page
    ticket = await club.gift("品茗券", "virtual", price=60)
    await hand.member("小雨")
    await club.earn("小雨", 100)
    await hand.tap("mini-tab-Mall", f"gift-{ticket}", "redeem")
    held: list[Route] = []

    async def hold(route: Route) -> None:
        if "/redeem" in (route.request.post_data or ""):
            held.append(route)
        else:
            await route.continue_()

    await page.route("**/request", hold)
    await hand.tap("redeem-confirm")
    await hand.see("redeem-confirm", "兑换中…")
    await page.go_back()
    await hand.see("redeem-confirm", "兑换中…")
    await expect(hand.at("redeem-confirm")).to_be_visible()
    await held[0].continue_()
    await hand.see("redemption-state", "兑换成功")
    await page.go_back()
    await hand.see("mini-title", "积分商城")
    assert await club.redemptions() == ["placed"]


async def test_the_scanner_and_a_picture(hand: Hand, club: Club) -> None:
    page = hand.page
    await hand.pick_up("小雨")
    await hand.tap("mini-close")
    await page.get_by_test_id("nav-back").click()
    await hand.tap("tab-discover", "discover-scan")
    await expect(hand.at("scanner")).to_be_visible()
    await page.go_back()
    await expect(hand.at("scanner")).to_be_hidden()
    await expect(hand.at("discover-scan")).to_be_visible()

    await hand.tap(f"account-{club.official.appid}", "follow", "chat-more")
    await expect(hand.at("profile")).to_be_visible()
    await page.go_back()
    await expect(hand.at("profile")).to_be_hidden()
    await expect(hand.at("chat-more")).to_be_visible()

    await hand.write("看图")
    await hand.tap("chat-plus")
    drawn = io.BytesIO()
    Image.new("RGB", (120, 80), "#07c160").save(drawn, "PNG")
    picture = FilePayload(name="tea.png", mimeType="image/png", buffer=drawn.getvalue())
    await hand.at("image-input").set_input_files(picture)
    shown = page.locator("[data-testid=bubble][data-type=image] img").last
    await expect(shown).to_have_attribute("src", re.compile(r"^/phone/media/"))
    await shown.click()
    await expect(hand.at("viewer")).to_be_visible()
    await page.go_back()
    await expect(hand.at("viewer")).to_be_hidden()
    await expect(hand.at("chat-more")).to_be_visible()
    await page.go_back()
    await expect(hand.at("discover-scan")).to_be_visible()
