"""A process says at its start when the known public holidays end soon: due dates and shifts count by them."""

from datetime import datetime, time, timedelta

from app.server import check_holidays
from kit import workdays
from kit.clock import SHANGHAI


def test_the_end_of_the_known_years_is_warned_of_a_month_before() -> None:
    last = datetime.combine(workdays.covered_until(), time(12), SHANGHAI)
    assert check_holidays(last - timedelta(days=workdays.AHEAD + 1)) is None
    assert check_holidays(last - timedelta(days=workdays.AHEAD)) == (
        f"the known public holidays end on {last.date()}: update chinesecalendar, else only weekends count"
    )
