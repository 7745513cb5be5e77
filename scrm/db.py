"""The only place that opens transactions: a safe tortoise engine on asyncpg, commands, retries, lent connections.

Tortoise takes this module as its engine (`client_class`). What it fences is listed, with the test that proves
each, in docs/subsystems/database.md.
"""

import asyncio
import contextvars
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import datetime
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import PoolConnectionWrapper, TransactionContextPooled
from tortoise.context import TortoiseContext, get_current_context
from tortoise.exceptions import TransactionManagementError

from kit.guard import no_network
from scrm.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# Every folder of scrm that has tables. A new noun with tables adds its line here.
MODELS = [
    "scrm.accounts.models",
    "scrm.members.models",
    "scrm.channels.models",
    "scrm.tags.models",
    "scrm.events.models",
    "scrm.pushes.models",
    "scrm.replies.models",
    "scrm.menus.models",
    "scrm.outreach.models",
    "scrm.points.models",
    "scrm.points.rule_models",
    "scrm.checkins.models",
    "scrm.gifts.models",
    "scrm.referrals.models",
    "scrm.access.models",
    "scrm.staff.models",
    "scrm.assistant.models",
    "scrm.assistant.answer_models",
    "scrm.conversations.models",
    "scrm.conversations.desk_models",
    "scrm.conversations.words_models",
]

# Postgres errors after which the same transaction may simply be run again. They arrive raw from asyncpg.
RETRYABLE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# What it looks like when the database itself is away, starting or stopping.
AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the pool's word for a connection that is lost while it is lent
    asyncpg.TooManyConnectionsError,
    TimeoutError,
)


class _SafeTransaction(TransactionContextPooled):
    """Tortoise's pooled transaction, giving the connection back wherever it is cancelled."""

    async def __aenter__(self) -> TransactionWrapper:
        await self.ensure_connection()
        pool = self.client._parent._pool
        # Shielded by asyncpg itself: a cancelled acquire returns its connection to the pool.
        self.client._connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
        try:
            await self.client.begin()
        except BaseException:
            # An interrupted BEGIN leaves the connection in an unknown state: terminate, do not reuse.
            self.client._connection.terminate()
            await pool.release(self.client._connection)
            raise
        self.token = _connections().set(self.connection_name, self.client)
        return self.client  # type: ignore[return-value]  # tortoise types its clients by their common base

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # First, before anything is awaited: a task cancelled while it gives the connection back would otherwise
        # keep the dead transaction as its connection for ever.
        _connections().reset(self.token)
        try:
            if kind is None:
                await self.client.commit()
            elif not self.client._finalized and kind is not TransactionManagementError:
                await self.client.rollback()
        finally:
            await self.client._parent._pool.release(self.client._connection)


class _SafeConnection(PoolConnectionWrapper[Connection]):
    """Tortoise's connection for a single statement, waiting a limited time for it and naming an outage."""

    async def __aenter__(self) -> Connection:
        with translating():
            await self.ensure_connection()
            self.connection = await self.client._pool.acquire(timeout=ACQUIRE_SECONDS)
        return self.connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        translating().__exit__(kind, error, trace)


class client_class(AsyncpgDBClient):  # noqa: N801  # the name tortoise looks up in an engine module
    """Tortoise's asyncpg client with the safe transaction and the safe connection."""

    def _in_transaction(self) -> _SafeTransaction:
        return _SafeTransaction(TransactionWrapper(self), self._pool_init_lock)

    def acquire_connection(self) -> _SafeConnection:
        """Return what lends a connection of the pool for one statement."""
        return _SafeConnection(self, self._pool_init_lock)


ACQUIRE_SECONDS = 3.0
_current: contextvars.ContextVar["Transaction | None"] = contextvars.ContextVar("fensi_tx", default=None)


def _connections() -> Any:
    context = get_current_context()
    if context is None:
        raise RuntimeError("the database is not open here: use scrm.db.Database.open")
    return context.connections


def _client() -> Any:
    return _connections().get("default")


class Transaction:
    """An open transaction: the raw connection, and what is to happen once it has committed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._callbacks: list[Callable[[], None]] = []

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` (plain, quick, no await) after the outermost commit; never after a rollback."""
        self._callbacks.append(callback)


@asynccontextmanager
async def transaction() -> AsyncIterator[Transaction]:
    """Open a transaction, or a savepoint inside the one this task already has.

    ORM calls in the block use it by themselves; raw SQL uses `.connection`. Raises Unavailable when the
    database is away.
    """
    outer = _current.get()
    with translating(), no_network():
        async with _client()._in_transaction() as wrapper:
            inner = Transaction(wrapper._connection)
            token = _current.set(inner)
            try:
                yield inner
            finally:
                _current.reset(token)
    if outer is not None:
        outer._callbacks.extend(inner._callbacks)
        return
    for callback in inner._callbacks:
        callback()


class translating(AbstractContextManager[None]):  # noqa: N801  # reads as a statement
    """Turn the many faces of "the database is away" into one Unavailable."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, AWAY):
            raise Unavailable(code="database_away") from error


def command(
    function: Callable[Concatenate[Transaction, P], Awaitable[R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    """Make a function of the business one transaction; it is run again after a deadlock, at most three times.

    Inside another command it becomes a savepoint of that one's transaction and is not retried by itself.
    """

    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        attempts = 1 if _current.get() is not None else 3
        for attempt in range(1, attempts + 1):
            try:
                async with transaction() as tx:
                    return await function(tx, *args, **kwargs)
            except asyncpg.LockNotAvailableError as error:
                raise Unavailable(code="busy") from error
            except RETRYABLE:
                if attempt == attempts:
                    raise
                await asyncio.sleep(0.01 * attempt)
        raise AssertionError("unreachable")

    return run


@asynccontextmanager
async def connection() -> AsyncIterator[Connection]:
    """Lend a raw connection for reads and single statements: the open transaction's, else one of the pool."""
    if (tx := _current.get()) is not None:
        yield tx.connection
        return
    lent = Lent()
    try:
        async with lent as raw:
            yield raw
    finally:
        await lent.give_back()


async def fetch(sql: str, *args: object) -> list[asyncpg.Record]:
    """Run one reading statement and return its rows. Raises Unavailable, also where a lock is not given in time."""
    async with connection() as raw:
        try:
            rows: list[asyncpg.Record] = await raw.fetch(sql, *args)
        except asyncpg.LockNotAvailableError as error:
            raise Unavailable(code="busy") from error
        return rows


class Lent:
    """A connection of the pool, taken by the first `async with` and kept over the next ones until it is given back.

    For what has one batch after the other: to take a connection and give it back costs as much as storing several rows.
    A connection in which something failed goes back at once, and one that was lost meanwhile is replaced.
    """

    def __init__(self) -> None:
        self._raw: Any = None
        self._pool: Any = None

    async def __aenter__(self) -> Connection:
        if self._lost():
            await self.give_back()
            with translating():
                client = _client()
                if client._pool is None:
                    await client.create_connection(with_db=True)
                self._pool = client._pool
                self._raw = await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        raw: Connection = self._raw
        return raw

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            await self.give_back()
            translating().__exit__(kind, error, trace)

    def _lost(self) -> bool:
        try:
            return self._raw is None or self._raw.is_closed()
        except asyncpg.InterfaceError:  # the pool noticed first and took it back
            return True

    @asynccontextmanager
    async def committing(self) -> AsyncIterator[Connection]:
        """Open a transaction in it."""
        async with self as raw, raw.transaction():
            yield raw

    async def give_back(self) -> None:
        """Give it back to the pool, if there is one."""
        raw, self._raw = self._raw, None
        if raw is not None:
            with translating():
                await self._pool.release(raw)


async def clock_skew(now: Callable[[], datetime]) -> float:
    """Return by how many seconds this machine's clock is ahead of the database's (behind: negative).

    Leases are written by one machine and judged by another, so their clocks have to agree.
    """
    before = now()
    theirs: datetime = (await fetch("SELECT clock_timestamp() AS at"))[0]["at"]
    middle = before + (now() - before) / 2
    return (middle - theirs).total_seconds()


# What a database URL may say besides user, host and database; anything else is refused, not dropped.
_SSL_FILES = {"sslrootcert", "sslcert", "sslkey"}
_PARAMETERS = {"host", "port", "user", "password", "sslmode", *_SSL_FILES}


def _ssl(query: dict[str, str]) -> Any:
    """Return asyncpg's `ssl` for sslmode and its files."""
    mode = query.get("sslmode")
    if mode not in {None, "disable", "allow", "prefer", "require", "verify-ca", "verify-full"}:
        raise ValueError(f"FENSI_DATABASE_URL: sslmode={mode} is not known")
    if not _SSL_FILES & query.keys():
        return mode
    context = ssl.create_default_context(cafile=query.get("sslrootcert"))
    context.check_hostname = mode == "verify-full"
    if "sslcert" in query:
        context.load_cert_chain(query["sslcert"], query.get("sslkey"))
    return context


def credentials(url: str) -> dict[str, Any]:
    """Return tortoise's connection settings of a postgresql:// URL; a socket folder comes as ?host=/path.

    Raises ValueError that names FENSI_DATABASE_URL for anything that is not PostgreSQL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError("FENSI_DATABASE_URL: must start with postgresql://")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := sorted(query.keys() - _PARAMETERS):
        raise ValueError(f"FENSI_DATABASE_URL: {unknown[0]} is not supported")
    secure = {"ssl": _ssl(query)} if {"sslmode", *_SSL_FILES} & query.keys() else {}
    return {
        "host": parts.hostname or query.get("host", "127.0.0.1"),
        "port": parts.port or int(query.get("port", 5432)),
        "user": unquote(parts.username or query.get("user", "postgres")),
        "password": unquote(parts.password or "") or None,
        "database": parts.path.lstrip("/") or "postgres",
        **secure,
    }


async def _keep_session(_raw: Connection) -> None:
    """Spare asyncpg's round trip of RESET ALL after every use of a pooled connection.

    Nobody changes a session here: no SET, LISTEN or session lock outside a transaction of its own. A transaction
    left open asyncpg rolls back by itself.
    """


def tortoise_config(url: str, *, pool: int = 10, command_seconds: float | None = 15) -> dict[str, Any]:
    """Return the whole tortoise configuration for a database URL; a statement may take `command_seconds`."""
    return {
        "connections": {
            "default": {
                "engine": "scrm.db",
                "credentials": {
                    **credentials(url),
                    "minsize": 1,
                    "maxsize": pool,
                    "timeout": ACQUIRE_SECONDS,  # to connect, seconds
                    "command_timeout": command_seconds,
                    "reset": _keep_session,
                    "server_settings": {
                        "application_name": "fensi",
                        "jit": "off",
                        # Whoever holds a lock longer is stuck; nobody else shall be stuck with them.
                        "lock_timeout": "3s",
                        "idle_in_transaction_session_timeout": "30s",
                    },
                },
            }
        },
        "apps": {"scrm": {"models": MODELS, "migrations": "migrations", "default_connection": "default"}},
        "use_tz": True,
        "timezone": "UTC",
    }


# For the `tortoise` command line only, which needs a module attribute; no connection is made from it.
TORTOISE_CONFIG = tortoise_config("postgresql://postgres@127.0.0.1/postgres")


@asynccontextmanager
async def database(url: str, *, pool: int = 10) -> AsyncIterator[TortoiseContext]:
    """Open the database for this task and all it starts; checks that it answers, closes it at the end."""
    async with TortoiseContext() as context:
        await context.init(config=tortoise_config(url, pool=pool))
        await fetch("SELECT 1")
        yield context
