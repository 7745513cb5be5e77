"""The mini-program on a slow and failing network: nothing is done twice, lost, or left unsaid."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.browser.club import Club, Hand

pytestmark = pytest.mark.browser

ADDRESS = {"name": "陈小雨", "phone": "13812345678", "region": "浙江省杭州市西湖区", "detail": "龙井路 1 号"}
LOST = "连不上小程序的服务器"


def lose_answers(club: Club) -> None:
    """Let the next write be done and its answer be lost, also when it is sent once more."""
    club.wechat.wechat.faults.add_api(path="wx.request", drop="after", times=2)


class Gate:
    """Holds the requests to one path until it is opened."""

    def __init__(self, path: str) -> None:
        self.path, self.opened, self.held = path, asyncio.Event(), 0

    async def __call__(self, route: Route) -> None:
        if f'{self.path}"' in (route.request.post_data or "") and not self.opened.is_set():
            self.held += 1
            await self.opened.wait()
        await route.continue_()


async def fill_address(hand: Hand, **changes: str) -> None:
    for name, text in (ADDRESS | changes).items():
        await hand.at(f"address-{name}").fill(text)
    await hand.tap("address-save")


async def test_an_address_whose_answer_was_lost_is_saved_once(hand: Hand, club: Club) -> None:
    """A change after a lost answer was once refused for its key, and then saved as a second address."""
    await hand.member("小雨")
    await hand.tap("mini-tab-Mine", "entry-Addresses", "address-add")
    lose_answers(club)
    await fill_address(hand)
    await hand.see("address-error", f"{LOST}。不确定是否已保存，再试一次也只会保存一个。")
    await hand.see("address-save", "再试一次")
    await expect(hand.at("address-detail")).to_be_disabled()
    await hand.tap("address-save")
    await expect(hand.page.locator('[data-testid^="address-row-"]')).to_have_count(1)


async def test_an_address_being_saved_keeps_its_sheet(hand: Hand, club: Club) -> None:
    """Closed meanwhile, the sheet once left a list that did not know the new address."""
    await hand.member("小雨")
    await hand.tap("mini-tab-Mine", "entry-Addresses", "address-add")
    gate = Gate("/addresses")
    await hand.page.route("**/request", gate)
    await fill_address(hand)
    await hand.see("address-save", "正在保存…")
    await hand.page.go_back()
    await expect(hand.at("address-save")).to_be_visible()
    gate.opened.set()
    await expect(hand.page.locator('[data-testid^="address-row-"]')).to_have_count(1)
    await expect(hand.at("address-save")).to_be_hidden()


async def test_another_day_is_another_try(hand: Hand, club: Club) -> None:
    """After a lost answer the next day's make-up was once refused: the key belonged to another request."""
    await hand.member("小雨")
    await hand.tap("mini-check-in", "checked-in-close")
    club.clock.advance(days=3)
    await hand.tap("mini-tab-Tasks")
    days = hand.page.locator('[data-testid^="day-"]:enabled')
    await expect(days).not_to_have_count(0)
    names = [await day.get_attribute("data-testid") for day in (await days.all())[-2:]]
    lose_answers(club)
    await hand.tap(names[0] or "", "make-up")
    await hand.see("notice-line", LOST)
    await hand.page.get_by_role("dialog", name="使用补签卡").locator("..").locator(".van-popup__close-icon").click()
    await hand.tap(names[1] or "", "make-up")
    await expect(hand.at("notice-line")).to_contain_text("补签成功")
    await expect(hand.page.locator('[data-kind="made_up"]')).to_have_count(2)


async def test_a_redemption_tried_again_after_a_reload_is_one(hand: Hand, club: Club) -> None:
    cup = await club.gift("手作青瓷杯", "physical", price=60)
    await hand.member("小雨")
    await club.earn("小雨", 200)
    await hand.tap("mini-tab-Mall", f"gift-{cup}", "redeem")
    await fill_address(hand)
    await expect(hand.at("redeem-confirm")).to_be_enabled()
    lose_answers(club)
    await hand.tap("redeem-confirm")
    await expect(hand.at("redeem-error")).to_contain_text("不确定是否已兑换")
    await hand.page.reload()
    await hand.tap("redeem", "redeem-confirm")
    await hand.see("redemption-state", "兑换成功")
    assert (await club.stock(cup), await club.redemptions()) == (4, ["placed"])


async def test_addresses_that_cannot_be_read_are_read_again(hand: Hand, club: Club) -> None:
    cup = await club.gift("手作青瓷杯", "physical", price=60)
    await hand.member("小雨")
    await club.earn("小雨", 200)
    await hand.tap("mini-tab-Mall", f"gift-{cup}")
    gate = Gate("/addresses")
    await hand.page.route("**/request", gate)
    await hand.tap("redeem")
    await hand.see("redeem-reading", "正在读取收货地址…")
    club.wechat.wechat.faults.add_api(path="wx.request", drop="before", times=None)
    gate.opened.set()
    await hand.see("redeem-error", LOST)
    club.wechat.wechat.faults.clear()
    await hand.tap("redeem-reread")
    await fill_address(hand)
    await hand.tap("redeem-confirm")
    await hand.see("redemption-state", "兑换成功")


async def test_a_check_in_is_said_before_all_is_read_again(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await expect(hand.at("mini-check-in")).to_be_visible()
    gate = Gate("/checkin/calendar")
    await hand.page.route("**/request", gate)
    await hand.tap("mini-check-in")
    await expect(hand.at("checked-in")).to_contain_text("签到成功")
    assert gate.held <= 1
    await hand.tap("checked-in-close")
    await hand.see("mini-slow", "网络有点慢，还在努力加载…")
    gate.opened.set()
    await hand.see("mini-check-in", "今日已签到")


async def test_an_older_answer_does_not_undo_a_newer_one(hand: Hand, club: Club) -> None:
    """Points read before something was earned once replaced those read after."""
    await hand.member("小雨")
    asked, read, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold_the_first(route: Route) -> None:
        if '/me"' in (route.request.post_data or "") and not asked.is_set():
            asked.set()
            answer = await route.fetch()
            read.set()
            await answered.wait()
            await route.fulfill(response=answer)
        else:
            await route.continue_()

    await hand.page.route("**/request", hold_the_first)
    await hand.tap("mini-tab-Mall")
    await read.wait()
    await club.earn("小雨", 70)
    await hand.tap("mini-tab-Home")
    await hand.see("points", "70")
    async with hand.page.expect_response("**/request"):
        answered.set()
    await hand.page.evaluate("new Promise((done) => setTimeout(done))")  # the page has taken it
    await hand.see("points", "70")
