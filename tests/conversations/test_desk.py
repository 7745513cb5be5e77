"""The desk as its pages see it, and the worker that looks after it."""

import asyncio
from datetime import date

import asyncpg
import pytest
from tortoise.context import TortoiseContext

from kit.clock import ManualClock
from kit.tasks import Tasks
from scrm.conversations import desk, desk_queries
from scrm.conversations.desk import DeskSettings, Hours
from scrm.conversations.shifts import ShiftView
from scrm.db import Transaction, fetch
from scrm.errors import Invalid, NotFound
from tests.bot.house import until
from tests.conversations.office import open_office, state
from tests.factories import SOMEBODY, at
from worker.desk import keep_desk


async def test_what_is_written_is_read(tx_db: Transaction) -> None:
    office, other = await open_office(), await open_office()
    assert await desk_queries.settings(office.brand) == DeskSettings(45, 30, 10, 30, 1440)
    assert await desk_queries.hours(office.brand) == Hours((), {})
    changed = DeskSettings(20, 15, 5, 10, 60)
    for _ in range(2):
        await desk.set_desk(brand_id=office.brand, settings=changed)
    assert (await desk_queries.settings(office.brand), await desk_queries.settings(other.brand)) == (
        changed,
        DeskSettings(),
    )
    both, one = await office.seat(5, "售后", "投诉"), await office.seat(5, "售后")
    await desk.set_skill(brand_id=office.brand, name="售后", title="售后服务")
    assert await desk_queries.skills(office.brand) == [
        {"name": "售后", "title": "售后服务", "staff": [both, one]},
        {"name": "投诉", "title": "投诉组", "staff": [both]},
    ]
    assert await desk_queries.skills(other.brand) == []
    shift = ShiftView(both, "sat", 540, 600)
    await desk.set_shifts(brand_id=office.brand, staff_id=both, shifts=[shift])
    for day in (9, 10):
        await desk.set_special_day(brand_id=office.brand, day=date(2026, 3, day), kind="closed", note="盘点")
    assert await desk_queries.hours(office.brand) == Hours(
        (shift,), {date(2026, 3, 9): "closed", date(2026, 3, 10): "closed"}
    )
    assert await desk_queries.special_days(office.brand, date(2026, 3, 10)) == [
        {"day": date(2026, 3, 10), "kind": "closed", "note": "盘点"}
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"capacity": -1}, "capacity"),
        ({"capacity": 201}, "capacity"),
        ({"skills": ["没有"]}, "skills"),
        ({"skills": [""]}, "skills"),
    ],
)
async def test_a_seat_names_the_field_that_is_wrong(tx_db: Transaction, change: dict[str, object], field: str) -> None:
    office = await open_office()
    with pytest.raises(Invalid) as refused:
        await desk.set_seat(brand_id=office.brand, staff_id=SOMEBODY, **change)  # type: ignore[arg-type]  # by name
    assert refused.value.field == field


async def test_seats_and_shifts_are_for_staff_who_exist_and_keep_them(tx_db: Transaction) -> None:
    office = await open_office()
    with pytest.raises(NotFound):
        await desk.set_seat(brand_id=office.brand, staff_id=SOMEBODY)
    with pytest.raises(NotFound):
        await desk.set_shifts(brand_id=office.brand, staff_id=SOMEBODY, shifts=[ShiftView(SOMEBODY, "daily", 0, 60)])
    assert await fetch("SELECT FROM seat WHERE staff_id = $1", SOMEBODY) == []
    assert await fetch("SELECT FROM shift WHERE staff_id = $1", SOMEBODY) == []
    staff = await office.seat()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="seat_staff_id_fkey"):
        await fetch("DELETE FROM staff WHERE id = $1", staff)


async def test_the_worker_looks_after_it(db: TortoiseContext, clock: ManualClock) -> None:
    office = await open_office()
    gone = await office.seat()
    conversation = (await office.asks(await office.fan("人工"))).conversation_id
    assert await state(conversation) == ("staff", gone)
    tasks = Tasks()
    keeping = tasks.spawn(keep_desk(clock, pause=0.01), "desk")
    clock.advance(seconds=61)

    async def waits() -> bool:
        return await state(conversation) == ("waiting", None)

    await until(waits)
    back = await office.seat(now=at(61))

    async def has_somebody() -> bool:
        return await state(conversation) == ("staff", back)

    await until(has_somebody)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert keeping.cancelled()
