"""The contract with the job engine, whoever maintains it: what PgQueuer must keep doing for worker/jobs.py."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from croniter import croniter  # type: ignore[import-untyped]  # publishes no types
from pgqueuer.db import AsyncpgDriver

from kit.clock import SHANGHAI, ManualClock
from scrm import db as scrm_db
from scrm.jobs import enqueue, queries
from tests.conftest import START
from tests.e2e.jobs_process import RAN
from worker import schedules
from worker.jobs import MOST_DEATHS, JobRunner, Registry
from worker.schedules import Services

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("db")]


class Ran:
    """What the processes wrote down, as it comes in."""

    def __init__(self, connection: scrm_db.Connection) -> None:
        self.connection = connection
        self._seen: Counter[str] = Counter()
        self._news = asyncio.Event()

    def hear(self, _connection: object, _pid: object, _channel: object, step: object) -> None:
        self._seen[str(step)] += 1
        self._news.set()

    async def until(self, step: str, count: int = 1) -> None:
        """Wait until a step such as "long ended" was written down `count` times."""
        async with asyncio.timeout(30):
            while self._seen[step] < count:
                self._news.clear()
                await self._news.wait()

    async def steps(self, label: str) -> list[tuple[str, int]]:
        rows = await self.connection.fetch("SELECT what, pid FROM ran WHERE label = $1 ORDER BY id", label)
        return [(row["what"], row["pid"]) for row in rows]


@pytest.fixture
async def ran(database_url: str) -> AsyncIterator[Ran]:
    connection = await asyncpg.connect(**scrm_db.credentials(database_url))
    try:
        await connection.execute(RAN)
        records = Ran(connection)
        await connection.add_listener("ran", records.hear)
        yield records
    finally:
        await connection.close()


@asynccontextmanager
async def process(
    url: str, ran: Ran, *, lease: float = 2, grace: float = 10, cron: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process, up and connected; killed at the end if it still runs."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.e2e.jobs_process", url, str(lease), str(grace), cron
    )
    try:
        await ran.until(f"process {worker.pid} up")
        yield worker
    finally:
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()


async def ask(name: str, payload: dict[str, Any], **options: Any) -> bool:
    async with scrm_db.transaction() as tx:
        return await enqueue(tx, name, payload, **options)


async def waiting() -> list[tuple[str, str, int]]:
    rows = await scrm_db.fetch("SELECT entrypoint, status::text, attempts FROM pgqueuer ORDER BY id")
    return [(row["entrypoint"], row["status"], row["attempts"]) for row in rows]


async def test_the_migration_makes_what_the_installed_release_declares(database_url: str) -> None:
    connection = await asyncpg.connect(**scrm_db.credentials(database_url))
    try:
        assert (await queries(AsyncpgDriver(connection)).plan_upgrade()).statements == ()
    finally:
        await connection.close()


async def test_a_job_belongs_to_the_transaction_that_asked_for_it() -> None:
    with suppress(LookupError):
        async with scrm_db.transaction() as tx:
            assert await enqueue(tx, "a", {"n": 1}) is True
            raise LookupError
    assert await waiting() == []
    assert await ask("a", {"n": 2}, dedupe="once") is True
    assert await ask("a", {"n": 3}, dedupe="once") is False
    assert await ask("a", {"n": "四"}, delay=timedelta(hours=1)) is True
    rows = await scrm_db.fetch("SELECT payload, dedupe_key, execute_after - created AS delay FROM pgqueuer ORDER BY id")
    assert [(json.loads(row["payload"]), row["dedupe_key"], row["delay"]) for row in rows] == [
        ({"n": 2}, "once", timedelta()),
        ({"n": "四"}, None, timedelta(hours=1)),
    ]


async def test_a_failing_job_is_retried_and_then_held_without_its_words(database_url: str) -> None:
    registry: Registry[Callable[[], None]] = Registry()
    seen: list[tuple[str, str]] = []
    stop = asyncio.Event()
    calls = Counter[str]()

    @registry.job("heals", timeout=5, retries=2)
    async def heals(payload: dict[str, Any], count: Callable[[], None]) -> None:
        count()
        calls["heals"] += 1
        if calls["heals"] <= payload["failures"]:
            raise ValueError("13800000000 is not well")

    @registry.job("hopeless", timeout=0.05, retries=1)
    async def hopeless(_payload: dict[str, Any], count: Callable[[], None]) -> None:
        count()
        await asyncio.sleep(30)

    @registry.job("deadly", timeout=5, retries=1)
    async def deadly(_payload: dict[str, Any], count: Callable[[], None]) -> None:
        count()

    def observe(name: str, outcome: str, _seconds: float) -> None:
        seen.append((name, outcome))
        if len(seen) == 6:
            stop.set()

    await ask("heals", {"failures": 2})
    await ask("hopeless", {})
    await ask("deadly", {})
    # As if three workers had died of this one.
    await scrm_db.fetch(
        """
        INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint)
        SELECT id, 'picked', 0, entrypoint FROM pgqueuer, generate_series(1, $1::int)
        WHERE entrypoint = 'deadly' RETURNING id
        """,
        MOST_DEATHS,
    )
    total = Counter[str]()
    runner = JobRunner(
        database_url,
        lambda: total.update(["calls"]),
        registry,
        pause=timedelta(milliseconds=50),
        observe=observe,
    )
    async with asyncio.timeout(20):
        await runner.run(stop)

    assert [outcome for name, outcome in seen if name == "heals"] == ["retried", "retried", "done"]
    assert [outcome for name, outcome in seen if name == "hopeless"] == ["retried", "failed"]
    assert [outcome for name, outcome in seen if name == "deadly"] == ["failed"]
    assert total["calls"] == 5
    assert await waiting() == [("hopeless", "failed", 1), ("deadly", "failed", 0)]
    told = await scrm_db.fetch("SELECT traceback::text AS text FROM pgqueuer_log WHERE traceback IS NOT NULL")
    assert len(told) == 5
    assert not [row for row in told if "13800000000" in row["text"]]


async def test_a_job_of_a_killed_worker_is_run_once_more_by_another(database_url: str, ran: Ran) -> None:
    lease = 2.0
    async with process(database_url, ran, lease=lease) as first:
        await ask("slow", {"label": "interrupted", "seconds": 60})
        await ran.until("interrupted began")
        async with process(database_url, ran, lease=lease) as second:
            first.kill()
            killed_at = asyncio.get_running_loop().time()
            await ran.until("interrupted ended")
            # Far from the fifteen seconds that a lease has unless told otherwise, also on a busy machine.
            assert asyncio.get_running_loop().time() - killed_at <= lease + 8
            assert await ran.steps("interrupted") == [
                ("began", first.pid),
                ("began", second.pid),
                ("ended", second.pid),
            ]
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
    assert await waiting() == []


async def test_two_workers_run_a_long_job_once_and_tick_together(database_url: str, ran: Ran) -> None:
    every_two_seconds = "* * * * * */2"
    began_at = asyncio.get_running_loop().time()
    async with (
        process(database_url, ran, lease=1, cron=every_two_seconds) as one,
        process(database_url, ran, lease=1, cron=every_two_seconds) as two,
    ):
        await ask("slow", {"label": "long", "seconds": 4})
        await ran.until("long ended")
        await ran.until("tick ended", 2)
        for worker in (one, two):
            worker.send_signal(signal.SIGTERM)
            assert await worker.wait() == 0
        took = asyncio.get_running_loop().time() - began_at
    steps = await ran.steps("long")
    assert [what for what, _ in steps] == ["began", "ended"]
    assert 2 <= len(await ran.steps("tick")) <= took / 2 + 1


async def test_on_sigterm_a_running_job_ends_or_is_given_back(database_url: str, ran: Ran) -> None:
    async with process(database_url, ran) as patient:
        await ask("slow", {"label": "short", "seconds": 1})
        await ran.until("short began")
        patient.send_signal(signal.SIGTERM)
        assert await patient.wait() == 0
    assert [what for what, _ in await ran.steps("short")] == ["began", "ended"]
    assert await waiting() == []

    async with process(database_url, ran, grace=0.3) as hasty:
        await ask("slow", {"label": "endless", "seconds": 60})
        await ran.until("endless began")
        hasty.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):  # not sixty
            assert await hasty.wait() == 0
    assert await ran.steps("endless") == [("began", hasty.pid)]
    assert await waiting() == [("slow", "queued", 1)]
    assert await scrm_db.fetch("SELECT FROM pgqueuer WHERE execute_after <= now()")  # by whoever comes next


async def test_schedules_are_read_in_shanghai_and_wait_for_their_time(database_url: str) -> None:
    stop = asyncio.Event()
    began = datetime.now(SHANGHAI)
    runner = JobRunner(database_url, Services(ManualClock(START)), schedules.registry)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop))
        while not await scrm_db.fetch("SELECT FROM pgqueuer_schedules"):
            # The engine says nothing when it has written its schedules down, so they are looked for.
            await scrm_db.fetch("SELECT pg_sleep(0.02)")
        stop.set()
    rows = await scrm_db.fetch("SELECT entrypoint, next_run FROM pgqueuer_schedules")
    at = {row["entrypoint"]: row["next_run"].strftime("%H:%M") for row in rows}
    assert set(at) == {name for _, name in schedules.registry.schedules}
    assert (at["timeline.months"], at["jobs.prune_log"]) == ("19:20", "19:50")  # 03:20 and 03:50 in Shanghai
    # Some have a moment every minute, which may have come meanwhile.
    ended = datetime.now(SHANGHAI)
    came = {name for cron, name in schedules.registry.schedules if croniter(cron, began).get_next(datetime) <= ended}
    assert {name for name, _, _ in await waiting()} <= came


async def test_the_workers_own_jobs_do_what_they_say() -> None:
    clock = ManualClock(START)
    async with scrm_db.connection() as raw:
        await raw.execute(
            """
            INSERT INTO push (key, account_id, fan_id, state, received_at)
            SELECT gen_random_uuid(), 1, n, state, $1::timestamptz - age
            FROM (VALUES (1, 'answered', interval '73 hours'), (2, 'running', interval '73 hours'),
                         (3, 'answered', interval '71 hours')) AS v (n, state, age)
            """,
            START,
        )
        await raw.execute(
            """
            INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint, created)
            SELECT n, 'successful', 0, 'a', $1::timestamptz - n * interval '1 day' FROM generate_series(13, 15) AS n
            """,
            START,
        )
    for name in ("timeline.months", "pushes.prune", "jobs.prune_log"):
        await schedules.registry.jobs[name].work({}, Services(clock))
    assert [row["fan_id"] for row in await scrm_db.fetch("SELECT fan_id FROM push ORDER BY fan_id")] == [2, 3]
    assert [row["job_id"] for row in await scrm_db.fetch("SELECT job_id FROM pgqueuer_log ORDER BY id")] == [13, 14]
    months = await scrm_db.fetch(
        "SELECT to_regclass('event_2026_' || m)::text AS t FROM unnest('{03,04,05}'::text[]) m"
    )
    assert [row["t"] for row in months] == ["event_2026_03", "event_2026_04", "event_2026_05"]


def test_a_registry_refuses_what_cannot_run() -> None:
    registry: Registry[None] = Registry()

    @registry.job("a", timeout=1)
    async def a(_payload: dict[str, Any], _services: None) -> None: ...

    with pytest.raises(ValueError, match="'a' is registered already"):
        registry.job("a", timeout=1)(a)
    with pytest.raises(ValueError, match="'b': no such job"):
        registry.schedule("0 3 * * *", "b")
    with pytest.raises(ValueError, match="'a': 'often' is no cron expression"):
        registry.schedule("often", "a")
