"""The inbox where nobody looks, and where its connection is lost: what happens meanwhile is told or caught up on."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from tests.bot.house import until
from tests.browser import test_inbox
from tests.browser.test_inbox import Both, asked_for_a_person, sitting_down

pytestmark = pytest.mark.browser
both = test_inbox.both

# What the system would show; and a page that can be told that it is hidden, which a browser without a screen never is.
WATCHED = """
window.shown = []
window.Notification = class extends window.Notification {
  constructor(title, options) { super(title, options); window.shown.push(this) }
}
window.away = false
Object.defineProperty(document, 'hidden', { get: () => window.away })
"""


class Line:
    """The line between a browser and a server: it can be cut, and lead to another server afterwards."""

    def __init__(self) -> None:
        self._ends: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._to = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def lead(self, address: str) -> None:
        self._to = address
        self._listener = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for end in self._ends:
            end.transport.abort()
        await asyncio.sleep(0)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._to.removeprefix("http://").split(":")
        there, back = await asyncio.open_connection(host, int(port))
        self._ends |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()


@asynccontextmanager
async def a_line(address: str) -> AsyncIterator[Line]:
    line = Line()
    await line.lead(address)
    try:
        yield line
    finally:
        await line.cut()


async def titles(console: Page) -> list[str]:
    found: list[str] = await console.evaluate("shown.map((one) => one.title)")
    return found


async def told(console: Page, title: str) -> None:
    """Wait until the last thing that was shown ends with this. The page runs no code given as text: it is asked."""

    async def last() -> bool:
        return bool(shown := await titles(console)) and shown[-1].endswith(title)

    await until(last, within=10)


async def test_who_looks_elsewhere_is_told_and_led_there(both: Both) -> None:
    console = both.console
    await console.context.grant_permissions(["notifications"])
    await console.add_init_script(WATCHED)
    await console.reload()
    await expect(console.get_by_text("实时", exact=True)).to_be_visible()
    await expect(console.get_by_role("button", name="开启桌面通知")).to_have_count(0)

    await console.evaluate("away = true")
    await both.writes("人工")
    await told(console, "新会话已分配给您")
    await both.writes("请问什么时候发货")
    await told(console, " 发来消息")
    # One after the other in the same place: a conversation fills no screen.
    (tag,) = await console.evaluate("[...new Set(shown.map((one) => one.tag))]")
    (conversation,) = await both.club.house.rows("SELECT id FROM conversation")
    assert tag == f"conversation-{conversation['id']}"

    await console.evaluate("away = false; shown.at(-1).dispatchEvent(new Event('click'))")
    await expect(console).to_have_url(f"{both.club.server.address}/console/inbox?c={conversation['id']}")
    await expect(console.locator("[data-test=heard]").last).to_contain_text("什么时候发货")
    # Whoever looks at the page sees it there.
    before = await titles(console)
    await both.writes("在吗")
    await expect(console.locator("[data-test=heard]").last).to_contain_text("在吗")
    assert await titles(console) == before


async def test_an_article_and_a_card_reach_the_phone(both: Both) -> None:
    console, phone = both.console, both.hand
    await asked_for_a_person(both)
    await console.get_by_role("button", name="发送图文或小程序卡片").click()
    send = console.get_by_role("dialog").get_by_role("button", name="发送", exact=True)
    await console.get_by_label("标题").fill("春茶上新")
    await expect(send).to_be_disabled()
    await console.get_by_label("摘要").fill("头采明前龙井")
    await console.get_by_label("链接").fill("https://tea.example/spring")
    await send.click()
    said = console.locator("[data-test=said]")
    await expect(said.last).to_contain_text("已送达")
    await expect(said.last).to_contain_text("春茶上新")
    await expect(phone.at("news")).to_contain_text("头采明前龙井")

    await console.get_by_role("button", name="发送图文或小程序卡片").click()
    await console.get_by_text("小程序卡片", exact=True).click()
    await console.get_by_label("标题").fill("会员中心")
    await expect(send).to_be_disabled()
    cover = io.BytesIO()
    Image.new("RGB", (200, 160), "#168a5b").save(cover, "PNG")
    picture = {"name": "cover.png", "mimeType": "image/png", "buffer": cover.getvalue()}
    await console.locator(".el-upload input[type=file]").set_input_files(picture)  # type: ignore[arg-type]  # a dict as TypedDict
    await expect(console.get_by_text("已上传，重新选择")).to_be_visible()
    await both.picture("9-card")
    await send.click()
    await expect(said).to_have_count(2)
    await expect(said.last).to_contain_text("已送达")
    await expect(said.last).to_contain_text("会员中心")
    await expect(phone.at("miniprogram")).to_contain_text("会员中心")
    bodies = [body["msgtype"] for body in await both.club.house.outbox(both.club.official)]
    assert bodies == ["news", "miniprogrampage"]


async def test_a_server_that_is_gone_and_one_that_comes(both: Both) -> None:
    console, club = both.console, both.club
    other = await club.house.server(wechat_url=club.wechat.url)
    async with a_line(club.server.address) as line:
        await console.goto(f"{line.address}/console/inbox")
        await expect(console.get_by_text("实时", exact=True)).to_be_visible()
        await asked_for_a_person(both)

        await line.cut()
        await expect(console.locator("[data-test=lost]")).to_contain_text("实时连接已断开，正在重连")
        await both.writes("断线的时候说的")
        await line.lead(other.address)
        await expect(console.get_by_text("实时", exact=True)).to_be_visible(timeout=25_000)
        await expect(console.locator("[data-test=heard]").last).to_contain_text("断线的时候说的")
        await expect(console.locator("[data-test=lost]")).to_have_count(0)
        # The other process tells what happens, too; nothing is shown twice.
        await both.writes("现在又连上了")
        await expect(console.locator("[data-test=heard]").last).to_contain_text("现在又连上了", timeout=5000)
        await expect(console.locator("[data-test=heard]")).to_have_count(3)
        await both.says("看到了")
        await both.phone_shows("看到了")


async def test_a_narrow_window_shows_every_button(both: Both) -> None:
    console = both.console
    await console.set_viewport_size({"width": 1024, "height": 768})
    await asked_for_a_person(both)
    await expect(console.locator("[data-test=chat-name]")).to_be_visible()
    column = await console.get_by_role("region", name="会话", exact=True).bounding_box()
    assert column is not None
    for name in ("chat-name", "state", "close", "window", "left", "send"):
        box = await console.locator(f"[data-test={name}]").bounding_box()
        assert box is not None
        assert box["width"] >= 28, name
        assert column["x"] <= box["x"], name
        assert box["x"] + box["width"] <= column["x"] + column["width"], name


async def test_the_header_of_a_conversation_is_one_line_at_1024(both: Both) -> None:
    console = both.console
    await console.set_viewport_size({"width": 1024, "height": 768})
    # Opened in a window of that width the menu is folded.
    async with sitting_down(console):
        await console.reload()
    await asked_for_a_person(both)
    await expect(console.locator("header.top .el-button")).to_have_text(["暂缓", "转接", "", "结束"])
    boxes = [await one.bounding_box() for one in await console.locator("header.top .el-button").all()]
    assert len({box["y"] for box in boxes if box is not None}) == 1
    # One that is narrowed while it is open folds it too, and shows it again.
    menu = console.locator("nav[aria-label=主菜单]")
    await console.set_viewport_size({"width": 1366, "height": 768})
    await expect(menu.locator(".el-menu-item-group__title", has_text="会员")).to_be_visible()
    await console.set_viewport_size({"width": 1024, "height": 768})
    await expect(menu.locator(".el-menu-item-group__title", has_text="会员")).to_be_hidden()
