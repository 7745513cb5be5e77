"""Group commit: commands that share a transaction, each with its own outcome."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
from tortoise.context import TortoiseContext

from kit.guard import NetworkInTransactionError, check_network_allowed
from kit.tasks import Tasks
from scrm.db import Connection, connection, database, fetch
from scrm.errors import NotFound, Unavailable
from scrm.group_commit import LINGER_SECONDS, GroupCommit
from tests.conftest import START
from tests.db.outage import gate


class Names:
    """Writes names into the brand table, remembering its batches; a closed door holds the first batch back."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.door = asyncio.Event()
        self.arrived = asyncio.Event()

    async def __call__(self, raw: Connection, names: Sequence[str]) -> list[int]:
        self.batches.append(list(names))
        self.arrived.set()
        await self.door.wait()
        if "unknown" in names:
            raise NotFound
        if "network" in names:
            check_network_allowed("wechat")
        rows = await raw.fetch(
            "INSERT INTO brand (name, created_at) SELECT n, $2 FROM unnest($1::text[]) WITH ORDINALITY AS u (n, i) "
            "ORDER BY i RETURNING id",
            list(names),
            START,
        )
        return [row["id"] for row in rows]


@pytest.fixture
async def tasks(db: TortoiseContext) -> AsyncIterator[Tasks]:
    made = Tasks()
    yield made
    await made.drain(5)


@pytest.fixture
def names() -> Names:
    return Names()


async def stored() -> dict[str, int]:
    return {row["name"]: row["id"] for row in await fetch("SELECT name, id FROM brand ORDER BY id")}


def submit(group: GroupCommit[str, int], *words: str) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(group.submit(word), name=word) for word in words]


async def test_what_arrives_during_a_commit_shares_the_next_in_order(tasks: Tasks, names: Names) -> None:
    group = GroupCommit(names, tasks.spawn, limit=4, lanes=1)
    first = submit(group, "a")
    await names.arrived.wait()
    rest = submit(group, *"bcdefghij")
    await asyncio.sleep(0)
    names.door.set()
    outcomes = await asyncio.gather(*first, *rest)
    assert names.batches == [["a"], ["b", "c", "d", "e"], ["f", "g", "h", "i"], ["j"]]
    assert dict(zip("abcdefghij", outcomes, strict=True)) == await stored()
    assert list(await stored()) == list("abcdefghij")


async def test_a_lone_command_waits_for_nobody(tasks: Tasks, names: Names) -> None:
    names.door.set()
    group = GroupCommit(names, tasks.spawn)
    one = await group.submit("one")
    assert {"one": one, "two": await group.submit("two")} == await stored()
    assert names.batches == [["one"], ["two"]]


async def test_an_outcome_is_given_only_when_it_is_durable(tasks: Tasks, names: Names) -> None:
    group = GroupCommit(names, tasks.spawn)
    (waiting,) = submit(group, "a")
    await names.arrived.wait()
    assert await stored() == {}
    assert not waiting.done()
    names.door.set()
    assert await waiting == (await stored())["a"]


async def test_two_lanes_commit_side_by_side(tasks: Tasks, names: Names) -> None:
    group = GroupCommit(names, tasks.spawn, lanes=2)
    first = submit(group, "a")
    await names.arrived.wait()
    names.arrived.clear()
    second = submit(group, "b")
    async with asyncio.timeout(10):
        await names.arrived.wait()
    assert names.batches == [["a"], ["b"]]
    names.door.set()
    await asyncio.gather(*first, *second)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("taken", asyncpg.UniqueViolationError),  # a constraint
        ("x" * 65, asyncpg.StringDataRightTruncationError),  # too long for its column
        ("nul \x00", asyncpg.CharacterNotInRepertoireError),  # no such character in the database
        ("half \ud83d", asyncpg.DataError),  # nor on the wire
        ("unknown", NotFound),  # a refusal of the business
        ("network", NetworkInTransactionError),  # a bug of ours
    ],
    ids=["constraint", "length", "nul", "surrogate", "refusal", "bug"],
)
async def test_one_bad_row_fails_alone(tasks: Tasks, names: Names, bad: str, error: type[Exception]) -> None:
    group = GroupCommit(names, tasks.spawn, lanes=1)
    first = submit(group, "taken")
    await names.arrived.wait()
    rest = submit(group, "a", bad, "b")
    await asyncio.sleep(0)
    names.door.set()
    outcomes = await asyncio.gather(*first, *rest, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [int, int, error, int]
    assert list(await stored()) == ["taken", "a", "b"]
    assert names.batches == [["taken"], ["a", bad, "b"], ["a"], [bad], ["b"]]


async def test_a_cancelled_caller_leaves_the_queue_but_does_not_take_its_batch_with_it(
    tasks: Tasks, names: Names
) -> None:
    group = GroupCommit(names, tasks.spawn, lanes=1)
    first = submit(group, "a")
    await names.arrived.wait()
    rest = submit(group, "b", "c")
    await asyncio.sleep(0)
    for task in (first[0], rest[0]):
        task.cancel()
    names.door.set()
    assert await rest[1] == (await stored())["c"]
    # "a" was being committed; "b" still waited, and doing it all the same would only delay the others.
    assert list(await stored()) == ["a", "c"]
    assert [task.cancelled() for task in (*first, *rest)] == [True, True, False]


async def pids(raw: Connection, words: Sequence[str]) -> Sequence[int]:
    """Tell which backend did it."""
    return [raw.get_server_pid()] * len(words)


async def test_a_lane_keeps_its_connection_while_there_is_work_and_gives_it_back_after(
    tasks: Tasks, db: TortoiseContext
) -> None:
    group = GroupCommit(pids, tasks.spawn, lanes=1)
    used = {await group.submit("one") for _ in range(20)}
    assert len(used) == 1
    async with asyncio.timeout(5):
        while len(tasks):  # noqa: ASYNC110  # a lane's end is announced to nobody
            await asyncio.sleep(0.005)
    pool = db.connections.get("default")._pool
    assert pool.get_idle_size() == pool.get_size()


async def test_a_connection_that_is_lost_between_two_batches_is_replaced(tasks: Tasks) -> None:
    group = GroupCommit(pids, tasks.spawn, lanes=1)
    for _ in range(10):
        before = await group.submit("before")
        async with connection() as other:
            await other.execute("SELECT pg_terminate_backend($1, 1000)", before)
        assert await group.submit("after") != before


async def test_nobody_is_forgotten_however_they_come(tasks: Tasks) -> None:
    """Lanes set out, rest, wake and end in every order; each command is done once."""
    rolls, done = random.Random(7), list[int]()
    # Around the time after which a lane that rests ends.
    pauses = [0, 0.001, LINGER_SECONDS - 0.001, LINGER_SECONDS, LINGER_SECONDS + 0.001]

    async def note(_raw: Connection, numbers: Sequence[int]) -> Sequence[int]:
        await asyncio.sleep(rolls.choice([0, 0.001, 0.004]))
        done.extend(numbers)
        return numbers

    group = GroupCommit(note, tasks.spawn, limit=5, lanes=3, enough=3)

    async def client(number: int) -> None:
        for step in range(20):
            assert await group.submit(number * 100 + step) == number * 100 + step
            await asyncio.sleep(rolls.choice(pauses))

    async with asyncio.timeout(30):
        await asyncio.gather(*(client(number) for number in range(12)))
    assert sorted(done) == sorted(number * 100 + step for number in range(12) for step in range(20))


async def test_a_deadlock_is_run_again(tasks: Tasks) -> None:
    attempts: list[list[str]] = []

    async def unlucky(raw: Connection, words: Sequence[str]) -> Sequence[str]:
        attempts.append(list(words))
        await raw.execute("INSERT INTO brand (name, created_at) VALUES ($1, $2)", words[0], START)
        if len(attempts) < 3:
            raise asyncpg.DeadlockDetectedError("again")
        return words

    assert await GroupCommit(unlucky, tasks.spawn).submit("a") == "a"
    assert attempts == [["a"], ["a"], ["a"]]
    assert list(await stored()) == ["a"]


async def test_an_absent_database_fails_the_batch_at_once_and_the_next_one_succeeds(
    database_url: str, names: Names
) -> None:
    names.door.set()
    async with gate(database_url) as way, database(way.url, pool=3):
        tasks = Tasks()
        group = GroupCommit(names, tasks.spawn)
        await way.shut()
        outcomes = await asyncio.gather(*submit(group, "a", "b", "c"), return_exceptions=True)
        assert [getattr(outcome, "code", outcome) for outcome in outcomes] == ["database_away"] * 3
        assert names.batches == []
        await way.open()
        assert {"d": await group.submit("d")} == await stored()
        await tasks.drain(1)


async def test_at_shutdown_everybody_who_waits_is_told(tasks: Tasks, names: Names) -> None:
    """Those in the batch under way as well as those who would have been in the next."""
    group = GroupCommit(names, tasks.spawn, lanes=1)
    first = submit(group, "a")
    await names.arrived.wait()
    rest = submit(group, "b", "c")
    await asyncio.sleep(0)
    assert await tasks.drain(0.01) == 1
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*first, *rest, return_exceptions=True)
    assert [(type(outcome), getattr(outcome, "code", "")) for outcome in outcomes] == [
        (Unavailable, "shutting_down")
    ] * 3
    assert await stored() == {}


async def test_what_was_done_although_nobody_waited_any_more_is_told(tasks: Tasks, names: Names) -> None:
    told: list[tuple[str, int]] = []
    group = GroupCommit(names, tasks.spawn, lanes=1, unclaimed=lambda word, number: told.append((word, number)))
    (first,) = submit(group, "a")
    await names.arrived.wait()
    (withdrawn, kept) = submit(group, "b", "c")
    await asyncio.sleep(0)
    first.cancel()
    withdrawn.cancel()
    names.door.set()
    await kept
    assert told == [("a", (await stored())["a"])]
    assert list(await stored()) == ["a", "c"]
