"""Menus, QR codes, followers, tags and mini-programs."""

import hashlib
import hmac
import io

import aiohttp
import pytest
import zxingcpp
from PIL import Image

from simulator import wire
from simulator.actions import ActionError
from simulator.server import SimulatorServer
from simulator.world import Account

from .conftest import Api, Json, Receiver


def last(receiver: Receiver) -> Json:
    return wire.from_xml(receiver.pushes[-1].raw)


async def test_a_qr_code_can_be_scanned_by_a_camera_and_by_a_fan(
    api: Api, server: SimulatorServer, session: aiohttp.ClientSession, receiver: Receiver, account: Account
) -> None:
    made = await api.post(
        "/cgi-bin/qrcode/create",
        {"expire_seconds": 60, "action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": "store-7"}}},
    )
    assert made["expire_seconds"] == 60
    async with session.get(f"{server.url}/cgi-bin/showqrcode", params={"ticket": made["ticket"]}) as answer:
        picture = Image.open(io.BytesIO(await answer.read()))
    (code,) = zxingcpp.read_barcodes(picture)
    assert code.text == made["url"]
    fan = server.fan()
    await fan.scan(account, ticket=made["ticket"])
    assert (last(receiver)["Event"], last(receiver)["EventKey"], last(receiver)["Ticket"]) == (
        "subscribe",
        "qrscene_store-7",
        made["ticket"],
    )
    await fan.scan(account, scene="store-7")
    assert (last(receiver)["Event"], last(receiver)["EventKey"]) == ("SCAN", "store-7")
    told = await api.get("/cgi-bin/user/info", openid=fan.openid(account))
    assert (told["subscribe_scene"], told["qr_scene_str"]) == ("ADD_SCENE_QR_CODE", "store-7")
    server.world.clock.advance(61)
    with pytest.raises(ActionError, match="二维码已过期"):
        await fan.scan(account, scene="store-7")
    async with session.get(f"{server.url}/cgi-bin/showqrcode", params={"ticket": "none"}) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("action", "scene", "code"),
    [
        ("QR_SCENE", {"scene_id": 123}, None),
        ("QR_SCENE", {"scene_id": 0}, 40053),
        ("QR_LIMIT_SCENE", {"scene_id": 100_000}, None),
        ("QR_LIMIT_SCENE", {"scene_id": 100_001}, 40053),
        ("QR_LIMIT_STR_SCENE", {"scene_str": "x" * 64}, None),
        ("QR_LIMIT_STR_SCENE", {"scene_str": "x" * 65}, 40053),
        ("QR_POEM", {"scene_str": "x"}, 40052),
    ],
)
async def test_qr_limits(api: Api, action: str, scene: Json, code: int | None) -> None:
    body = {"action_name": action, "action_info": {"scene": scene}}
    made = await api.post("/cgi-bin/qrcode/create", body)
    assert made.get("errcode") == code
    if code is None and "LIMIT" in action:
        assert "expire_seconds" not in made
        assert (await api.post("/cgi-bin/qrcode/create", body))["ticket"] == made["ticket"]


async def test_menus(api: Api, server: SimulatorServer, receiver: Receiver, account: Account) -> None:
    assert (await api.get("/cgi-bin/menu/get"))["errcode"] == 46003
    sign = {"type": "click", "name": "签到", "key": "SIGN"}
    more = {"name": "更多", "sub_button": [{"type": "view", "name": "官网", "url": "https://a.cn"}]}
    assert (await api.post("/cgi-bin/menu/create", {"button": [sign, more]}))["errcode"] == 0
    got = (await api.get("/cgi-bin/menu/get"))["menu"]["button"]
    assert got == [
        sign | {"sub_button": []},
        {"name": "更多", "sub_button": [more["sub_button"][0] | {"sub_button": []}]},  # type: ignore[operator]
    ]
    info = await api.get("/cgi-bin/get_current_selfmenu_info")
    assert info == {
        "is_menu_open": 1,
        "selfmenu_info": {"button": [sign, {"name": "更多", "sub_button": {"list": more["sub_button"]}}]},
    }
    fan = server.fan()
    await fan.follow(account)
    await fan.press(account, 0)
    assert (last(receiver)["Event"], last(receiver)["EventKey"]) == ("CLICK", "SIGN")
    await fan.press(account, 1, 0)
    assert (last(receiver)["Event"], last(receiver)["EventKey"]) == ("VIEW", "https://a.cn")
    with pytest.raises(ActionError):
        await fan.press(account, 1)
    tag = (await api.post("/cgi-bin/tags/create", {"tag": {"name": "会员"}}))["tag"]["id"]
    vip = {"type": "scancode_waitmsg", "name": "核销", "key": "SCAN"}
    menuid = (await api.post("/cgi-bin/menu/addconditional", {"button": [vip], "matchrule": {"tag_id": str(tag)}}))[
        "menuid"
    ]
    openid = fan.openid(account)
    await api.post("/cgi-bin/tags/members/batchtagging", {"openid_list": [openid], "tagid": tag})
    assert (await api.post("/cgi-bin/menu/trymatch", {"user_id": openid}))["button"][0]["name"] == "核销"
    await fan.click(account, "SCAN", result="CODE-1")
    assert last(receiver)["ScanCodeInfo"] == {"ScanType": "qrcode", "ScanResult": "CODE-1"}
    assert (await api.post("/cgi-bin/menu/delconditional", {"menuid": menuid}))["errcode"] == 0
    assert (await api.post("/cgi-bin/menu/trymatch", {"user_id": openid}))["button"][0]["name"] == "签到"
    assert (await api.get("/cgi-bin/menu/delete"))["errcode"] == 0
    assert account.menu is None


@pytest.mark.parametrize(
    ("buttons", "code"),
    [
        ([], 40016),
        ([{"type": "click", "name": "签", "key": "a"}] * 4, 40016),
        ([{"type": "click", "name": "每日签到有礼", "key": "a"}], 40018),
        ([{"type": "click", "name": "签", "key": "k" * 129}], 40019),
        ([{"type": "view", "name": "签", "url": "a.cn"}], 40054),
        ([{"type": "poem", "name": "签"}], 40017),
        ([{"name": "多", "sub_button": [{"type": "click", "name": "签", "key": "a"}] * 6}], 40023),
        ([{"name": "多", "sub_button": [{"type": "click", "name": "花" * 21, "key": "a"}]}], 40025),
    ],
)
async def test_menu_limits(api: Api, account: Account, buttons: list[Json], code: int) -> None:
    assert (await api.post("/cgi-bin/menu/create", {"button": buttons}))["errcode"] == code
    assert account.menu is None


async def test_followers_and_unionids(api: Api, server: SimulatorServer, account: Account) -> None:
    other = server.world.add_account("service", name="鞋店")
    fans = [server.fan(f"粉{i}") for i in range(3)]
    for fan in fans:
        await fan.follow(account)
    await fans[0].follow(other)
    openids = [f.openid(account) for f in fans]
    listed = await api.get("/cgi-bin/user/get")
    assert listed == {"total": 3, "count": 3, "data": {"openid": openids}, "next_openid": openids[2]}
    assert await api.get("/cgi-bin/user/get", next_openid=openids[2]) == {"total": 3, "count": 0, "next_openid": ""}
    assert fans[0].openid(account) != fans[0].openid(other)
    told = await api.post("/cgi-bin/user/info/batchget", {"user_list": [{"openid": o} for o in openids]})
    assert [u["unionid"] for u in told["user_info_list"]] == [f.person.unionid for f in fans]
    account.open_platform = False
    assert "unionid" not in await api.get("/cgi-bin/user/info", openid=openids[0])
    remark = {"openid": openids[0], "remark": "老顾客"}
    assert (await api.post("/cgi-bin/user/info/updateremark", remark))["errcode"] == 0
    assert (await api.get("/cgi-bin/user/info", openid=openids[0]))["remark"] == "老顾客"
    await fans[0].unfollow(account)
    gone = await api.get("/cgi-bin/user/info", openid=openids[0])
    assert gone == {"subscribe": 0, "openid": openids[0], "tagid_list": []}
    assert (await api.get("/cgi-bin/user/info", openid="nobody"))["errcode"] == 40003


async def test_tags(api: Api, server: SimulatorServer, account: Account) -> None:
    fan = server.fan()
    await fan.follow(account)
    openid = fan.openid(account)

    async def create(name: str) -> Json:
        return await api.post("/cgi-bin/tags/create", {"tag": {"name": name}})

    tag = (await create("花友"))["tag"]["id"]
    assert (await create("花友"))["errcode"] == 45157
    assert (await create("花" * 11))["errcode"] == 45158
    assert (await api.post("/cgi-bin/tags/update", {"tag": {"id": 2, "name": "星标"}}))["errcode"] == 45058
    put = "/cgi-bin/tags/members/batchtagging"
    assert (await api.post(put, {"openid_list": [openid], "tagid": 999}))["errcode"] == 45159
    assert (await api.post(put, {"openid_list": [openid] * 51, "tagid": tag}))["errcode"] == 40032
    assert (await api.post(put, {"openid_list": [openid, "nobody"], "tagid": tag}))["errcode"] == 40003
    assert fan.thread(account).tags == []
    more = [(await create(f"t{i}"))["tag"]["id"] for i in range(20)]
    for tag_id in more:
        assert (await api.post(put, {"openid_list": [openid], "tagid": tag_id}))["errcode"] == 0
    assert (await api.post(put, {"openid_list": [openid], "tagid": tag}))["errcode"] == 45059
    assert (await api.post("/cgi-bin/tags/delete", {"tag": {"id": more[0]}}))["errcode"] == 0
    assert (await api.post("/cgi-bin/tags/getidlist", {"openid": openid}))["tagid_list"] == more[1:]
    found = await api.post("/cgi-bin/user/tag/get", {"tagid": more[1]})
    assert found == {"count": 1, "data": {"openid": [openid]}, "next_openid": openid}
    for i in range(80):
        await create(f"u{i}")
    assert (await create("一百零一"))["errcode"] == 45056


@pytest.fixture
async def mini(server: SimulatorServer, api: Api, receiver: Receiver) -> Account:
    account = server.world.add_account("miniprogram", name="商城", pages=["pages/index"], callback_url=receiver.url)
    await api.login(account)
    return account


async def test_mini_program_login_session_and_phone(api: Api, server: SimulatorServer, mini: Account) -> None:
    fan = server.fan(phone="13900001111")
    code = fan.login_code(mini)
    query = {"appid": mini.appid, "secret": mini.secret, "grant_type": "authorization_code", "js_code": code}
    token, api.token = api.token, ""
    told = await api.get("/sns/jscode2session", **query)
    assert (told["openid"], told["unionid"]) == (fan.openid(mini), fan.person.unionid)
    assert (await api.get("/sns/jscode2session", **query))["errcode"] == 40163
    late = fan.login_code(mini)
    server.world.clock.advance(301)
    refused = await api.get("/sns/jscode2session", **query | {"js_code": late})
    assert refused["errcode"] == 40029
    assert refused["errmsg"].startswith("invalid code, rid: ")
    api.token = token
    sign = hmac.new(told["session_key"].encode(), b"", hashlib.sha256).hexdigest()
    check = {"openid": told["openid"], "sig_method": "hmac_sha256"}
    assert (await api.get("/wxa/checksession", **check, signature=sign))["errcode"] == 0
    assert (await api.get("/wxa/checksession", **check, signature="0"))["errcode"] == 87009
    phone = await api.post("/wxa/business/getuserphonenumber", {"code": fan.phone_code(mini)})
    assert phone["phone_info"]["purePhoneNumber"] == "13900001111"
    assert (await api.post("/wxa/business/getuserphonenumber", {"code": "x"}))["errcode"] == 40029


async def test_mini_program_codes_and_links(
    api: Api, server: SimulatorServer, session: aiohttp.ClientSession, mini: Account
) -> None:
    url = f"{server.url}/wxa/getwxacodeunlimit?access_token={api.token}"
    async with session.post(url, json={"scene": "s=7", "page": "pages/index"}) as answer:
        assert answer.content_type == "image/png"
        (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(await answer.read())))
    assert code.text.endswith("page=pages/index&scene=s=7")
    wrong: list[tuple[Json, int]] = [
        ({"scene": "花"}, 40129),
        ({"scene": "x" * 33}, 40169),
        ({"scene": "a", "page": "/pages/index"}, 41030),
        ({"scene": "a", "page": "pages/none"}, 41030),
        ({"scene": "a", "width": 100}, 40097),
    ]
    for body, errcode in wrong:
        assert (await api.post("/wxa/getwxacodeunlimit", body))["errcode"] == errcode
    link = await api.post("/wxa/generate_urllink", {"path": "pages/index", "expire_type": 1, "expire_interval": 30})
    assert link["url_link"].startswith("https://wxaurl.cn/")
    late = {"path": "pages/index", "expire_type": 1, "expire_interval": 31}
    assert (await api.post("/wxa/generate_urllink", late))["errcode"] == 85401
    scheme = await api.post("/wxa/generatescheme", {"jump_wxa": {"path": "/pages/index", "query": ""}})
    assert scheme["openlink"].startswith("weixin://dl/business/?t=")


async def test_content_security(api: Api, server: SimulatorServer, receiver: Receiver, mini: Account) -> None:
    fan = server.fan()
    fan.login_code(mini)
    body: Json = {"openid": fan.openid(mini), "scene": 2, "version": 2}
    text = "/wxa/msg_sec_check"
    good = await api.post(text, body | {"content": "今天买了花"})
    assert good["result"] == {"suggest": "pass", "label": 100}
    bad = await api.post(text, body | {"content": "一起去赌场"})
    assert bad["result"] == {"suggest": "risky", "label": 20006}
    assert bad["detail"][1]["keyword"] == "赌场"
    picture = {"media_url": "https://a.cn/risky.png", "media_type": 2}
    trace = (await api.post("/wxa/media_check_async", body | picture))["trace_id"]
    await server.wechat.settle()
    pushed = last(receiver)
    assert (pushed["Event"], pushed["trace_id"]) == ("wxa_media_check", trace)
    assert pushed["result"] == {"suggest": "risky", "label": "20002"}
    server.world.clock.advance(2 * 3600 + 1)
    await api.login(mini)
    assert (await api.post(text, body | {"content": "你好"}))["errcode"] == 61010


async def test_mini_program_customer_session(api: Api, server: SimulatorServer, mini: Account) -> None:
    fan = server.fan()
    await fan.enter_session(mini, "from-home")
    assert [await api.say(fan.openid(mini)) for _ in range(3)] == [0, 0, 45047]
    news = {"touser": fan.openid(mini), "msgtype": "news", "news": {"articles": [{}]}}
    assert (await api.post("/cgi-bin/message/custom/send", news))["errcode"] == 40008
