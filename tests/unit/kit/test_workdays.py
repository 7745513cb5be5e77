"""Working days against the State Council's own announcements, and what happens where there is none yet."""

from datetime import UTC, date, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import workdays
from kit.workdays import add_working_days, is_working_day, natural_days_after, occasion, working_days_after
from tests.points.house import shanghai

# 国务院办公厅关于2026年部分节假日安排的通知: off from … to …, and the weekend days that are worked instead.
OFF_2026 = [
    ("01-01", "01-03"),
    ("02-15", "02-23"),
    ("04-04", "04-06"),
    ("05-01", "05-05"),
    ("06-19", "06-21"),
    ("09-25", "09-27"),
    ("10-01", "10-07"),
]
WORKED_2026 = ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"]


def day(text: str) -> date:
    return date.fromisoformat(f"2026-{text}")


def test_every_day_of_2026_is_as_announced() -> None:
    off = {day(first) + timedelta(days=n) for first, last in OFF_2026 for n in range((day(last) - day(first)).days + 1)}
    worked = {day(text) for text in WORKED_2026}
    for n in range(365):
        one = date(2026, 1, 1) + timedelta(days=n)
        assert is_working_day(one) is (one in worked or (one not in off and one.weekday() < 5)), one


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        ("03-09", 0, "03-09"),
        ("03-09", 5, "03-16"),  # an ordinary week
        ("09-18", 5, "09-24"),  # Sunday the 20th is worked
        ("09-30", 5, "10-13"),  # National Day, then Saturday the 10th is worked
        ("10-03", 1, "10-08"),  # published on a holiday
        ("02-13", 1, "02-14"),  # the Saturday before the Spring Festival
        ("02-13", 2, "02-24"),
    ],
)
def test_the_nth_working_day_after(start: str, count: int, end: str) -> None:
    assert add_working_days(day(start), count) == day(end)


def test_days_keep_the_time_of_day_in_shanghai() -> None:
    # 00:30 in Shanghai is the day before in UTC.
    moment = shanghai("2026-09-30 00:30")
    assert working_days_after(moment, 5) == shanghai("2026-10-13 00:30")
    assert natural_days_after(moment, 5) == shanghai("2026-10-05 00:30")
    assert working_days_after(moment.astimezone(UTC), 5) == shanghai("2026-10-13 00:30")


def test_a_year_nobody_has_announced_counts_weekends_only() -> None:
    last = workdays.covered_until()
    assert (last.month, last.day) == (12, 31)
    assert workdays.is_covered(last)
    beyond = date(last.year + 1, 10, 1)
    assert not workdays.is_covered(beyond)
    assert [is_working_day(beyond + timedelta(days=n)) for n in range(7)] == [
        (beyond + timedelta(days=n)).weekday() < 5 for n in range(7)
    ]


def test_it_says_so_before_and_after_the_known_years_end() -> None:
    last = workdays.covered_until()
    assert workdays.shortage(last - timedelta(days=32)) is None
    assert workdays.shortage(last - timedelta(days=31)) == (
        f"the known public holidays end on {last}: update chinesecalendar, else only weekends count"
    )
    assert "ended" in str(workdays.shortage(last + timedelta(days=1)))


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        add_working_days(date(2026, 3, 9), -1)


@given(st.dates(date(2004, 1, 1), date(2029, 12, 31)), st.integers(0, 30))
def test_exactly_that_many_working_days_lie_between(start: date, count: int) -> None:
    end = add_working_days(start, count)
    assert sum(is_working_day(start + timedelta(days=n)) for n in range(1, (end - start).days + 1)) == count
    assert count == 0 or is_working_day(end)


@given(st.integers(0, 700 * 24 * 60), st.integers(0, 10))
def test_working_days_are_never_shorter_than_natural_days(minutes: int, count: int) -> None:
    moment = shanghai("2025-01-01 00:00") + timedelta(minutes=minutes)
    assert working_days_after(moment, count) >= natural_days_after(moment, count)


def test_a_day_that_is_not_as_its_weekday_is_has_a_name() -> None:
    days = {
        date(2026, 10, 1): "国庆节",
        date(2026, 9, 20): "国庆节调休上班",
        date(2026, 3, 9): None,
        date(2026, 3, 14): None,
    }
    assert {day: occasion(day) for day in days} == days


def test_every_holiday_of_the_calendar_has_a_chinese_name() -> None:
    calendar = chinese_calendar.constants
    for day in (*calendar.holidays, *calendar.workdays):
        name = occasion(day)
        assert name is not None
        assert all("\u4e00" <= letter <= "\u9fff" for letter in name)
