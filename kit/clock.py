"""The one clock: everything that asks for the time is handed one of these."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Gives the present moment as an aware datetime in UTC."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved; for tests and rehearsals."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("start: must be an aware datetime")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the moment the clock was last moved to."""
        return self._now

    def advance(self, **span: float) -> None:
        """Move forward by a timedelta's keyword arguments, such as `hours=48`."""
        self._now += timedelta(**span)


def natural_day(moment: datetime) -> date:
    """Return the day in Asia/Shanghai on which an aware moment falls (自然日)."""
    return moment.astimezone(SHANGHAI).date()


def midnight(day: date) -> datetime:
    """Return the aware moment at which a natural day begins in Asia/Shanghai."""
    return datetime.combine(day, time(), SHANGHAI)


def from_epoch(seconds: int) -> datetime:
    """Return the aware UTC moment of a Unix timestamp in whole seconds (WeChat's CreateTime)."""
    return datetime.fromtimestamp(seconds, UTC)
