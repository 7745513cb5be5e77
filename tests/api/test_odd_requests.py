"""Requests that no client library sends: odd headers, encodings and bodies get documented answers, byte for byte."""

import asyncio
import gzip
import json
from dataclasses import dataclass

import pytest

from tests.api.conftest import NO_LIMITS, Mini, Phone
from tests.api.test_repetitions import HOME, homes


@dataclass
class Raw:
    """An answer; `code` is None where it is no problem document of ours."""

    status: int
    code: str | None


async def send(phone: Phone, method: str, path: str, *headers: bytes, body: bytes = b"") -> Raw:
    """Send a request of just these bytes."""
    host, _, port = phone.address.removeprefix("http://").partition(":")
    lines = [f"{method} /api/mp/{phone.appid}{path} HTTP/1.1".encode(), b"Host: test", b"Connection: close", *headers]
    if not any(line.startswith((b"Content-Length", b"Transfer-Encoding")) for line in headers):
        lines.append(b"Content-Length: %d" % len(body))
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        async with asyncio.timeout(10):
            head, _, text = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status = int(head.split()[1])
    if b"application/problem+json" not in head:
        return Raw(status, None)
    document = json.loads(text)
    assert document["status"] == status
    return Raw(status, document["code"])


def signed(phone: Phone) -> bytes:
    return b"Authorization: Bearer " + phone.access.encode()


NO_TOKEN = [b"", b"Bearer", b"Bearer ", b"Basic dXNlcjpwYXNz", b"=", b"Token x"]
BAD_TOKENS = [
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "粉丝".encode(),
    b"A" * 7000,
    b"A" * 65,
    b"a b c",
    b"====",
    b"null",
    b"-" * 76,
]


async def test_what_stands_in_for_a_token(mini: Mini) -> None:
    phone = await mini.member()
    async with mini.limited(NO_LIMITS) as phone.address:
        for value in NO_TOKEN:
            assert await send(phone, "GET", "/me", b"Authorization: " + value) == Raw(401, "token_missing"), value
        for value in BAD_TOKENS:
            said = await send(phone, "GET", "/me", b"Authorization: Bearer " + value)
            assert said == Raw(401, "token_invalid"), value
        assert await send(phone, "GET", "/me", signed(phone)) == Raw(200, None)


KEYS = [
    b"",
    b" ",
    b"a b",
    b"a\tb",
    b"\xff",
    b"\xed\xa0\x80",
    "键".encode(),
    b"k" * 65,
    b"k" * 7000,
    b"../x",
    b"'--",
    b"%00",
]


async def test_what_stands_in_for_a_key(mini: Mini) -> None:
    phone = await mini.member()
    async with mini.limited(NO_LIMITS) as phone.address:
        for value in KEYS:
            said = await send(phone, "POST", "/checkin", signed(phone), b"Idempotency-Key: " + value)
            assert said == Raw(422, "invalid"), value


@pytest.mark.parametrize(
    "header",
    [
        b"Authorization: Bearer a\x00b",
        b"Authorization: Bearer " + b"A" * 70_000,
        b"Idempotency-Key: a\x00b",
        b"Content-Length: -1",
        b"Content-Length: x",
        b"Content-Length: 99999999999999999999999",
        b"Transfer-Encoding: chunked",  # what follows is no chunk
        b"no header",
    ],
)
async def test_what_is_no_http_is_refused_before_it_reaches_us(mini: Mini, header: bytes) -> None:
    phone = await mini.member()
    assert await send(phone, "POST", "/addresses", signed(phone), header, body=b"zzzz") == Raw(400, None)
    assert await homes(phone) == 0


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br"])
async def test_a_body_that_cannot_be_unpacked_is_bad_input(mini: Mini, encoding: bytes) -> None:
    """Once a 500. Which of the two sees it first depends on how the bytes arrive."""
    phone = await mini.member()
    header = b"Content-Encoding: " + encoding
    said = await send(phone, "POST", "/addresses", signed(phone), header, body=b"no such encoding")
    assert said in (Raw(422, "invalid"), Raw(400, None))
    # A read takes no notice of a body.
    said = await send(phone, "GET", "/me", signed(phone), header, body=b"no such encoding")
    assert said in (Raw(200, None), Raw(400, None))


async def test_a_packed_body_counts_unpacked(mini: Mini) -> None:
    phone = await mini.member()
    header = b"Content-Encoding: gzip"
    fine = gzip.compress(json.dumps(HOME).encode())
    assert await send(phone, "POST", "/addresses", signed(phone), header, body=fine) == Raw(201, None)
    for size in (64 * 1024 + 1, 50_000_000):
        packed = gzip.compress(b" " * size)
        assert await send(phone, "POST", "/addresses", signed(phone), header, body=packed) == Raw(413, "too_large")
    assert await homes(phone) == 1


BODIES = [
    b"[" * 60_000,
    b'{"a":' * 10_000,
    b"9" * 60_000,
    b'{"name":' + b"9" * 5000 + b"}",
    b'{"name":1e999999}',
    b'{"name":NaN}',
    b'{"name":-Infinity}',
    b"\x00",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'{"name":"\\u0000"}',
    b'{"name":"\\ud800"}',
    b'{"\\ud800":1}',
    b'{"name":"\xed\xa0\x80"}',
    b"{}{}",
    b"\xe7\xb2",
    b'"' + b"x" * 60_000 + b'"',
    b"true",
    b"-0",
    b'{"__proto__":1}',
    b" " * 60_000,
]


async def test_bodies_that_are_none(mini: Mini) -> None:
    phone = await mini.member()
    async with mini.limited(NO_LIMITS) as phone.address:
        for n, body in enumerate(BODIES):
            for key in ([], [b"Idempotency-Key: k%d" % n]):
                said = await send(phone, "POST", "/addresses", signed(phone), *key, body=body)
                assert said == Raw(422, "invalid"), body[:40]
        assert await homes(phone) == 0


async def test_the_content_type_is_not_asked(mini: Mini) -> None:
    """JSON is what is taken, whatever it is called; WeChat's own request function calls it several things."""
    phone = await mini.member()
    kinds = [b"text/plain", b"application/json; charset=nonsense", b"", b"\xff", b"multipart/form-data", b"a/b/c;;="]
    for kind in kinds:
        header = b"Content-Type: " + kind
        body = json.dumps(HOME).encode()
        assert await send(phone, "POST", "/addresses", signed(phone), header, body=body) == Raw(201, None)
    assert await homes(phone) == len(kinds)


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-1",
        "+1",
        "%201",
        "1%20",
        "1_0",
        "01",
        "01x",
        "%EF%BC%91",
        "%D9%A1",
        "1e0",
        "1.0",
        "%00",
        "%ff",
        "9" * 5000,
    ],
)
async def test_a_resource_has_one_address(mini: Mini, number: str) -> None:
    """What Python would read as 1 is not 1 here."""
    phone = await mini.member()
    assert (await phone.post("/addresses", HOME)).body == {"id": 1}
    assert await send(phone, "GET", "/addresses/1", signed(phone)) == Raw(200, None)
    assert await send(phone, "GET", f"/addresses/{number}", signed(phone)) == Raw(404, "not_found")


@pytest.mark.parametrize(
    "query", ["limit=%ff", "limit=%ed%a0%80", "before=" + "9" * 5000, "asset=points;", "a=1&" * 1500]
)
async def test_odd_queries(mini: Mini, query: str) -> None:
    phone = await mini.member()
    assert await send(phone, "GET", f"/points/statement?{query}", signed(phone)) == Raw(422, "invalid")
