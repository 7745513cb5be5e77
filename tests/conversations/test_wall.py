"""The supervisor's wall number by number, and the rota's week with holidays, 调休 and nights."""

from datetime import date

import pytest

from scrm.conversations import desk, desk_queries, rota, service, wall
from scrm.conversations.desk import DeskSettings
from scrm.conversations.rota import RotaDay, Span
from scrm.conversations.shifts import ShiftView
from scrm.db import Transaction
from scrm.errors import NotFound
from tests.conversations.office import changes, open_office, row
from tests.factories import at, make_staff


async def test_what_waits_what_is_late_and_who_has_it(tx_db: Transaction) -> None:
    office, other = await open_office(), await open_office()
    await desk.set_skill(brand_id=office.brand, name="aftersale", title="售后")
    nobody = await wall.sums([office.brand], at(0))
    assert (nobody.waiting, nobody.longest_since, nobody.overdue) == (0, None, 0)

    first = (await office.asks(await office.fan("人工"), 0, skill="aftersale")).conversation_id
    second = (await office.asks(await office.fan("人工"), 20)).conversation_id
    third = (await office.asks(await office.fan("人工"), 30)).conversation_id
    await other.asks(await other.fan("人工"), 5)
    staff = await office.seat(0)
    for conversation in (second, third):
        await service.pull(conversation_id=conversation, brand_id=office.brand, staff_id=staff, now=at(40))
    await office.says(third, staff, when=41)
    await service.snooze(conversation_id=third, brand_id=office.brand, staff_id=staff, until=at(3600), now=at(42))

    sums = await wall.sums([office.brand], at(45))
    assert (sums.waiting, sums.longest_since, sums.with_staff, sums.snoozed) == (1, at(0), 2, 1)
    # The first answer is due after 45 seconds, neither before nor later.
    assert (sums.overdue, (await wall.sums([office.brand], at(44))).overdue) == (1, 0)
    assert [one.id for one in await wall.overdue([office.brand], at(44))] == []
    assert [one.id for one in await wall.overdue([office.brand], at(65))] == [first, second]
    late = (await wall.overdue([office.brand], at(65)))[0]
    assert (late.title, late.state, late.staff, late.answer_due_at) == ("售后", "waiting", "", at(45))
    assert [one.id for one in await wall.longest_waiting([office.brand])] == [first]
    assert [(one.skill, one.title, one.waiting, one.longest_since) for one in await wall.queues([office.brand])] == [
        ("aftersale", "售后", 1, at(0))
    ]
    both = await wall.sums([office.brand, other.brand], at(45))
    assert (both.waiting, (await wall.sums([], at(45))).waiting) == (2, 0)
    assert await wall.longest_waiting([]) == []


async def test_a_promise_that_runs_out_is_counted_before(tx_db: Transaction) -> None:
    office = await open_office()
    staff = await office.seat(present=False)
    await desk.set_shifts(brand_id=office.brand, staff_id=staff, shifts=[ShiftView(staff, "daily", 13 * 60, 18 * 60)])
    await desk.set_desk(brand_id=office.brand, settings=DeskSettings(promise_minutes=30))
    # Asked at noon, promised for 13:30.
    await office.asks(await office.fan("人工"))
    counted = [(await wall.sums([office.brand], at(minute * 60))).risked for minute in (79, 80, 95)]
    assert counted == [0, 1, 1]


async def test_a_skill_that_goes_leaves_nobody_waiting_for_it(tx_db: Transaction) -> None:
    office = await open_office()
    with pytest.raises(NotFound):
        await rota.remove_skill(brand_id=office.brand, name="aftersale", staff_id=1, now=at(0))
    staff = await office.seat(5, "aftersale", "complaints", present=False)
    conversation = (await office.asks(await office.fan("人工"), 0, skill="aftersale")).conversation_id
    other = (await office.asks(await office.fan("人工"), 1, skill="complaints")).conversation_id
    await rota.remove_skill(brand_id=office.brand, name="aftersale", staff_id=staff, now=at(5))
    assert [(await row(one))["skill"] for one in (conversation, other)] == ["", "complaints"]
    assert (await changes(conversation))[-1] == ("transferred", "staff", "skill_removed")
    assert await desk_queries.skills(office.brand) == [
        {"name": "complaints", "title": "complaints组", "staff": [staff]}
    ]


async def test_the_shifts_of_another_brand_stay(tx_db: Transaction) -> None:
    office, other = await open_office(), await open_office()
    staff = await make_staff()
    shift = ShiftView(staff, "daily", 540, 600)
    for brand in (office.brand, other.brand):
        await desk.set_shifts(brand_id=brand, staff_id=staff, shifts=[shift])
    await desk.set_shifts(brand_id=office.brand, staff_id=staff, shifts=[])
    assert (await desk_queries.hours(office.brand)).shifts == ()
    assert (await desk_queries.hours(other.brand)).shifts == (shift,)


async def test_a_week_with_a_holiday_a_worked_sunday_and_a_night(tx_db: Transaction) -> None:
    office = await open_office()
    day, night = await make_staff(), await make_staff()
    await desk.set_shifts(
        brand_id=office.brand, staff_id=day, shifts=[ShiftView(day, "workdays", 540, 1080, breaks=((720, 780),))]
    )
    # 22:00 to 06:00.
    await desk.set_shifts(brand_id=office.brand, staff_id=night, shifts=[ShiftView(night, "fri", 1320, 360)])
    await desk.set_special_day(brand_id=office.brand, day=date(2026, 9, 24), kind="closed", note="盘点")
    hours = await desk_queries.hours(office.brand)
    first = date(2026, 9, 14)
    fortnight = rota.days(hours, first, 14, {date(2026, 9, 24): "盘点"})
    # 20 September 2026 is a worked Sunday for the National Day, the 25th is Mid-autumn.
    assert [one for one in fortnight if one.note] == [
        RotaDay(date(2026, 9, 20), "workday", False, "国庆节调休上班"),
        RotaDay(date(2026, 9, 24), "closed", True, "盘点"),
        *[RotaDay(date(2026, 9, day), "restday", False, "中秋节") for day in (25, 26, 27)],
    ]
    spans = rota.spans(hours, date(2026, 9, 18), 3)
    assert spans == [
        Span(day, date(2026, 9, 18), 540, 720),
        Span(day, date(2026, 9, 18), 780, 1080),
        Span(night, date(2026, 9, 18), 1320, 1800),
        Span(day, date(2026, 9, 20), 540, 720),
        Span(day, date(2026, 9, 20), 780, 1080),
    ]
