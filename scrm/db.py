"""The only place that opens transactions: a safe tortoise engine on asyncpg, commands, retries, group commit.

Tortoise takes this module as its engine (`client_class`). What it fences is listed, with the test that proves
each, in docs/subsystems/database.md.
"""

import asyncio
import contextvars
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import datetime
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar
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
C = TypeVar("C")

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
    with translating():
        client = _client()
        if client._pool is None:
            await client.create_connection(with_db=True)
        async with client._pool.acquire(timeout=ACQUIRE_SECONDS) as raw:
            yield raw


async def fetch(sql: str, *args: object) -> list[asyncpg.Record]:
    """Run one reading statement and return its rows."""
    async with connection() as raw:
        rows: list[asyncpg.Record] = await raw.fetch(sql, *args)
        return rows


# Commands that may wait in one process for their commit; beyond that the caller is told at once.
QUEUE_LIMIT = 10_000


class GroupCommit(Generic[C, R]):
    """Commands of one kind that arrive while a commit is under way share the next one.

    No waiting is added: an idle lane starts at once, so a lone command costs what it would alone, and under
    load the batch grows to what arrived during the last commit, at most `limit`. When a batch fails, for any
    reason but an absent database, every command is run again alone, so one bad row fails alone. A caller that
    is cancelled does not take its batch with it.

    `at_once`, if given, is tried first, outside a transaction: a single statement that either does what `run`
    would and returns its outcomes, or changes nothing and returns None. It saves BEGIN and COMMIT.

    With several `lanes`, one batch is prepared while another is being committed; a lane sets out as soon as
    `enough` commands wait. Lanes may overtake each other: who needs an order submits one after the other.
    """

    def __init__(
        self,
        run: Callable[[Connection, Sequence[C]], Awaitable[Sequence[R]]],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        *,
        limit: int = 256,
        lanes: int = 2,
        enough: int = 256,
        at_once: Callable[[Connection, Sequence[C]], Awaitable[Sequence[R] | None]] | None = None,
    ) -> None:
        self._run = run
        self._at_once = at_once
        self._spawn = spawn
        self._limit = limit
        self._lanes = self._free_lanes = lanes
        self._enough = min(enough, limit)
        self._waiting: list[tuple[C, asyncio.Future[R]]] = []

    async def submit(self, item: C) -> R:
        """Return the outcome of `item` once its transaction is durable; raises what that transaction raised."""
        return await self.enter(item)

    def enter(self, item: C) -> asyncio.Future[R]:
        """Return the future of what `submit` returns; whoever ends it early withdraws `item` if it still waits."""
        if len(self._waiting) >= QUEUE_LIMIT:
            raise Unavailable(code="overloaded")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._free_lanes:
            self._free_lanes -= 1
            self._spawn(self._lane(), "group-commit")
        return future

    async def _lane(self) -> None:
        batch: list[tuple[C, asyncio.Future[R]]] = []
        try:
            while self._waiting:
                await self._gather()
                # Who has given up waiting was told no; doing it all the same would only delay the others.
                self._waiting = [(item, future) for item, future in self._waiting if not future.done()]
                # Of a long queue each lane takes its share.
                size = min(self._limit, max(self._enough, -(-len(self._waiting) // self._lanes)))
                batch, self._waiting = self._waiting[:size], self._waiting[size:]
                if batch:
                    await self._commit(batch)
        except BaseException:
            # Cancelled, as at shutdown: whoever waits, also for a next batch, is told so and not left waiting.
            _fail([*batch, *self._waiting], Unavailable(code="shutting_down"))
            self._waiting = []
            raise
        finally:
            self._free_lanes += 1

    async def _gather(self) -> None:
        # As long as every turn of the loop brings more, let it: what is on its way comes with this batch.
        before = 0
        while before < len(self._waiting) < self._enough:
            before = len(self._waiting)
            await asyncio.sleep(0)

    async def _commit(self, batch: list[tuple[C, asyncio.Future[R]]]) -> None:
        try:
            outcomes = await self._transaction([item for item, _ in batch])
        except Unavailable as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001  # handed to the caller, whatever it is
            if len(batch) == 1:
                _fail(batch, Unavailable(code="busy") if isinstance(error, asyncpg.LockNotAvailableError) else error)
                return
            for single in batch:
                await self._commit([single])
        else:
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)

    async def _transaction(self, items: list[C]) -> Sequence[R]:
        for attempt in range(1, 4):
            try:
                async with connection() as raw:
                    with no_network():
                        if self._at_once is not None and (done := await self._at_once(raw, items)) is not None:
                            return done
                        async with raw.transaction():
                            return await self._run(raw, items)
            except RETRYABLE:
                if attempt == 3:
                    raise
                await asyncio.sleep(0.005 * attempt)
        raise AssertionError("unreachable")


def _fail(batch: Sequence[tuple[Any, asyncio.Future[Any]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


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
