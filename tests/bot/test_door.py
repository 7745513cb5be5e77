"""The short way in: what comes by it, what is left to aiohttp, and that both answer alike.

aiohttp's answers say so in a `Server` header; the door's have none.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.door import _PUSH
from bot.normalise import MAX_BODY
from bot.replies import TextReply
from tests.bot.desk import Desk, quick
from tests.bot.house import House, Server
from tests.bot.platform import Account

ANSWERS = quick(你好=TextReply("您好"))
HEADERS = {"Host": "wx.example.com", "User-Agent": "Mozilla/4.0", "Content-Type": "text/xml", "Pragma": "no-cache"}


@dataclass
class Line:
    """One connection to a server, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, *pieces: bytes) -> tuple[str, dict[str, str], bytes]:
        """Send pieces, each on its own, and read one answer: its status line, headers and body."""
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.02)  # so that the pieces are not put together on their way
            self.writer.write(piece)
            await self.writer.drain()
        return await self.answer()

    async def answer(self) -> tuple[str, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:-2])
        return head[0], headers, await self.reader.readexactly(int(headers["Content-Length"]))


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Line]:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
        try:
            yield Line(reader, writer)
        finally:
            writer.close()


def request(account: Account, text: str = "你好", *, line: str = "", **headers: str) -> bytes:
    """Return a whole request; `line` and `headers` (with _ for -) replace what it would say."""
    sealed, body = account.envelope(account.render(account.text("oFan", text).body))
    line = line or f"POST /wechat/{account.id}?{urlencode(account.signed(sealed=sealed))} HTTP/1.1"
    said = HEADERS | {"Content-Length": str(len(body))} | {n.replace("_", "-"): v for n, v in headers.items()}
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in said.items()), "", ""]).encode() + body


def by_the_door(headers: dict[str, str]) -> bool:
    return "Server" not in headers


@pytest.fixture
async def account(house: House) -> Account:
    return await house.account()


async def test_a_whole_push_comes_by_the_door_again_and_again(house: House, account: Account) -> None:
    server = await house.server(ANSWERS)
    async with connected(server) as line:
        for _ in range(3):
            status, headers, body = await line.ask(request(account))
            assert status == "HTTP/1.1 200 OK"
            assert by_the_door(headers)
            assert headers["Content-Type"] == "application/xml; charset=utf-8"
            assert "Connection" not in headers
            opened = account._open(200, body)
            assert opened is not None
            assert opened["Content"] == "您好"
    assert await house.kinds(account) == ["wechat.text"] * 3


async def test_both_ways_refuse_alike(house: House, account: Account) -> None:
    server = await house.server(ANSWERS)
    wrong = request(account).replace(b"msg_signature=", b"msg_signature=0")
    async with connected(server) as one, connected(server) as other:
        status, headers, body = await one.ask(wrong)
        assert by_the_door(headers)
        status2, headers2, body2 = await other.ask(wrong[:20], wrong[20:])
        assert not by_the_door(headers2)
    assert (status, body) == (status2, body2) == ("HTTP/1.1 403 Forbidden", b"bad_signature")
    assert set(headers) - set(headers2) == set()
    assert headers["Content-Type"] == headers2["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "header",
    ["Connection=close", "Proxy-Connection=close", "Connection=keep-alive, Upgrade", "Trailer=X", "Via=1.1 \t proxy"],
)
async def test_a_doubtful_header_is_left_to_aiohttp(house: House, account: Account, header: str) -> None:
    server = await house.server(ANSWERS)
    async with connected(server) as line:
        name, _, value = header.partition("=")
        status, headers, body = await line.ask(request(account, **{name: value}))
        assert not by_the_door(headers)
        assert (status, account._open(200, body)["Content"]) == ("HTTP/1.1 200 OK", "您好")  # type: ignore[index]


async def test_who_asks_whether_to_go_on_is_told_so_by_aiohttp(house: House, account: Account) -> None:
    server = await house.server(ANSWERS)
    async with connected(server) as line:
        line.writer.write(request(account, Expect="100-continue"))
        assert await line.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        status, headers, _ = await line.answer()
        assert (status, by_the_door(headers)) == ("HTTP/1.1 200 OK", False)


async def test_a_push_in_pieces_is_left_to_aiohttp_and_so_is_what_follows(house: House, account: Account) -> None:
    server = await house.server(ANSWERS)
    async with connected(server) as line:
        whole = request(account)
        for pieces in ((whole[:50], whole[50:]), (request(account),)):
            status, headers, _ = await line.ask(*pieces)
            assert status == "HTTP/1.1 200 OK"
            assert not by_the_door(headers)
    assert await house.kinds(account) == ["wechat.text"] * 2


async def test_other_requests_come_through_on_the_same_connection(house: House, account: Account) -> None:
    server = await house.server(ANSWERS)
    async with connected(server) as line:
        _, headers, _ = await line.ask(request(account))
        assert by_the_door(headers)
        status, headers, body = await line.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, by_the_door(headers), body) == ("HTTP/1.1 200 OK", False, b'{"status": "ok"}')


async def test_an_account_added_a_moment_ago_is_looked_up_inside(house: House) -> None:
    server = await house.server(ANSWERS)
    account = await house.account()
    house.clock.advance(seconds=1)  # type: ignore[attr-defined]  # the tests' clock stands still
    async with connected(server) as line:
        status, headers, _ = await line.ask(request(account))
        assert (status, by_the_door(headers)) == ("HTTP/1.1 200 OK", False)
    async with connected(server) as line:
        status, headers, _ = await line.ask(request(account))
        assert (status, by_the_door(headers)) == ("HTTP/1.1 200 OK", True)


async def test_pushes_sent_without_waiting_are_answered_in_order(house: House, account: Account, desk: Desk) -> None:
    server = await house.server(desk.router)
    desk.close("一")
    async with connected(server) as line:
        line.writer.write(request(account, "一"))
        await desk.begun("一")
        line.writer.write(request(account, "二") + request(account, "三"))
        await asyncio.sleep(0.05)  # they are on their way; nobody says when they have come
        desk.open("一")
        said = [account._open(200, (await line.answer())[2])["Content"] for _ in range(3)]  # type: ignore[index]
    assert said == ["答一", "答二", "答三"]


async def test_who_leaves_is_worked_for_all_the_same(house: House, account: Account, desk: Desk) -> None:
    server = await house.server(desk.router)
    desk.close("一")
    async with connected(server) as line:
        line.writer.write(request(account, "一"))
        await desk.begun("一")
    desk.open("一")
    await server.idle()
    assert await house.kinds(account) == ["wechat.text"]
    assert [row["state"] for row in await house.rows("SELECT state FROM push WHERE account_id = $1", account.id)] == [
        "answered"
    ]


async def test_a_stop_answers_what_is_open_and_closes_what_waits(house: House, account: Account, desk: Desk) -> None:
    server = await house.server(desk.router)
    desk.close("一")
    async with connected(server) as waiting, connected(server) as working:
        await waiting.ask(request(account, "二"))
        working.writer.write(request(account, "一"))
        await desk.begun("一")
        stopping = asyncio.create_task(server.stop())
        assert await waiting.reader.read() == b""
        desk.open("一")
        status, headers, body = await working.answer()
        assert (status, headers["Connection"], by_the_door(headers)) == ("HTTP/1.1 200 OK", "close", True)
        assert account._open(200, body)["Content"] == "答一"  # type: ignore[index]
        assert await working.reader.read() == b""
        await stopping


def _heads() -> Iterator[bytes]:
    line = b"POST /wechat/1?a=1 HTTP/1.1\r\n"
    yield line + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"
    yield line + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield line + b"transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n"
    yield line + b"Content-Length: 1\r\nContent-Encoding: gzip\r\n\r\n"
    yield line + b"Content-Length: +1\r\n\r\n"
    yield line + b"Content-Length: 1, 1\r\n\r\n"
    yield line + b"Content-Length : 1\r\n\r\n"
    yield line + b"Content-Length: 1\r\n folded: 1\r\n\r\n"
    yield line + b"Content-Length: 1\n\r\n\r\n"
    yield line + b"Content-Length: 1\r\nX: \x00\r\n\r\n"
    yield line + b"Host: x\r\n\r\n"
    yield b"GET /wechat/1?a=1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n"
    yield b"POST /wechat/1?a=1 HTTP/1.0\r\nContent-Length: 1\r\n\r\n"
    yield b"POST /wechat/1?a=%31 HTTP/1.1\r\nContent-Length: 1\r\n\r\n"
    yield b"POST http://x/wechat/1?a=1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n"


@pytest.mark.parametrize("head", list(_heads()))
def test_what_is_not_plainly_a_push_is_not_read_here(head: bytes) -> None:
    assert _PUSH.match(head + b"x") is None


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([b" ", b"a", b"-", b"a: b\r\n", b"&", b"Content-Length: 1\r\n", b"=1&a"]), st.booleans())
def test_no_head_takes_long_to_refuse(piece: bytes, in_query: bool) -> None:
    """A quarter of a megabyte of anything: quadratic matching would take minutes and run into the time limit."""
    filler = piece * (4 * MAX_BODY // len(piece))
    head = b"POST /wechat/1?" + filler if in_query else b"POST /wechat/1?a=1 HTTP/1.1\r\nX: " + filler
    assert _PUSH.match(head) is None
