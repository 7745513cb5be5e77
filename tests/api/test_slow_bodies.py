"""Who announces a body and dribbles it, signed in or not, is told so and let go."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.api.conftest import NO_LIMITS, Mini
from tests.api.test_odd_requests import signed

SLOW = replace(NO_LIMITS, body_seconds=0.2)


@pytest.mark.parametrize("begun", [b"", b'{"code":'])
@pytest.mark.parametrize("path", ["/sign-in", "/addresses"])
async def test_a_body_that_does_not_come(mini: Mini, path: str, begun: bytes) -> None:
    phone = await mini.member()
    head = [f"POST /api/mp/{phone.appid}{path} HTTP/1.1".encode(), b"Host: test", b"Content-Length: 500", signed(phone)]
    async with mini.limited(SLOW) as address, asyncio.timeout(30):
        host, _, port = address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\r\n".join([*head, b"", b""]) + begun)
        assert (await reader.readline()).split()[1] == b"422"
        await reader.readuntil(b"\r\n\r\n")
        said = json.loads(await reader.readuntil(b"}"))
        assert (said["code"], said["field"], said["title"]) == ("invalid", "body", "请求体没有及时送达，请重试")
        # The rest of the body is waited for a little, then the connection is closed.
        writer.close()
