"""The phone in a real browser, on the real simulator, against a tiny account server that records every push."""

import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image
from playwright.async_api import Browser, Locator, Page, expect

from simulator import testing
from simulator.server import SimulatorServer
from simulator.world import Account

pytestmark = pytest.mark.browser

WELCOME = '欢迎来到青禾茶社\n回复「签到」，或看<a href="https://example.com/m?a=1&amp;b=2">会员中心</a>'
MARKUP = (
    '<a href="javascript:alert(1)">坏链接</a> <img src=x onerror=alert(1)> <b>粗</b>'
    ' <a data-miniprogram-appid="wx1" data-miniprogram-path="pages/a" href="https://example.com/m">小程序</a>'
    " https://example.com/x?y=1，完"
)
MENU = {
    "button": [
        {"type": "click", "name": "签到", "key": "SIGN"},
        {"name": "会员", "sub_button": [{"type": "click", "name": "积分", "key": "POINTS"}]},
    ]
}


class AccountServer:
    """The account's own server: answers what `answers` says, in plain mode, and keeps every push."""

    def __init__(self) -> None:
        self.pushes: list[dict[str, str]] = []
        self.answers: dict[str, str] = {"subscribe": WELCOME, "SIGN": "签到成功", "POINTS": "你有 5 分", "难懂": MARKUP}
        self.status = 200

    async def callback(self, request: web.Request) -> web.Response:
        """Take one push."""
        push = {child.tag: child.text or "" for child in ET.fromstring(await request.read())}  # noqa: S314  # from us
        if self.status != 200:
            return web.Response(status=self.status)
        self.pushes.append(push)
        answer = self._answer(push)
        if answer is None:
            return web.Response(text="success")
        return web.Response(
            text=f"<xml><ToUserName><![CDATA[{push['FromUserName']}]]></ToUserName>"
            f"<FromUserName><![CDATA[{push['ToUserName']}]]></FromUserName><CreateTime>1</CreateTime>"
            f"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{answer}]]></Content></xml>"
        )

    def _answer(self, push: dict[str, str]) -> str | None:
        for name in (push.get("EventKey"), push.get("Event"), push.get("Content")):
            if name and name in self.answers:
                return self.answers[name]
        if push.get("Event", "").lower() == "subscribe":
            return WELCOME
        if push["MsgType"] == "image":
            return "收到图片"
        return f"你说：{push['Content']}" if push.get("Content") else None

    def heard(self) -> list[tuple[str, str]]:
        """What was pushed: the event or type, and its key or words."""
        return [
            (p.get("Event") or p["MsgType"], p.get("EventKey") or p.get("Content") or p.get("Label") or "")
            for p in self.pushes
        ]


class Stage:
    """The simulator with one service account, its server, and what the account calls the API with."""

    def __init__(self, wechat: SimulatorServer, account: Account, server: AccountServer) -> None:
        self.wechat, self.account, self.server = wechat, account, server

    async def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Call the platform's API as the account; the answer must be a success."""
        login = {"grant_type": "client_credential", "appid": self.account.appid, "secret": self.account.secret}
        # The platform refuses menus whose Chinese is escaped.
        dumps = partial(json.dumps, ensure_ascii=False)
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(self.wechat.url, json_serialize=dumps, timeout=timeout) as session:
            async with session.post("/cgi-bin/stable_token", json=login) as answer:
                token = (await answer.json(content_type=None))["access_token"]
            async with session.post(path, params={"access_token": token}, json=body) as answer:
                result: dict[str, Any] = await answer.json(content_type=None)
        assert result.get("errcode", 0) == 0, result
        return result

    async def qrcode(self, scene: str) -> str:
        """Create a permanent QR code and return its ticket."""
        info = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": scene}}}
        ticket: str = (await self.call("/cgi-bin/qrcode/create", info))["ticket"]
        return ticket

    async def say(self, openid: str, kind: str, part: dict[str, Any]) -> None:
        """Send a customer-service message."""
        await self.call("/cgi-bin/message/custom/send", {"touser": openid, "msgtype": kind, kind: part})


@pytest.fixture
async def stage(phone_pages: Path) -> AsyncIterator[Stage]:
    server = AccountServer()
    app = web.Application()
    app.router.add_post("/callback", server.callback)
    async with (
        TestServer(app, host="127.0.0.1") as listening,
        testing.running(pages=phone_pages, attempt_timeout=2.0, retry_pause=0.05) as wechat,
    ):
        url = str(listening.make_url("/callback"))
        account = wechat.world.add_account("service", name="青禾茶社", callback_url=url, description="一杯好茶")
        stage = Stage(wechat, account, server)
        await stage.call("/cgi-bin/menu/create", MENU)
        yield stage


@pytest.fixture
async def page(chromium: Browser, stage: Stage) -> AsyncIterator[Page]:
    """The phone's page, loaded; at the end it must have asked nobody but the simulator and logged no error."""
    context = await chromium.new_context(
        viewport={"width": 1360, "height": 920}, locale="zh-CN", timezone_id="Asia/Shanghai"
    )
    page = await context.new_page()
    page.set_default_timeout(10_000)
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(f"{stage.wechat.url}/phone/")
    yield page
    await context.close()
    assert [url for url in asked if not url.startswith((stage.wechat.url, "data:", "blob:"))] == []
    assert errors == []


async def become_fan(page: Page, nickname: str = "小雨") -> None:
    await page.get_by_test_id("fan-nickname").first.fill(nickname)
    await page.get_by_test_id("fan-create").first.click()
    await expect(page.get_by_test_id("follow")).to_have_text("关注公众号")


async def follow(page: Page) -> None:
    await page.get_by_test_id("follow").click()
    await expect(said(page).first).to_contain_text("欢迎来到青禾茶社")


async def write(page: Page, text: str) -> None:
    box = page.get_by_test_id("chat-input")
    if not await box.is_visible():
        await page.get_by_test_id("chat-mode").click()
    await box.fill(text)
    await box.press("Enter")


def said(page: Page) -> Locator:
    """The account's bubbles."""
    return page.locator('[data-testid="bubble"][data-from="account"]')


def mine(page: Page) -> Locator:
    """The fan's bubbles."""
    return page.locator('[data-testid="bubble"][data-from="fan"]')


async def test_a_fan_follows_talks_clicks_scans_and_leaves(page: Page, stage: Stage) -> None:
    ticket = await stage.qrcode("store_sh")
    await page.reload()
    await become_fan(page)

    # A stranger who scans sees whom they would follow; following then carries the scene.
    await page.get_by_test_id(f"scan-{ticket}").click()
    await expect(page.get_by_test_id("scanned")).to_have_text("通过扫描二维码「store_sh」打开")
    assert stage.server.pushes == []
    await follow(page)
    await expect(said(page).locator("a")).to_have_attribute("href", "https://example.com/m?a=1&b=2")
    await expect(said(page).locator(".rich")).to_have_text(re.compile("^欢迎来到青禾茶社\n回复「签到」，或看会员中心$"))

    await page.get_by_test_id("menu-0").click()
    await expect(said(page).nth(1)).to_have_text("签到成功")
    await page.get_by_test_id("menu-1").click()
    await page.get_by_test_id("menu-1-0").click()
    await expect(said(page).nth(2)).to_have_text("你有 5 分")

    await write(page, "  在吗\n")
    await expect(said(page).nth(3)).to_contain_text("你说：")
    await expect(mine(page)).to_have_count(1)
    await expect(mine(page)).to_have_attribute("data-status", "sent")

    await page.get_by_test_id("chat-plus").click()
    picture = io.BytesIO()
    Image.new("RGB", (120, 80), "#07c160").save(picture, "PNG")
    await page.get_by_test_id("image-input").set_input_files(
        {"name": "tea.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    )
    await expect(said(page).nth(4)).to_have_text("收到图片")
    shown = mine(page).nth(1).locator("img")
    await expect(shown).to_have_attribute("src", re.compile(r"^/phone/media/"))
    assert await shown.evaluate("async (img) => { await img.decode(); return img.naturalWidth }") == 120

    await page.get_by_test_id("chat-plus").click()
    await page.get_by_test_id("plus-location").click()
    await page.get_by_test_id("place-1").click()
    await page.get_by_test_id("place-send").click()
    await expect(mine(page).nth(2)).to_contain_text("北京市朝阳区国贸")

    await page.get_by_test_id(f"scan-{ticket}").click()
    await expect(page.get_by_test_id("system").last).to_have_text("扫描了二维码")
    await expect(page.locator(".codes small")).to_have_text("2 次扫描 · 永久")

    await page.get_by_test_id("chat-more").click()
    await page.get_by_test_id("unfollow").click()
    await page.get_by_test_id("unfollow-confirm").click()
    await expect(page.get_by_test_id("follow")).to_be_visible()
    await expect(page.locator('[data-testid="push-log"] li')).to_have_count(8)

    assert stage.server.heard() == [
        ("subscribe", "qrscene_store_sh"),
        ("CLICK", "SIGN"),
        ("CLICK", "POINTS"),
        ("text", "  在吗\n"),
        ("image", ""),
        ("location", "北京市朝阳区国贸"),
        ("SCAN", "store_sh"),
        ("unsubscribe", ""),
    ]
    assert len({push["FromUserName"] for push in stage.server.pushes}) == 1


async def test_what_an_account_writes_is_never_markup(page: Page) -> None:
    await become_fan(page)
    await follow(page)
    await write(page, "难懂")
    bubble = said(page).nth(1)
    await expect(bubble).to_contain_text(MARKUP.split(" <a data", maxsplit=1)[0])
    assert await bubble.locator("img, b, script").count() == 0
    assert await bubble.locator("a").evaluate_all("links => links.map(a => [a.href, a.rel])") == [
        ["https://example.com/x?y=1", "noopener noreferrer nofollow"]
    ]
    card = bubble.locator("[data-miniprogram-appid]")
    await expect(card).to_have_attribute("data-miniprogram-path", "pages/a")
    await card.click()
    await expect(page.get_by_test_id("notice-line")).to_have_text("打开小程序 pages/a（模拟器里不运行小程序）")


async def test_customer_service_messages_arrive_by_themselves(page: Page, stage: Stage) -> None:
    await become_fan(page)
    await follow(page)
    await write(page, "你好")
    await expect(said(page)).to_have_count(2)
    await expect(page.get_by_test_id("window")).to_contain_text("还可发 5 条客服消息")
    openid = stage.server.pushes[0]["FromUserName"]

    await stage.call("/cgi-bin/message/custom/typing", {"touser": openid, "command": "Typing"})
    await expect(page.get_by_test_id("nav-title")).to_have_text("对方正在输入…")
    article = {"title": "春茶上新", "description": "明前龙井", "url": "https://example.com/tea", "picurl": ""}
    await stage.say(openid, "news", {"articles": [article]})
    await expect(page.get_by_test_id("news")).to_contain_text("春茶上新")
    await expect(page.get_by_test_id("nav-title")).to_have_text("青禾茶社")
    await expect(page.get_by_test_id("window")).to_contain_text("还可发 4 条客服消息")

    choices = [{"id": "101", "content": "满意"}, {"id": "102", "content": "不满意"}]
    await stage.say(openid, "msgmenu", {"head_content": "服务如何？", "list": choices, "tail_content": "谢谢"})
    await page.get_by_test_id("msgmenu-102").click()
    await expect(mine(page).last).to_have_text("不满意")
    await expect(said(page).last).to_have_text("你说：不满意")
    assert stage.server.pushes[-1]["bizmsgmenuid"] == "102"


async def test_a_link_may_send_words_and_faces_are_shown(page: Page, stage: Stage) -> None:
    link = '<a href="weixin://bizmsgmenu?msgmenucontent=转人工&msgmenuid=7">找人聊聊</a>'
    stage.server.answers["怎么办"] = f"{link}，别急/::)/:rose 见 /::? /:?"
    await become_fan(page)
    await follow(page)
    await write(page, "怎么办")
    await expect(said(page).nth(1).locator(".rich")).to_have_text("找人聊聊，别急🙂🌹 见 /::? /:?")
    await page.get_by_test_id("choice").click()
    await expect(mine(page).last).to_have_text("转人工")
    await expect(said(page).last).to_have_text("你说：转人工")
    assert stage.server.pushes[-1]["bizmsgmenuid"] == "7"


async def test_entering_a_mini_programs_chat_is_told_to_it(page: Page, stage: Stage) -> None:
    server = stage.account.callback_url
    mini = stage.wechat.world.add_account("miniprogram", name="青禾商城", callback_url=server)
    await become_fan(page)
    fan_id = next(iter(stage.wechat.world.fans))
    await page.goto(f"{stage.wechat.url}/phone/?again#/{mini.appid}/{fan_id}")
    await expect(page.get_by_test_id("system")).to_have_text("进入客服会话")
    assert stage.server.heard() == [("user_enter_tempsession", "")]
    await page.get_by_test_id("nav-back").click()
    await page.get_by_test_id(f"conversation-{mini.appid}").click()
    await expect(page.get_by_test_id("system")).to_have_count(2)
    assert stage.server.heard() == [("user_enter_tempsession", "")] * 2


async def test_a_reload_keeps_the_chat_and_the_list_shows_it(page: Page, stage: Stage) -> None:
    await become_fan(page)
    await follow(page)
    openid = stage.server.pushes[0]["FromUserName"]
    fan_id = next(iter(stage.wechat.world.fans))
    assert page.url == f"{stage.wechat.url}/phone/#/{stage.account.appid}/{fan_id}"
    await page.reload()
    await expect(said(page)).to_have_count(1)
    await expect(page.get_by_test_id("fan-select")).to_have_value(fan_id)

    await page.get_by_test_id("nav-back").click()
    row = page.get_by_test_id(f"conversation-{stage.account.appid}")
    await expect(row).to_contain_text("欢迎来到青禾茶社 回复「签到」，或看会员中心")
    await stage.say(openid, "text", {"content": "新茶到店"})
    await expect(row).to_contain_text("新茶到店")
    await expect(page.get_by_test_id("nav-title")).to_have_text("微信(1)")
    await row.click()
    await expect(said(page).nth(1)).to_have_text("新茶到店")
    await page.get_by_test_id("nav-back").click()
    await expect(page.get_by_test_id("nav-title")).to_have_text("微信")


async def test_enter_while_composing_chinese_sends_nothing(page: Page, stage: Stage) -> None:
    await become_fan(page)
    await follow(page)
    await page.get_by_test_id("chat-mode").click()
    box = page.get_by_test_id("chat-input")
    await box.focus()
    session = await page.context.new_cdp_session(page)
    await session.send("Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5})
    # The key press as an input method passes it on: the key is Enter, the code is "in process".
    enter = {"type": "rawKeyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    await session.send("Input.dispatchKeyEvent", enter)
    await expect(box).to_have_value("nihao")
    await session.send("Input.insertText", {"text": "你好"})
    await expect(box).to_have_value("你好")
    assert stage.server.heard() == [("subscribe", "")]
    await box.press("Enter")
    await expect(said(page).nth(1)).to_have_text("你说：你好")
    await expect(box).to_have_value("")
    assert stage.server.heard() == [("subscribe", ""), ("text", "你好")]


async def test_a_server_that_fails_is_out_of_service(page: Page, stage: Stage) -> None:
    await become_fan(page)
    await follow(page)
    stage.server.status = 500
    await write(page, "在吗")
    await expect(page.get_by_test_id("system").last).to_have_text("该公众号暂时无法提供服务，请稍后再试")
    row = page.locator('[data-testid="push-log"] li').first
    await expect(row).to_have_attribute("data-outcome", "failed")
    await expect(row).to_contain_text("3 次")


async def test_a_message_that_could_not_be_sent_can_be_sent_again(page: Page, stage: Stage) -> None:
    await become_fan(page)
    await follow(page)
    port = int(stage.wechat.url.rsplit(":", 1)[1])
    await stage.wechat.stop()
    await expect(page.get_by_test_id("offline")).to_be_visible()
    await write(page, "还在吗")
    await expect(mine(page)).to_have_attribute("data-status", "failed")
    await expect(page.get_by_test_id("notice-line")).to_have_text("连不上模拟器，请确认它还在运行")

    async with SimulatorServer(stage.wechat.world, port=port):
        await expect(page.get_by_test_id("offline")).to_be_hidden()
        await page.get_by_test_id("resend").click()
        await expect(said(page).nth(1)).to_have_text("你说：还在吗")
        await expect(mine(page)).to_have_count(1)
        await expect(mine(page)).to_have_attribute("data-status", "sent")


async def test_on_a_small_screen_the_panel_is_a_sheet(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 780})
    await page.get_by_test_id("panel-open").click()
    await page.get_by_role("dialog").get_by_test_id("fan-nickname").fill("阿南")
    await page.get_by_role("dialog").get_by_test_id("fan-create").click()
    await expect(page.get_by_test_id("follow")).to_have_count(1)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_a_scan_that_waits_is_the_fans_who_scanned(page: Page, stage: Stage) -> None:
    """It once counted for whoever held the phone when 关注 was tapped."""
    ticket = await stage.qrcode("store-7")
    await page.reload()
    fans = page.get_by_test_id("fan-select")

    async def new_fan(nickname: str) -> None:
        await page.get_by_test_id("fan-nickname").first.fill(nickname)
        await page.get_by_test_id("fan-create").first.click()
        await expect(fans.locator("option:checked")).to_have_text(nickname)

    await new_fan("小雨")
    await page.get_by_test_id(f"scan-{ticket}").click()
    await expect(page.get_by_test_id("scanned")).to_be_visible()
    rain = await fans.input_value()
    await new_fan("小雪")
    await expect(page.get_by_test_id("follow")).to_be_visible()
    await expect(page.get_by_test_id("scanned")).to_have_count(0)
    await page.get_by_test_id("follow").click()
    await expect(page.get_by_test_id("bubble")).to_have_count(1)
    # Whoever scanned may still follow through the code.
    await fans.select_option(rain)
    await expect(page.get_by_test_id("scanned")).to_be_visible()
    await page.get_by_test_id("follow").click()
    await expect(page.get_by_test_id("bubble")).to_have_count(1)
    assert stage.server.heard() == [("subscribe", ""), ("subscribe", "qrscene_store-7")]
