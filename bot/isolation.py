"""One message at a time per fan: a queue in this process, and a lease in the database between processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from kit.clock import Clock
from scrm.pushes import service as pushes

# How long a worker may be silent before its pushes and turns are taken over; renewed every third of it.
LEASE = timedelta(seconds=6)


class FanLocks:
    """First come, first served, per fan; nothing is kept for a fan nobody waits for."""

    def __init__(self) -> None:
        self._locks: dict[int, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, fan_id: int) -> AsyncIterator[None]:
        """Hold this process's place at a fan."""
        lock, users = self._locks.get(fan_id) or (asyncio.Lock(), 0)
        self._locks[fan_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[fan_id]
            if users == 1:
                del self._locks[fan_id]
            else:
                self._locks[fan_id] = (lock, users - 1)


async def wait_for_turn(fan_id: int, key: UUID, clock: Clock) -> None:
    """Wait until no other process works on this fan, then hold the turn (given back by `pushes.finish`)."""
    pause = 0.02
    while True:
        now = clock.now()
        if await pushes.take_turn(fan_id, key, now=now, lease_until=now + LEASE):
            return
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.25)
