"""The shared fast state of a single process: the default when no Redis is configured."""

import asyncio
import heapq
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from kit.state import LockTimeout, check_bucket, check_ttl

BACKLOG = 10_000  # messages kept for a slow listener


class _Waiter:
    """One task that wants a lock for `ttl` seconds."""

    __slots__ = ("granted", "ttl")

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self.granted = asyncio.Event()


class _Lock:
    """Who holds a lock until when, and who waits for it in which order."""

    __slots__ = ("expires_at", "holder", "waiting")

    def __init__(self) -> None:
        self.holder: _Waiter | None = None
        self.expires_at = 0.0
        self.waiting: deque[_Waiter] = deque()

    def pass_on(self, now: float) -> None:
        """Hand the lock to whoever has waited longest; nobody that comes later gets in between."""
        self.holder = self.waiting.popleft() if self.waiting else None
        if self.holder is not None:
            self.expires_at = now + self.holder.ttl
            self.holder.granted.set()


class MemoryState:
    """Satisfies `kit.state.SharedState` inside one process and one event loop.

    `monotonic` gives seconds that never go back; tests hand in their own.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._values: dict[str, tuple[str, float]] = {}
        self._expiries: list[tuple[float, str]] = []
        self._buckets: dict[str, float] = {}
        self._locks: dict[str, _Lock] = {}
        self._listeners: dict[str, set[_Listener]] = {}

    async def get(self, key: str) -> str | None:
        """Return the live value of `key`, or None."""
        return self._live(key)

    async def set(self, key: str, value: str, ttl: float | None = None) -> None:
        """Store `value` for `ttl` seconds, or for ever."""
        check_ttl(ttl)
        now = self._monotonic()
        self._drop_expired(now)
        expires_at = math.inf if ttl is None else now + ttl
        self._values[key] = (value, expires_at)
        if ttl is not None:
            heapq.heappush(self._expiries, (expires_at, f"v{key}"))

    async def set_if_absent(self, key: str, value: str, ttl: float | None = None) -> bool:
        """Store `value` only where no live value is; say whether it was stored."""
        if self._live(key) is not None:
            return False
        await self.set(key, value, ttl)
        return True

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        self._values.pop(key, None)

    async def delete_if(self, key: str, value: str) -> bool:
        """Forget `key` only while it still holds `value`."""
        if self._live(key) != value:
            return False
        del self._values[key]
        return True

    @asynccontextmanager
    async def lock(self, name: str, ttl: float, wait: float) -> AsyncIterator[None]:
        """Hold a lock; first come, first served."""
        check_ttl(ttl)
        lock = self._locks.setdefault(name, _Lock())
        me = _Waiter(ttl)
        lock.waiting.append(me)
        try:
            await self._until_granted(name, lock, me, self._monotonic() + wait)
            yield
        finally:
            if lock.holder is me:
                lock.pass_on(self._monotonic())
            elif me in lock.waiting:
                lock.waiting.remove(me)
            if lock.holder is None and self._locks.get(name) is lock:
                del self._locks[name]

    async def _until_granted(self, name: str, lock: _Lock, me: _Waiter, give_up_at: float) -> None:
        while True:
            now = self._monotonic()
            if lock.holder is None or lock.expires_at <= now:
                lock.pass_on(now)
            if lock.holder is me:
                return
            if give_up_at <= now:
                raise LockTimeout(name)
            with suppress(TimeoutError):  # the lock expired or the patience ended: look again
                async with asyncio.timeout(min(lock.expires_at, give_up_at) - now):
                    await me.granted.wait()

    async def take(
        self, bucket: str, rate_per_second: float, burst: int, n: int = 1, max_wait: float = math.inf
    ) -> float:
        """Reserve `n` places in a rate bucket and return the seconds to wait before acting."""
        check_bucket(rate_per_second, burst, n)
        now = self._monotonic()
        self._drop_expired(now)
        # GCRA: `full_at` is the moment until which the bucket's places are spoken for.
        full_at = max(now, self._buckets.get(bucket, now)) + n / rate_per_second
        # Rounded to microseconds, or the dust of floating point would turn a go into a wait.
        wait = max(0.0, round(full_at - burst / rate_per_second - now, 6))
        if wait <= max_wait:
            self._buckets[bucket] = full_at
            heapq.heappush(self._expiries, (full_at, f"b{bucket}"))
        return wait

    async def publish(self, channel: str, message: str) -> None:
        """Hand `message` to whoever listens right now."""
        for listener in self._listeners.get(channel, ()):
            listener.push(message)

    @asynccontextmanager
    async def subscribe(self, *channels: str) -> AsyncIterator[AsyncIterator[str]]:
        """Listen to channels for the length of an `async with` block."""
        if not channels:
            raise ValueError("channels: at least one")
        listener = _Listener()
        for channel in channels:
            self._listeners.setdefault(channel, set()).add(listener)
        try:
            yield listener
        finally:
            for channel in channels:
                listeners = self._listeners[channel]
                listeners.discard(listener)
                if not listeners:
                    del self._listeners[channel]

    async def ping(self) -> None:
        """Return at once: memory is always there."""

    async def close(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._expiries.clear()
        self._buckets.clear()

    def _live(self, key: str) -> str | None:
        value, expires_at = self._values.get(key, (None, math.inf))
        return value if self._monotonic() < expires_at else None

    def _drop_expired(self, now: float) -> None:
        """Forget what has expired, so that memory stays flat under millions of short-lived keys."""
        while self._expiries and self._expiries[0][0] <= now:
            _, tagged = heapq.heappop(self._expiries)
            kind, name = tagged[0], tagged[1:]
            if kind == "v":
                if self._values.get(name, ("", math.inf))[1] <= now:
                    del self._values[name]
            elif self._buckets.get(name, math.inf) <= now:
                del self._buckets[name]


class _Listener:
    """A bounded queue that drops its oldest message rather than block the publisher."""

    def __init__(self) -> None:
        self._messages: deque[str] = deque(maxlen=BACKLOG)
        self._arrived = asyncio.Event()

    def push(self, message: str) -> None:
        self._messages.append(message)
        self._arrived.set()

    def __aiter__(self) -> "_Listener":
        return self

    async def __anext__(self) -> str:
        while not self._messages:
            self._arrived.clear()
            await self._arrived.wait()
        return self._messages.popleft()
