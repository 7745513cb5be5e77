"""Whose request it is: what is appended by trusted proxies counts, and nothing that a visitor writes."""

from collections.abc import Sequence

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDict

from web.addresses import PROXIES, Proxies, address_of


async def asked_by(trusted: str | None, peer: str, *forwarded: str) -> str:
    """Return who asks, according to a server with these proxies, when `peer` connects and sends these headers."""
    sub, app = web.Application(), web.Application()

    async def who(request: web.Request) -> web.Response:
        return web.Response(text=address_of(request.clone(remote=peer)))

    sub.router.add_get("/", who)
    app.add_subapp("/api", sub)
    if trusted is not None:
        app[PROXIES] = Proxies.parse(trusted)
    async with TestClient(TestServer(app)) as client:
        headers = CIMultiDict([("X-Forwarded-For", one) for one in forwarded])
        async with client.get("/api/", headers=headers) as answer:
            return await answer.text()


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "asking"),
    [
        # Nobody in between.
        (None, "203.0.113.7", (), "203.0.113.7"),
        (None, "127.0.0.1", (), "127.0.0.1"),
        # By default a proxy on this machine is believed, and nobody else: not a private neighbour either.
        (None, "127.0.0.1", ("203.0.113.7",), "203.0.113.7"),
        (None, "::1", ("203.0.113.7",), "203.0.113.7"),
        (None, "172.17.0.1", ("203.0.113.7",), "172.17.0.1"),
        (None, "10.0.0.5", ("203.0.113.7",), "10.0.0.5"),
        (None, "198.51.100.1", ("203.0.113.7",), "198.51.100.1"),
        ("none", "127.0.0.1", ("203.0.113.7",), "127.0.0.1"),
        # Invented entries stand on the left, in the same header or in one of their own.
        ("10.0.0.5", "10.0.0.5", ("8.8.8.8, 203.0.113.7",), "203.0.113.7"),
        ("10.0.0.5", "10.0.0.5", ("8.8.8.8", "203.0.113.7"), "203.0.113.7"),
        ("10.0.0.5", "10.0.0.5", ("10.0.0.5, 203.0.113.7",), "203.0.113.7"),
        # A chain of proxies, walked from the right as far as they are trusted.
        ("10.0.0.0/8", "10.0.0.5", ("8.8.8.8, 203.0.113.7, 10.0.0.9",), "203.0.113.7"),
        ("10.0.0.5", "10.0.0.5", ("8.8.8.8, 203.0.113.7, 10.0.0.9",), "10.0.0.9"),
        ("10.0.0.0/8", "10.0.0.5", ("10.0.0.8,10.0.0.9",), "10.0.0.8"),
        # IPv6, also as one socket for both versions has it, with a zone, in brackets, with a port.
        ("fd00::/8", "fd00::5", ("2001:DB8:0:0::7",), "2001:db8::7"),
        ("fd00::/8", "fd00::5%eth0", ("[2001:db8::7]:443",), "2001:db8::7"),
        ("10.0.0.5", "::ffff:10.0.0.5", ("203.0.113.7:51000",), "203.0.113.7"),
        ("10.0.0.5", "::ffff:203.0.113.7", ("8.8.8.8",), "203.0.113.7"),
        ("fd00::/8", "10.0.0.5", ("8.8.8.8",), "10.0.0.5"),
        # What is no address is nobody's: the proxy that wrote it answers for it.
        ("10.0.0.5", "10.0.0.5", ("8.8.8.8, unknown",), "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", ("",), "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", ("8.8.8.8,",), "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", ("::1::2", "x:y", "[", "1.2.3"), "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", ("9" * 4000,), "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", ("１.2.3.4",), "10.0.0.5"),
    ],
)
async def test_who_asks(trusted: str | None, peer: str, forwarded: Sequence[str], asking: str) -> None:
    assert await asked_by(trusted, peer, *forwarded) == asking


@pytest.mark.parametrize("text", ["", ",", "10.0.0.1,", "everybody", "10.0.0.0/33", "10.0.0.1 10.0.0.2"])
def test_what_names_no_proxies_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be addresses or networks"):
        Proxies.parse(text)


@pytest.mark.parametrize(("text", "everybody"), [("0.0.0.0/0", True), ("::/0", True), ("10.0.0.0/8", False)])
def test_to_believe_everybody_is_noticed(text: str, everybody: bool) -> None:
    assert Proxies.parse(text).believes_everybody is everybody
