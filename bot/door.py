"""The short way in for pushes: what is plainly a push, whole in one piece, is read and answered without aiohttp.

Nearly every push is a POST with a few plain headers that arrives in one piece, and a general HTTP server spends more
on it than on proving, opening and sealing it together. Whatever is not exactly of that form (another path or method,
a body in pieces or packed, an unknown account, a doubtful header) takes its connection over to aiohttp, from its
first byte on and for good. So the rules of HTTP are aiohttp's, and no request is read in two ways.
"""

import asyncio
import re
import socket
from email.utils import formatdate
from functools import cache
from http import HTTPStatus
from typing import Any, cast

from aiohttp import web

from bot.callback import Answer, Callback
from bot.normalise import MAX_BODY
from kit.clock import Clock
from kit.tasks import set_within
from web.problems import REQUEST_ID

# Longer than the connections of proxies in front of us may idle (nginx and cloud balancers: 60 s), so that it is they
# who close: a push sent into a closing connection would be lost on its way.
IDLE_SECONDS = 75.0
# A longer head is aiohttp's to refuse.
HEAD_MOST = 8190

# Headers that say how a message is to be read, but for its length, are aiohttp's to weigh. Of the query only what
# stands for itself; WeChat's own is never escaped. Nothing here matches in two ways, so it takes linear time.
_HEADERS = (
    rb"(?:(?!(?i:transfer-|trailer|expect|upgrade|proxy-|content-(?:length|encoding)|connection:(?! *keep-alive\r)))"
    rb"[A-Za-z0-9-]++:[\x20-\x7e]*+\r\n)*+"
)
_PUSH = re.compile(
    rb"POST /wechat/([0-9]{1,18})\?([A-Za-z0-9_.=&-]*+) HTTP/1\.1\r\n"
    + _HEADERS
    + rb"(?i:content-length): ?([0-9]{1,6})\r\n"
    + _HEADERS
    + rb"\r\n"
)


class Doors:
    """Opens a door for every connection: a protocol factory for `loop.create_server`.

    `inside` is what the rest of the requests are for, such as `web.AppRunner.server`.
    """

    def __init__(
        self, callback: Callback, inside: web.Server, clock: Clock, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.callback = callback
        self.inside = inside
        self.idle_seconds = idle_seconds
        self._clock = clock
        self.open: set[_Door] = set()
        # How many pushes are being answered; told when, while closing, it comes to none.
        self.busy = 0
        self.quiet = asyncio.Event()
        self.closing = False
        self.loop = asyncio.get_running_loop()
        self._date, self._date_until = b"", 0.0
        self._sweeping = self.loop.call_later(idle_seconds / 4, self._sweep)

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Door(self)

    async def close(self, seconds: float) -> None:
        """Close what waits for a next push, and let open pushes be answered, for at most `seconds`."""
        self.closing = True
        self._sweeping.cancel()
        for door in list(self.open):
            door.close_if_idle(self.loop.time())
        if self.busy:
            await set_within(self.quiet, seconds)

    def _sweep(self) -> None:
        """Close what has been idle: whoever connects and says nothing must not use our sockets up."""
        for door in list(self.open):
            door.close_if_idle(self.loop.time() - self.idle_seconds)
        self._sweeping = self.loop.call_later(self.idle_seconds / 4, self._sweep)

    def http(self, answer: Answer) -> bytes:
        """Return an answer as it goes over the wire."""
        now = self.loop.time()
        if now >= self._date_until:
            self._date_until = now + 1
            self._date = formatdate(self._clock.now().timestamp(), usegmt=True).encode()
        more = b"" if answer.request_id is None else f"{REQUEST_ID}: {answer.request_id}\r\n".encode()
        if self.closing:
            more += b"Connection: close\r\n"
        head = _head(answer.status, answer.content_type)
        return b"%bContent-Length: %d\r\nDate: %b\r\n%b\r\n%b" % (head, len(answer.body), self._date, more, answer.body)


@cache
def _head(status: int, content_type: str) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n".encode()


class _Door(asyncio.Protocol):
    """One connection: one push at a time."""

    __slots__ = ("_busy", "_doors", "_full", "_idle_since", "_next", "_transport")

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._busy = False
        # Whoever is there does not read their answers.
        self._full = False
        self._idle_since = doors.loop.time()
        # What came before the answer to what came before it was out.
        self._next = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._doors.open.add(self)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # as aiohttp does

    def connection_lost(self, _error: Exception | None) -> None:
        # A push that was accepted is worked on all the same.
        self._doors.open.discard(self)

    def pause_writing(self) -> None:
        self._full = True
        self._transport.pause_reading()  # who does not read answers is not asked for more

    def resume_writing(self) -> None:
        self._full = False
        if not self._busy:
            self._go_on()

    def close_if_idle(self, since: float) -> None:
        """Close unless a push is being answered or the last one was after `since`, by the loop's time."""
        if self._busy or self._idle_since > since:
            return
        if self._full:
            self._transport.abort()  # an answer that nobody reads would keep it open for ever
        else:
            self._transport.close()

    def _go_on(self) -> None:
        data, self._next = self._next, b""
        self._transport.resume_reading()
        if data:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self._busy or self._full:
            self._next += data
            self._transport.pause_reading()
            return
        found = _PUSH.match(data)
        served = self._doors.callback.served(int(found[1])) if found else None
        if found is None or served is None or not _is_whole(found, data):
            self._to_aiohttp(data)
            return
        query: dict[str, str] = {}
        for pair in found[2].decode().split("&"):
            name, _, value = pair.partition("=")
            query.setdefault(name, value)
        doors = self._doors
        self._busy = True
        doors.busy += 1
        doors.callback.begin(served, query, data[found.end() :], doors.loop.time(), self._answered)

    def _answered(self, answer: Answer) -> None:
        doors, transport = self._doors, self._transport
        self._busy = False
        doors.busy -= 1
        if not transport.is_closing():
            transport.write(doors.http(answer))
            self._idle_since = doors.loop.time()
            if doors.closing:
                transport.close()
            elif self._next and not self._full:
                self._go_on()
        if doors.closing and not doors.busy:
            doors.quiet.set()

    def _to_aiohttp(self, data: bytes) -> None:
        self._doors.open.discard(self)
        inside: Any = self._doors.inside()
        self._transport.set_protocol(inside)
        inside.connection_made(self._transport)
        inside.data_received(data)


def _is_whole(found: re.Match[bytes], data: bytes) -> bool:
    """Say whether a head that matched is of usual length, for one host, and followed by its body and nothing else."""
    end = found.end()
    return (
        end <= HEAD_MOST
        and len(data) - end == int(found[3]) <= MAX_BODY
        and data[:end].lower().count(b"\r\nhost:") == 1
    )
