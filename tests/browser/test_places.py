"""Where the phone is: on small screens, with the browser's Back and Forward, after a reload and with another fan."""

import pytest
from playwright.async_api import expect

from tests.browser.club import Club, Hand

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "height"), [(375, 812), (360, 640)])
async def test_nothing_lies_under_the_gifts_button(hand: Hand, club: Club, width: int, height: int) -> None:
    cup = await club.gift("手作青瓷杯", "physical", price=60, per_person=1)
    await hand.member("小雨")
    await hand.page.set_viewport_size({"width": width, "height": height})
    await hand.tap("mini-tab-Mall", f"gift-{cup}")
    last = hand.page.get_by_text("取消后积分按原有效期退回，已过期的不退。")
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


async def test_back_goes_one_page_back_inside_the_phone(hand: Hand, club: Club) -> None:
    """As on a phone: mini-program's page, the page before it, the chat it was opened over, home."""
    page = hand.page
    await hand.member("小雨")
    await hand.tap(f"account-{club.official.appid}", "follow")
    await expect(hand.at("chat-input")).to_be_visible()
    await hand.tap(f"account-{club.mini.appid}", "mini-tab-Mine", "entry-Points", "asset-growth")
    await hand.see("mini-title", "积分明细")
    await page.go_back()
    await hand.see("mini-title", "我的")
    await page.go_forward()
    await hand.see("mini-title", "积分明细")
    await page.go_back()
    await page.go_back()
    await expect(hand.at("mini")).to_have_count(0)
    await expect(hand.at("chat-input")).to_be_visible()
    await page.go_back()
    await expect(hand.at("conversations")).to_be_visible()
    # Forward finds the chat again, and the mini-program over it.
    await page.go_forward()
    await expect(hand.at("chat-input")).to_be_visible()
    await page.go_forward()
    await hand.see("mini-title", "我的")


async def test_the_phones_own_buttons_and_back_agree(hand: Hand, club: Club) -> None:
    """What was left by a button of the phone is not returned to by Back."""
    page = hand.page
    await hand.member("小雨")
    await hand.tap("mini-tab-Mall", "my-redemptions", "mini-back")
    await hand.see("mini-title", "积分商城")
    await hand.tap("my-redemptions", "mini-close", "nav-back")
    await expect(hand.at("tab-chats")).to_be_visible()
    await hand.tap("tab-discover", f"mini-{club.mini.appid}", "mini-menu", "mini-service")
    await expect(hand.at("chat-input")).to_be_visible()
    await hand.tap("nav-back")
    await hand.see("mini-title", "会员中心")
    await page.go_back()
    await expect(hand.at("discover-scan")).to_be_visible()


async def test_a_reload_keeps_the_place(hand: Hand, club: Club) -> None:
    page = hand.page
    await hand.member("小雨")
    await hand.tap("mini-tab-Mine", "entry-Level")
    await hand.see("mini-title", "等级权益")
    await page.reload()
    await hand.see("mini-title", "等级权益")
    await page.go_back()
    await hand.see("mini-title", "我的")
    await page.reload()
    await hand.see("mini-title", "我的")
    # What lay beneath the mini-program is remembered, too.
    await hand.tap("mini-close")
    await expect(hand.at("follow")).to_be_visible()
    await page.go_back()
    await expect(hand.at("tab-chats")).to_be_visible()


async def test_back_does_not_hand_the_phone_to_another_fan(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await hand.tap("mini-tab-Mine", "entry-Level", "mini-close")
    await hand.at("fan-nickname").first.fill("小雪")
    await hand.tap("fan-create")
    snow = hand.at("fan-select").locator("option:checked")
    await expect(snow).to_have_text("小雪")
    await hand.page.go_forward()
    await expect(hand.at("mini-sign-in")).to_be_visible()
    await expect(snow).to_have_text("小雪")
    await hand.page.go_back()
    await hand.page.go_back()
    await expect(hand.at("tab-chats")).to_be_visible()
    await expect(snow).to_have_text("小雪")
    assert club.person("小雪").id in hand.page.url


async def test_what_was_tried_stays_ticked_after_a_reload(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await hand.tap(f"account-{club.official.appid}", "follow")
    await expect(hand.at("chat-input")).to_be_visible()
    await hand.write("签到")
    for _ in range(2):
        await expect(hand.at("hint-follow")).to_have_attribute("data-done", "true")
        await expect(hand.at("hint-talk")).to_have_attribute("data-done", "true")
        await expect(hand.at("hint-menu")).to_have_attribute("data-done", "false")
        await hand.page.reload()
    await hand.tap(f"account-{club.mini.appid}")
    await expect(hand.at("hint-sign-in")).to_have_attribute("data-done", "true")
    await expect(hand.at("hint-answered")).to_have_attribute("data-done", "true")
    await expect(hand.at("hint-check-in")).to_have_attribute("data-done", "false")
    # Another fan has tried nothing.
    await hand.pick_up("小雪")
    await expect(hand.at("hint-sign-in")).to_have_attribute("data-done", "false")
    await expect(hand.at("hint-answered")).to_have_attribute("data-done", "false")
    # Other words are not a check-in.
    await hand.tap(f"account-{club.official.appid}", "follow")
    await expect(hand.at("chat-input")).to_be_visible()
    await hand.write("你好")
    await expect(hand.at("push-log").locator("li").first).to_have_attribute("data-outcome", "replied")
    await hand.tap(f"account-{club.mini.appid}")
    await expect(hand.at("hint-answered")).to_have_attribute("data-done", "false")
