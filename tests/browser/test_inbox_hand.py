"""The inbox under the hand: its keys, its lists and its dialogs do what they say, and take nothing away."""

import asyncio

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.browser import test_inbox
from tests.browser.test_inbox import Both, asked_for_a_person

pytestmark = pytest.mark.browser
both = test_inbox.both

# The Enter that ends a composition: Safari says it is over already, and the code of the key that it is not.
COMPOSED = """(box) => {
    const options = { key: 'Enter', code: 'Enter', bubbles: true, cancelable: true }
    box.dispatchEvent(new KeyboardEvent('keydown', { ...options, keyCode: 229 }))
    box.dispatchEvent(new KeyboardEvent('keyup', { ...options, keyCode: 13 }))
}"""


def box_of(console: Page) -> Locator:
    return console.locator("[data-test=composer]")


async def test_enter_belongs_to_the_button_that_has_the_focus(both: Both) -> None:
    console = both.console
    await asked_for_a_person(both)
    row = console.locator("[data-test^=conversation-]")
    dialog = console.get_by_role("dialog")
    await console.locator("[data-test=transfer]").press("Enter")
    await expect(dialog.get_by_text("技能组")).to_be_visible()
    await dialog.get_by_role("button", name="取消").press("Enter")
    await expect(dialog).to_have_count(0)

    await console.locator("[data-test=view-waiting]").press("Enter")
    await expect(console.get_by_text("没有粉丝在排队")).to_be_visible()
    await console.locator("[data-test=view-mine]").press("Enter")
    # On a row it opens that one; on the row that is open it starts the answer, as anywhere else.
    await row.press("Enter")
    await expect(box_of(console)).to_be_focused()
    await expect(box_of(console)).to_have_value("")
    await console.locator("[data-test=lines]").press("Enter")
    await expect(box_of(console)).to_be_focused()

    await console.locator("[data-test=close]").click()
    await console.locator("[data-test=close-now]").press("Enter")
    await expect(console.locator("[data-test=state]")).to_contain_text("已结束")


async def test_arrows_walk_through_the_list_and_not_behind_a_menu(both: Both) -> None:
    console, house = both.console, both.club.house
    await both.writes("人工")
    await both.phone_shows("已为您接通人工客服")
    await both.another("林晚")
    await both.writes("人工")
    rows = console.locator("[data-test^=conversation-]")
    await expect(rows).to_have_count(2)
    await rows.first.click()
    await expect(rows.first).to_have_class("item chosen")
    await rows.first.press("ArrowDown")
    await expect(rows.last).to_have_class("item chosen")
    await expect(rows.last).to_be_focused()
    await console.keyboard.press("Alt+ArrowUp")
    await expect(rows.first).to_have_class("item chosen")

    await console.get_by_role("button", name="暂缓").click()
    await console.get_by_role("menuitem", name="30 分钟").press("ArrowDown")
    await expect(console.get_by_role("menuitem", name="2 小时")).to_be_focused()
    await console.keyboard.press("Enter")
    await expect(console.get_by_text("已暂缓，粉丝发言或到时间后恢复")).to_be_visible()
    await expect(rows.first).to_have_class("item chosen")
    open_now = int(str(await rows.first.get_attribute("data-test")).removeprefix("conversation-"))
    snoozed = await house.rows("SELECT id FROM conversation WHERE snoozed_until IS NOT NULL")
    assert [row["id"] for row in snoozed] == [open_now]


async def test_the_enter_of_the_input_method_neither_sends_nor_tags(both: Both) -> None:
    console, posted = both.console, list[str]()
    await asked_for_a_person(both)
    console.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    tag = console.get_by_placeholder("添加标签")
    await tag.fill("爱喝龙井")
    await tag.evaluate(COMPOSED)
    await box_of(console).fill("龙井")
    await box_of(console).evaluate(COMPOSED)
    await expect(box_of(console)).to_have_value("龙井")
    await expect(tag).to_have_value("爱喝龙井")
    await expect(console.locator("[data-test=pending]")).to_have_count(0)
    assert [url for url in posted if url.endswith(("/tags", "/messages"))] == []
    await tag.press("Enter")
    await expect(console.locator(".tags .el-tag")).to_have_text(["爱喝龙井"])
    await expect(tag).to_have_value("")
    assert len([url for url in posted if url.endswith("/tags")]) == 1


async def test_a_tag_that_is_chosen_from_the_list_is_added_as_it_stands(both: Both) -> None:
    console = both.console
    await asked_for_a_person(both)
    tag = console.get_by_placeholder("添加标签")
    await tag.fill("爱喝龙井")
    await tag.press("Enter")
    await console.locator(".tags .el-tag__close").click()
    await expect(console.get_by_text("还没有标签")).to_be_visible()
    await tag.fill("龙")
    await expect(console.get_by_role("option", name="爱喝龙井")).to_be_visible()
    await tag.press("ArrowDown")
    await tag.press("Enter")
    await expect(console.locator(".tags .el-tag")).to_have_text(["爱喝龙井"])
    rows = await both.club.house.rows("SELECT name FROM tag")
    assert [row["name"] for row in rows] == ["爱喝龙井"]


async def test_neither_quick_replies_nor_a_draft_wipe_what_is_written(both: Both) -> None:
    console = both.console
    await both.writes("运费如何计算？")
    await both.phone_shows("来源：运费如何计算？")
    await asked_for_a_person(both)
    box, listed = box_of(console), console.locator("[data-test=quick-replies]")
    await box.fill("写了很久的话。")
    await console.get_by_role("button", name="快捷回复", exact=True).click()
    await expect(listed).to_contain_text("我是李娜")
    await expect(box).to_have_value("写了很久的话。")
    await box.press("Escape")
    await expect(listed).to_have_count(0)
    await expect(box).to_have_value("写了很久的话。")
    await console.get_by_role("button", name="快捷回复", exact=True).click()
    await box.press("Enter")
    await expect(box).to_have_value("写了很久的话。您好，我是李娜")
    await expect(listed).to_have_count(0)

    await box.fill("我自己写的")
    await console.locator("[data-test=draft]").click()
    await expect(box).to_have_value("我自己写的\n单笔订单实付满 99 元免运费，未满收取 10 元。")
    await expect(console.locator("[data-test=sources]")).to_contain_text("运费如何计算？")
    await expect(console.locator("[data-test=pending]")).to_have_count(0)
    # What only looks for a reply is replaced by it; Escape leaves even that.
    await box.fill("/问")
    await expect(listed).to_contain_text("我是李娜")
    await box.press("Escape")
    await expect(box).to_have_value("/问")
    await box.fill("/问候")
    await box.press("Enter")
    await expect(box).to_have_value("您好，我是李娜")


async def test_points_whose_answer_was_lost_are_given_once(both: Both) -> None:
    console = both.console
    await asked_for_a_person(both)

    async def lose(route: Route) -> None:
        # The server gives them; the answer never comes back.
        await route.fetch()
        await route.abort()

    await console.route("**/gifts", lose)
    await console.locator("[data-test=gift]").click()
    await console.locator("[data-test=give]").click()
    dialog = console.get_by_role("dialog")
    await expect(dialog.get_by_role("alert")).to_have_text(
        "没有收到服务器回应，积分可能已到账。再试一次也只会赠送一次。"
    )
    await both.picture("11-gift-unsure")
    # Another number would be another gift: first it has to be known what became of this one.
    await expect(dialog.locator("input[name=why]")).to_be_disabled()
    await expect(dialog.get_by_role("spinbutton")).to_be_disabled()
    await dialog.get_by_role("button", name="取消").click()
    await console.locator("[data-test=gift]").click()
    await console.unroute("**/gifts")
    await expect(console.locator("[data-test=give]")).to_have_text("再试一次")
    await console.locator("[data-test=give]").click()
    await expect(console.get_by_text("积分已到账，并已告诉粉丝")).to_be_visible()
    await expect(console.locator("[data-test=fan-points]")).to_have_text("50")
    # The next one is another gift.
    await console.locator("[data-test=gift]").click()
    await expect(console.locator("[data-test=give]")).to_have_text("赠送")
    await console.locator("[data-test=give]").click()
    await expect(console.locator("[data-test=fan-points]")).to_have_text("100")


async def test_a_cover_that_is_no_picture_says_so(both: Both) -> None:
    console = both.console
    await asked_for_a_person(both)
    await console.get_by_role("button", name="发送图文或小程序卡片").click()
    await console.get_by_text("小程序卡片", exact=True).click()
    wrong = {"name": "x.heic", "mimeType": "image/heic", "buffer": b"12345"}
    await console.locator(".el-upload input[type=file]").set_input_files(wrong)  # type: ignore[arg-type]  # a dict as TypedDict
    await expect(console.get_by_text("只能发送图片（JPG、PNG、GIF）")).to_be_visible()
    await expect(console.locator(".el-upload button")).to_have_text("选择图片")


async def test_a_card_that_failed_can_be_sent_again(both: Both) -> None:
    console, club = both.console, both.club
    await asked_for_a_person(both)
    path = "/cgi-bin/message/custom/send"
    fault = club.wechat.wechat.faults.add_api(path=path, errcode=45008, times=None)
    await console.get_by_role("button", name="发送图文或小程序卡片").click()
    await console.get_by_label("标题").fill("春茶上新")
    await console.get_by_label("摘要").fill("头采明前龙井")
    await console.get_by_label("链接").fill("https://tea.example/spring")
    await console.get_by_role("dialog").get_by_role("button", name="发送", exact=True).click()
    said = console.locator("[data-test=said]")
    await expect(said.last).to_contain_text("发送失败")
    club.wechat.wechat.faults.api.remove(fault)
    await said.last.get_by_role("button", name="重新发送").click()
    await expect(said).to_have_count(2)
    await expect(said.last).to_contain_text("已送达")
    await expect(both.hand.at("news")).to_contain_text("头采明前龙井")
    rows = await club.house.rows("SELECT body::text AS body FROM outbox WHERE body->>'msgtype' = 'news' ORDER BY id")
    assert len(rows) == 2
    assert rows[0]["body"] == rows[1]["body"]


async def test_a_note_is_stored_while_a_draft_is_being_made(both: Both) -> None:
    console, made = both.console, asyncio.Event()
    await asked_for_a_person(both)

    async def late(route: Route) -> None:
        await made.wait()
        await route.continue_()

    await console.route("**/draft", late)
    await console.locator("[data-test=draft]").click()
    await console.locator("[data-test=noting]").click()
    await console.get_by_label("内部备注").fill("催仓库发货")
    await console.get_by_label("内部备注").press("Enter")
    await expect(console.locator("[data-test=note]")).to_contain_text("催仓库发货")
    async with console.expect_response("**/draft"):
        made.set()


async def test_what_the_gate_refused_late_is_said_without_hours_and_counts(both: Both) -> None:
    console, house = both.console, both.club.house
    await asked_for_a_person(both)
    await both.says("您好")
    said = console.locator("[data-test=said]").last
    await expect(said).to_contain_text("已送达")
    for code, why in (("window_closed", "已超过微信允许的回复时间"), ("count_exhausted", "本次可发的条数已用完")):
        await house.rows(
            "UPDATE outbox SET state = 'refused', detail = $1 WHERE body->'text'->>'content' = '您好'", code
        )
        await console.reload()
        await expect(said.locator("[data-test=delivery]")).to_have_text(f"未发出：{why}")
    await console.get_by_role("link", name="会员资料").click()
    await console.get_by_role("tab", name="触达").click()
    await expect(console.get_by_role("cell", name="未发出")).to_be_visible()
