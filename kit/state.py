"""The protocol of the fast state that all processes share: short-lived values, locks, rate buckets, messages.

Two implementations satisfy it and pass the same tests: `kit.memory_state.MemoryState` (one process, the
default) and `gateways.redis_state.RedisState`. Nothing here is the truth about anything: whatever must survive
a restart belongs in PostgreSQL.
"""

import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

PREFIX = "fensi:"  # every key and channel of ours begins with it, so that a Redis can be shared


class StateUnavailable(Exception):  # noqa: N818  # a condition that callers plan for, not a defect
    """The shared state cannot be reached, or did not answer in time."""


class LockTimeout(Exception):  # noqa: N818  # same
    """Somebody else still held the lock when the waiting time was over."""


class SharedState(Protocol):
    """Fast state shared by all processes. Every method raises StateUnavailable when it cannot be reached.

    Keys, bucket and channel names are plain words such as "wechat:token:wx123"; the prefix is added inside.
    All spans are seconds.
    """

    async def get(self, key: str) -> str | None:
        """Return the live value of `key`, or None."""
        ...

    async def set(self, key: str, value: str, ttl: float | None = None) -> None:
        """Store `value`; it disappears after `ttl` seconds, or never. ValueError when `ttl` is not positive."""
        ...

    async def set_if_absent(self, key: str, value: str, ttl: float | None = None) -> bool:
        """Store `value` only where no live value is; say whether it was stored."""
        ...

    async def delete(self, key: str) -> None:
        """Forget `key`; nothing happens when it is unknown."""
        ...

    async def delete_if(self, key: str, value: str) -> bool:
        """Forget `key` only while it still holds `value`, atomically; say whether it did."""
        ...

    def lock(self, name: str, ttl: float, wait: float) -> AbstractAsyncContextManager[None]:
        """Hold the lock `name` for the length of an `async with` block.

        The lock opens by itself after `ttl` seconds, so a killed holder blocks nobody for longer; a holder that
        overstays does not open the lock of its successor. Raises LockTimeout when it was not free within `wait`
        seconds. Work that must not happen twice needs its own guard, because a holder may outlive `ttl`.
        """
        ...

    async def take(
        self, bucket: str, rate_per_second: float, burst: int, n: int = 1, max_wait: float = math.inf
    ) -> float:
        """Reserve `n` places in a rate bucket (GCRA) and return the seconds to wait before acting; 0.0 is go.

        The place is reserved whatever the answer is, so callers that wait are served in order. When the wait
        would be longer than `max_wait`, nothing is reserved and the wait is returned all the same: come back
        later. ValueError when an argument is not positive.
        """
        ...

    async def publish(self, channel: str, message: str) -> None:
        """Hand `message` to whoever listens right now; nobody listening is fine."""
        ...

    def subscribe(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Listen to channels: once inside the `async with` block no message published later is missed.

        A listener that falls thousands of messages behind loses some. ValueError without a channel.
        """
        ...

    async def ping(self) -> None:
        """Return when the state answers."""
        ...

    async def close(self) -> None:
        """Let go of connections; the object is not used afterwards."""
        ...


def check_ttl(ttl: float | None) -> None:
    """Raise ValueError unless `ttl` is None or positive."""
    if ttl is not None and ttl <= 0:
        raise ValueError(f"ttl: must be positive, got {ttl}")


def check_bucket(rate_per_second: float, burst: int, n: int) -> None:
    """Raise ValueError that names the argument unless the three describe a rate bucket."""
    if rate_per_second <= 0:
        raise ValueError(f"rate_per_second: must be positive, got {rate_per_second}")
    if burst < 1:
        raise ValueError(f"burst: must be at least 1, got {burst}")
    if n < 1:
        raise ValueError(f"n: must be at least 1, got {n}")
