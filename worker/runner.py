"""The worker as a whole: the job engine and the outbox, side by side until told to stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from worker.jobs import JobRunner
from worker.outbox import OutboxWorker

S = TypeVar("S")


async def run_worker(jobs: JobRunner[S], outbox: OutboxWorker, stop: asyncio.Event) -> None:
    """Run both until `stop` is set and both have ended in good order; start it where the database is open.

    When one fails, `stop` is set so that the other ends what it has under way; then the failure is raised.
    """

    async def part(work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            stop.set()

    for outcome in await asyncio.gather(part(jobs.run(stop)), part(outbox.run(stop)), return_exceptions=True):
        if outcome is not None:
            raise outcome
