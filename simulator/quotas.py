"""Daily and per-minute limits of API calls, and the record of every call that was made."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.errors import RefusedError
from simulator.world import Json, World

CLEARS_PER_MONTH = 10
CALLS_KEPT = 10_000


@dataclass
class CallRecord:
    """One API call: when (ms), what, by whom, with which body, and what it was answered."""

    at: int
    method: str
    path: str
    appid: str
    errcode: int | None  # None: no answer was given (dropped, HTTP 500)
    body: Json


@dataclass
class Quotas:
    """Counts calls per account and API; `limits` overrides an API's own daily limit."""

    world: World
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    calls: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT))
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    _used: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _clears: Counter[tuple[str, str]] = field(default_factory=Counter)

    def spend(self, appid: str, path: str, daily: int | None, minute: int | None = None) -> None:
        """Count a call. Raises RefusedError 45009 over the day's limit, 45011 over the minute's."""
        limit = self.limits.get((appid, path), daily)
        key = (appid, path, self.world.clock.day())
        if limit is not None and self._used[key] >= limit:
            raise RefusedError(45009)
        if minute is not None:
            minute_key = (appid, path, str(int(self.world.clock.time() // 60)))
            if self._used[minute_key] >= minute:
                raise RefusedError(45011)
            self._used[minute_key] += 1
        self._used[key] += 1

    def used(self, appid: str, path: str) -> int:
        """Return today's count."""
        return self._used[appid, path, self.world.clock.day()]

    def clear(self, appid: str) -> None:
        """Set today's counts of an account to zero. Raises RefusedError 48006 after ten times in a month."""
        key = (appid, self.world.clock.month())
        if self._clears[key] >= CLEARS_PER_MONTH:
            raise RefusedError(48006)
        self._clears[key] += 1
        for counted in [k for k in self._used if k[0] == appid]:
            del self._used[counted]

    def record(self, call: CallRecord) -> None:
        """Remember a call for `/sim/calls` and for tests."""
        self.calls.append(call)
        self.totals[call.appid, call.path] += 1

    def made(self, path: str, appid: str | None = None) -> Iterator[CallRecord]:
        """Yield the recorded calls of one API, oldest first."""
        return (c for c in self.calls if c.path == path and appid in (None, c.appid))
