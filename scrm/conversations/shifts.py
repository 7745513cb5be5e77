"""Who is on duty when: shifts across midnight, breaks, public holidays with 调休, and a brand's special days. Pure.

All days and minutes are Asia/Shanghai's. A shift belongs to the day on which it begins, so a night shift of a Friday
goes on through Saturday morning, whatever kind of day Saturday is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kit.clock import midnight, natural_day
from kit.workdays import is_working_day

DAY = 1440  # minutes
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Of these a shift has no date. `date` is one date and replaces the person's patterns of that day, `off` takes them
# away.
PATTERNS = frozenset({"daily", "workdays", "restdays", *WEEKDAYS})
DATED = frozenset({"date", "off"})
# How far ahead service hours are looked for: longer than any holiday.
HORIZON_DAYS = 62

SpecialDays = Mapping[date, str]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class ShiftView:
    """When one of the staff serves; see scrm.conversations.desk_models.Shift for the units."""

    staff_id: int
    pattern: str
    starts: int
    ends: int
    day: date | None = None
    breaks: tuple[tuple[int, int], ...] = ()


def fits(shift: ShiftView, day: date, special: SpecialDays) -> bool:
    """Whether a shift begins on a day, as far as its own pattern and the calendar go."""
    kind = special.get(day)
    if shift.pattern in DATED:
        return shift.day == day  # said of this very day, so it stands above what the brand said of it
    if kind == "closed":
        return False
    if shift.pattern == "daily":
        return True
    worked = is_working_day(day) if kind is None else kind == "workday"
    if shift.pattern in {"workdays", "restdays"}:
        return worked == (shift.pattern == "workdays")
    return WEEKDAYS[day.weekday()] == shift.pattern


def spans_of(shifts: Iterable[ShiftView], day: date, special: SpecialDays) -> Iterator[tuple[int, Span]]:
    """Yield (staff_id, (from, until)) of what begins on a day, without the breaks."""
    fitting = [shift for shift in shifts if fits(shift, day, special)]
    dated = {shift.staff_id for shift in fitting if shift.pattern in DATED}
    begins = midnight(day)
    for shift in fitting:
        if shift.pattern == "off" or (shift.staff_id in dated and shift.pattern != "date"):
            continue
        for begin, end in _without_breaks(shift):
            # Shanghai has no daylight saving time, so minutes after midnight are what a clock shows.
            yield shift.staff_id, (begins + timedelta(minutes=begin), begins + timedelta(minutes=end))


def _without_breaks(shift: ShiftView) -> Iterator[tuple[int, int]]:
    begin = shift.starts
    for pause, goes_on in sorted(shift.breaks):
        if begin < pause:
            yield begin, pause
        begin = max(begin, goes_on)
    if begin < shift.ends:
        yield begin, shift.ends


def on_duty(shifts: Iterable[ShiftView], moment: datetime, special: SpecialDays) -> set[int]:
    """Return the staff whose shift is on at an aware moment; the end of a shift or a break's start is outside."""
    known, today = list(shifts), natural_day(moment)
    return {
        staff_id
        for day in (today - timedelta(days=1), today)
        for staff_id, (begin, end) in spans_of(known, day, special)
        if begin <= moment < end
    }


def next_service_time(shifts: Iterable[ShiftView], moment: datetime, special: SpecialDays) -> datetime | None:
    """Return the first moment, not before `moment`, at which anybody is on duty; None within HORIZON_DAYS."""
    known, today = list(shifts), natural_day(moment)
    best: datetime | None = None
    for ahead in range(-1, HORIZON_DAYS + 1):
        day = today + timedelta(days=ahead)
        # What goes on after a break may begin on the next day, but nothing begins before its own.
        if best is not None and best < midnight(day):
            break
        for _, (begin, end) in spans_of(known, day, special):
            if moment < end:
                best = min(best or begin, begin)
                best = max(best, moment)
    return best
