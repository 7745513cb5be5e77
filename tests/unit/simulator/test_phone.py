"""The phone page's API, the controls, and the world after a restart."""

import asyncio
import io
import json
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from simulator import wire
from simulator.server import SimulatorServer
from simulator.testing import running
from simulator.world import Account

from .conftest import Api, Json, Receiver


@pytest.fixture
async def phone(session: aiohttp.ClientSession, server: SimulatorServer, account: Account) -> "Phone":
    found = Phone(session, server.url + "/phone/api")
    fan = await found.call("POST", "/fans", {"nickname": "小粉"})
    found.thread = f"/threads/{account.appid}/{fan['id']}"
    return found


class Phone:
    def __init__(self, session: aiohttp.ClientSession, root: str) -> None:
        self.session, self.root, self.thread = session, root, ""

    async def call(self, method: str, path: str, body: Json | None = None, status: int = 200) -> Json:
        async with self.session.request(method, self.root + path, json=body) as answer:
            assert answer.status == status, await answer.text()
            found: Json = await answer.json()
            return found


async def test_a_conversation_on_the_phone(api: Api, phone: Phone, receiver: Receiver, account: Account) -> None:
    state = await phone.call("GET", "/state")
    assert state["accounts"] == [
        {
            "appid": account.appid,
            "name": "花店",
            "kind": "service",
            "username": account.username,
            "connected": True,
            "description": "",
            "server": "",
        }
    ]
    assert [f["nickname"] for f in state["fans"]] == ["小粉"]
    empty = await phone.call("GET", phone.thread)
    assert (empty["following"], empty["menu"], empty["messages"]) == (False, None, [])
    assert empty["window"] == {"expires_at": None, "left": 0}
    followed = await phone.call("POST", phone.thread + "/follow", {})
    assert followed["message"]["content"] == {"text": "你已关注"}
    assert followed["push"]["outcome"] == "success"
    assert set(followed["push"]) == {"outcome", "attempts", "ms"}
    said = await phone.call("POST", phone.thread + "/text", {"content": "你好"})
    assert (said["message"]["from"], said["message"]["status"]) == ("fan", "sent")
    await api.post("/cgi-bin/menu/create", {"button": [{"type": "click", "name": "签到", "key": "S"}]})
    await phone.call("POST", phone.thread + "/menu", {"path": [0]})
    place = {"latitude": 31.2, "longitude": 121.4, "label": "上海"}
    await phone.call("POST", phone.thread + "/location", place)
    await api.post(
        "/cgi-bin/qrcode/create",
        {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": "door"}}},
    )
    (code,) = await phone.call("GET", f"/accounts/{account.appid}/qrcodes")
    await phone.call("POST", phone.thread + "/scan", {"ticket": code["ticket"]})  # type: ignore[index]
    thread = await phone.call("GET", phone.thread)
    assert [(m["from"], m["type"]) for m in thread["messages"]] == [
        ("system", "event"),
        ("fan", "text"),
        ("system", "event"),
        ("fan", "location"),
        ("system", "event"),
    ]
    assert thread["menu"]["button"][0]["key"] == "S"
    assert thread["window"]["left"] == 5
    kinds = [wire.from_xml(p.raw).get("Event") or wire.from_xml(p.raw)["MsgType"] for p in receiver.pushes]
    assert kinds == ["subscribe", "text", "CLICK", "location", "SCAN"]


async def test_an_image_arrives_where_the_push_says(
    phone: Phone, receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    await phone.call("POST", phone.thread + "/follow", {})
    out = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(out, "PNG")
    form = aiohttp.FormData()
    form.add_field("file", out.getvalue(), filename="red.png")
    async with session.post(phone.root + phone.thread + "/image", data=form) as answer:
        assert answer.status == 200
    body = wire.from_xml(receiver.pushes[-1].raw)
    async with session.get(body["PicUrl"]) as answer:
        assert await answer.read() == out.getvalue()
    bad = aiohttp.FormData()
    bad.add_field("file", b"not a picture", filename="x.png")
    async with session.post(phone.root + phone.thread + "/image", data=bad) as answer:
        assert (answer.status, await answer.json()) == (400, {"error": "图片无法识别", "field": "file"})


async def test_a_link_that_sends_words(api: Api, phone: Phone, receiver: Receiver) -> None:
    await phone.call("POST", phone.thread + "/follow", {})
    openid = (await phone.call("GET", phone.thread))["openid"]
    links = [
        '<a href="weixin://bizmsgmenu?msgmenucontent=满意&amp;msgmenuid=1">好</a>',
        "<a href='weixin://bizmsgmenu?msgmenucontent=%E4%B8%8D&msgmenuid=1'>不好</a>",
        '<a href="weixin://bizmsgmenu?msgmenuid=2">没有话</a>',
    ]
    assert await api.say(openid, "满意吗：" + "、".join(links)) == 0
    message_id = (await phone.call("GET", phone.thread))["messages"][-1]["id"]
    path = phone.thread + "/msgmenu"
    for content, said in [(None, "满意"), ("满意", "满意"), ("不", "不")]:
        body = {"message_id": message_id, "item_id": "1", "content": content}
        tapped = await phone.call("POST", path, body)
        assert (tapped["message"]["from"], tapped["message"]["content"]) == ("fan", {"text": said})
        push = wire.from_xml(receiver.pushes[-1].raw)
        assert (push["MsgType"], push["Content"], push["bizmsgmenuid"]) == ("text", said, "1")
    for wrong, status, field in [
        ({"message_id": message_id, "item_id": "2"}, 404, "item_id"),
        ({"message_id": message_id, "item_id": "1", "content": "别的"}, 404, "item_id"),
        ({"message_id": message_id - 1, "item_id": "1"}, 404, "message_id"),  # the line of following
        ({"message_id": message_id + 1, "item_id": "1"}, 404, "message_id"),  # the fan's own
        ({"message_id": message_id, "item_id": 1}, 400, "item_id"),
        ({"message_id": message_id, "item_id": "1", "content": 5}, 400, "content"),
    ]:
        assert (await phone.call("POST", path, wrong, status))["field"] == field


async def test_entering_the_chat_of_a_mini_program_is_pushed(
    phone: Phone, server: SimulatorServer, receiver: Receiver
) -> None:
    mini = server.world.add_account("miniprogram", name="商城", callback_url=receiver.url)
    fan = server.fan()
    await phone.call("POST", f"/threads/{mini.appid}/{fan.person.id}/enter", {})
    push = wire.from_xml(receiver.pushes[-1].raw)
    assert (push["Event"], push["FromUserName"]) == ("user_enter_tempsession", fan.openid(mini))
    assert fan.thread(mini).grants["enter"].left == 2
    await phone.call("POST", phone.thread + "/enter", {}, 409)


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/text", {"content": "你好"}, 400, None),
        ("/unfollow", {}, 409, None),
        ("/text", {"content": "  "}, 400, "content"),
        ("/location", {"latitude": "x", "longitude": 1, "label": ""}, 400, "latitude"),
        ("/menu", {"path": "0"}, 400, "path"),
        ("/scan", {"ticket": "none"}, 404, "ticket"),
        ("/dance", {}, 404, None),
    ],
)
async def test_what_a_person_cannot_do_is_a_sentence(
    phone: Phone, receiver: Receiver, path: str, body: Json, status: int, field: str | None
) -> None:
    answer = await phone.call("POST", phone.thread + path, body, status)
    assert answer["error"]
    assert answer.get("field") == field
    assert receiver.pushes == []


async def test_the_stream_shows_what_happens(api: Api, phone: Phone, server: SimulatorServer) -> None:
    await phone.call("POST", phone.thread + "/follow", {})
    openid = (await phone.call("GET", phone.thread))["openid"]
    got: list[tuple[str, Json]] = []
    async with phone.session.get(phone.root + phone.thread + "/stream") as stream:
        assert stream.content_type == "text/event-stream"
        assert await api.say(openid, "欢迎") == 0
        async with asyncio.timeout(5):
            while len(got) < 3:
                event = (await stream.content.readline()).decode().removeprefix("event: ").strip()
                data = (await stream.content.readline()).decode().removeprefix("data: ")
                await stream.content.readline()
                got.append((event, json.loads(data)))
    assert [event for event, _ in got] == ["thread", "message", "thread"]
    assert set(got[0][1]) == {"following", "menu", "window", "typing"}
    assert (got[1][1]["via"], got[1][1]["content"]) == ("custom", {"text": "欢迎"})
    assert got[2][1]["window"]["left"] == 2


async def test_the_page_or_a_sentence(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with running() as bare, session.get(bare.url + "/") as answer:
        assert "还没有构建" in await answer.text()
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("<p>built</p>")
    (tmp_path / "secret").write_text("secret")
    async with running(pages=tmp_path / "pages") as built:
        async with session.get(built.url + "/phone/") as answer:
            assert await answer.text() == "<p>built</p>"
        async with session.get(built.url + "/phone/%2e%2e/secret") as answer:
            assert answer.status == 404


async def test_accounts_by_the_controls(
    session: aiohttp.ClientSession, server: SimulatorServer, receiver: Receiver
) -> None:
    url = server.url + "/sim/accounts"
    body = {"kind": "service", "name": "店", "appid": "wx1", "callback_url": receiver.url, "verify": True}
    async with session.post(url, json=body) as answer:
        made = await answer.json()
        assert (answer.status, len(made["aes_key"]), made["mode"]) == (200, 43, "plain")
    receiver.echo = False
    async with session.post(url, json={"appid": "wx1", "token": "new", "verify": True}) as answer:
        assert (answer.status, (await answer.json())["field"]) == (400, "callback_url")
    assert server.world.accounts["wx1"].token == made["token"]
    for wrong, field in [
        ({"mode": "secret"}, "mode"),
        ({"callback_url": "ftp://a"}, "callback_url"),
        ({"aes_key": "short"}, "aes_key"),
        ({"colour": "red"}, "colour"),
    ]:
        async with session.post(url, json={"kind": "service", "name": "x"} | wrong) as answer:
            assert (answer.status, (await answer.json())["field"]) == (400, field)
    async with session.post(
        server.url + "/sim/fans", json={"fans": [{"nickname": "甲", "openids": {"wx1": "o1"}, "following": ["wx1"]}]}
    ) as answer:
        (fan,) = await answer.json()
    assert fan["openids"] == {"wx1": "o1"}
    assert [t.openid for t in server.world.followers("wx1")] == ["o1"]
    assert receiver.pushes == []
    async with session.post(server.url + "/sim/clock", json={"advance": 60}) as answer:
        assert (await answer.json())["offset"] == 60


async def test_calls_and_pushes_are_recorded(
    session: aiohttp.ClientSession, api: Api, server: SimulatorServer, account: Account
) -> None:
    fan = server.fan()
    await fan.follow(account)
    await api.say(fan.openid(account))
    async with session.get(server.url + "/sim/calls", params={"path": "/cgi-bin/message/custom/send"}) as answer:
        recorded = await answer.json()
    assert recorded["totals"] == {"/cgi-bin/message/custom/send": 1}
    (call,) = recorded["calls"]
    assert (call["appid"], call["errcode"], call["body"]["text"]) == (account.appid, 0, {"content": "你好"})
    async with session.get(server.url + "/sim/callback-log") as answer:
        (attempt,) = await answer.json()
    assert (attempt["status"], attempt["result"], attempt["body"]["Event"]) == (200, "success", "subscribe")


async def test_a_restart_finds_everything(session: aiohttp.ClientSession, tmp_path: Path, receiver: Receiver) -> None:
    state = tmp_path / "var" / "wechat.json"
    async with running(state=state) as first:
        account = first.world.add_account("service", name="花店", callback_url=receiver.url)
        api = Api(session, first)
        await api.login(account)
        await api.post("/cgi-bin/menu/create", {"button": [{"type": "click", "name": "签到", "key": "S"}]})
        scene = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": "door"}}}
        ticket = (await api.post("/cgi-bin/qrcode/create", scene))["ticket"]
        fan = first.fan("小粉")
        await fan.follow(account, "door")
        await fan.image(account)
        await api.say(fan.openid(account))
        before = [m.wire() for m in fan.thread(account).messages]
        picture = before[-2]["content"]["url"]
        last_id = first.world.last_id
    async with running(state=state) as second:
        restored = second.world.accounts[account.appid]
        assert restored == account
        thread = second.world.thread(account.appid, fan.person.id)
        assert [m.wire() for m in thread.messages] == before
        assert (thread.openid, thread.following, thread.qr_scene) == (fan.openid(account), True, "door")
        assert thread.grants["message"].left == 4
        assert second.world.qrcodes[ticket].scans == 1
        assert second.world.next_id() > last_id
        async with session.get(second.url + picture) as answer:
            assert (await answer.read())[:4] == b"\x89PNG"
        assert second.world.line(thread, "新").id == before[-1]["id"] + 1
    state.write_text("{")
    with pytest.raises(ValueError, match=r"wechat\.json"):
        async with running(state=state):
            pass
