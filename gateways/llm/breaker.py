"""A circuit breaker: after failures in a row nobody asks for a while, then one tries whether it is over."""

from collections.abc import Callable


class Breaker:
    """Closed until `failures` in a row; then open for `seconds`, after which one attempt at a time may pass."""

    def __init__(self, monotonic: Callable[[], float], *, failures: int = 5, seconds: float = 30.0) -> None:
        self._monotonic = monotonic
        self._failures = failures
        self._seconds = seconds
        self._in_a_row = 0
        self._open_until = 0.0

    @property
    def open(self) -> bool:
        """Whether an attempt would be turned away now."""
        return self._in_a_row >= self._failures and self._monotonic() < self._open_until

    def admit(self) -> bool:
        """Say whether one may try; whoever may is expected to tell how it ended."""
        if self._in_a_row < self._failures:
            return True
        if self.open:
            return False
        # The others wait until this one has told how it went, at most as long again.
        self._open_until = self._monotonic() + self._seconds
        return True

    def succeeded(self) -> None:
        """Close."""
        self._in_a_row = 0

    def failed(self) -> None:
        """Count a failure; the last of a row opens."""
        self._in_a_row += 1
        if self._in_a_row >= self._failures:
            self._open_until = self._monotonic() + self._seconds
