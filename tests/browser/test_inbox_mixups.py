"""Two conversations and two people at one computer: nothing goes to the wrong fan, and nothing is lost on the way."""

import asyncio

import pytest
from playwright.async_api import Locator, Page, Route, expect

from scrm.conversations import quick_replies
from scrm.staff import roles, service
from scrm.staff.audit import COMMAND_LINE
from scrm.staff.passwords import Passwords
from tests.browser import test_inbox
from tests.browser.test_inbox import PASSWORD, Both

pytestmark = pytest.mark.browser
both = test_inbox.both

PASTE = """async (box, type) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 40, height: 30 })
    canvas.getContext('2d').fillRect(0, 0, 40, 30)
    const blob = await new Promise((done) => canvas.toBlob(done, type))
    const data = new DataTransfer()
    data.items.add(new File([blob], 'tea', { type }))
    box.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
}"""
# A slow computer: reading a picture takes as long as the test needs.
SLOW = """
const read = window.createImageBitmap.bind(window)
const wait = new Promise((done) => (window.goOn = done))
window.createImageBitmap = async (...of) => (await wait, read(...of))
"""


class Two:
    """Two fans who are served, the second of them opened last."""

    def __init__(self, both: Both, first: int, second: int) -> None:
        self.both, self.first, self.second = both, first, second

    @property
    def console(self) -> Page:
        return self.both.console

    @property
    def box(self) -> Locator:
        return self.console.locator("[data-test=composer]")

    async def open(self, conversation: int) -> None:
        await self.console.locator(f"[data-test=conversation-{conversation}]").click()
        await expect(self.console.locator(f"[data-test=conversation-{conversation}]")).to_have_class("item chosen")
        await expect(self.box).to_be_enabled()

    async def said(self) -> list[tuple[int, str]]:
        """Return what went out by staff: the conversation and the kind of message."""
        rows = await self.both.club.house.rows(
            "SELECT c.id, o.body->>'msgtype' AS kind FROM outbox o"
            " JOIN conversation c ON c.fan_id = o.fan_id WHERE o.body->>'msgtype' <> 'text'"
            " OR o.body->'text'->>'content' LIKE '%!' ORDER BY o.id"
        )
        return [(row["id"], row["kind"]) for row in rows]


@pytest.fixture
async def two(both: Both) -> Two:
    await both.writes("人工")
    await both.phone_shows("已为您接通人工客服")
    await both.another("林晚")
    await both.writes("人工")
    await expect(both.console.locator("[data-test^=conversation-]")).to_have_count(2)
    rows = await both.club.house.rows("SELECT id FROM conversation ORDER BY id")
    found = Two(both, rows[0]["id"], rows[1]["id"])
    await found.open(found.first)
    return found


async def test_a_picture_reaches_whom_it_was_pasted_for(two: Two) -> None:
    await two.console.add_init_script(SLOW)
    await two.console.reload()
    await two.open(two.first)
    await two.box.evaluate(PASTE, "image/webp")
    await two.open(two.second)
    await two.console.evaluate("goOn()")
    await two.open(two.first)
    await expect(two.console.locator("[data-test=said]").last).to_contain_text("已送达")
    assert await two.said() == [(two.first, "image")]


async def test_no_picture_goes_out_of_a_note(two: Two) -> None:
    await two.console.locator("[data-test=noting]").click()
    await two.box.evaluate(PASTE, "image/png")
    await expect(two.console.get_by_text("内部备注只能写文字")).to_be_visible()
    for name in ("发送图片", "发送图文或小程序卡片", "快捷回复", "AI 起草"):
        await expect(two.console.get_by_role("button", name=name, exact=True)).to_be_disabled()
    await expect(two.console.locator("[data-test=pending]")).to_have_count(0)
    assert await two.said() == []


async def test_a_note_never_becomes_a_reply(two: Two) -> None:
    console = two.console
    await two.box.fill("给粉丝的话")
    await console.locator("[data-test=noting]").click()
    await expect(two.box).to_have_value("")
    await console.get_by_label("内部备注").fill("此人要小心")
    await two.open(two.second)
    await expect(console.get_by_label("回复内容")).to_have_value("")
    await two.open(two.first)
    await expect(console.get_by_label("内部备注")).to_have_value("此人要小心")
    await console.reload()
    await expect(console.get_by_label("内部备注")).to_have_value("此人要小心")
    await console.locator("[data-test=noting]").click()
    await expect(console.get_by_label("回复内容")).to_have_value("给粉丝的话")


async def test_a_note_that_is_stored_late_clears_only_its_own_draft(two: Two) -> None:
    console, stored = two.console, asyncio.Event()

    async def late(route: Route) -> None:
        await stored.wait()
        await route.continue_()

    await console.route("**/notes", late)
    await console.locator("[data-test=noting]").click()
    await two.box.fill("催仓库")
    await two.box.press("Enter")
    await two.open(two.second)
    await two.box.fill("写到一半")
    async with console.expect_response("**/notes"):
        stored.set()
    await expect(two.box).to_have_value("写到一半")
    await two.open(two.first)
    await expect(console.locator("[data-test=note]")).to_contain_text("催仓库")
    await expect(console.get_by_label("回复内容")).to_have_value("")


async def test_quick_replies_of_the_fan_before_are_not_offered(two: Two) -> None:
    console, answered = two.console, asyncio.Event()
    await quick_replies.add(
        brand_id=two.both.club.brand_id, staff_id=None, title="余额", text="您有{积分}分", now=two.both.club.clock.now()
    )

    async def late(route: Route) -> None:
        answer = await route.fetch()
        await answered.wait()
        await route.fulfill(status=200, body=(await answer.text()).replace("您有0分", "您有999分"))

    path = f"**/inbox/{two.first}/quick-replies"
    await console.route(path, late)
    await two.box.fill("/")
    await two.box.fill("")
    await two.open(two.second)
    await two.box.fill("/")
    await expect(console.locator("[data-test=quick-replies]")).to_contain_text("您有0分")
    async with console.expect_response(path):
        answered.set()
    # A round trip later what came has been looked at.
    await console.evaluate("fetch('/api/console/session').then(() => true)")
    await expect(console.locator("[data-test=quick-replies]")).to_contain_text("您有0分")


async def test_a_message_that_fails_elsewhere_is_told_and_waits_there(two: Two) -> None:
    console, cut = two.console, asyncio.Event()

    async def lose(route: Route) -> None:
        # The server gets it; the answer never comes back.
        await cut.wait()
        await route.fetch()
        await route.abort()

    path = f"**/inbox/{two.first}/messages"
    await console.route(path, lose)
    await two.both.says("只说一次!")
    await expect(console.locator("[data-test=pending]")).to_contain_text("发送中")
    await two.open(two.second)
    await expect(console.locator("[data-test=pending]")).to_have_count(0)
    cut.set()
    await expect(console.get_by_text("的消息没有发出，打开该会话可重试")).to_be_visible(timeout=10_000)
    await console.unroute(path)
    # Neither another conversation nor a reload makes it forgotten.
    await two.open(two.first)
    await expect(console.locator("[data-test=refused]")).to_contain_text("可放心重试")
    await console.reload()
    await expect(console.locator("[data-test=refused]")).to_contain_text("可放心重试")
    await two.both.picture("10-unsent")
    await console.locator("[data-test=refused]").get_by_role("button", name="重试").click()
    await expect(console.locator("[data-test=pending]")).to_have_count(0)
    await expect(console.locator("[data-test=said]").last).to_contain_text("已送达")
    assert await two.said() == [(two.first, "text")]
    await console.reload()
    await expect(console.locator("[data-test=said]").last).to_contain_text("只说一次!")
    await expect(console.locator("[data-test=pending]")).to_have_count(0)


async def test_what_was_written_as_the_session_ended_is_there_after_signing_in_again(two: Two) -> None:
    console = two.console
    await two.box.fill("会话结束前写的!")
    asked, revoked = asyncio.Event(), asyncio.Event()

    async def held(route: Route) -> None:
        asked.set()
        await revoked.wait()
        await route.continue_()

    await console.route("**/inbox/*/messages", held, times=1)
    await two.box.press("Enter")
    await asked.wait()
    await two.both.club.house.rows(
        "UPDATE staff_session SET revoked_at = $1, revoked_why = 'revoked'", two.both.club.clock.now()
    )
    revoked.set()
    await sign_in(console, "li.na")
    await expect(console.locator("[data-test=pending]")).to_contain_text("会话结束前写的!")
    await console.locator("[data-test=refused]").get_by_role("button", name="重试").click()
    await expect(console.locator("[data-test=said]").last).to_contain_text("已送达")
    assert await two.said() == [(two.first, "text")]


async def sign_in(page: Page, login: str) -> None:
    await page.fill("input[name=username]", login)
    await page.fill("input[name=password]", PASSWORD)
    await page.get_by_role("button", name="登录", exact=True).click()
    await expect(page.locator("[data-test=inbox]")).to_be_visible()


async def test_the_next_person_at_this_computer_finds_nothing_of_the_one_before(two: Two) -> None:
    console, club = two.console, two.both.club
    role = await roles.role_by_code("supervisor")
    given = service.Given("王敏", role.id, [club.brand_id])
    await service.add(
        Passwords(), COMMAND_LINE, by=None, login="wang.min", given=given, now=club.clock.now(), password=PASSWORD
    )
    await console.locator("[data-test=presence]").click()
    await two.box.fill("只给李娜看的草稿")
    # The session ends by itself: what was written waits, and only for her.
    await console.context.clear_cookies()
    await console.goto(f"/console/inbox?c={two.first}")
    await sign_in(console, "wang.min")
    await expect(console.locator("[data-test=presence]")).to_contain_text("在线接待")
    await expect(console.locator("[data-test=presence] input")).to_be_checked()
    await console.goto(f"/console/inbox?c={two.first}")
    await expect(two.box).to_have_value("")
    await console.context.clear_cookies()
    await console.goto(f"/console/inbox?c={two.first}")
    await sign_in(console, "li.na")
    await expect(two.box).to_have_value("只给李娜看的草稿")
    await expect(console.locator("[data-test=presence] input")).not_to_be_checked()
    # She signs out by choice: then it is gone.
    await console.locator("[data-test=user]").click()
    await console.get_by_role("menuitem", name="退出登录").click()
    await expect(console.get_by_role("button", name="登录", exact=True)).to_be_visible()
    left = await console.evaluate("JSON.stringify(Object.entries(localStorage))")
    assert "草稿" not in left
    assert "fensi.staff." not in left
