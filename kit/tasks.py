"""Background tasks that are kept alive, named, and free of the caller's context.

A task inherits its creator's context variables; one created inside a transaction would inherit that
transaction's connection and use it after it went back to the pool. Tasks made here start from a context
captured when the process was wired up instead.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

from kit.faults import describe

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Tasks:
    """A set of running tasks; create it after the database is open, so its context sees the database."""

    def __init__(self) -> None:
        self._context = contextvars.copy_context()
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start `work` and hold on to it until it ends; an exception nobody awaits is logged."""
        task = asyncio.get_running_loop().create_task(work, name=name, context=self._context.copy())
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def drain(self, seconds: float) -> int:
        """Wait for what is running, at most `seconds`; cancel the rest and return how many that were."""
        if not self._running:
            return 0
        _, late = await asyncio.wait(set(self._running), timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)
        return len(late)

    def __len__(self) -> int:
        return len(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background task failed", task=task.get_name(), error=describe(error))


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait until `event` is set, at most `seconds`; return whether it is.

    Not by asyncio.wait_for: in Python 3.11 that loses a cancellation which arrives together with what it waits for.
    """
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def repeat(
    work: Callable[[], Awaitable[object]],
    every_seconds: float,
    failing: str,
    *,
    passing: type[Exception] = Exception,
) -> None:
    """Do `work` for ever, each time `every_seconds` after the last; what it raises is logged as `failing`.

    An error of the kind `passing` goes by itself, such as a database that is away, and is only a warning.
    """
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # one time that fails must not end all that follow
            (log.warning if isinstance(error, passing) else log.error)(failing, error=describe(error))
