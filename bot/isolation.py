"""One message at a time per fan, also between processes: turns, in the order in which pushes were accepted."""

import asyncio
from datetime import timedelta
from uuid import UUID

from kit.clock import Clock
from kit.tasks import set_within
from scrm.pushes import service as pushes

# How long a worker may be silent before its pushes and turns are taken over; renewed every third of it.
LEASE = timedelta(seconds=6)


class Turns:
    """This process's view of whose turn it is; the truth is in the database (`pushes.take_turn`).

    Who waits asks again when somebody here gives a turn back, and every now and then for what other processes
    do. Nothing is kept for a fan nobody waits for.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[int, set[asyncio.Event]] = {}

    async def wait_for(self, fan_id: int, key: UUID) -> None:
        """Wait until it is this push's turn, then hold it (given back by `pushes.finish`)."""
        pause = 0.02
        given_back = asyncio.Event()
        waiting = self._waiting.setdefault(fan_id, set())
        waiting.add(given_back)
        try:
            while True:
                now = self._clock.now()
                if await pushes.take_turn(fan_id, key, now=now, lease_until=now + LEASE):
                    return
                given_back.clear()
                if not await set_within(given_back, pause):
                    pause = min(pause * 1.5, 0.25)
        finally:
            waiting.discard(given_back)
            if not waiting and self._waiting.get(fan_id) is waiting:
                del self._waiting[fan_id]

    def given_back(self, fan_id: int) -> None:
        """Wake those here who wait for this fan."""
        for event in self._waiting.get(fan_id, ()):
            event.set()
