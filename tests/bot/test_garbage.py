"""Whatever bytes come: a 4xx or `success`, never a 5xx or a trace, and the next good push is answered."""

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import aiohttp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from bot.replies import TextReply
from handlers import ROUTERS
from kit.clock import ManualClock
from scrm import db
from simulator import wire
from tests.bot.desk import quick
from tests.bot.house import AES_KEY, House, Server
from tests.bot.platform import Account, Answer

ANSWERS = quick(你好=TextReply("您好"))
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><xml><Content>&j;</Content></xml>"
)
EXTERNAL = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Content>&a;</Content></xml>'
HEAD = b"<ToUserName>gh</ToUserName><FromUserName>oFan</FromUserName><CreateTime>1773028800</CreateTime>"


def counters() -> float:
    """Everything that is counted about pushes."""
    names = ("fensi_pushes_total", "fensi_push_refused_total", "fensi_push_duplicates_total")
    return sum(sample.value for family in REGISTRY.collect() for sample in family.samples if sample.name in names)


async def survives(account: Account, server: Server, send: Callable[[], Awaitable[Answer]]) -> Answer:
    """Send garbage, then a good push."""
    before = counters()
    answer = await send()
    assert answer.status == 200 or 400 <= answer.status < 500, answer
    if answer.status != 200:
        assert len(answer.raw) < 60
        assert answer.content_type == "text/plain"
    assert b"Traceback" not in answer.raw
    assert b".py" not in answer.raw
    assert counters() == before + 1, "counted once"
    assert (await account.text("oGood", "你好").to(server)).text == "您好"
    return answer


def text_of(content: bytes, *, more: bytes = b"") -> bytes:
    return b"<xml>" + HEAD + b"<MsgType>text</MsgType><Content>" + content + b"</Content>" + more + b"</xml>"


# What is inside a perfectly genuine envelope. None of it may hurt.
CORPUS: dict[str, bytes] = {
    "empty": b"",
    "spaces": b"   \n",
    "no type": b"<xml>" + HEAD + b"</xml>",
    "empty type": b"<xml>" + HEAD + b"<MsgType></MsgType></xml>",
    "type is a tree": b"<xml>" + HEAD + b"<MsgType><a>1</a></MsgType></xml>",
    "two types": b"<xml>" + HEAD + b"<MsgType>text</MsgType><MsgType>event</MsgType></xml>",
    "an event without a name": b"<xml>" + HEAD + b"<MsgType>event</MsgType></xml>",
    "an event named by a tree": b"<xml>" + HEAD + b"<MsgType>event</MsgType><Event><a/></Event></xml>",
    "a subscribe to nothing": b"<xml>" + HEAD + b"<MsgType>event</MsgType><Event>subscribe</Event></xml>",
    "a scan of a very long scene": b"<xml>"
    + HEAD
    + b"<MsgType>event</MsgType><Event>SCAN</Event><EventKey>"
    + b"s" * 5000
    + b"</EventKey></xml>",
    "a report without numbers": b"<xml>"
    + HEAD
    + b"<MsgType>event</MsgType><Event>MASSSENDJOBFINISH</Event><TotalCount>many</TotalCount></xml>",
    "a report about nothing": b"<xml>"
    + HEAD
    + b"<MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><Status>"
    + b"x" * 3000
    + b"</Status></xml>",
    "a text without a text": b"<xml>" + HEAD + b"<MsgType>text</MsgType></xml>",
    "a text that is a tree": text_of(b"<a><b>1</b></a>"),
    "many texts": text_of(b"1</Content><Content>2"),
    "a type with a strange name": b"<xml>" + HEAD + b"<MsgType>\xf0\x9f\x98\x80" + b"x" * 300 + b"</MsgType></xml>",
    "an id that is none": text_of(b"1", more=b"<MsgId>-1</MsgId>"),
    "an endless id": text_of(b"1", more=b"<MsgId>" + b"9" * 10_000 + b"</MsgId>"),
    "an id that is a tree": text_of(b"1", more=b"<MsgId><a/></MsgId>"),
    "time zero": text_of(b"1").replace(b"1773028800", b"0"),
    "the last time": text_of(b"1").replace(b"1773028800", b"4294967295"),
    "a time beyond": text_of(b"1").replace(b"1773028800", b"99999999999999999999"),
    "a time before": text_of(b"1").replace(b"1773028800", b"-1"),
    "an openid of 64": text_of(b"1").replace(b"oFan", b"o" * 64),
    "an openid of 65": text_of(b"1").replace(b"oFan", b"o" * 65),
    "an openid of 128": text_of(b"1").replace(b"oFan", b"o" * 128),
    "an openid of 64 wide characters": text_of(b"1").replace(b"oFan", "粉".encode() * 64),
    "an openid like SQL": text_of(b"1").replace(b"oFan", b"o'; DROP TABLE fan; --"),
    "control characters": text_of(b"\x01\x02\x0b"),
    "a character reference to NUL": text_of(b"&#0;"),
    "a character reference to a surrogate": text_of(b"&#xD800;"),
    "an undefined entity": text_of(b"&nbsp;"),
    "wrong UTF-8": text_of(b"\xff\xfe"),
    "an overlong NUL": text_of(b"\xc0\x80"),
    "UTF-16": text_of(b"1").decode().encode("utf-16"),
    "another encoding by name": b'<?xml version="1.0" encoding="gbk"?>' + text_of(b"1"),
    "a long text": text_of("长".encode() * 8_000),
    "NUL": text_of(b"\0"),
    "very deep": b"<xml>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</xml>",
    "entity bomb": BOMB,
    "external entity": EXTERNAL,
    "many attributes": b"<xml " + b" ".join(b'a%d="1"' % n for n in range(5000)) + b"/>",
    "many names": b"<xml>" + b"".join(b"<n%d/>" % n for n in range(5000)) + b"</xml>",
    "JSON": b'{"FromUserName": "oFan", "CreateTime": 1773028800, "MsgType": "text", "Content": "1"}',
    "JSON with a lone surrogate": b'{"FromUserName": "oFan", "CreateTime": 1, "MsgType": "text", "Content": "\\ud800"}',
    "JSON with NUL": b'{"FromUserName": "oFan", "CreateTime": 1, "MsgType": "text", "Content": "\\u0000"}',
    "JSON with a NUL in a name": b'{"FromUserName": "oFan", "CreateTime": 1, "MsgType": "x", "\\u0000": "1"}',
    "JSON, deep": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "JSON, not a number": b'{"FromUserName": "oFan", "CreateTime": NaN, "MsgType": "text"}',
    "JSON, huge number": b'{"FromUserName": "oFan", "CreateTime": 1' + b"0" * 5000 + b', "MsgType": "text"}',
    "JSON, a list": b"[1, 2, 3]",
    "JSON, wrong types": b'{"FromUserName": ["oFan"], "CreateTime": {}, "MsgType": 7}',
    "JSON, the same name twice": b'{"MsgType": "text", "MsgType": "event"}',
}


@pytest.mark.parametrize("mode", ["plain", "safe"])
async def test_the_corpus_in_genuine_envelopes(house: House, mode: str) -> None:
    account = await house.account(mode=mode)
    server = await house.server(ANSWERS, *ROUTERS)
    for name, plain in CORPUS.items():

        async def send(plain: bytes = plain) -> Answer:
            if mode == "plain":
                return await account.post(server, plain, account.signed())
            sealed, body = account.envelope(plain)
            return await account.post(server, body, account.signed(sealed=sealed))

        answer = await survives(account, server, send)
        assert answer.status == 200, (name, answer)
    # Nothing was left half-done.
    assert await house.rows("SELECT 1 FROM push WHERE account_id = $1 AND state = 'running'", account.id) == []


async def test_the_corpus_from_strangers(house: House) -> None:
    account = await house.account()
    server = await house.server(ANSWERS, *ROUTERS)
    for name, plain in CORPUS.items():
        answer = await survives(account, server, partial(account.post, server, plain, account.signed(token="x")))
        assert 400 <= answer.status < 500, (name, answer)
    rows = await house.rows("SELECT 1 FROM malformed_push WHERE account_id = $1", account.id)
    assert rows == []


def truncated(sealed: str) -> list[str]:
    return [
        sealed[:-1],
        sealed[:-4],
        sealed[:44],
        sealed[: len(sealed) // 2],
        sealed[4:],
        sealed + "AAAA",
        "A",
        "AA==",
        "*",
    ]


async def test_ciphertexts_that_do_not_open(house: House) -> None:
    """Signed by somebody who knows the token, sealed by somebody who does not know the key."""
    account = await house.account()
    server = await house.server(ANSWERS, *ROUTERS)
    good, _ = account.envelope(account.render(account.text("oFan", "你好").body))
    other_key = wire.encrypt(AES_KEY[::-1], account.appid, b"<xml></xml>", b"0" * 16)
    for sealed in [*truncated(good), other_key, "é" * 10, " ", "A" * 400_000]:
        for fmt in ("xml", "json"):
            body = wire.to_json({"Encrypt": sealed}) if fmt == "json" else wire.to_xml({"Encrypt": sealed})
            query = account.signed(sealed=sealed)
            await survives(account, server, partial(account.post, server, body, query))
    assert await house.kinds(account) == ["wechat.text"] * len(await house.kinds(account))


async def test_envelopes_that_are_none(house: House) -> None:
    account = await house.account()
    server = await house.server(ANSWERS, *ROUTERS)
    for body in (
        b"<xml><Encrypt></Encrypt></xml>",
        b"<xml><Encrypt><a/></Encrypt></xml>",
        b"<xml><Encrypt>1</Encrypt><Encrypt>2</Encrypt></xml>",
        b'{"Encrypt": null}',
        b'{"Encrypt": 7}',
        b'{"Encrypt": {"a": "b"}}',
        b"Encrypt",
        BOMB.replace(b"Content", b"Encrypt"),
    ):
        for query in (account.signed(), account.signed(sealed=""), account.signed(sealed="7")):
            await survives(account, server, partial(account.post, server, body, query))


async def test_queries_that_are_none(house: House) -> None:
    account = await house.account()
    server = await house.server(ANSWERS, *ROUTERS)
    sealed, body = account.envelope(account.render(account.text("oFan", "你好").body))
    right = account.signed(sealed=sealed)
    queries = [
        {},
        *[
            {name: value for name, value in right.items() if name != left_out}
            for left_out in right
            if left_out != "encrypt_type"
        ],
        *[
            {**right, name: wrong}
            for name in ("timestamp", "nonce", "msg_signature")
            for wrong in ("", "0", "-1", "1e9", "９", "\ud800".encode("utf-8", "replace").decode(), "x" * 5000, "\n")
        ],
    ]
    for query in queries:
        before = counters()
        answer = await account.post(server, body, query)
        # The three-part signature is not looked at where there is a ciphertext.
        expected = (
            200 if "msg_signature" in query and query == {k: v for k, v in right.items() if k != "signature"} else 403
        )
        assert answer.status == expected, query
        assert counters() == before + 1
    async with account.http.post(
        account.url(server) + "?timestamp=%ff%fe&nonce=%00&signature=%", data=body
    ) as response:
        assert response.status == 403


class TestHttp:
    """Garbage below the push: encodings that are none, requests that break off."""

    async def test_bodies_that_do_not_unpack(self, house: House) -> None:
        account = await house.account(mode="plain")
        server = await house.server(ANSWERS, *ROUTERS)
        packed = gzip.compress(text_of(b"1"))
        for encoding, body in {
            "gzip": b"not packed",
            "deflate": packed[:-10],
            "br": b"\xff" * 100,
        }.items():
            before = counters()
            headers = {"Content-Encoding": encoding}
            async with account.http.post(
                account.url(server), data=body, params=account.signed(), headers=headers
            ) as response:
                # What aiohttp itself cannot read it refuses itself, before anything of ours is asked.
                assert response.status == 400
                assert b"Traceback" not in await response.read()
            assert counters() in {before, before + 1}
            assert (await account.text("oGood", "你好").to(server)).text == "您好"

    async def test_a_body_that_unpacks_to_far_too_much(self, house: House) -> None:
        account = await house.account(mode="plain")
        server = await house.server(ANSWERS, *ROUTERS)
        packed = zlib.compress(b"x" * (50 << 20))
        assert len(packed) < 60_000
        async with account.http.post(
            account.url(server), data=packed, params=account.signed(), headers={"Content-Encoding": "deflate"}
        ) as response:
            assert 400 <= response.status < 500
        assert (await account.text("oGood", "你好").to(server)).text == "您好"

    @pytest.mark.parametrize(
        "request_",
        [
            b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<xml>",
            b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<xml>\r\n",
            b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<xml>\r\n",
            b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n<xml>",
            b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n<xml>",
            b"POST %s\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\0" * 1000,
        ],
    )
    async def test_requests_that_break_off(self, house: House, request_: bytes) -> None:
        account = await house.account(mode="plain")
        server = await house.server(ANSWERS, *ROUTERS)
        host, port = server.address.removeprefix("http://").split(":")
        query = "&".join(f"{name}={value}" for name, value in account.signed().items())
        path = f"/wechat/{account.id}?{query}".encode()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request_ % path if b"%s" in request_ else request_)
        writer.write_eof()
        async with asyncio.timeout(5):
            said = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert said == b"" or said.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), said[:200]
        assert b"Traceback" not in said
        assert (await account.text("oGood", "你好").to(server)).text == "您好"


printable = st.text(max_size=40)
field = st.one_of(printable, st.integers().map(str), st.just("text"), st.just("event"), st.just("oFan"))
names = st.sampled_from(
    ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "EventKey", "Content", "MsgId", "Ticket", "List"]
)
bodies = st.one_of(
    st.binary(max_size=300),
    st.dictionaries(st.one_of(names, printable), st.one_of(field, st.lists(field, max_size=3)), max_size=10).map(
        wire.to_json
    ),
    st.dictionaries(names, st.one_of(field, st.lists(field, max_size=3)), max_size=10).map(wire.to_xml),
    st.text(max_size=200).map(lambda text: text_of(text.encode("utf-8", "surrogatepass"))),
)


class Examples:
    """One server for all examples, on a loop that lasts; hypothesis hands them out one by one."""

    def __init__(self, url: str, clock: ManualClock) -> None:
        self._url, self._clock = url, clock
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._begin())

    async def _begin(self) -> None:
        self._http = aiohttp.ClientSession()
        self._house = House(self._url, self._clock, self._http)
        async with db.database(self._url, pool=1):
            self._accounts = {mode: await self._house.account(mode=mode) for mode in ("plain", "safe")}
        self._server = await self._house.server(ANSWERS, *ROUTERS)

    def run(self, plain: bytes, mode: str, *, proven: bool) -> None:
        self._loop.run_until_complete(self._one(plain, self._accounts[mode], proven=proven))

    async def _one(self, plain: bytes, account: Account, *, proven: bool) -> None:
        token = None if proven else "guess"
        if account.mode == "safe":
            sealed, body = account.envelope(plain)
            query = account.signed(sealed=sealed, token=token)
        else:
            body, query = plain, account.signed(token=token)
        answer = await survives(account, self._server, lambda: account.post(self._server, body, query))
        assert answer.status in ({200} if proven else {400, 403})

    def end(self) -> None:
        async def close() -> None:
            await self._house.close()
            await self._http.close()

        self._loop.run_until_complete(close())
        self._loop.close()


@pytest.fixture
def examples(shared_database_url: str, clock: ManualClock) -> Iterator[Examples]:
    examples = Examples(shared_database_url, clock)
    yield examples
    examples.end()


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(plain=bodies, mode=st.sampled_from(["plain", "safe"]), proven=st.booleans())
@example(plain=b"", mode="safe", proven=True)
def test_random_bodies(examples: Examples, plain: bytes, mode: str, proven: bool) -> None:
    examples.run(plain, mode, proven=proven)
