"""One connection per process that listens to the database, and everybody here who wants to know what it hears.

    hub = Hub(url, ("fensi_conversation",))         tasks.spawn(hub.run(), "hub")
    with hub.listening(lambda heard: heard["brand"] == 7) as listener: … await listener.next()

Nothing else joins the processes, so it is the same with one or with twenty, with or without Redis. What was said
while the connection was lost nobody knows; then everybody is told to read anew (`resync`), as is whoever listens too
slowly and whoever comes back too late.
"""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from kit.faults import describe
from scrm.db import AWAY, credentials

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 5.0
# A connection whose other end is gone without a word is found out after so long.
CHECK_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
# What somebody who comes back may have missed, and what somebody slow may be behind.
REMEMBERED, QUEUED = 512, 256

Heard = Mapping[str, Any]
Wanted = Callable[[Heard], bool]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something heard, `number` its place in this process; or None: read everything anew."""

    number: str
    heard: Heard | None


class Listener:
    """What one connection has still to be told: at most so many, then only that it has to read anew."""

    def __init__(self, wanted: Wanted, limit: int) -> None:
        self._wanted = wanted
        self._limit = limit
        self._waiting: deque[Notice] = deque()
        self._something = asyncio.Event()

    def tell(self, notice: Notice) -> None:
        """Queue a notice if it is wanted."""
        if notice.heard is not None and not self._wanted(notice.heard):
            return
        if notice.heard is None or len(self._waiting) >= self._limit:
            self._waiting.clear()
            notice = Notice(notice.number, None)
        self._waiting.append(notice)
        self._something.set()

    async def next(self) -> Notice:
        """Return the next notice, as soon as there is one."""
        while not self._waiting:
            self._something.clear()
            await self._something.wait()
        return self._waiting.popleft()


class Hub:
    """Hears NOTIFY with JSON objects on `channels` and passes them on."""

    def __init__(self, url: str, channels: Sequence[str]) -> None:
        self._credentials = credentials(url)
        self._channels = channels
        self._listeners: set[Listener] = set()
        self._recent: deque[Notice] = deque(maxlen=REMEMBERED)
        # Numbers of another process, or of one before a gap, mean nothing here.
        self._epoch = secrets.token_hex(4)
        self._count = 0
        self.connected = asyncio.Event()

    def __len__(self) -> int:
        """Return how many listen."""
        return len(self._listeners)

    @contextmanager
    def listening(self, wanted: Wanted, *, since: str = "", limit: int = QUEUED) -> Iterator[Listener]:
        """Listen from now on, or from the notice numbered `since` on, which the browser saw last.

        A number that is unknown or too long ago begins with a notice to read anew; none is a first visit.
        """
        listener = Listener(wanted, limit)
        if since:
            missed = self._since(since)
            for notice in [Notice(self._number(), None)] if missed is None else missed:
                listener.tell(notice)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def _since(self, number: str) -> list[Notice] | None:
        epoch, _, count = number.partition("-")
        if epoch != self._epoch or not count.isdecimal():
            return None
        behind = self._count - int(count)
        if not 0 <= behind <= len(self._recent):
            return None
        return list(self._recent)[len(self._recent) - behind :]

    def _number(self) -> str:
        return f"{self._epoch}-{self._count}"

    async def run(self) -> None:
        """Listen for ever, coming back whenever the database does."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._listen()
                pause = FIRST_PAUSE
            except (*AWAY, asyncpg.PostgresError) as error:
                log.warning("live updates are interrupted", error=describe(error))
            self.connected.clear()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _listen(self) -> None:
        """Listen until the connection is lost."""
        lost = asyncio.Event()
        # lint: own-transaction a connection that listens is held for as long as the process runs
        raw = await asyncpg.connect(
            **self._credentials,
            timeout=CONNECT_SECONDS,
            command_timeout=CONNECT_SECONDS,
            server_settings={"application_name": "fensi hub"},
        )
        try:
            raw.add_termination_listener(lambda _raw: lost.set())
            for channel in self._channels:
                await raw.add_listener(channel, self._hear)
            self._gap()
            self.connected.set()
            while not lost.is_set():
                try:
                    async with asyncio.timeout(CHECK_SECONDS):
                        await lost.wait()
                except TimeoutError:
                    await raw.execute("SELECT 1")
        finally:
            raw.terminate()

    def _gap(self) -> None:
        self._epoch, self._count = secrets.token_hex(4), 0
        self._recent.clear()
        self._tell(Notice(self._number(), None))

    def _hear(self, _raw: object, _pid: object, channel: object, payload: object) -> None:
        try:
            heard = json.loads(str(payload))
        except ValueError:
            heard = None
        if not isinstance(heard, dict):
            log.error("a notice that makes no sense", channel=str(channel))
            return
        self._count += 1
        notice = Notice(self._number(), heard)
        self._recent.append(notice)
        self._tell(notice)

    def _tell(self, notice: Notice) -> None:
        for listener in tuple(self._listeners):
            listener.tell(notice)
