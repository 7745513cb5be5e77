"""What is done again and again goes on after a time that failed; waiting for an event ends in time or cancelled."""

import asyncio
from contextlib import suppress

import pytest

from kit.tasks import repeat, set_within


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


async def test_an_event_is_set_within_its_seconds_or_is_not() -> None:
    event = asyncio.Event()
    assert await set_within(event, 0.01) is False
    asyncio.get_running_loop().call_later(0.01, event.set)
    assert await set_within(event, 10) is True
    assert await set_within(event, 0) is True


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_a_cancellation_that_comes_with_the_event_is_not_lost(turns: int) -> None:
    event = asyncio.Event()
    waiting = asyncio.ensure_future(set_within(event, 10))
    await asyncio.sleep(0.01)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    ended = waiting.done()
    waiting.cancel()
    if ended:
        assert await waiting is True
    else:
        with pytest.raises(asyncio.CancelledError):
            await waiting
