"""Profile, invitations and the rights of the person, on the phone in a real browser."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Browser, BrowserContext, ViewportSize, expect

from kit.clock import ManualClock
from tests.browser.club import Club, Hand, open_club

pytestmark = pytest.mark.browser

SMALL: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
async def club(database_url: str, clock: ManualClock, phone_pages: Path) -> AsyncIterator[Club]:
    async with open_club(database_url, clock, phone_pages) as found:
        yield found


@pytest.fixture
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    found = await chromium.new_context(
        viewport={"width": 1360, "height": 920},
        locale="zh-CN",
        timezone_id="America/New_York",
        permissions=["clipboard-read", "clipboard-write"],
    )
    yield found
    await found.close()


@pytest.fixture
async def hand(context: BrowserContext, club: Club) -> AsyncIterator[Hand]:
    """The phone's page; at the end it must have logged no error."""
    page = await context.new_page()
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(f"{club.wechat.url}/phone/")
    yield Hand(page, club)
    assert errors == []


async def test_a_profile_is_saved_and_cleared(hand: Hand) -> None:
    await hand.member("小雨")
    await hand.tap("mini-tab-Mine")
    await hand.see("mine-name", "小雨")
    await hand.tap("mine-who")
    await hand.see("mini-title", "个人资料")
    await expect(hand.at("profile-save")).to_be_disabled()
    await hand.at("profile-nickname").fill(" 雨前龙井 ")
    await hand.at("profile-name").fill("陈小雨")
    await hand.tap("profile-gender-female", "profile-birthday", "picker-done")
    await expect(hand.at("profile-birthday")).to_contain_text("1995年1月1日")
    await hand.tap("profile-province")
    await hand.page.get_by_role("button", name="河北省").click()
    await hand.tap("picker-done")
    await hand.at("profile-city").fill("承德市")
    await hand.tap("profile-save")
    await hand.see("notice-line", "资料已保存")
    await expect(hand.at("profile-save")).to_be_disabled()
    await expect(hand.at("profile-nickname")).to_have_value("雨前龙井")

    await hand.tap("mini-back")
    await hand.see("mine-name", "雨前龙井")
    await hand.tap("entry-Profile")
    await expect(hand.at("profile-name")).to_have_value("陈小雨")
    await expect(hand.at("profile-gender-female")).to_have_attribute("aria-checked", "true")
    await expect(hand.at("profile-birthday")).to_contain_text("1995年1月1日")
    await expect(hand.at("profile-province")).to_contain_text("河北省")
    await expect(hand.at("profile-city")).to_have_value("承德市")
    await expect(hand.at("profile-phone")).to_contain_text("去绑定")

    # What is emptied is forgotten; what is left alone stays.
    await hand.at("profile-nickname").fill("")
    await hand.tap("profile-gender-none", "profile-birthday", "picker-clear", "profile-save")
    await hand.see("notice-line", "资料已保存")
    await hand.page.reload()
    await hand.see("mini-title", "个人资料")
    await expect(hand.at("profile-name")).to_have_value("陈小雨")
    await expect(hand.at("profile-nickname")).to_have_value("")
    await expect(hand.at("profile-gender-none")).to_have_attribute("aria-checked", "true")
    await expect(hand.at("profile-birthday")).to_contain_text("请选择")
    await expect(hand.at("profile-city")).to_have_value("承德市")


async def test_a_bound_number_is_shown_masked(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    number = club.person("小雨").phone
    await hand.tap("mini-tab-Mine", "entry-Profile", "profile-phone", "phone-bind", "phone-allow")
    await hand.see("bound-phone", f"{number[:3]}****{number[-4:]}")
    await hand.tap("mini-back")
    await expect(hand.at("profile-phone")).to_contain_text(f"{number[:3]}****{number[-4:]}")


async def test_a_wrong_field_is_said_beside_it(hand: Hand) -> None:
    await hand.member("小雨")
    await hand.tap("mini-tab-Mine", "entry-Profile")
    await hand.at("profile-city").fill("承德市")
    await hand.at("profile-name").fill("陈\x7f雨")
    await hand.tap("profile-save")
    await expect(hand.page.locator('em[role="alert"]')).to_have_text(["姓名里有不能使用的内容，请检查"])
    await expect(hand.at("profile-city")).to_have_value("承德市")


async def invite(hand: Hand, to: str) -> None:
    await hand.tap("mini-tab-Mine", "entry-Invite", "invite-share", f"forward-{hand.club.person(to).id}")
    await hand.see("notice-line", f"已发送给{to}")


async def test_a_friend_comes_through_a_card_and_both_earn(hand: Hand, club: Club) -> None:
    await hand.pick_up("小红")
    await hand.member("小雨")
    await invite(hand, "小红")
    await hand.see("mini-empty", "还没有好友加入，转发给朋友试试")

    # The friend finds the card in WeChat; somebody else does not.
    await hand.at("fan-select").select_option(club.person("小红").id)
    await hand.tap("mini-close", "nav-back")
    await hand.see("nav-title", "微信(1)")
    await hand.tap("card")
    await hand.see("mini-invited", "好友邀请您成为会员，新会员登录后两人都有奖励")
    await hand.tap("mini-sign-in")
    await hand.see("points", "3")
    await hand.see("growth", "5")

    club.clock.advance(minutes=1)
    await hand.at("fan-select").select_option(club.person("小雨").id)
    await hand.see("points", "3")
    await hand.see("growth", "5")
    await hand.tap("mini-tab-Mine", "entry-Invite")
    await expect(hand.at("friends").locator("li")).to_have_count(1)
    await expect(hand.at("friends").locator("li")).to_have_attribute("data-state", "counts")
    await expect(hand.at("friends")).to_contain_text("3月9日 12:00 · 邀请成功积分 +3成长值 +5")
    await expect(hand.at("invite-sums")).to_have_text("1成功邀请3获得积分5获得成长值")
    assert await club.house.rows("SELECT state FROM referral") == [{"state": "counts"}]

    # Whoever is a member already brings nothing, however often the card is opened.
    await hand.at("fan-select").select_option(club.person("小红").id)
    await hand.tap("mini-tab-Mine", "sign-out", "sign-out-confirm", "mini-close", "card", "mini-sign-in")
    await hand.see("points", "3")
    await hand.at("fan-select").select_option(club.person("小雨").id)
    await hand.see("points", "3")


async def test_the_link_and_the_code_open_the_mini_program_for_whoever_comes(
    hand: Hand, club: Club, context: BrowserContext, tmp_path: Path
) -> None:
    await hand.member("小雨")
    await hand.tap("mini-tab-Mine", "entry-Invite", "invite-copy")
    await hand.see("notice-line", "邀请链接已复制")
    link = await hand.page.evaluate("navigator.clipboard.readText()")
    code = await hand.at("invite-code").inner_text()
    assert link == f"{club.wechat.url}/phone/#/{club.mini.appid}//mini?invited_by={code}"
    picture = tmp_path / "code.png"
    answer = await hand.page.request.get(f"{club.wechat.url}/phone/api/mini/{club.mini.appid}/code?invited_by={code}")
    picture.write_bytes(await answer.body())
    (seen,) = zxingcpp.read_barcodes(Image.open(picture))
    assert seen.text == link
    shown = hand.page.locator(".ticket img")
    assert await shown.evaluate("async (img) => { await img.decode(); return img.naturalWidth > 100 }")

    page = await context.new_page()
    await page.set_viewport_size(SMALL)
    await page.goto(link)
    other = Hand(page, club)
    await other.at("fan-nickname").fill("小蓝")
    await other.tap("fan-create")
    await expect(other.at("mini-invited")).to_be_visible()
    await other.tap("mini-sign-in")
    await other.see("points", "3")
    assert await page.evaluate("document.documentElement.scrollWidth") == SMALL["width"]


async def test_what_one_fan_was_sent_is_not_the_next_ones(hand: Hand, club: Club) -> None:
    await hand.pick_up("小红")
    await hand.member("小雨")
    await invite(hand, "小红")
    await hand.at("fan-select").select_option(club.person("小红").id)
    await hand.tap("mini-close", "nav-back", "card")
    await expect(hand.at("mini-invited")).to_be_visible()
    await hand.at("fan-nickname").first.fill("路人")
    await hand.tap("fan-create")
    await expect(hand.at("mini-invited")).to_have_count(0)
    await hand.tap("mini-sign-in")
    await hand.see("points", "0")
    assert await club.house.rows("SELECT FROM referral") == []


async def test_a_copy_of_everything_is_shown_and_downloaded(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await club.earn("小雨", 7)
    # More days than a page of the copy holds.
    mine = await club.fan("小雨")
    days = [club.clock.now().date() - timedelta(days=n) for n in range(505)]
    await club.house.rows(
        "INSERT INTO checkin (event_key, member_id, account_id, fan_id, day, kind, occurred_at)"
        " SELECT gen_random_uuid(), $1, $2, $3, day, 'done', $4 FROM unnest($5::date[]) AS day",
        *(mine.member_id, mine.account_id, mine.id, club.clock.now(), days),
    )
    await hand.tap("mini-tab-Mine", "entry-Profile")
    await hand.at("profile-name").fill("陈小雨")
    await hand.tap("profile-save")
    await hand.see("notice-line", "资料已保存")
    await hand.tap("mini-back", "entry-Privacy", "copy-read")
    await hand.at("copy-checkins").locator("summary").click()
    await expect(hand.at("copy-checkins")).to_contain_text("505 条")
    await expect(hand.at("copy-checkins")).to_contain_text("这里显示前 20 条，其余在文件里。")
    await expect(hand.at("request-log").locator("li").filter(has_text="/me/export")).to_have_count(2)
    async with hand.page.expect_download() as coming:
        await hand.tap("copy-save")
    file = await coming.value
    assert file.suggested_filename == "青屿会员-个人信息-2026-03-09.json"
    held = {part["name"]: part["items"] for part in json.loads((await file.path()).read_text())["sections"]}
    assert [one["name"] for one in held["profile"]] == ["陈小雨"]
    assert [line["amount"] for line in held["statement"]] == [7]
    assert {one["day"] for one in held["checkins"]} == {str(day) for day in days}
    assert len(held["checkins"]) == 505
    assert [one["openid"] for one in held["accounts"]] == [
        club.wechat.world.thread(club.mini.appid, club.person("小雨").id).openid
    ]


async def leave(hand: Hand) -> None:
    await hand.tap("mini-tab-Mine", "entry-Privacy", "leave")
    await expect(hand.at("leave-confirm")).to_be_disabled()
    await hand.tap("leave-understood", "leave-confirm")


async def test_who_leaves_and_comes_again_is_new(hand: Hand, club: Club) -> None:
    cup = await club.gift("手作青瓷杯", "virtual", price=10)
    await hand.member("小雨")
    await club.earn("小雨", 100)
    before = await club.fan("小雨")
    await hand.tap("mini-tab-Mine", "entry-Profile")
    await hand.at("profile-nickname").fill("雨前龙井")
    await hand.tap("profile-save")
    await hand.see("notice-line", "资料已保存")
    await hand.tap("mini-back", "mini-tab-Mall", f"gift-{cup}", "redeem", "redeem-confirm")
    await hand.see("redemption-state", "兑换成功")

    # A gift on its way is said kindly, and shown.
    await hand.tap("mini-back")
    await leave(hand)
    await expect(hand.at("leave-open")).to_contain_text("您还有未完成的兑换")
    await hand.tap("leave-redemptions")
    await hand.page.locator('[data-state="placed"]').click()
    await hand.tap("cancel", "redemption-confirm")
    await hand.see("redemption-state", "已取消")
    assert await club.redemptions() == ["cancelled"]

    await hand.tap("mini-back", "mini-back", "mini-back")
    await leave(hand)
    await hand.see("mini-sign-in-error", "账号已注销，您的个人信息已删除")
    assert await club.sessions() == ["deleted"]
    kept = await hand.page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('fensi-mini/'))")
    assert kept == []

    await hand.tap("mini-sign-in")
    await hand.see("points", "0")
    await hand.see("growth", "0")
    await hand.tap("mini-tab-Mine")
    await hand.see("mine-name", "小雨")
    await hand.tap("entry-Redemptions")
    await expect(hand.at("mini-empty")).to_be_visible()
    assert (await club.fan("小雨")).person_id != before.person_id


async def test_a_lost_answer_to_leaving_is_no_riddle(hand: Hand, club: Club) -> None:
    await hand.member("小雨")
    await hand.tap("mini-tab-Mine", "entry-Privacy", "leave", "leave-understood")
    club.wechat.wechat.faults.add_api(path="wx.request", drop="after", times=1)
    await hand.tap("leave-confirm")
    await hand.see("mini-sign-in-error", "登录已失效。若注销已完成，再次登录将是全新会员")
    assert await club.sessions() == ["deleted"]
