"""The mini-program on the phone in a real browser: it speaks only the members' API of the real server."""

import asyncio
import contextvars
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Route, expect

from kit.clock import SHANGHAI, ManualClock
from scrm.access import requests
from scrm.access.service import sign_out
from scrm.db import fetch
from tests.browser.club import Club, Hand, open_club

pytestmark = pytest.mark.browser

ADDRESS = {"name": "陈小雨", "phone": "13812345678", "region": "浙江省杭州市西湖区", "detail": "龙井路 1 号"}


@pytest.fixture
async def club(database_url: str, clock: ManualClock, phone_pages: Path) -> AsyncIterator[Club]:
    async with open_club(database_url, clock, phone_pages) as found:
        yield found


@pytest.fixture
async def hand(chromium: Browser, club: Club) -> AsyncIterator[Hand]:
    """The phone's page; at the end it must have asked the simulator alone, but for pictures, and logged no error."""
    context = await chromium.new_context(
        viewport={"width": 1360, "height": 920}, locale="zh-CN", timezone_id="America/New_York"
    )
    page = await context.new_page()
    page.set_default_timeout(10_000)
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(f"{club.wechat.url}/phone/")
    yield Hand(page, club)
    await context.close()
    ours = (f"{club.wechat.url}/", f"{club.server.address}/assets/", "data:", "blob:")
    assert [url for url in asked if not url.startswith(ours)] == []
    assert errors == []


async def fill_address(hand: Hand, **changes: str) -> None:
    for name, text in (ADDRESS | changes).items():
        await hand.at(f"address-{name}").fill(text)
    await hand.tap("address-save")


async def test_checking_in_by_chat_moves_the_points_in_the_mini_program(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await hand.see("growth", "0")
    await hand.see("next-level", "再得 100 升级为铜牌")
    await hand.tap(f"account-{club.official.appid}", "follow")
    await expect(hand.at("push-log").locator("li")).to_have_attribute("data-outcome", "success")
    assert await club.profiles() == 1
    await hand.write("签到")
    said = hand.page.locator('[data-testid="bubble"][data-from="account"]').last
    await expect(said).to_contain_text("签到成功！🎉\n积分 +1，成长值 +3")

    await hand.tap(f"account-{club.mini.appid}")
    await hand.see("points", "1")
    await hand.see("growth", "3")
    await hand.see("streak", "1")
    await hand.see("mini-check-in", "今日已签到")
    await hand.tap("way-Points")
    await expect(hand.at("statement")).to_contain_text("每日签到")
    noon = club.clock.now().astimezone(SHANGHAI)
    await expect(hand.at("statement")).to_contain_text(f"{noon:%Y-%m-%d} 12:00:00")
    await hand.tap("asset-growth")
    await hand.see("balance", "3")
    assert (await club.fan("小雨")).person_id == (await club.fan("小雨", club.official)).person_id

    # The capsule leads back to the chat that was beneath.
    await hand.tap("mini-close")
    await hand.see("nav-title", "青屿茶舍")


async def test_growth_has_the_brands_own_word(hand: Hand, club: Club) -> None:
    await fetch("UPDATE brand SET growth_word = '经验' WHERE id = $1", club.brand_id)
    await hand.member("小雨")
    await expect(hand.at("member-card")).to_contain_text("经验 0")
    await hand.tap("mini-check-in")
    await expect(hand.at("checked-in")).to_contain_text("+1 积分　+3 经验")
    await hand.tap("checked-in-close")
    await hand.tap("mini-tab-Tasks")
    task = hand.at("task-zippo.checkin")
    await expect(task.get_by_test_id("task-today")).to_have_text(["今日 积分 +1", "今日 经验 +3"])
    await hand.tap("mini-tab-Mine")
    await expect(hand.at("entry-Points")).to_have_text("积分与经验")
    await hand.tap("entry-Points")
    await hand.tap("asset-growth")
    await expect(hand.at("asset-growth")).to_have_text("经验")
    await hand.see("balance", "3")
    await expect(hand.page.get_by_test_id("statement")).not_to_contain_text("成长值")


async def test_checking_in_in_the_mini_program(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await hand.tap("mini-check-in")
    await expect(hand.at("checked-in")).to_contain_text("签到成功+1 积分　+3 成长值已连续签到 1 天")
    await hand.tap("checked-in-close")
    await hand.see("points", "1")
    club.clock.advance(days=2)
    # A day was missed: a card mends it.
    await hand.tap("mini-tab-Tasks")
    task = hand.at("task-zippo.checkin")
    await expect(task.get_by_test_id("task-state")).to_have_text("待完成")
    await hand.tap("task-check-in")
    await hand.tap("checked-in-close")
    await hand.see("streak", "1")
    await expect(task.get_by_test_id("task-state")).to_have_text("已完成")
    await expect(task.get_by_test_id("task-today")).to_have_text(["今日 积分 +1", "今日 成长值 +3"])
    missed = hand.at(f"day-{(club.clock.now()).date().replace(day=club.clock.now().day - 1).isoformat()}")
    await expect(missed).to_have_attribute("data-kind", "missed")
    await missed.click()
    await hand.tap("make-up")
    await hand.see("notice-line", "补签成功，已连续签到 3 天")
    await expect(missed).to_have_attribute("data-kind", "made_up")
    await hand.see("streak", "3")


async def test_a_gift_is_redeemed_and_taken_back(hand: Hand, club: Club) -> None:
    cup = await club.gift("手作青瓷杯", "physical", price=60, per_person=1)
    await hand.member("小雨")
    await club.earn("小雨", 100)
    await hand.tap("mini-tab-Mall", f"gift-{cup}")
    await hand.see("gift-name", "手作青瓷杯")
    picture = hand.page.locator(".picture img")
    assert await picture.evaluate("async (img) => { await img.decode(); return img.naturalWidth }") == 600

    await hand.tap("redeem")
    await fill_address(hand, phone="12")
    await expect(hand.page.get_by_text("请填写正确的手机号")).to_be_visible()
    await fill_address(hand)
    await expect(hand.page.get_by_text("陈** 138****5678")).to_be_visible()
    await hand.tap("redeem-confirm")
    await hand.see("redemption-state", "兑换成功")
    await expect(hand.at("redemption")).to_contain_text("浙江省杭州市西湖区")
    assert (await club.stock(cup), await club.redemptions()) == (4, ["placed"])

    await hand.tap("mini-back")
    await hand.see("mall-points", "40")
    await hand.tap(f"gift-{cup}")
    await hand.see("redeem", "已达每人限兑 1 件")
    await expect(hand.at("redeem")).to_be_disabled()
    await hand.tap("mini-back", "my-redemptions")
    row = hand.page.locator('[data-state="placed"]')
    await expect(row).to_contain_text("手作青瓷杯待发货")
    await row.click()
    await hand.tap("cancel", "redemption-confirm")
    await hand.see("redemption-state", "已取消")
    assert (await club.stock(cup), await club.redemptions()) == (5, ["cancelled"])
    await hand.tap("mini-back", "mini-back")
    await hand.see("mall-points", "100")


async def test_a_code_is_shown_after_a_question(hand: Hand, club: Club) -> None:
    coupon = await club.gift("门店试饮券", "virtual", price=1, stock=1, picture="tasting.svg")
    seat = await club.gift("周末茶会席位", "physical", price=1, level="铜牌")
    await hand.member("小雨")
    await hand.tap("mini-tab-Mall", f"gift-{seat}")
    await hand.see("redeem", "升级到铜牌可兑换")
    await hand.tap("mini-back", f"gift-{coupon}")
    await hand.see("redeem", "还差 1 积分")
    await club.earn("小雨", 1)
    await hand.tap("mini-back", f"gift-{coupon}", "redeem", "redeem-confirm")
    await hand.see("redemption-state", "兑换成功")
    await hand.tap("show-code", "redemption-confirm")
    await hand.see("code", "CODE-0")
    await hand.see("redemption-state", "已使用")
    await expect(hand.at("cancel")).to_have_count(0)
    assert (await club.stock(coupon), await club.redemptions()) == (0, ["completed"])
    # Seen before: no question, no cost.
    await hand.tap("mini-back", "my-redemptions")
    await hand.page.locator('[data-state="completed"]').click()
    await hand.tap("show-code")
    await hand.see("code", "CODE-0")


async def test_two_fans_are_two_members(hand: Hand, club: Club) -> None:
    await hand.member("阿珍")
    await hand.tap("mini-check-in", "checked-in-close")
    await hand.see("points", "1")
    await hand.member("老王")
    assert (await club.fan("阿珍")).person_id != (await club.fan("老王")).person_id
    await hand.at("fan-select").select_option(club.person("阿珍").id)
    await hand.see("points", "1")
    await hand.at("fan-select").select_option(club.person("老王").id)
    await hand.see("points", "0")


async def test_signing_out(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await hand.tap("mini-check-in", "checked-in-close", "mini-tab-Mine", "sign-out", "sign-out-confirm")
    await expect(hand.at("mini-sign-in")).to_be_visible()
    assert await club.sessions() == ["signed_out"]
    kept = await hand.page.evaluate("Object.keys(localStorage).filter(key => key.endsWith('/tokens'))")
    assert kept == []
    await hand.page.reload()
    await hand.tap("mini-sign-in")
    await hand.see("points", "1")
    assert await club.sessions() == ["signed_out", ""]


async def test_a_session_goes_on_until_somebody_ends_it(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    club.clock.advance(minutes=16)
    await hand.tap("mini-check-in", "checked-in-close")
    await hand.see("points", "1")
    log = hand.at("request-log").locator("li")
    # However many requests found the token too old, it was renewed once.
    await expect(log.filter(has_text="/refresh")).to_have_count(1)
    await hand.page.reload()
    await hand.see("points", "1")
    assert await club.sessions() == [""]

    (session,) = await club.house.rows("SELECT id FROM member_session")
    await sign_out(session_id=session["id"], now=club.clock.now())
    await hand.tap("mini-tab-Mall")
    await hand.see("mini-sign-in-error", "登录已失效，请重新登录")
    await hand.tap("mini-sign-in")
    await hand.see("points", "1")


async def test_two_windows_share_one_session(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    page = await hand.page.context.new_page()
    await page.goto(hand.page.url)
    second = Hand(page, club)
    await second.see("points", "0")
    club.clock.advance(minutes=16)
    await hand.tap("mini-tab-Mall")
    await hand.see("mall-points", "0")
    # What this window has is too old, and its refresh token was used: it takes what the other one got.
    tokens = "Object.entries(localStorage).find(([key]) => key.endsWith('/tokens'))[1]"
    renewed = await hand.page.evaluate(tokens)
    await page.wait_for_function(f"(renewed) => {tokens} === renewed", arg=renewed)
    await second.tap("mini-tab-Mall")
    await second.see("mall-points", "0")
    assert await club.sessions() == [""]


async def test_the_check_in_that_reaches_a_level_says_so(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await club.earn("小雨", 98, asset="growth")
    await hand.page.reload()
    await hand.see("next-level", "再得 2 升级为铜牌")
    await hand.tap("mini-check-in")
    await hand.see("level-up", "恭喜升级为铜牌")
    await hand.tap("checked-in-close")
    await hand.see("level", "铜牌")


async def test_a_slow_and_a_failing_server_are_shown(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    faults = club.wechat.wechat.faults
    faults.add_api(path="wx.request", delay=3.6, times=3)
    await hand.tap("mini-tab-Mall")
    await hand.see("mini-slow", "网络有点慢，还在努力加载…")
    await expect(hand.at("mini-empty")).to_have_text("好礼正在路上")

    faults.add_api(path="wx.request", drop="before", times=None)
    await hand.tap("mini-tab-Tasks")
    await hand.see("mini-error", "连不上小程序的服务器")
    faults.clear()
    await hand.tap("mini-retry")
    await expect(hand.at("tasks")).to_be_visible()

    faults.add_api(path="wx.request", status=500, times=None)
    await hand.tap("mini-tab-Mall")
    await hand.see("mini-error", "服务暂时不可用（500）")
    await hand.tap("mini-tab-Home")
    await hand.see("mini-error", "服务暂时不可用（500）")
    faults.clear()
    await hand.tap("mini-retry")
    await hand.see("points", "0")


async def test_what_is_tried_again_is_done_once(hand: Hand, club: Club) -> None:
    cup = await club.gift("手作青瓷杯", "physical", price=60)
    await hand.member("小雨")
    await club.earn("小雨", 200)
    await hand.tap("mini-tab-Mall", f"gift-{cup}", "redeem")
    await fill_address(hand)
    await expect(hand.at("redeem-confirm")).to_be_enabled()
    # The answer is lost twice, though the server redeemed at once.
    faults = club.wechat.wechat.faults
    faults.add_api(path="wx.request", drop="after", times=2)
    await hand.tap("redeem-confirm")
    await hand.see("redeem-error", "连不上小程序的服务器。不确定是否已兑换，再试一次也只会兑换一件。")
    assert (await club.stock(cup), await club.redemptions()) == (4, ["placed"])
    await hand.tap("redeem-confirm")
    await hand.see("redemption-state", "兑换成功")
    assert (await club.stock(cup), await club.redemptions()) == (4, ["placed"])
    await hand.tap("mini-back")
    await hand.see("mall-points", "140")

    # Another wish is another redemption.
    await hand.tap(f"gift-{cup}", "redeem", "redeem-confirm")
    await hand.see("redemption-state", "兑换成功")
    assert (await club.stock(cup), await club.redemptions()) == (3, ["placed", "placed"])


async def test_a_try_that_is_still_at_work_is_waited_for(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    scope, sealer = f"fan:{(await club.fan('小雨')).id}", club.server.services.sealer
    claimed: list[requests.Claim] = []
    context = contextvars.copy_context()  # the browser's events come without the test's database

    async def claim_first(route: Route) -> None:
        """Let another process be at work on this very check-in, as after a connection that broke."""
        sent = json.loads(route.request.post_data or "{}")
        key = sent["headers"].get("Idempotency-Key")
        if key and not claimed:
            digest = hashlib.sha256(b"\0".join([b"POST", urlsplit(sent["url"]).path.encode(), b""])).hexdigest()
            claim = requests.claim(
                sealer, scope=scope, key=key, request_hash=digest, owner=uuid.uuid4(), now=club.clock.now()
            )
            made = await asyncio.create_task(claim, context=context)
            assert isinstance(made, requests.Claim)
            claimed.append(made)
        await route.continue_()

    await hand.page.route("**/phone/api/mini/*/*/request", claim_first)
    await hand.tap("mini-check-in")
    await expect(hand.at("request-log").locator("li").first).to_contain_text("409")
    await requests.give_up(claimed[0])
    await expect(hand.at("checked-in")).to_contain_text("签到成功")
    await hand.tap("checked-in-close")
    await hand.see("points", "1")


async def test_a_refusal_is_said_in_its_words(hand: Hand, club: Club) -> None:
    cup = await club.gift("手作青瓷杯", "virtual", price=60, stock=1)
    await hand.member("小雨")
    await club.earn("小雨", 60)
    await hand.tap("mini-tab-Mall", f"gift-{cup}", "redeem")
    # Another member is quicker.
    other = club.wechat.fan("阿珍")
    root = f"{club.server.address}/api/mp/{club.mini.appid}"
    http = hand.page.request
    signed = await http.post(f"{root}/sign-in", data={"code": other.login_code(club.mini.appid)})
    await club.earn("阿珍", 60)
    bearer = {"Authorization": f"Bearer {(await signed.json())['access_token']}"}
    assert (await http.post(f"{root}/gifts/{cup}/redeem", data={}, headers=bearer)).status == 200
    await hand.tap("redeem-confirm")
    await hand.see("redeem-error", "商品已兑完")
    await hand.see("redeem", "已兑完")
    assert await club.redemptions() == ["placed"]


async def test_a_long_statement_comes_page_by_page(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    for n in range(45):
        await club.earn("小雨", n + 1, f"line {n}", f"第 {n + 1} 次")
    await hand.tap("way-Points")
    lines = hand.page.locator('[data-testid^="line-"]')
    await expect(lines.first).to_contain_text("第 45 次")
    for _ in range(3):
        await hand.page.locator(".more").scroll_into_view_if_needed()
    await expect(lines).to_have_count(45)
    await expect(lines.last).to_contain_text("第 1 次")
    await hand.see("balance", "1,035")
    assert await hand.page.locator(".more").inner_text() == "没有更多了"


async def test_addresses(hand: Hand) -> None:
    await hand.member("小雨")
    await hand.tap("mini-tab-Mine", "entry-Addresses", "address-add")
    await fill_address(hand)
    row = hand.page.locator('[data-testid^="address-row-"]')
    await expect(row).to_contain_text("陈** 138****5678 默认")
    await hand.tap("address-edit")
    await expect(hand.at("address-phone")).to_have_value("13812345678")
    await hand.at("address-detail").fill("满觉陇 2 号")
    await hand.tap("address-save")
    await expect(row).to_contain_text("满觉")
    await hand.tap("address-remove", "address-remove-confirm")
    await hand.see("mini-empty", "还没有收货地址")


async def test_one_phone_number_is_one_member(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await club.earn("小雨", 5)
    number = club.person("小雨").phone
    await hand.tap("mini-tab-Mine", "entry-Phone", "phone-bind", "phone-allow")
    await hand.see("bound-phone", f"{number[:3]}****{number[-4:]}")
    await hand.member("小雨的旧号")
    await club.earn("小雨的旧号", 3)
    club.person("小雨的旧号").phone = number
    await hand.tap("mini-tab-Mine", "entry-Phone", "phone-bind", "phone-allow", "mini-back")
    await hand.see("mine-points", "8")
    assert (await club.fan("小雨")).person_id == (await club.fan("小雨的旧号")).person_id


async def test_on_a_small_screen_it_is_found_under_discover(hand: Hand, club: Club) -> None:
    await hand.pick_up("小雨")
    await hand.page.set_viewport_size({"width": 390, "height": 844})
    await hand.tap("mini-sign-in")
    await hand.see("points", "0")
    await hand.tap("mini-close", "nav-back", "tab-discover", f"mini-{club.mini.appid}")
    await hand.see("points", "0")
    assert await hand.page.evaluate("document.documentElement.scrollWidth") == 390
