"""The WeChat client around a mini-program: its codes, and requests that reach its own server and nothing else."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
import zxingcpp
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from simulator.server import SimulatorServer
from simulator.testing import running
from simulator.world import Account, Fan

from .conftest import Api, Json


@dataclass
class Backend:
    """The mini-program's own server; keeps what it was asked."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    async def echo(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path_qs, dict(request.headers), await request.read()))
        if request.path == "/away":
            raise web.HTTPFound("http://example.com/")
        if request.path == "/huge":
            return web.Response(body=b"x" * (4 * 1024 * 1024 + 1))
        if request.path == "/binary":
            return web.Response(body=b"\xff\xd8\xff")
        if request.path == "/slow":
            await asyncio.Event().wait()
        return web.json_response({"title": "没有"}, status=404, headers={"X-Request-Id": "7"})


@dataclass
class Hand:
    """A hand on the phone, in one mini-program."""

    session: aiohttp.ClientSession
    root: str

    async def do(self, what: str, body: Json | None = None, status: int = 200) -> Json:
        async with self.session.post(f"{self.root}/{what}", json=body) as answer:
            assert answer.status == status, await answer.text()
            found: Json = await answer.json()
            return found


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    found = Backend()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.echo)
    async with TestServer(app, host="127.0.0.1") as listening:
        found.url = f"http://127.0.0.1:{listening.port}"
        yield found


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    async with running(request_timeout=0.3) as found:
        yield found


@pytest.fixture
def mini(server: SimulatorServer, backend: Backend) -> Account:
    return server.world.add_account("miniprogram", name="会员", server=backend.url)


@pytest.fixture
def person(server: SimulatorServer) -> Fan:
    return server.world.add_fan("小粉", phone="13812345678")


@pytest.fixture
def hand(session: aiohttp.ClientSession, server: SimulatorServer, mini: Account, person: Fan) -> Hand:
    return Hand(session, f"{server.url}/phone/api/mini/{mini.appid}/{person.id}")


async def test_a_request_goes_through_as_the_page_made_it(hand: Hand, backend: Backend, mini: Account) -> None:
    answer = await hand.do(
        "request",
        {
            "url": f"{backend.url}/api/mp/x?limit=2&q=%E8%8C%B6",
            "method": "POST",
            "headers": {"Authorization": "Bearer a", "Idempotency-Key": "k", "Host": "evil", "Cookie": "c=1"},
            "body": '{"code": "茶"}',
        },
    )
    assert (answer["status"], answer["body"]) == (404, '{"title": "\\u6ca1\\u6709"}')
    assert answer["headers"]["x-request-id"] == "7"
    ((method, path, headers, raw),) = backend.asked
    assert (method, path, raw.decode()) == ("POST", "/api/mp/x?limit=2&q=%E8%8C%B6", '{"code": "茶"}')
    assert (headers["Authorization"], headers["Idempotency-Key"]) == ("Bearer a", "k")
    assert headers["Referer"] == f"https://servicewechat.com/{mini.appid}/0/page-frame.html"
    assert headers["Host"] == backend.url.removeprefix("http://")
    assert "Cookie" not in headers


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://{host}.example.com/",
        "http://{host}@example.com/",
        "http://user@{host}/",
        "https://{host}/",
        "http://127.0.0.1:1/",
        "http://localhost/",
        "//example.com/",
        "/api/mp/x",
        "file:///etc/passwd",
        "http://[",
    ],
)
async def test_only_its_own_server(hand: Hand, backend: Backend, url: str) -> None:
    asked = {"url": url.format(host=backend.url.removeprefix("http://"))}
    assert (await hand.do("request", asked, 400))["field"] == "url"
    assert backend.asked == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"url": ""}, "url"),
        ({"method": "TRACE"}, "method"),
        ({"body": {"a": 1}}, "body"),
        ({"body": "x" * (256 * 1024 + 1)}, "body"),
        ({"headers": "a"}, "headers"),
        ({"headers": {"X-A": 1}}, "headers"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers"),
        ({"headers": {"X A": "a"}}, "headers"),
        ({"headers": {"X-A": "a" * 9000}}, "headers"),
    ],
)
async def test_a_wrong_request_names_its_field(hand: Hand, backend: Backend, wrong: Json, named: str) -> None:
    assert (await hand.do("request", {"url": backend.url} | wrong, 400))["field"] == named
    assert backend.asked == []


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/slow", 504, "小程序的服务器没有及时回应"),
        ("/huge", 502, "小程序的服务器回答的内容太大"),
        ("/binary", 502, "小程序的服务器回答的不是文字"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_a_sentence(
    hand: Hand, backend: Backend, path: str, status: int, sentence: str
) -> None:
    assert await hand.do("request", {"url": backend.url + path}, status) == {"error": sentence}
    assert len(backend.asked) == 1


async def test_a_redirect_is_not_followed(hand: Hand, backend: Backend) -> None:
    answer = await hand.do("request", {"url": backend.url + "/away"})
    assert (answer["status"], answer["headers"]["location"]) == (302, "http://example.com/")


async def test_nobody_there_and_nothing_registered(hand: Hand, server: SimulatorServer, mini: Account) -> None:
    server.world.add_account("miniprogram", appid=mini.appid, name="会员", server="http://127.0.0.1:1")
    refused = await hand.do("request", {"url": "http://127.0.0.1:1/"}, 502)
    assert refused == {"error": "连不上小程序的服务器"}
    server.world.add_account("miniprogram", appid=mini.appid, name="会员", server="")
    refused = await hand.do("request", {"url": "http://127.0.0.1:1/"}, 409)
    assert refused == {"error": "这个小程序还没有登记服务器域名"}


async def test_trouble_on_request(hand: Hand, backend: Backend, server: SimulatorServer) -> None:
    faults, asked = server.wechat.faults, {"url": backend.url}
    faults.add_api(path="*", errcode=-1)
    assert (await hand.do("request", asked))["status"] == 404
    for fault, status in (({"drop": "before"}, 502), ({"delay": 5.0}, 504)):
        faults.add_api(path="wx.request", **fault)
        await hand.do("request", asked, status)
    faults.add_api(path="wx.request", status=500)
    assert (await hand.do("request", asked))["status"] == 500
    assert len(backend.asked) == 1
    faults.add_api(path="wx.request", drop="after")
    await hand.do("request", asked, 502)
    assert len(backend.asked) == 2


async def test_codes_of_the_client(
    hand: Hand, api: Api, session: aiohttp.ClientSession, server: SimulatorServer, mini: Account, person: Fan
) -> None:
    login = {"appid": mini.appid, "secret": mini.secret, "grant_type": "authorization_code"}
    code = (await hand.do("login"))["code"]
    assert (await api.get("/sns/jscode2session", **login, js_code=code))["openid"] == (
        server.world.thread(mini.appid, person.id).openid
    )
    given = await hand.do("phone-number")
    assert given["phone"] == "138****5678"
    await api.login(mini)
    answer = await api.post("/wxa/business/getuserphonenumber", {"code": given["code"]})
    assert answer["phone_info"]["purePhoneNumber"] == "13812345678"


async def test_an_official_account_has_no_client(
    session: aiohttp.ClientSession, server: SimulatorServer, account: Account, person: Fan
) -> None:
    hand = Hand(session, f"{server.url}/phone/api/mini/{account.appid}/{person.id}")
    for what in ("login", "phone-number", "request"):
        assert await hand.do(what, {"url": "http://127.0.0.1/"}, 409) == {"error": "这不是小程序"}


async def test_the_server_is_a_setting(session: aiohttp.ClientSession, server: SimulatorServer) -> None:
    body = {"kind": "miniprogram", "name": "会员", "appid": "wx9", "server": "ftp://a"}
    async with session.post(f"{server.url}/sim/accounts", json=body) as answer:
        assert (answer.status, (await answer.json())["field"]) == (400, "server")
    async with session.post(f"{server.url}/sim/accounts", json=body | {"server": "http://127.0.0.1:8300"}) as answer:
        assert (answer.status, (await answer.json())["server"]) == (200, "http://127.0.0.1:8300")


async def test_a_code_leads_to_the_mini_program_with_what_it_was_asked_for(
    session: aiohttp.ClientSession, server: SimulatorServer, mini: Account
) -> None:
    root = f"{server.url}/phone/api/mini"
    async with session.get(f"{root}/{mini.appid}/code", params={"invited_by": "K7", "from": "茶"}) as answer:
        assert answer.content_type == "image/png"
        (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(await answer.read())))
    assert code.text == f"{server.url}/phone/#/{mini.appid}//mini?invited_by=K7&from=%E8%8C%B6"
    official = server.world.add_account("service")
    refused = {f"{official.appid}/code": 404, "none/code": 404, f"{mini.appid}/code?q={'x' * 511}": 400}
    for path, status in refused.items():
        async with session.get(f"{root}/{path}") as answer:
            assert answer.status == status, path
