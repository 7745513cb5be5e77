"""What nobody should send: an errcode or a 4xx for it, never a 500 and never a trace."""

import json
import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulator import wire
from simulator.actions import ActionError
from simulator.server import SimulatorServer
from simulator.testing import running
from simulator.world import Account

from .conftest import Api, Json, Receiver

DEEP = b'{"a":' * 100_000
SEND = "/cgi-bin/message/custom/send"


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Any:
    """aiohttp logs what a handler did not catch; that is the trace on standard error."""
    yield
    assert [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.ERROR] == []


async def ask(
    session: aiohttp.ClientSession, url: str, raw: bytes, content_type: str = "application/json"
) -> tuple[int, Json]:
    async with session.post(url, data=raw, headers={"Content-Type": content_type}) as answer:
        return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize(
    "raw", [DEEP, b"[" * 100_000, b'{"a":' * 65 + b"1" + b"}" * 65, b'{"a": "\xed\xa0\x80"}', b"\xff"]
)
async def test_bodies_that_are_no_data(
    api: Api, server: SimulatorServer, session: aiohttp.ClientSession, raw: bytes
) -> None:
    status, answer = await ask(session, f"{server.url}{SEND}?access_token={api.token}", raw)
    assert (status, answer["errcode"]) == (200, 47001)
    status, answer = await ask(session, f"{server.url}/sim/fans", raw)
    assert (status, answer["error"]) == (400, "请求内容应为 JSON 对象")
    status, answer = await ask(session, f"{server.url}/v1/chat/completions", raw)
    assert (status, "error" in answer) == (401, True)


@pytest.mark.parametrize("msg_id", ["²", "9" * 5000, "-1", 1.5, None, {}, 10**400])
async def test_a_mass_job_that_there_cannot_be(api: Api, msg_id: object) -> None:
    assert (await api.post("/cgi-bin/message/mass/get", {"msg_id": msg_id}))["errcode"] == 40059


async def test_what_a_handler_did_not_expect_is_an_errcode(
    api: Api, session: aiohttp.ClientSession, account: Account
) -> None:
    """A sample of each kind, beside the number no integer can be made of."""
    odd: Any = [None, 5, "x", [], {}, [[]], {"a": {}}, -1, 1e308, True]
    for path in (
        "/cgi-bin/tags/members/batchtagging",
        "/cgi-bin/user/info/batchget",
        "/cgi-bin/menu/create",
        "/cgi-bin/qrcode/create",
        "/cgi-bin/message/template/send",
        "/wxaapi/newtmpl/addtemplate",
        SEND,
    ):
        names = ("touser", "openid_list", "user_list", "button", "action_info", "data", "tid", "kidList", "msgtype")
        for value in odd:
            answer = await api.post(path, dict.fromkeys(names, value))
            assert answer["errcode"] > 0, (path, value, answer)


FORMS = [
    ("multipart/form-data", b"x"),
    ("multipart/form-data; boundary=", b"x"),
    ("multipart/form-data; boundary=b", b"no boundary at all"),
    ("multipart/form-data; boundary=b", b"--b\r\n"),
    ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=media; filename=a.png\r\n\r\nx"),
    ("multipart/form-data; boundary=b", b"--b\r\nno header\r\n\r\nx\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b", b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=media\r\n\r\n\xff\r\n--b--\r\n"),
    ("multipart/form-data; boundary=" + "b" * 100, b"x"),
    ("application/json", b"{}"),
    ("application/x-www-form-urlencoded; charset=no", b"a=b"),
    ("application/x-www-form-urlencoded", b"\xff\xfe=%ff"),
]


@pytest.mark.parametrize(("content_type", "raw"), FORMS)
async def test_forms_that_are_none(
    api: Api, server: SimulatorServer, session: aiohttp.ClientSession, account: Account, content_type: str, raw: bytes
) -> None:
    url = f"{server.url}/cgi-bin/media/upload?access_token={api.token}&type=image"
    status, answer = await ask(session, url, raw, content_type)
    assert (status, answer["errcode"]) in [(200, 41005), (200, 44001)]
    fan = server.fan()
    url = f"{server.url}/phone/api/threads/{account.appid}/{fan.person.id}/image"
    status, answer = await ask(session, url, raw.replace(b"media", b"file"), content_type)
    assert (status, answer["field"]) == (400, "file")


@pytest.mark.parametrize(
    ("path", "raw", "field"),
    [
        ("/sim/fans", b'{"fans": ["x"]}', "fans"),
        ("/sim/fans", b'{"fans": [{"nickname": "a", "following": 5}]}', "following"),
        ("/sim/fans", b'{"fans": [{"nickname": "a", "following": [["x"]]}]}', "following"),
        ("/sim/fans", b'{"fans": [{"nickname": "a", "following": ["none"]}]}', "following"),
        ("/sim/fans", b'{"fans": [{"nickname": "a", "openids": 5}]}', "openids"),
        ("/sim/fans", b'{"fans": [{"nickname": "a", "openids": {"APPID": 5}}]}', "openids"),
        ("/sim/fans", b'{"fans": [{"nickname": "a", "openids": {"none": "o1"}}]}', "openids"),
        ("/sim/fans", b'{"fans": [{"nickname": "a", "unionid": 5}]}', "unionid"),
        ("/sim/fans", b'{"fans": [{"nickname": "a", "phone": []}]}', "phone"),
        ("/sim/fans", b'{"fans": [{"nickname": 5}]}', "nickname"),
        ("/sim/quotas", b'{"appid": "APPID", "path": "/x", "limit": 1e999}', "limit"),
        ("/sim/quotas", b'{"appid": "APPID", "path": "/x", "limit": NaN}', "limit"),
        ("/sim/quotas", b'{"appid": "APPID", "path": "/x", "limit": 1' + b"0" * 400 + b"}", "limit"),
        ("/phone/api/threads/APPID/FAN/msgmenu", b'{"message_id": 1e999, "item_id": "1"}', "message_id"),
        ("/phone/api/threads/APPID/FAN/location", b'{"latitude": -Infinity, "longitude": 1}', "latitude"),
        ("/sim/clock", b'{"advance": NaN}', "advance"),
        ("/sim/clock", b'{"advance": 1e12}', "advance"),
        ("/sim/clock", b'{"advance": "1"}', "advance"),
        ("/sim/faults", b'{"kind": "api", "delay": 1e999}', "delay"),
        ("/sim/accounts", b'{"appid": "APPID", "menu": 5}', "menu"),
        ("/sim/accounts", b'{"appid": "APPID", "menu": {"button": [5]}}', "menu"),
        ("/sim/accounts", b'{"appid": "APPID", "conditional_menus": [{}]}', "conditional_menus"),
        ("/sim/accounts", b'{"appid": "APPID", "token": 5}', "token"),
        ("/sim/accounts", b'{"appid": "APPID", "name": 5}', "name"),
        ("/sim/accounts", b'{"appid": "APPID", "name": ""}', "name"),
        ("/sim/accounts", b'{"appid": 5, "name": "x"}', "appid"),
        ("/sim/accounts", b'{"appid": "", "name": "x"}', "appid"),
        ("/sim/accounts", b'{"appid": "APPID", "kind": []}', "kind"),
        ("/sim/accounts", b'{"appid": "APPID", "verified": "no"}', "verified"),
        ("/sim/accounts", b'{"appid": "APPID", "verify": "yes"}', "verify"),
        ("/sim/accounts", b'{"appid": "APPID", "templates": {"T": {"title": 5}}}', "templates"),
        ("/sim/accounts", b'{"appid": "APPID", "tags": [{"id": "1", "name": "x"}]}', "tags"),
        ("/sim/accounts", b'{"appid": "APPID", "kf_online": "x"}', "kf_online"),
        ("/sim/accounts", b'{"appid": "APPID", "ip_whitelist": [5]}', "ip_whitelist"),
        ("/sim/accounts", b'{"appid": "APPID", "pages": {}}', "pages"),
        ("/sim/accounts", b'{"appid": "APPID", "callback_url": 5}', "callback_url"),
        ("/sim/accounts", b'{"appid": "APPID", "callback_url": "http://a:99999/"}', "callback_url"),
        ("/sim/accounts", b'{"appid": "APPID", "aes_key": "\\u82b1"}', "aes_key"),
    ],
)
async def test_controls_name_the_field_and_keep_what_was(
    server: SimulatorServer, session: aiohttp.ClientSession, account: Account, path: str, raw: bytes, field: str
) -> None:
    fan = server.fan()
    await fan.follow(account)
    before = (repr(account), dict(server.world.fans), server.world.clock.offset)
    swap = ((b"APPID", account.appid.encode()), (b"FAN", fan.person.id.encode()))
    for name, value in swap:
        raw, path = raw.replace(name, value), path.replace(name.decode(), value.decode())
    status, answer = await ask(session, server.url + path, raw)
    assert (status, answer.get("field")) == (400 if b"none" not in raw else 404, field)
    assert answer["error"]
    assert (repr(account), dict(server.world.fans), server.world.clock.offset) == before


async def test_the_clock_stays_within_ten_years(server: SimulatorServer, session: aiohttp.ClientSession) -> None:
    year = 365 * 86400
    for advance, status in [(9 * year, 200), (2 * year, 400), (-18 * year, 200), (-2 * year, 400), (9 * year, 200)]:
        assert (await ask(session, f"{server.url}/sim/clock", json.dumps({"advance": advance}).encode()))[0] == status
    assert server.world.clock.offset == 0


@pytest.mark.parametrize("path", ["/phone/a%00b", "/phone/" + "a" * 300, "/phone/media/a%00b", "/phone/%ff"])
async def test_pages_that_there_cannot_be(session: aiohttp.ClientSession, tmp_path: Path, path: str) -> None:
    (tmp_path / "index.html").write_text("<p>built</p>")
    async with running(pages=tmp_path) as built, session.get(built.url + path) as answer:
        assert answer.status == 404


async def test_what_xml_cannot_carry_is_left_out(
    server: SimulatorServer, session: aiohttp.ClientSession, receiver: Receiver, account: Account
) -> None:
    fan = server.fan()
    await fan.follow(account)
    url = f"{server.url}/phone/api/threads/{account.appid}/{fan.person.id}"
    pasted = "甲\x0b乙\x00丙\ufffe丁\t戊\n己\ud83d庚😀"
    status, answer = await ask(session, f"{url}/text", json.dumps({"content": pasted}).encode())
    assert (status, answer["push"]["outcome"]) == (200, "success")
    assert wire.from_xml(receiver.pushes[-1].raw)["Content"] == "甲乙丙丁\t戊\n己庚😀"
    async with session.get(url) as shown:
        assert (await shown.json())["messages"][-1]["content"]["text"].replace("\x0b", "")[:2] == "甲乙"
    # By the scripted fan as well, whose words pass no JSON.
    await fan.text(account, "一\x1f二\udc00三")
    assert wire.from_xml(receiver.pushes[-1].raw)["Content"] == "一二三"


async def test_a_picture_that_would_fill_the_memory(server: SimulatorServer, account: Account) -> None:
    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + b"IHDR" + size + struct.pack(">I", zlib.crc32(b"IHDR" + size))
    with pytest.raises(ActionError, match="图片无法识别"):
        await server.fan().image(account, b"\x89PNG\r\n\x1a\n" + header)
