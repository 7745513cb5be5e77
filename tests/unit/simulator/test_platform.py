"""Tokens, quotas, faults and the rules that every API shares."""

import re

import aiohttp
import pytest
from aiohttp import web

from simulator import wire
from simulator.server import SimulatorServer
from simulator.world import Account

from .conftest import Api, Json, Push, Receiver

STABLE = "/cgi-bin/stable_token"
RID = re.compile(r" rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$")


async def test_credentials_are_refused_in_the_platforms_order(api: Api, account: Account) -> None:
    api.token = ""
    grant = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret}
    for params, code in [
        ({}, 41002),
        ({"appid": "wx1", "grant_type": "x"}, 40013),
        ({"appid": account.appid}, 41004),
        (grant | {"secret": "no"}, 40125),
        (grant | {"grant_type": "x"}, 40002),
    ]:
        answer = await api.get("/cgi-bin/token", **params)
        assert answer["errcode"] == code
        assert RID.search(answer["errmsg"])
    account.ip_whitelist = ["10.0.0.1"]
    assert (await api.get("/cgi-bin/token", **grant))["errcode"] == 40164


async def test_a_new_token_kills_the_old_after_five_minutes(
    api: Api, server: SimulatorServer, account: Account
) -> None:
    old = api.token
    new = await api.login(account)
    assert new != old
    api.token = old
    assert "errcode" not in await api.get("/cgi-bin/getcallbackip")
    server.world.clock.advance(301)
    refused = await api.get("/cgi-bin/getcallbackip")
    assert refused["errcode"] == 40001
    assert refused["errmsg"].startswith(
        "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, "
        "more details at https://mmbizurl.cn/s/JtxxFh33r rid: "
    )
    api.token = new
    assert "errcode" not in await api.get("/cgi-bin/getcallbackip")
    server.world.clock.advance(7200)
    assert (await api.get("/cgi-bin/getcallbackip"))["errcode"] == 42001
    api.token = ""
    assert (await api.get("/cgi-bin/getcallbackip"))["errcode"] == 41001


async def test_the_stable_token_is_apart_and_repeats(api: Api, server: SimulatorServer, account: Account) -> None:
    body = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret}
    first = await api.post(STABLE, body)
    server.world.clock.advance(1000)
    again = await api.post(STABLE, body)
    assert again["access_token"] == first["access_token"]
    assert again["expires_in"] in range(6190, 6201)
    await api.login(account)
    api.token = first["access_token"]
    server.world.clock.advance(5920)  # within five minutes of its end: renewed, the old one lives on
    renewed = await api.post(STABLE, body)
    assert renewed["access_token"] != first["access_token"]
    assert "errcode" not in await api.get("/cgi-bin/getcallbackip")
    assert (await api.get(STABLE))["errcode"] == 43002


async def test_fields_of_the_wrong_type_are_errcodes(api: Api) -> None:
    odd: list[tuple[str, Json, int]] = [
        (STABLE, {"appid": ["x"], "secret": {}}, 41002),
        ("/cgi-bin/message/mass/preview", {"touser": {}, "msgtype": []}, 40003),
        ("/cgi-bin/template/api_add_template", {"template_id_short": "T", "keyword_name_list": 1}, 40035),
        ("/cgi-bin/tags/members/batchtagging", {"tagid": {}, "openid_list": "x"}, 45159),
    ]
    for path, body, code in odd:
        assert (await api.post(path, body))["errcode"] == code


async def test_forced_refreshes_have_a_budget(api: Api, server: SimulatorServer, account: Account) -> None:
    body = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret, "force_refresh": True}
    # Well inside one day in China, so that the budget does not turn over half-way.
    server.world.clock.advance(-((server.world.clock.time() + 8 * 3600) % 86400) + 3600)
    seen = set()
    for _ in range(20):
        seen.add((await api.post(STABLE, body))["access_token"])
        assert (await api.post(STABLE, body))["errcode"] == 45011 or len(seen) == 20
        server.world.clock.advance(31)
    assert len(seen) == 20
    assert (await api.post(STABLE, body))["errcode"] == 45009
    server.world.clock.advance(86400)
    assert "access_token" in await api.post(STABLE, body)


async def test_bodies_that_wechat_does_not_read(
    api: Api, server: SimulatorServer, session: aiohttp.ClientSession
) -> None:
    url = f"{server.url}/cgi-bin/tags/create?access_token={api.token}"
    for raw, code in [(b"{", 47001), (b"[]", 47001), (b'{"tag":{"name":"\\u82b1"}}', 40033)]:
        async with session.post(url, data=raw) as answer:
            assert (answer.status, (await answer.json())["errcode"]) == (200, code)
    async with session.post(url, data=b'{"tag":{"name":"a\\\\u82b1"}}') as answer:
        assert (await answer.json())["tag"]["name"] == "a\\u82b1"


async def test_daily_quotas_and_clearing_them(api: Api, server: SimulatorServer, account: Account) -> None:
    server.wechat.quotas.limits[account.appid, "/cgi-bin/tags/get"] = 2
    for code in (None, None, 45009):
        assert (await api.get("/cgi-bin/tags/get")).get("errcode") == code
    answer = await api.post("/cgi-bin/openapi/quota/get", {"cgi_path": "/cgi-bin/tags/get"})
    assert answer["quota"] == {"daily_limit": 2, "used": 2, "remain": 0}
    assert (await api.post("/cgi-bin/openapi/quota/get", {"cgi_path": "/no"}))["errcode"] == 76003
    for _ in range(10):
        assert (await api.post("/cgi-bin/clear_quota", {"appid": account.appid}))["errcode"] == 0
    assert (await api.post("/cgi-bin/clear_quota", {"appid": account.appid}))["errcode"] == 48006
    assert "tags" in await api.get("/cgi-bin/tags/get")
    assert len(list(server.wechat.quotas.made("/cgi-bin/clear_quota"))) == 11
    await api.get("/cgi-bin/tags/get")
    server.world.clock.advance(86400)
    await api.login(account)
    assert "tags" in await api.get("/cgi-bin/tags/get")


async def test_permissions_follow_kind_and_verification(api: Api, server: SimulatorServer, account: Account) -> None:
    account.verified = False
    assert (await api.post("/cgi-bin/message/custom/send", {}))["errcode"] == 48001
    assert (await api.post("/cgi-bin/qrcode/create", {}))["errcode"] == 48001
    assert (await api.get("/cgi-bin/user/get"))["total"] == 0
    account.verified = True
    assert (await api.post("/wxa/getwxacodeunlimit", {}))["errcode"] == 48001


NOT_BASIC = """
    GET ticket/getticket; POST menu/create; GET menu/get; GET menu/delete; POST menu/addconditional; POST menu/trymatch
    GET get_current_selfmenu_info; POST tags/create; GET tags/get; POST tags/getidlist; POST user/tag/get
    POST tags/members/batchtagging; GET user/get; GET user/info; POST user/info/batchget; POST user/info/updateremark
    POST qrcode/create; POST message/custom/send; POST message/custom/typing; POST message/template/send
    POST message/mass/sendall; POST media/uploadimg; GET /wxaapi/newtmpl/gettemplate
"""
BASIC = """
    GET getcallbackip; GET get_api_domain_ip; POST openapi/quota/get; POST media/upload; GET media/get
    POST material/add_material; POST material/get_material; GET material/get_materialcount
"""


async def refusals(api: Api, calls: str) -> dict[str, bool]:
    """Make each call with nothing in it; tell which answer "unauthorized"."""
    found = {}
    for line in re.split("[;\n]", calls.strip()):
        method, name = line.split()
        path = name if name.startswith("/") else f"/cgi-bin/{name}"
        answer = await (api.get(path) if method == "GET" else api.post(path))
        found[line.strip()] = answer.get("errcode") == 48001
    return found


async def test_an_unverified_subscription_account_may_only_reply(
    api: Api, server: SimulatorServer, receiver: Receiver
) -> None:
    account = server.world.add_account("subscription", name="小报", callback_url=receiver.url, verified=False)
    await api.login(account)
    refused = await refusals(api, NOT_BASIC)
    assert [call for call, is_so in refused.items() if not is_so] == []
    refused = await refusals(api, BASIC)
    assert [call for call, is_so in refused.items() if is_so] == []
    fan = server.fan()
    await fan.follow(account)

    async def answer(_: Push) -> web.Response:
        head = {"ToUserName": fan.openid(account), "FromUserName": account.username, "CreateTime": 1}
        return web.Response(body=wire.to_xml(head | {"MsgType": "text", "Content": "你好"}))

    receiver.answer = answer
    assert (await fan.text(account, "在吗")).outcome == "replied"
    account.verified = True
    now_refused = await refusals(api, NOT_BASIC)
    assert {call for call, is_so in now_refused.items() if is_so} == {
        "POST qrcode/create",  # of service accounts only
        "POST message/template/send",
    }


@pytest.mark.parametrize(("drop", "sent"), [("before", 0), ("after", 1)])
async def test_a_dropped_call_is_ambiguous(
    api: Api, server: SimulatorServer, account: Account, drop: str, sent: int
) -> None:
    fan = server.fan()
    await fan.follow(account)
    server.wechat.faults.add_api(path="/cgi-bin/message/custom/send", drop=drop)
    with pytest.raises(aiohttp.ClientError):
        await api.say(fan.openid(account))
    assert len(fan.inbox(account)) == sent
    assert await api.say(fan.openid(account)) == 0


async def test_faults_answer_any_errcode_delay_and_500(
    api: Api, server: SimulatorServer, session: aiohttp.ClientSession
) -> None:
    url = server.url + "/sim/faults"
    fault = {"kind": "api", "path": "/cgi-bin/tags/get", "errcode": -1, "delay": 0.1}
    async with session.post(url, json=fault) as answer:
        assert answer.status == 200
    refused = await api.get("/cgi-bin/tags/get")
    assert refused["errcode"] == -1
    assert refused["errmsg"].startswith("system error rid: ")
    assert (await api.get("/cgi-bin/tags/get"))["tags"] == []
    async with session.post(url, json={"kind": "api", "status": 500, "times": None}) as answer:
        assert answer.status == 200
    async with session.get(server.url + "/cgi-bin/tags/get") as answer:
        assert answer.status == 500
    async with session.delete(url) as answer:
        assert answer.status == 200
    assert (await api.get("/cgi-bin/tags/get"))["tags"] == []
    async with session.post(url, json={"kind": "api", "delay": "long"}) as answer:
        assert (answer.status, await answer.json()) == (400, {"error": "应为秒数", "field": "delay"})


async def test_a_fault_of_an_account_strikes_calls_that_name_it_in_their_body(
    api: Api, server: SimulatorServer, account: Account
) -> None:
    other = server.world.add_account("service", name="茶店")
    faults = server.wechat.faults
    for path in (STABLE, "/cgi-bin/clear_quota/v2"):
        faults.add_api(path=path, appid=account.appid, errcode=-1)
        named = {"grant_type": "client_credential", "appid": other.appid, "secret": other.secret}
        named["appsecret"] = other.secret
        assert (await api.post(path, named)).get("errcode", 0) == 0
        named |= {"appid": account.appid, "secret": account.secret, "appsecret": account.secret}
        assert (await api.post(path, named))["errcode"] == -1
        assert (await api.post(path, named)).get("errcode", 0) == 0
        assert [c.errcode for c in server.wechat.quotas.made(path, account.appid)] == [-1, 0]


@pytest.mark.parametrize(
    "path",
    [
        "/cgi-bin/no/such",
        "/cgi-bin/",
        "/wxa/nothing",
        "/sns/nothing",
        "/wxaapi/newtmpl/nothing",
        "/customservice/kfaccount/add",
        "/datacube/getusersummary",
    ],
)
async def test_an_unknown_api_is_an_errcode_too(api: Api, server: SimulatorServer, path: str) -> None:
    for answer in (await api.get(path), await api.post(path, {"a": 1})):
        assert answer["errcode"] == 40066
        assert answer["errmsg"].startswith("invalid url")
        assert RID.search(answer["errmsg"])
    assert [c.errcode for c in server.wechat.quotas.made(path)] == [40066, 40066]
