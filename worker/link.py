"""One PostgreSQL connection that comes back by itself: what listens for NOTIFY, and what the job engine talks over.

A worker that dies whenever the database restarts loses nothing, but somebody has to start it again. This one
waits instead: a statement that meets a lost connection is run again on the next one, so only statements that
may be run twice belong here.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import asyncpg
import structlog
from pgqueuer.core.tm import TaskManager
from pgqueuer.ports.driver import Driver, NotifyCallback
from typing_extensions import Self

from scrm.db import AWAY, Connection, credentials

log = structlog.get_logger(__name__)

R = TypeVar("R")

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 15.0
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


class Stopping(ConnectionError):
    """The database was away and the worker was told to stop, so nobody waits for it any longer."""


class Link(Driver):
    """A connection of its own, outside the pool, satisfying PgQueuer's driver protocol.

    While the database is away every method waits for it, until `stop` is set; then it raises Stopping.
    """

    def __init__(self, url: str, stop: asyncio.Event, *, name: str) -> None:
        self._credentials = credentials(url)
        self._stop = stop
        self._name = name
        self._connection: Connection | None = None
        self._listeners: list[tuple[str, Callable[..., None]]] = []
        self._lock = asyncio.Lock()
        self._lost = asyncio.Event()
        self._shutdown = asyncio.Event()

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Run a statement and return its rows."""
        rows: list[asyncpg.Record] = await self._run(lambda raw: raw.fetch(query, *args))
        return [dict(row) for row in rows]

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement and return its status word."""
        status: str = await self._run(lambda raw: raw.execute(query, *args))
        return status

    async def notify(self, channel: str, payload: str) -> None:
        """Send a NOTIFY."""
        await self.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Call `callback` with the payload of every NOTIFY on `channel`, also after a reconnection.

        What was sent while the connection was away is missed, so a listener polls as well.
        """

        def relay(_connection: object, _pid: object, _channel: object, payload: object) -> None:
            callback(str(payload))

        self._listeners.append((channel, relay))
        await self._run(lambda raw: raw.add_listener(channel, relay), retry=False)

    async def keep(self) -> None:
        """Reconnect whenever the connection is lost, until stopped; for a link that only listens."""
        while not self._stop.is_set():
            try:
                await self._run(lambda raw: raw.fetchval("SELECT 1"))
            except Stopping:
                return
            waiting = [asyncio.create_task(self._lost.wait()), asyncio.create_task(self._stop.wait())]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()
