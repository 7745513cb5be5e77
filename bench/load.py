"""The load generator: requests made beforehand, over a fixed number of connections, each sending its next request as
soon as it has its answer. Raw protocols on uvloop, so that it needs a fraction of what it measures."""

import asyncio
import re
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

CONNECTIONS = 64
SAMPLE_EVERY = 97
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class LoadError(Exception):
    """A server answered what no server under load may answer; the message says what."""


@dataclass(slots=True)
class Outcome:
    """What came of a load: times in seconds, and every SAMPLE_EVERY-th answer by the number of its request."""

    count: int
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    answers: dict[int, bytes] = field(default_factory=dict)
    generator_busy: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.count / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


class _Run:
    def __init__(self, requests: Sequence[bytes], port: int) -> None:
        self.requests, self.port = requests, port
        self.sent = 0
        self.outcome = Outcome(len(requests))
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Connection(self), "127.0.0.1", self.port)
        except OSError as error:
            self.fail(f"cannot connect: {error}")

    def fail(self, what: str) -> None:
        if not self.done.done():
            self.done.set_exception(LoadError(what))

    def answered(self, number: int, latency: float, body: bytes) -> None:
        latencies = self.outcome.latencies
        latencies.append(latency)
        if number % SAMPLE_EVERY == 0:
            self.outcome.answers[number] = body
        if len(latencies) == len(self.requests) and not self.done.done():
            self.done.set_result(None)


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._waiting = False
        self._received = b""
        self._number = -1
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, no subclass of it
        self._next()

    def _next(self) -> None:
        run = self._run
        self._number = run.sent
        if self._number >= len(run.requests):
            self._transport.close()
            return
        run.sent += 1
        self._waiting = True
        self._started = time.perf_counter()
        self._transport.write(run.requests[self._number])

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        length = _LENGTH.search(received, 0, head + 2) if head >= 0 else None
        if head >= 0 and (length is None or received[9:12] != b"200"):
            self._run.fail(f"answered {received[:200]!r}")
            self._transport.abort()
            return
        if length is None or len(received) < head + 4 + int(length[1]):
            self._received = received
            return
        self._received = b""
        self._waiting = False
        self._run.answered(self._number, time.perf_counter() - self._started, received[head + 4 :])
        if _CLOSE.search(received, 0, head + 2):
            self._transport.close()
            self._reconnect()
        else:
            self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._waiting:
            self._run.fail("a connection was closed before its answer")

    def _reconnect(self) -> None:
        run = self._run
        if run.sent < len(run.requests):
            # Kept alive by the loop's selector until it is connected.
            self._task = asyncio.get_running_loop().create_task(run.connect())


async def load(requests: Sequence[bytes], port: int, *, connections: int = CONNECTIONS) -> Outcome:
    """Send all requests and return what came of it, once every one is answered. Raises LoadError."""
    run = _Run(requests, port)
    started, used = time.perf_counter(), _cpu_seconds()
    await asyncio.gather(*(run.connect() for _ in range(connections)))
    async with asyncio.timeout(120):
        await run.done
    run.outcome.seconds = time.perf_counter() - started
    run.outcome.generator_busy = (_cpu_seconds() - used) / run.outcome.seconds
    return run.outcome


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
