"""Who is on duty when: midnight, breaks, holidays with 调休, special days; against a minute-by-minute oracle."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.clock import SHANGHAI
from kit.workdays import is_working_day
from scrm.conversations import desk
from scrm.conversations.shifts import WEEKDAYS, ShiftView, next_service_time, on_duty
from scrm.db import Transaction, connection
from scrm.errors import Invalid
from tests.conversations.office import open_office
from tests.factories import SOMEBODY, make_staff

NINE, SIX = 9 * 60, 18 * 60
OFFICE = ShiftView(1, "workdays", NINE, SIX, breaks=((12 * 60, 13 * 60),))
NIGHT = ShiftView(2, "daily", 22 * 60, 30 * 60)


def shanghai(day: str, clock: str = "00:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=SHANGHAI)


def who(day: str, clock: str, *shifts: ShiftView, special: Mapping[date, str] | None = None) -> set[int]:
    return on_duty(shifts or (OFFICE, NIGHT), shanghai(day, clock), special or {})


def test_breaks_and_ends_are_outside() -> None:
    monday = "2026-03-09"
    times = ("08:59", "09:00", "11:59", "12:00", "12:59", "13:00", "17:59", "18:00")
    assert [1 in who(monday, clock) for clock in times] == [False, True, True, False, False, True, True, False]


def test_a_night_shift_goes_on_after_midnight() -> None:
    times = [("2026-03-09", "21:59"), ("2026-03-09", "22:00"), ("2026-03-10", "05:59"), ("2026-03-10", "06:00")]
    assert [who(*when) for when in times] == [set(), {2}, {2}, set()]
    # It belongs to the day on which it begins: Friday's goes on through Saturday morning, Saturday's does not begin.
    friday = ShiftView(3, "fri", 22 * 60, 30 * 60)
    assert [who(day, "02:00", friday) for day in ("2026-03-13", "2026-03-14", "2026-03-15")] == [set(), {3}, set()]


def test_holidays_and_adjusted_working_days() -> None:
    # 2026: 除夕 to 正月初八 is rest, Saturday 14 February and Saturday 28 February are worked.
    days = ("2026-02-13", "2026-02-14", "2026-02-16", "2026-02-23", "2026-02-24", "2026-02-28", "2026-03-01")
    assert [1 in who(day, "10:00", OFFICE) for day in days] == [True, True, False, False, True, True, False]
    weekend = ShiftView(4, "restdays", NINE, SIX)
    assert [4 in who(day, "10:00", weekend) for day in days] == [False, False, True, True, False, False, True]


def test_a_brands_own_days_stand_above_the_calendar_and_a_persons_above_both() -> None:
    day = date(2026, 3, 9)
    for kind, working, resting, daily in (
        ("workday", True, False, True),
        ("restday", False, True, True),
        ("closed", False, False, False),
    ):
        shifts = [ShiftView(n, pattern, 0, 1440) for n, pattern in enumerate(("workdays", "restdays", "daily"))]
        expected = {n for n, on in enumerate((working, resting, daily)) if on}
        assert who("2026-03-09", "10:00", *shifts, special={day: kind}) == expected
    own = [OFFICE, ShiftView(1, "date", 20 * 60, 21 * 60, day=day)]
    assert [who("2026-03-09", clock, *own, special={day: "closed"}) for clock in ("10:00", "20:30")] == [set(), {1}]
    off = [OFFICE, ShiftView(1, "off", 0, 1440, day=day)]
    assert [who(d, "10:00", *off) for d in ("2026-03-09", "2026-03-10")] == [set(), {1}]


def test_when_service_begins_again() -> None:
    def begins(day: str, clock: str, *shifts: ShiftView) -> datetime | None:
        return next_service_time(shifts or (OFFICE,), shanghai(day, clock), {})

    assert begins("2026-03-09", "10:30") == shanghai("2026-03-09", "10:30")
    assert begins("2026-03-09", "12:30") == shanghai("2026-03-09", "13:00")
    assert begins("2026-03-13", "18:00") == shanghai("2026-03-16", "09:00")
    # The evening before 春节, and the one before an adjusted Saturday.
    assert begins("2026-02-14", "18:00") == shanghai("2026-02-24", "09:00")
    assert begins("2026-02-13", "20:00") == shanghai("2026-02-14", "09:00")
    # After a break past midnight somebody else may be earlier.
    pausing = ShiftView(5, "daily", 22 * 60, 34 * 60, breaks=((26 * 60, 32 * 60),))
    early = ShiftView(6, "daily", 7 * 60, 8 * 60)
    assert begins("2026-03-10", "03:00", pausing) == shanghai("2026-03-10", "08:00")
    assert begins("2026-03-10", "03:00", pausing, early) == shanghai("2026-03-10", "07:00")
    assert begins("2026-03-09", "10:00", ShiftView(1, "off", 0, 1440, day=date(2026, 3, 9))) is None


STARTS = st.integers(0, 95).map(lambda n: n * 15)


@st.composite
def shift(draw: st.DrawFn) -> ShiftView:
    starts = draw(STARTS)
    ends = starts + draw(st.integers(1, 96)) * 15
    breaks = []
    if draw(st.booleans()) and ends - starts >= 45:
        begin = draw(st.integers(starts // 15 + 1, ends // 15 - 2)) * 15
        breaks.append((begin, begin + 15))
    pattern = draw(st.sampled_from(["daily", "workdays", "restdays", *WEEKDAYS, "date", "off"]))
    day = date(2026, 2, 14) + timedelta(days=draw(st.integers(0, 12))) if pattern in {"date", "off"} else None
    return ShiftView(draw(st.integers(1, 3)), pattern, starts, ends, day, tuple(breaks))


def oracle(shifts: list[ShiftView], moment: datetime, special: Mapping[date, str]) -> set[int]:
    """Who works, said anew from the rules: for each person, which shifts of today and yesterday cover the minute."""
    working = set()
    for person in {s.staff_id for s in shifts}:
        for back in (0, 1):
            day = (moment - timedelta(days=back)).date()
            minute = moment.hour * 60 + moment.minute + back * 1440
            mine = [s for s in shifts if s.staff_id == person]
            dated = [s for s in mine if s.day == day]
            kind = special.get(day, "workday" if is_working_day(day) else "restday")
            usual = [
                s
                for s in mine
                if s.day is None
                and kind != "closed"
                and (
                    s.pattern in ("daily", WEEKDAYS[day.weekday()])
                    or (s.pattern == "workdays" and kind == "workday")
                    or (s.pattern == "restdays" and kind == "restday")
                )
            ]
            for s in [d for d in dated if d.pattern == "date"] if dated else usual:
                if s.starts <= minute < s.ends and not any(a <= minute < b for a, b in s.breaks):
                    working.add(person)
    return working


@settings(max_examples=150, deadline=None)
@given(
    st.lists(shift(), max_size=5),
    st.integers(0, 12 * 96),
    st.dictionaries(
        st.integers(0, 12).map(lambda n: date(2026, 2, 14) + timedelta(days=n)),
        st.sampled_from(["workday", "restday", "closed"]),
        max_size=3,
    ),
)
def test_against_an_oracle(shifts: list[ShiftView], quarter: int, special: dict[date, str]) -> None:
    moment = shanghai("2026-02-14") + timedelta(minutes=15 * quarter)
    assert on_duty(shifts, moment, special) == oracle(shifts, moment, special)
    # And the first quarter at which anybody works is when service begins.
    begins = next_service_time(shifts, moment, special)
    ahead = (moment + timedelta(minutes=15 * n) for n in range(5 * 96))
    first = next((later for later in ahead if oracle(shifts, later, special)), None)
    if first is not None:
        assert begins == first
    else:
        assert begins is None or begins >= moment + timedelta(days=5)


async def test_what_is_written_is_checked_by_field_and_read_back(tx_db: Transaction) -> None:
    office = await open_office()
    await make_staff(SOMEBODY)
    over_midnight = ShiftView(SOMEBODY, "daily", 22 * 60, 6 * 60, breaks=((60, 90), (23 * 60, 15)))
    for _ in range(2):
        await desk.set_shifts(brand_id=office.brand, staff_id=SOMEBODY, shifts=[over_midnight])
    await desk.set_special_day(brand_id=office.brand, day=date(2026, 3, 9), kind="closed", note="盘点")
    await desk.set_special_day(brand_id=office.brand, day=date(2026, 3, 10), kind="workday")
    await desk.set_special_day(brand_id=office.brand, day=date(2026, 3, 10), kind=None)
    async with connection() as raw:
        hours = await desk.hours_of(raw, office.brand)
    assert hours.shifts == (ShiftView(SOMEBODY, "daily", 1320, 1800, breaks=((1440 + 60, 1440 + 90), (1380, 1455))),)
    assert hours.special == {date(2026, 3, 9): "closed"}
    for wrong, field in [
        (ShiftView(SOMEBODY, "sometimes", 0, 60), "shifts.0.pattern"),
        (ShiftView(SOMEBODY, "date", 0, 60), "shifts.0.day"),
        (ShiftView(SOMEBODY, "daily", 0, 60, day=date(2026, 3, 9)), "shifts.0.day"),
        (ShiftView(SOMEBODY, "daily", 1440, 60), "shifts.0.starts"),
        (ShiftView(SOMEBODY, "daily", 60, 1600), "shifts.0.ends"),
        (ShiftView(SOMEBODY, "daily", 600, 660, breaks=((650, 670),)), "shifts.0.breaks"),
    ]:
        with pytest.raises(Invalid) as refused:
            await desk.set_shifts(brand_id=office.brand, staff_id=SOMEBODY, shifts=[wrong])
        assert refused.value.field == field
