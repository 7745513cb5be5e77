"""One PostgreSQL connection that comes back by itself: the job engine talks over one, the outbox listens on one.

A worker that died whenever the database restarts would lose nothing, but somebody would have to start it again.
This one waits instead: a statement that meets a lost connection is run again on the next one, so only statements
that may be run twice belong here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self, TypeVar

import asyncpg
import structlog
from pgqueuer.core.tm import TaskManager
from pgqueuer.ports.driver import Driver, NotifyCallback

from kit.tasks import set_within
from scrm.db import AWAY, Connection, credentials

log = structlog.get_logger(__name__)

R = TypeVar("R")

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 15.0
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


class Stopping(ConnectionError):  # noqa: N818  # a condition, not a defect
    """The database is away and the worker was told to stop, so nobody waits for it any longer."""


class Link(Driver):
    """A connection outside the pool that satisfies PgQueuer's driver protocol; its owner calls `close`.

    While the database is away every method waits for it, until `stop` is set; then it raises Stopping.
    """

    def __init__(self, url: str, stop: asyncio.Event, *, name: str) -> None:
        self._credentials = credentials(url)
        self._stop = stop
        self._name = name
        self._connection: Connection | None = None
        self._listeners: list[tuple[str, Callable[..., None]]] = []
        self._lock = asyncio.Lock()
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

        What is sent while the connection is lost is missed, and a loss shows only at the next statement, so
        whoever listens polls as well.
        """

        def relay(_connection: object, _pid: object, _channel: object, payload: object) -> None:
            callback(str(payload))

        self._listeners.append((channel, relay))
        await self._run(lambda raw: raw.add_listener(channel, relay))

    async def close(self) -> None:
        """Close the connection; a server that does not answer is not waited for."""
        if self._connection is not None:
            with suppress(*AWAY):
                await self._connection.close(timeout=1)

    async def _run(self, act: Callable[[Connection], Awaitable[Any]]) -> Any:
        async with self._lock:
            pause = FIRST_PAUSE
            while True:
                try:
                    return await act(await self._open())
                except AWAY as error:
                    connection = self._connection
                    # Also the mistakes of a caller come as InterfaceError; those leave the connection open.
                    if isinstance(error, asyncpg.InterfaceError) and connection and not connection.is_closed():
                        raise
                    if connection is not None:
                        connection.terminate()
                        self._connection = None
                        log.warning("database lost, reconnecting", link=self._name, error=type(error).__name__)
                    if self._stop.is_set():
                        raise Stopping("the database is away") from error
                await set_within(self._stop, pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _open(self) -> Connection:
        if self._connection is None:
            # lint: own-transaction a connection that listens is held for as long as the worker runs
            connection = await asyncpg.connect(
                **self._credentials,
                timeout=CONNECT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
                server_settings={"application_name": self._name},
            )
            try:
                for channel, relay in self._listeners:
                    await connection.add_listener(channel, relay)
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    # What PgQueuer's protocol asks for besides. It enters a driver once for each of its two managers, which
    # is why leaving does not close.

    @property
    def shutdown(self) -> asyncio.Event:
        """An event PgQueuer's own drivers carry; nothing sets it here."""
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        """An empty set of tasks; a link has none."""
        return TaskManager()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...
