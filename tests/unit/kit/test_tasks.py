"""What is done again and again goes on after a time that failed, until it is cancelled."""

import asyncio
from contextlib import suppress

from kit.tasks import repeat


async def test_a_time_that_fails_does_not_end_those_that_follow() -> None:
    times = 0
    enough = asyncio.Event()

    async def look() -> None:
        nonlocal times
        times += 1
        if times == 4:
            enough.set()
        raise (LookupError, OSError)[times % 2]

    async with asyncio.timeout(10):
        repeating = asyncio.ensure_future(repeat(look, 0.001, "not looked", passing=LookupError))
        await enough.wait()
        repeating.cancel()
        with suppress(asyncio.CancelledError):
            await repeating
    assert repeating.cancelled()
    assert times == 4
