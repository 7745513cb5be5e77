"""The traps that scrm/db.py fences, each one sprung on purpose."""

import asyncio
from typing import Any

import asyncpg
import pytest
from tortoise.context import TortoiseContext

from kit.guard import NetworkInTransactionError, check_network_allowed
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.accounts.models import Brand
from scrm.db import ACQUIRE_SECONDS, Transaction, command, database, fetch, transaction
from scrm.errors import Conflict, Unavailable
from tests.conftest import START
from tests.db.outage import gate


def pool_of(context: TortoiseContext) -> tuple[int, int]:
    """Connections open, and of those idle."""
    pool = context.db()._pool
    return pool.get_size(), pool.get_idle_size()


async def whole(context: TortoiseContext, size: int) -> bool:
    """Whether all `size` connections can be had at once, each of them in working order and in no transaction."""
    pool = context.db()._pool
    async with asyncio.timeout(5):
        held = [await pool.acquire() for _ in range(size)]
        states = [await raw.fetchval("SELECT 1") == 1 and not raw.is_in_transaction() for raw in held]
        for raw in held:
            await pool.release(raw)
    return all(states)


async def add_brand(name: str) -> Brand:
    return await Brand.create(name=name, created_at=START)


async def names() -> list[str]:
    return [row["name"] for row in await fetch("SELECT name FROM brand ORDER BY id")]


class TestCancellation:
    @pytest.mark.parametrize("spread", [0.0, 0.002, 0.02], ids=["acquire", "begin", "anywhere"])
    async def test_a_storm_of_cancelled_transactions_leaves_the_pool_whole(
        self, database_url: str, spread: float
    ) -> None:
        async def work(n: int) -> None:
            async with transaction() as tx:
                await tx.connection.execute("SELECT pg_sleep(0.005)")
                await add_brand(f"brand {n}")

        async with database(database_url, pool=5) as context:
            tasks = [asyncio.create_task(work(n)) for n in range(100)]
            for n, task in enumerate(tasks):
                asyncio.get_running_loop().call_later(spread * n / 100, task.cancel)
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(outcome) for outcome in done} <= {asyncio.CancelledError, type(None)}
            assert sum(outcome is None for outcome in done) == len(await names())
            assert await whole(context, 5)

    async def test_a_task_that_survives_its_timeouts_gets_a_working_connection_again(self, database_url: str) -> None:
        """Also when the second cancellation meets it while it gives the connection back."""
        async with database(database_url, pool=5) as context:
            for n in range(150):
                try:
                    async with asyncio.timeout(n * 0.00004):
                        async with transaction() as tx:
                            await tx.connection.execute("SELECT 1")
                except TimeoutError:
                    pass
                assert (await fetch("SELECT 1"))[0][0] == 1
                assert await Brand.all().count() == 0
            assert await whole(context, 5)

    async def test_an_exhausted_pool_is_an_outage_and_not_an_endless_wait(self, database_url: str) -> None:
        async with database(database_url, pool=1) as context:
            held = await context.db()._pool.acquire()
            attempts = (fetch("SELECT 1"), add_brand("a"), Brand.all(), _renaming("a", "b"))
            async with asyncio.timeout(ACQUIRE_SECONDS + 2):
                outcomes = await asyncio.gather(*attempts, return_exceptions=True)
            assert [(type(error), getattr(error, "code", "")) for error in outcomes] == [
                (Unavailable, "database_away")
            ] * 4
            await context.db()._pool.release(held)
            assert await names() == []


@command
async def _renaming(tx: Transaction, old: str, new: str) -> None:
    await tx.connection.execute("UPDATE brand SET name = $2 WHERE name = $1", old, new)


class TestTransactions:
    async def test_orm_and_raw_sql_share_the_transaction_and_its_rollback(self, db: TortoiseContext) -> None:
        @command
        async def add_both(tx: Transaction) -> None:
            await add_brand("orm")
            await tx.connection.execute("INSERT INTO brand (name, created_at) VALUES ('raw', now())")
            assert await names() == ["orm", "raw"]
            raise Conflict

        with pytest.raises(Conflict):
            await add_both()
        assert await names() == []
        assert pool_of(db)[0] == pool_of(db)[1]

    async def test_a_nested_one_is_a_savepoint(self, db: TortoiseContext) -> None:
        @command
        async def inner(tx: Transaction) -> None:
            await add_brand("inner")
            await tx.connection.execute("INSERT INTO brand (name, created_at) VALUES ('outer', now())")

        async with transaction():
            await add_brand("outer")
            with pytest.raises(asyncpg.UniqueViolationError):
                await inner()
            await add_brand("after")
        assert await names() == ["outer", "after"]

    async def test_callbacks_run_once_after_the_outermost_commit(self, db: TortoiseContext) -> None:
        seen: list[str] = []

        @command
        async def say(tx: Transaction, word: str, error: type[Exception] | None = None) -> None:
            tx.after_commit(lambda: seen.append(word))
            if error is not None:
                raise error

        async with transaction() as outer:
            outer.after_commit(lambda: seen.append("outer"))
            await say("inner")
            with pytest.raises(Conflict):
                await say("undone", Conflict)
            assert seen == []
        assert seen == ["outer", "inner"]

    async def test_callbacks_never_run_after_a_rollback(self, db: TortoiseContext) -> None:
        seen: list[str] = []

        @command
        async def undone(tx: Transaction) -> None:
            tx.after_commit(lambda: seen.append("outer"))
            async with transaction() as inner:
                inner.after_commit(lambda: seen.append("inner"))
            raise Conflict

        with pytest.raises(Conflict):
            await undone()
        assert seen == []

    async def test_a_commit_that_fails_runs_no_callback(self, db: TortoiseContext) -> None:
        """A deferred constraint speaks only at COMMIT."""
        await _execute("ALTER TABLE brand ADD CONSTRAINT late UNIQUE (created_at) DEFERRABLE INITIALLY DEFERRED")
        seen: list[str] = []

        @command
        async def add_twins(tx: Transaction) -> None:
            tx.after_commit(lambda: seen.append("said"))
            await add_brand("a")
            await add_brand("b")

        with pytest.raises(asyncpg.UniqueViolationError):
            await add_twins()
        assert seen == []
        assert await names() == []
        assert await whole(db, 10)

    async def test_the_network_is_closed_inside_and_open_again_outside(self, db: TortoiseContext) -> None:
        with pytest.raises(NetworkInTransactionError, match=r"^wechat: called inside a database transaction$"):
            async with transaction():
                check_network_allowed("wechat")
        check_network_allowed("wechat")

    async def test_a_value_that_cannot_be_stored_is_no_outage(self, db: TortoiseContext) -> None:
        with pytest.raises(asyncpg.DataError, match="invalid input for query argument"):
            await fetch("SELECT $1::bigint", "a word")


async def _execute(sql: str) -> None:
    async with scrm_db.connection() as raw:
        await raw.execute(sql)


class TestTasks:
    async def test_a_plain_task_inherits_the_transaction_and_a_task_of_ours_does_not(self, db: TortoiseContext) -> None:
        tasks = Tasks()
        go = asyncio.Event()

        async def later() -> int:
            await go.wait()
            check_network_allowed("wechat")
            async with transaction():
                await add_brand("later")
            return len(await names())

        async with transaction():
            plain = asyncio.create_task(later())
            ours = tasks.spawn(later(), "later")
        go.set()
        with pytest.raises(NetworkInTransactionError):
            await plain
        assert await ours == 1

    async def test_a_plain_task_would_use_the_connection_that_was_given_back(self, db: TortoiseContext) -> None:
        """The trap itself: should tortoise or asyncpg ever fence it, kit.tasks can be simplified."""
        go = asyncio.Event()

        async def later() -> None:
            await go.wait()
            await add_brand("later")

        async with transaction():
            plain = asyncio.create_task(later())
        go.set()
        with pytest.raises(asyncpg.InterfaceError, match="released back to the pool"):
            await plain


class TestCommand:
    async def test_a_deadlock_is_run_again(self, db: TortoiseContext) -> None:
        await add_brand("a")
        await add_brand("b")
        met, ended = asyncio.Barrier(2), asyncio.Event()
        attempts: list[str] = []

        @command
        async def rename(tx: Transaction, mine: str, first: str, second: str) -> str:
            attempts.append(mine)
            if attempts.count(mine) == 2:
                await ended.wait()  # on a slow machine they would meet once more
            await tx.connection.execute("UPDATE brand SET name = name || $2 WHERE starts_with(name, $1)", first, mine)
            if attempts.count(mine) == 1:
                await met.wait()
            await tx.connection.execute("UPDATE brand SET name = name || $2 WHERE starts_with(name, $1)", second, mine)
            return mine

        async def renamed(mine: str, first: str, second: str) -> str:
            outcome = await rename(mine, first, second)
            ended.set()
            return outcome

        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(renamed("1", "a", "b"), renamed("2", "b", "a"))
        assert list(outcomes) == ["1", "2"]
        assert sorted(attempts) in (["1", "1", "2"], ["1", "2", "2"])
        assert sorted(name[0] + "".join(sorted(name[1:])) for name in await names()) == ["a12", "b12"]

    @pytest.mark.parametrize("error", [asyncpg.DeadlockDetectedError, asyncpg.SerializationError])
    async def test_it_gives_up_after_three_attempts(
        self, db: TortoiseContext, error: type[asyncpg.PostgresError]
    ) -> None:
        attempts: list[int] = []

        @command
        async def unlucky(_tx: Transaction) -> None:
            await add_brand("never")
            attempts.append(1)
            raise error("again")

        with pytest.raises(error):
            await unlucky()
        assert len(attempts) == 3
        assert await names() == []

    async def test_inside_another_it_leaves_the_retry_to_that_one(self, db: TortoiseContext) -> None:
        attempts: list[str] = []

        @command
        async def inner(_tx: Transaction) -> None:
            attempts.append("inner")
            if len(attempts) < 4:
                raise asyncpg.DeadlockDetectedError("again")
            await add_brand("inner")

        @command
        async def outer(_tx: Transaction) -> None:
            attempts.append("outer")
            await add_brand("outer")
            await inner()

        await outer()
        assert attempts == ["outer", "inner", "outer", "inner"]
        assert await names() == ["outer", "inner"]

    async def test_another_error_is_not_run_again(self, db: TortoiseContext) -> None:
        attempts: list[int] = []

        @command
        async def wrong(_tx: Transaction) -> None:
            attempts.append(1)
            raise Conflict

        with pytest.raises(Conflict):
            await wrong()
        assert len(attempts) == 1


class TestOutage:
    async def test_everything_says_unavailable_and_works_again_afterwards(self, database_url: str) -> None:
        async with gate(database_url) as way, database(way.url, pool=3) as context:
            await add_brand("before")
            await way.shut()
            for attempt in (fetch("SELECT 1"), add_brand("during"), Brand.all(), _renaming("before", "during")):
                async with asyncio.timeout(5):
                    with pytest.raises(Unavailable) as caught:
                        await attempt
                assert (caught.value.code, caught.value.status) == ("database_away", 503)
            await way.open()
            await _renaming("before", "after")
            assert await names() == ["after"]
            assert await whole(context, 3)

    async def test_a_transaction_that_is_cut_off_is_unavailable_and_undone(self, database_url: str) -> None:
        async with gate(database_url) as way, database(way.url, pool=3) as context:
            said: list[str] = []

            @command
            async def cut_off(tx: Transaction) -> None:
                tx.after_commit(lambda: said.append("committed"))
                await add_brand("half")
                await way.shut()
                await add_brand("other half")

            with pytest.raises(Unavailable):
                await cut_off()
            await way.open()
            assert await names() == []
            assert said == []
            assert await whole(context, 3)

    async def test_a_server_that_ends_the_connection_is_unavailable(self, db: TortoiseContext) -> None:
        with pytest.raises(Unavailable):
            async with transaction() as tx:
                await tx.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        assert await names() == []
        assert await whole(db, 10)

    async def test_opening_an_absent_database_is_unavailable(self, database_url: str) -> None:
        async with gate(database_url) as way:
            await way.shut()
            with pytest.raises(Unavailable):
                async with database(way.url):
                    pass
            await way.open()

    @pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite://x.db", "localhost:5432"])
    def test_another_kind_of_database_is_refused_by_name(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"^FENSI_DATABASE_URL: must start with postgresql://$"):
            scrm_db.credentials(url)

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("postgresql://u:p%40ss@db:5433/fensi", ("db", 5433, "u", "p@ss", "fensi")),
            ("postgresql://postgres:@/fensi?host=/run/pg", ("/run/pg", 5432, "postgres", None, "fensi")),
            ("postgres://db", ("db", 5432, "postgres", None, "postgres")),
        ],
    )
    def test_urls_are_read(self, url: str, expected: tuple[Any, ...]) -> None:
        assert tuple(scrm_db.credentials(url).values()) == expected
