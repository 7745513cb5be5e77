"""Customer-service windows and everything else that an account says by the API."""

import aiohttp
import pytest
from aiohttp import web

from simulator import wire
from simulator.fan import ScriptedFan
from simulator.server import SimulatorServer
from simulator.world import Account

from .conftest import Api, Json, Push, Receiver

HOUR = 3600
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32


@pytest.fixture
async def fan(server: SimulatorServer, account: Account) -> ScriptedFan:
    found = server.fan("小粉")
    await found.follow(account)
    return found


FILES = {
    "image": ("a.png", "image/png"),
    "voice": ("a.amr", "audio/amr"),
    "video": ("a.mp4", "application/octet-stream"),
    "thumb": ("a.JPG", "image/jpeg"),
}


async def upload(
    api: Api, kind: str = "image", data: bytes = PNG, file: tuple[str, str] | None = None, path: str = "media/upload"
) -> Json:
    name, content_type = file or FILES.get(kind, FILES["image"])
    form = aiohttp.FormData()
    form.add_field("media", data, filename=name, content_type=content_type)
    form.add_field("description", '{"title": "片", "introduction": ""}')
    url = f"{api.server.url}/cgi-bin/{path}?access_token={api.token}&type={kind}"
    async with api.session.post(url, data=form) as answer:
        body: Json = await answer.json()
        return body


async def events(server: SimulatorServer, receiver: Receiver, name: str) -> list[Json]:
    await server.wechat.settle()
    bodies = [wire.from_xml(p.raw) for p in receiver.pushes]
    return [b for b in bodies if b.get("Event") == name]


async def test_a_message_opens_five_in_48_hours(
    api: Api, server: SimulatorServer, account: Account, fan: ScriptedFan
) -> None:
    openid = fan.openid(account)
    server.world.clock.advance(61)
    assert await api.say(openid) == 45015
    await fan.text(account, "在吗")
    assert [await api.say(openid) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    await fan.text(account, "还在吗")  # renews to five, does not add
    server.world.clock.advance(48 * HOUR - 60)
    await api.login(account)
    assert [await api.say(openid) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    server.world.clock.advance(61)
    assert await api.say(openid) == 45015
    assert len(fan.inbox(account)) == 10


async def test_following_scanning_and_clicking_open_three_in_a_minute(
    api: Api, server: SimulatorServer, account: Account, fan: ScriptedFan
) -> None:
    openid = fan.openid(account)
    assert [await api.say(openid) for _ in range(4)] == [0, 0, 0, 45047]
    await fan.click(account, "SIGN")
    assert [await api.say(openid) for _ in range(4)] == [0, 0, 0, 45047]
    server.world.clock.advance(61)
    assert await api.say(openid) == 45015
    await fan.text(account, "在吗")
    await fan.click(account, "SIGN")  # allowances of two scenes are not added up
    assert [await api.say(openid) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]


async def test_refusals_of_customer_messages(api: Api, account: Account, fan: ScriptedFan) -> None:
    openid = fan.openid(account)
    assert await api.say("nobody") == 40003
    assert await api.say(openid, "花" * 682) == 0
    assert await api.say(openid, "花" * 683) == 45002
    assert await api.say(openid, "") == 44004
    body = {"touser": openid, "msgtype": "image", "image": {"media_id": "none"}}
    assert (await api.post("/cgi-bin/message/custom/send", body))["errcode"] == 40007
    body = {"touser": openid, "msgtype": "poem", "poem": {}}
    assert (await api.post("/cgi-bin/message/custom/send", body))["errcode"] == 40008
    fan.block(account)
    assert await api.say(openid) == 48002
    fan.block(account, blocked=False)
    await fan.unfollow(account)
    assert await api.say(openid) == 45015
    assert len(fan.inbox(account)) == 1


async def test_every_customer_type_reaches_the_phone(api: Api, account: Account, fan: ScriptedFan) -> None:
    image, thumb = (await upload(api))["media_id"], (await upload(api, "thumb"))["thumb_media_id"]
    voice, video = [(await upload(api, kind))["media_id"] for kind in ("voice", "video")]
    card = {"title": "商城", "appid": "wxmini", "pagepath": "pages/i", "thumb_media_id": thumb}
    sent: dict[str, Json] = {
        "text": {"content": "你好"},
        "image": {"media_id": image},
        "voice": {"media_id": voice},
        "video": {"media_id": video, "thumb_media_id": thumb, "title": "片"},
        "music": {"title": "歌", "musicurl": "http://a/b.mp3", "thumb_media_id": thumb},
        "news": {"articles": [{"title": "t", "description": "d", "url": "http://u", "picurl": "http://p"}]},
        "mpnewsarticle": {"article_id": "A1"},
        "msgmenu": {"head_content": "满意吗", "list": [{"id": "1", "content": "满意"}], "tail_content": "谢谢"},
        "miniprogrampage": card,
        "wxcard": {"card_id": "c1"},
    }
    for i, (kind, part) in enumerate(sent.items()):
        if i % 5 == 0:
            await fan.text(account, "继续")
        body = {"touser": fan.openid(account), "msgtype": kind, kind: part}
        assert (await api.post("/cgi-bin/message/custom/send", body))["errcode"] == 0
    inbox = {m.type: m.content for m in fan.inbox(account)}
    assert list(inbox) == list(sent)
    assert {m.via for m in fan.inbox(account)} == {"custom"}
    assert inbox["image"] == {"url": f"/phone/media/{image}"}
    assert inbox["news"]["articles"][0]["picurl"] == "http://p"
    assert inbox["miniprogrampage"]["thumb"] == f"/phone/media/{thumb}"
    assert inbox["msgmenu"]["items"] == [{"id": "1", "content": "满意"}]
    two = {"touser": fan.openid(account), "msgtype": "news", "news": {"articles": [{}, {}]}}
    assert (await api.post("/cgi-bin/message/custom/send", two))["errcode"] == 45008


async def test_choosing_from_a_msgmenu_sends_its_id(
    api: Api, receiver: Receiver, account: Account, fan: ScriptedFan
) -> None:
    part = {"head_content": "满意吗", "list": [{"id": "101", "content": "满意"}], "tail_content": ""}
    await api.post(
        "/cgi-bin/message/custom/send", {"touser": fan.openid(account), "msgtype": "msgmenu", "msgmenu": part}
    )
    await fan.choose(account, await fan.wait_for(account), "101")
    body = wire.from_xml(receiver.pushes[-1].raw)
    assert (body["MsgType"], body["Content"], body["bizmsgmenuid"]) == ("text", "满意", "101")


async def test_choosing_from_a_msgmenu_counts_as_a_click_and_not_as_a_message(
    api: Api, server: SimulatorServer, account: Account, fan: ScriptedFan
) -> None:
    openid = fan.openid(account)
    part = {"head_content": "满意吗", "list": [{"id": "101", "content": "满意"}], "tail_content": ""}
    await api.post("/cgi-bin/message/custom/send", {"touser": openid, "msgtype": "msgmenu", "msgmenu": part})
    server.world.clock.advance(61)
    assert await api.say(openid) == 45015
    await fan.choose(account, await fan.wait_for(account), "101")
    assert [await api.say(openid) for _ in range(4)] == [0, 0, 0, 45047]
    await fan.choose(account, await fan.wait_for(account), "101")
    server.world.clock.advance(61)
    assert await api.say(openid) == 45015


async def test_typing(api: Api, server: SimulatorServer, account: Account, fan: ScriptedFan) -> None:
    async def typing(command: str) -> int:
        body = {"touser": fan.openid(account), "command": command}
        code: int = (await api.post("/cgi-bin/message/custom/typing", body))["errcode"]
        return code

    assert await typing("Typing") == 45080
    await fan.text(account, "在吗")
    assert [await typing(c) for c in ("Typing", "Typing", "CancelTyping", "Typing", "Dance")] == [0, 45081, 0, 0, 45072]
    await api.say(fan.openid(account))
    assert server.wechat.state(fan.thread(account))["typing"] is False


async def test_template_messages_report_once(
    api: Api, server: SimulatorServer, receiver: Receiver, account: Account, fan: ScriptedFan
) -> None:
    account.templates["T1"] = {"title": "发货", "content": "订单号：{{thing1.DATA}}\n时间：{{time2.DATA}}"}
    body: Json = {
        "touser": fan.openid(account),
        "template_id": "T1",
        "data": {"thing1": {"value": "A1"}, "time2": {"value": "今天", "color": "#ff0000"}},
        "client_msg_id": "once",
    }
    first = await api.post("/cgi-bin/message/template/send", body)
    assert first["errcode"] == 0
    assert (await api.post("/cgi-bin/message/template/send", body))["msgid"] == first["msgid"]
    (message,) = fan.inbox(account)
    assert message.content == {
        "title": "发货",
        "url": "",
        "rows": [
            {"key": "thing1", "label": "订单号", "value": "A1", "color": None},
            {"key": "time2", "label": "时间", "value": "今天", "color": "#ff0000"},
        ],
    }
    fan.block(account)
    second = await api.post("/cgi-bin/message/template/send", body | {"client_msg_id": "other"})
    assert len(fan.inbox(account)) == 1
    reports = await events(server, receiver, "TEMPLATESENDJOBFINISH")
    assert {(r["MsgID"], r["Status"]) for r in reports} == {
        (str(first["msgid"]), "success"),
        (str(second["msgid"]), "failed:user block"),
    }
    assert (await api.post("/cgi-bin/message/template/send", body | {"template_id": "T2"}))["errcode"] == 40037
    assert (await api.post("/cgi-bin/message/template/send", body | {"data": {"a": 1}}))["errcode"] == 47003
    await fan.unfollow(account)
    assert (await api.post("/cgi-bin/message/template/send", body))["errcode"] == 43004


async def test_one_accept_is_one_subscribe_message(
    api: Api, server: SimulatorServer, receiver: Receiver, account: Account, fan: ScriptedFan
) -> None:
    account.templates["T1"] = {"title": "上课", "content": "课程：{{thing1.DATA}}"}
    body: Json = {"touser": fan.openid(account), "template_id": "T1", "data": {"thing1": {"value": "插花"}}}
    path = "/cgi-bin/message/subscribe/bizsend"
    assert (await api.post(path, body))["errcode"] == 43101
    await fan.answer_subscribe(account, T1=True, T2=False)
    assert (await api.post(path, body | {"data": {"thing1": {"value": "花" * 21}}}))["errcode"] == 47003
    assert [(await api.post(path, body))["errcode"] for _ in range(2)] == [0, 43101]
    await fan.answer_subscribe(account, T1=True)
    await fan.revoke_subscribe(account, "T1")
    assert (await api.post(path, body))["errcode"] == 43101
    popup = (await events(server, receiver, "subscribe_msg_popup_event"))[0]
    assert popup["SubscribeMsgPopupEvent"]["List"] == [
        {"TemplateId": "T1", "SubscribeStatusString": "accept", "PopupScene": "0"},
        {"TemplateId": "T2", "SubscribeStatusString": "reject", "PopupScene": "0"},
    ]
    (sent,) = await events(server, receiver, "subscribe_msg_sent_event")
    assert sent["SubscribeMsgSentEvent"]["List"]["ErrorStatus"] == "success"
    assert len(await events(server, receiver, "subscribe_msg_change_event")) == 1


async def test_mass_sends_skip_report_and_do_not_repeat(
    api: Api, server: SimulatorServer, receiver: Receiver, account: Account, fan: ScriptedFan
) -> None:
    others = [server.fan(f"粉{i}") for i in range(2)]
    for other in others:
        await other.follow(account)
    others[0].block(account)
    all_of: Json = {"filter": {"is_to_all": True}, "msgtype": "text", "text": {"content": "群发"}}
    first = await api.post("/cgi-bin/message/mass/sendall", all_of | {"clientmsgid": "m1"})
    assert first["errcode"] == 0
    assert (await api.post("/cgi-bin/message/mass/sendall", all_of | {"clientmsgid": "m1"}))["errcode"] == 45066
    server.world.clock.advance(61)
    repeated = await api.post("/cgi-bin/message/mass/sendall", all_of | {"clientmsgid": "m1"})
    assert (repeated["errcode"], repeated["msg_id"]) == (45065, first["msg_id"])
    assert (await api.post("/cgi-bin/message/mass/sendall", all_of | {"clientmsgid": "x" * 33}))["errcode"] == 45067
    (report,) = await events(server, receiver, "MASSSENDJOBFINISH")
    numbers = [report[k] for k in ("MsgID", "Status", "TotalCount", "FilterCount", "SentCount", "ErrorCount")]
    assert numbers == [str(first["msg_id"]), "send success", "3", "3", "2", "1"]
    one: Json = {"touser": [fan.openid(account)], "msgtype": "text", "text": {"content": "x"}}
    assert (await api.post("/cgi-bin/message/mass/send", one))["errcode"] == 40130
    two = one | {"touser": [fan.openid(account), others[1].openid(account)]}
    for _ in range(4):  # the fourth passes nobody: each fan of a service account gets four a month
        assert (await api.post("/cgi-bin/message/mass/send", two))["errcode"] == 0
    assert len(fan.inbox(account)) == 4
    assert await api.post("/cgi-bin/message/mass/get", {"msg_id": first["msg_id"]}) == {
        "msg_id": first["msg_id"],
        "msg_status": "SEND_SUCCESS",
    }


async def test_temporary_media_die_after_three_days(
    api: Api, server: SimulatorServer, session: aiohttp.ClientSession, account: Account
) -> None:
    media_id = (await upload(api))["media_id"]
    url = f"{server.url}/cgi-bin/media/get"
    async with session.get(url, params={"access_token": api.token, "media_id": media_id}) as answer:
        assert (answer.content_type, await answer.read()) == ("image/png", PNG)
    assert (await upload(api, "poem"))["errcode"] == 40004
    assert (await upload(api, "thumb", b"0" * 70_000))["errcode"] == 45001
    server.world.clock.advance(3 * 24 * HOUR + 1)
    await api.login(account)
    assert (await api.get("/cgi-bin/media/get", media_id=media_id))["errcode"] == 40007


@pytest.mark.parametrize(
    ("kind", "file", "code"),
    [
        ("image", ("a.JPEG", "image/jpeg"), None),
        ("image", ("a.gif", "application/octet-stream"), None),
        ("image", ("a.exe", "image/png"), 40005),
        ("image", ("a.html", "text/html"), 40005),
        ("image", ("a.png", "text/html"), 40005),
        ("image", ("picture", "image/png"), 40005),
        ("image", ("a.mp4", "video/mp4"), 40005),
        ("voice", ("a.mp3", "audio/mpeg"), None),
        ("voice", ("a.txt", "audio/amr"), 40005),
        ("voice", ("a.amr", "text/plain"), 40005),
        ("video", ("a.mp4", "video/mp4"), None),
        ("video", ("a.avi", "video/avi"), 40005),
        ("thumb", ("a.jpg", "image/jpeg"), None),
        ("thumb", ("a.png", "image/png"), 40005),
    ],
)
@pytest.mark.parametrize("path", ["media/upload", "material/add_material"])
async def test_files_are_what_their_type_says(
    api: Api, path: str, kind: str, file: tuple[str, str], code: int | None
) -> None:
    assert (await upload(api, kind, file=file, path=path)).get("errcode") == code


async def test_pictures_in_articles_are_jpeg_or_png(api: Api) -> None:
    path = "media/uploadimg"
    for name, content_type, code in [
        ("a.png", "image/png", None),
        ("a.jpg", "application/octet-stream", None),
        ("a.gif", "image/gif", 40005),
        ("a.html", "image/png", 40005),
    ]:
        assert (await upload(api, file=(name, content_type), path=path)).get("errcode") == code


async def test_a_media_id_is_good_for_its_own_type_only(
    api: Api, server: SimulatorServer, receiver: Receiver, account: Account, fan: ScriptedFan
) -> None:
    ids = {kind: (await upload(api, kind))["media_id"] for kind in ("image", "voice", "video")}
    ids["thumb"] = (await upload(api, "thumb"))["thumb_media_id"]
    openid = fan.openid(account)
    await fan.text(account, "在吗")
    for kind in ("image", "voice", "video"):
        for other, media_id in ids.items():
            body = {"touser": openid, "msgtype": kind, kind: {"media_id": media_id}}
            code = (await api.post("/cgi-bin/message/custom/send", body))["errcode"]
            assert (kind, other, code) == (kind, other, 0 if kind == other else 40007)
    for cover, code in [("image", 0), ("thumb", 0), ("voice", 40007)]:
        card = {"title": "商城", "appid": "wxmini", "pagepath": "p", "thumb_media_id": ids[cover]}
        body = {"touser": openid, "msgtype": "miniprogrampage", "miniprogrampage": card}
        assert (await api.post("/cgi-bin/message/custom/send", body))["errcode"] == code
    film: Json = {"media_id": ids["video"], "thumb_media_id": ids["voice"]}
    body = {"touser": openid, "msgtype": "video", "video": film}
    assert (await api.post("/cgi-bin/message/custom/send", body))["errcode"] == 40007
    everybody: Json = {"filter": {"is_to_all": True}, "msgtype": "voice", "voice": {"media_id": ids["image"]}}
    assert (await api.post("/cgi-bin/message/mass/sendall", everybody))["errcode"] == 40007

    async def answer(_: Push) -> web.Response:
        head = {"ToUserName": openid, "FromUserName": account.username, "CreateTime": 1, "MsgType": "voice"}
        return web.Response(body=wire.to_xml(head | {"Voice": {"MediaId": ids[given]}}))

    receiver.answer = answer
    given = "image"
    assert (await fan.text(account, "唱一首")).detail == "MediaId 不是 voice"
    given = "voice"
    assert (await fan.text(account, "再来")).outcome == "replied"


async def test_a_mass_job_is_reported_even_when_it_reaches_nobody(
    api: Api, server: SimulatorServer, receiver: Receiver, account: Account
) -> None:
    text: Json = {"msgtype": "text", "text": {"content": "群发"}}
    gone = [server.fan(f"粉{i}") for i in range(2)]
    openids = [one.openid(account) for one in gone]  # they once wrote, but follow no more
    numbers = ("TotalCount", "FilterCount", "SentCount", "ErrorCount")
    jobs = []
    asked: list[tuple[Json, list[int]]] = [
        ({"filter": {"is_to_all": True}}, [0, 0, 0, 0]),
        ({"touser": openids}, [2, 0, 0, 0]),
        ({"touser": [openids[0], openids[0], "nobody"]}, [2, 0, 0, 0]),
    ]
    for body, counts in asked:
        path = "sendall" if "filter" in body else "send"
        jobs.append((str((await api.post(f"/cgi-bin/message/mass/{path}", text | body))["msg_id"]), counts))
    await gone[0].follow(account)
    job = await api.post("/cgi-bin/message/mass/send", text | {"touser": [openids[0], *openids]})
    jobs.append((str(job["msg_id"]), [2, 1, 1, 0]))
    reports = await events(server, receiver, "MASSSENDJOBFINISH")
    assert sorted((r["MsgID"], [int(r[n]) for n in numbers]) for r in reports) == sorted(jobs)
    assert len(gone[0].inbox(account)) == 1


async def test_a_mass_job_of_an_account_that_nobody_knows_is_reported(
    api: Api, server: SimulatorServer, receiver: Receiver, account: Account
) -> None:
    everybody: Json = {"filter": {"is_to_all": True}, "msgtype": "text", "text": {"content": "群发"}}
    await api.post("/cgi-bin/message/mass/sendall", everybody)
    (report,) = await events(server, receiver, "MASSSENDJOBFINISH")
    assert (report["Status"], report["TotalCount"]) == ("send success", "0")
    assert report["FromUserName"]
    assert server.world.threads == {}
