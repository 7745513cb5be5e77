"""Natural days 自然日 and working days 工作日 in Asia/Shanghai, with the public holidays and their 调休.

The holidays are those the State Council announces each November for the following year, as kept by the
`chinesecalendar` package; a newer year comes with a newer package. Days of a year it does not know yet count by the
week alone, so that nothing stops at a new year; `fensi doctor` says beforehand when that is about to happen.
"""

from datetime import date, datetime, timedelta
from functools import cache

import chinese_calendar

from kit.clock import SHANGHAI

_NAMES = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "National Day": "国庆节",
    "Mid-autumn Festival": "中秋节",
    "Anti-Fascist 70th Day": "抗战胜利日",
}
# How long before the known years end that is worth a word, in days: what is awarded may mature that far ahead.
AHEAD = 31


@cache
def _years() -> tuple[int, int]:
    # The package searches this anew on every call and offers no name for it.
    return min(chinese_calendar.constants.holidays).year, max(chinese_calendar.constants.holidays).year


def covered_until() -> date:
    """Return the last day whose holidays are known."""
    return date(_years()[1], 12, 31)


def is_covered(day: date) -> bool:
    """Whether the holidays of that day's year are known."""
    first, last = _years()
    return first <= day.year <= last


def is_working_day(day: date) -> bool:
    """Whether people work on that day: 调休 Saturdays and Sundays are worked, public holidays are not.

    In a year that is not covered Monday to Friday are taken for working days.
    """
    return bool(chinese_calendar.is_workday(day)) if is_covered(day) else day.weekday() < 5


def occasion(day: date) -> str | None:
    """Return what the public calendar calls a day that is not as its weekday is, such as 国庆节 or 国庆节调休上班."""
    constants = chinese_calendar.constants
    if (worked := constants.workdays.get(day)) is not None:
        return f"{_NAMES[worked]}调休上班"
    rested = constants.holidays.get(day)
    return None if rested is None else _NAMES[rested]


def add_working_days(day: date, count: int) -> date:
    """Return the `count`-th working day after `day`, which is itself not counted. Raises ValueError for count < 0."""
    if count < 0:
        raise ValueError("count: must not be negative")
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day)
    return day


def natural_days_after(moment: datetime, count: int) -> datetime:
    """Return the moment `count` natural days after an aware one, at the same time of day in Shanghai."""
    return moment + timedelta(days=count)  # Shanghai has no daylight saving time


def working_days_after(moment: datetime, count: int) -> datetime:
    """Return the same time of day in Shanghai on the `count`-th working day after an aware moment's day."""
    local = moment.astimezone(SHANGHAI)
    return moment + (add_working_days(local.date(), count) - local.date())


def shortage(today: date) -> str | None:
    """Return in words that the known holidays end soon or have ended; None while there are more than `AHEAD` days."""
    left = (covered_until() - today).days
    if left > AHEAD:
        return None
    ends = "end" if left >= 0 else "ended"
    return f"the known public holidays {ends} on {covered_until()}: update chinesecalendar, else only weekends count"
