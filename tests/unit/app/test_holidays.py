"""A process says at its start when the known public holidays end soon: due dates and shifts count by them."""

from datetime import datetime, time, timedelta

from structlog.testing import capture_logs

from app.server import check_holidays
from kit import workdays
from kit.clock import SHANGHAI


def test_the_end_of_the_known_years_is_warned_of_a_month_before() -> None:
    last = datetime.combine(workdays.covered_until(), time(12), SHANGHAI)
    with capture_logs() as said:
        check_holidays(last - timedelta(days=workdays.AHEAD + 1))
    assert said == []
    with capture_logs() as said:
        check_holidays(last - timedelta(days=workdays.AHEAD))
    assert [(line["log_level"], line["event"]) for line in said] == [("warning", "holidays run out")]
    assert "update chinesecalendar" in said[0]["detail"]
