"""The intake: one push of a fan at a time on its way to the database, and no push waits longer than its own time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from bot.directory import Served
from bot.intake import Intake, Prepared, Underway
from bot.isolation import LEASE
from bot.messages import parse_message
from bot.replies import Reply, TextReply
from bot.wire import Message
from kit.clock import ManualClock
from kit.tasks import Tasks
from scrm.pushes.accepting import Accepted, Arrival
from tests.bot.desk import Desk, quick
from tests.bot.house import BRIEF, House
from tests.bot.test_door import connected, request

ANSWERS = quick(你好=TextReply("您好"))


@asynccontextmanager
async def locked(house: House, table: str, mode: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(house.url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN {mode} MODE")
            yield
    finally:
        await connection.close()


def nothing_is_stored(house: House) -> AbstractAsyncContextManager[None]:
    """Hold a lock that every push needs, as a database does that hangs."""
    return locked(house, "event_key", "EXCLUSIVE")


async def test_each_is_refused_when_its_own_time_is_over(own_house: House) -> None:
    house = own_house
    account = await house.account()
    server = await house.server(ANSWERS, budget=BRIEF)
    async with nothing_is_stored(house), asyncio.TaskGroup() as group:
        first = group.create_task(account.text("oFan", "你好").to(server))
        await asyncio.sleep(BRIEF / 2)
        behind = group.create_task(account.text("oFan", "你好").to(server))
        other = group.create_task(account.text("oOther", "你好").to(server))
    for answer in (first.result(), behind.result(), other.result()):
        assert (answer.status, answer.raw) == (503, b"too_slow")
        assert BRIEF <= answer.seconds < BRIEF * 1.4
    assert (await account.text("oFan", "你好").to(server)).text == "您好"


async def test_the_same_push_twice_is_refused_twice(own_house: House) -> None:
    house = own_house
    account = await house.account()
    server = await house.server(ANSWERS, budget=BRIEF)
    push = account.text("oFan", "你好")
    async with nothing_is_stored(house):
        answers = await asyncio.gather(push.to(server), push.to(server))
    assert [(answer.status, answer.raw) for answer in answers] == [(503, b"too_slow")] * 2
    assert (await push.to(server)).text == "您好"
    assert await house.kinds(account) == ["wechat.text"]


async def test_who_began_earlier_is_refused_earlier_though_it_stands_behind(own_house: House) -> None:
    """A push whose body comes slowly: its time runs from its first byte on."""
    house = own_house
    account = await house.account()
    server = await house.server(ANSWERS, budget=BRIEF)
    loop = asyncio.get_running_loop()
    async with nothing_is_stored(house), connected(server) as slow, connected(server) as quick_one:
        whole, began = request(account), loop.time()
        slow.writer.write(whole[:-5])
        await asyncio.sleep(BRIEF / 2)
        quick_one.writer.write(request(account))
        await asyncio.sleep(0.2)
        slow.writer.write(whole[-5:])
        status, _, body = await slow.answer()
        assert (status, body) == ("HTTP/1.1 503 Service Unavailable", b"too_slow")
        assert BRIEF <= loop.time() - began < BRIEF * 1.4
        status, _, body = await quick_one.answer()
        assert (status, body) == ("HTTP/1.1 503 Service Unavailable", b"too_slow")
        assert BRIEF * 1.5 <= loop.time() - began < BRIEF * 1.9
    async with connected(server) as line:
        assert (await line.ask(request(account)))[0] == "HTTP/1.1 200 OK"


async def test_many_messages_of_one_fan_at_once_are_all_answered(house: House) -> None:
    account = await house.account()
    server = await house.server(ANSWERS)
    answers = await asyncio.gather(*(account.text("oFan", "你好").to(server) for _ in range(100)))
    assert [answer.text for answer in answers] == ["您好"] * 100
    assert await house.kinds(account) == ["wechat.text"] * 100


async def test_what_a_handler_needs_may_be_locked_by_a_migration(own_house: House) -> None:
    """The fan is not told a sorry sentence: the platform brings the push again, and it is answered."""
    house = own_house
    account = await house.account()
    server = await house.server()
    push = account.event("oFan", "subscribe")
    async with locked(house, "welcome", "ACCESS EXCLUSIVE"):
        answer = await push.to(server)
    assert (answer.status, answer.raw) == (503, b"busy")
    house.clock.advance(seconds=LEASE.total_seconds() + 1)  # type: ignore[attr-defined]  # the tests' clock stands still
    assert (await push.to(server)).status == 200
    assert (await house.rows("SELECT state FROM push"))[0]["state"] == "answered"


async def test_a_stop_tells_who_is_still_worked_for(own_house: House, desk: Desk) -> None:
    house = own_house
    account = await house.account()
    server = await house.server(desk.router)
    desk.close("慢")
    push = account.text("oFan", "慢")
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(push.to(server)) for _ in range(2)]
        await desk.begun("慢")
        for task in list(server.services.tasks._running):
            task.cancel()
    assert [(answer.result().status, answer.result().raw) for answer in answers] == [(503, b"shutting_down")] * 2


class _Told:
    """A waiter that remembers what it was told."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def done(self) -> bool:
        return self.error is not None

    def set_result(self, _reply: Reply | None) -> None:
        raise AssertionError("nothing was stored")

    def set_exception(self, error: Exception) -> None:
        self.error = error


async def test_a_long_queue_of_one_fan_may_come_to_nothing_at_once(house: House, clock: ManualClock) -> None:
    """Each failure lets the next one come up, which fails too; one inside the other, thousands would be too deep."""
    account = await house.account()
    served = (await house.server(ANSWERS)).services.directory.get(account.id)
    assert served is not None

    def prepare(_served: Served, _message: Message, _key: UUID, _now: datetime) -> Prepared | None:
        raise ValueError("no handler of ours")

    async def work(_push: Underway, _accepted: Accepted) -> Reply | None:
        raise AssertionError("nothing was stored")

    def unheard(_arrival: Arrival, _accepted: Accepted) -> None:
        raise AssertionError("nothing was stored")

    def doubtful(_arrivals: Sequence[Arrival]) -> None:
        raise AssertionError("the database is there")

    intake = Intake(clock, Tasks(), budget=4.5, prepare=prepare, work=work, unheard=unheard, doubtful=doubtful)
    told = [_Told() for _ in range(3000)]
    for number, waiter in enumerate(told):
        fields: dict[str, Any] = {"MsgType": "text", "FromUserName": "oFan", "CreateTime": "1", "MsgId": str(number)}
        intake.begin(served, parse_message(fields), asyncio.get_running_loop().time(), waiter)
    async with asyncio.timeout(5):
        while len(intake):  # noqa: ASYNC110  # it announces nothing to anybody
            await asyncio.sleep(0)
    assert [repr(waiter.error) for waiter in told] == ["ValueError('no handler of ours')"] * 3000
