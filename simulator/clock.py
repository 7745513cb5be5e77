"""The simulator's clock: real time plus an offset that tests move, so a 48-hour window can expire at once."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

# WeChat counts its days and months in China, which has no daylight saving.
CHINA = timezone(timedelta(hours=8))


class Clock:
    """Seconds since the epoch. `time()` may be moved; `wall()` never is.

    Signatures carry `wall()`: a receiver checks them against its own clock, which nobody moved.
    """

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self.offset = 0.0

    def wall(self) -> float:
        """Return real seconds since the epoch."""
        return self._base()

    def time(self) -> float:
        """Return simulated seconds since the epoch."""
        return self._base() + self.offset

    def ms(self) -> int:
        """Return simulated milliseconds since the epoch."""
        return int(self.time() * 1000)

    def advance(self, seconds: float) -> None:
        """Move simulated time forward (or back, with a negative number)."""
        self.offset += seconds

    def day(self, at: float | None = None) -> str:
        """Return the date in China of a moment (now), YYYY-MM-DD: daily quotas turn over with it."""
        return datetime.fromtimestamp(self.time() if at is None else at, UTC).astimezone(CHINA).date().isoformat()

    def month(self, at: float | None = None) -> str:
        """Return the month in China of a moment (now), YYYY-MM."""
        return self.day(at)[:7]
