"""Our port to the job engine (PgQueuer): functions become jobs by name, and a runner leases and runs them.

A job runs at least once. It is leased with a heartbeat; the job of a worker that was killed is given to another
when the lease is over. docs/subsystems/work.md lists the cases.
"""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, Generic, TypeAlias, TypeVar

import structlog
from croniter import croniter  # type: ignore[import-untyped]  # publishes no types
from pgqueuer import PgQueuer
from pgqueuer.core.executors import ScheduleExecutor
from pgqueuer.domain.models import Job as Leased
from pgqueuer.domain.models import Schedule, utc_now
from pgqueuer.errors import RetryRequested

from kit.clock import SHANGHAI
from scrm.jobs import NAMES, queries
from worker.link import Link, Stopping

log = structlog.get_logger(__name__)

S = TypeVar("S")
Work: TypeAlias = Callable[[dict[str, Any], S], Awaitable[None]]

POLL = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)
# A job whose worker vanishes this often in a row is held: it may be what kills them.
MOST_DEATHS = 3


@dataclass(frozen=True, slots=True)
class Job(Generic[S]):
    """A function that can be asked for by name; `timeout` in seconds, `retries` after the first failure."""

    name: str
    work: Work[S]
    timeout: float
    retries: int


class Registry(Generic[S]):
    """The jobs and schedules of a worker. `S` is what every job is handed besides its payload."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job[S]] = {}
        self.schedules: list[tuple[str, str]] = []

    def job(self, name: str, *, timeout: float, retries: int = 3) -> Callable[[Work[S]], Work[S]]:
        """Register an async function of (payload, services). ValueError when the name is taken."""

        def register(work: Work[S]) -> Work[S]:
            if name in self.jobs:
                raise ValueError(f"job {name!r} is registered already")
            self.jobs[name] = Job(name, work, timeout, retries)
            return work

        return register

    def schedule(self, cron: str, name: str) -> None:
        """Run a registered job, with an empty payload, whenever a cron expression says, in Shanghai's time.

        Five fields, or six with seconds last. However many workers there are it is enqueued once; one that fell
        due while none was running is made up for once. ValueError names what is wrong.
        """
        if name not in self.jobs:
            raise ValueError(f"schedule of {name!r}: no such job")
        if not croniter.is_valid(cron):
            raise ValueError(f"schedule of {name!r}: {cron!r} is no cron expression")
        self.schedules.append((cron, name))


class JobFailed(Exception):  # noqa: N818  # reads as what happened
    """What the engine records of a failed job: the kind of the error, never its words, which may be personal."""


def _unobserved(_name: str, _outcome: str, _seconds: float) -> None: ...


class JobRunner(Generic[S]):
    """Runs the jobs of a registry until told to stop.

    `url` is the database's, for one connection of its own. `lease` is how long a silent worker keeps a job,
    `grace` how long running jobs may go on after the stop, `pause` the wait before the first retry, doubled for
    each that follows. `observe` is called with (job, outcome, seconds) at the end of every run; outcomes: done,
    retried, failed, given_back.
    """

    def __init__(
        self,
        url: str,
        services: S,
        registry: Registry[S],
        *,
        lease: timedelta = timedelta(seconds=15),
        grace: timedelta = timedelta(seconds=20),
        pause: timedelta = timedelta(seconds=2),
        concurrency: int = 20,
        observe: Callable[[str, str, float], None] = _unobserved,
    ) -> None:
        self._url = url
        self._services = services
        self._registry = registry
        self._lease = lease
        self._grace = grace
        self._pause = pause
        self._concurrency = concurrency
        self._observe = observe
        self._deadlines: set[asyncio.Timeout] = set()
        self._giving_back = False

    async def run(self, stop: asyncio.Event) -> None:
        """Lease and run jobs until `stop` is set, then let what runs finish, and give back what does not.

        Start it where the database is open (scrm.db.database): jobs see what is open here. While the database
        is away it waits. Raises RuntimeError when the queue's tables are missing.
        """
        link = Link(self._url, stop, name="fensi jobs")
        engine = self._engine(link)
        work = asyncio.create_task(
            engine.run(
                dequeue_timeout=POLL,
                batch_size=self._concurrency // 2,
                max_concurrent_tasks=self._concurrency,
                heartbeat_timeout=self._lease,
            ),
            name="jobs",
        )
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            engine.shutdown.set()
            await asyncio.wait({work}, timeout=self._grace.total_seconds())
            self._give_back()
            await asyncio.wait({work}, timeout=2)
        finally:
            stopping.cancel()
            work.cancel()
            await asyncio.wait({work}, timeout=2)
            await link.close()
        if work.done():
            with suppress(Stopping, asyncio.CancelledError):
                work.result()

    def _engine(self, link: Link) -> PgQueuer:
        engine = PgQueuer(link, channel=NAMES.channel, queries=queries(link))
        for job in self._registry.jobs.values():
            engine.entrypoint(job.name, accepts_context=False, on_failure="hold")(partial(self._perform, link, job))
        for cron, name in self._registry.schedules:
            engine.schedule(name, cron, executor_factory=_ShanghaiSchedule, accepts_context=False)(
                partial(self._enqueue, link)
            )
        return engine

    async def _enqueue(self, link: Link, schedule: Schedule) -> None:
        # Still waiting or running from the last time: then this time is skipped.
        name = str(schedule.entrypoint)
        await queries(link).enqueue(name, b"{}", dedupe_key=f"schedule:{name}", on_conflict="skip")

    async def _perform(self, link: Link, job: Job[S], leased: Leased) -> None:
        began = monotonic()

        def ended(outcome: str) -> None:
            self._observe(job.name, outcome, monotonic() - began)

        try:
            if await self._deaths(link, leased) >= MOST_DEATHS:
                raise JobFailed("worker died")  # noqa: TRY301  # one place decides what a failure means
            async with asyncio.timeout(job.timeout) as deadline:
                self._deadlines.add(deadline)
                try:
                    await job.work(json.loads(leased.payload or b"{}"), self._services)
                finally:
                    self._deadlines.discard(deadline)
        except asyncio.CancelledError:
            # The engine would strike a cancelled job off the queue; cut short is not done.
            ended("given_back")
            raise RetryRequested(reason="cut short") from None
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a failed run
            if self._giving_back and isinstance(error, TimeoutError):
                ended("given_back")
                raise RetryRequested(reason="cut short") from None
            kind = type(error).__name__
            known = {"job": job.name, "id": leased.id, "attempt": leased.attempts + 1, "error": kind}
            if leased.attempts < job.retries and not isinstance(error, JobFailed):
                ended("retried")
                log.warning("job will be retried", **known, where=_where(error))
                raise RetryRequested(min(self._pause * 2**leased.attempts, LONGEST_PAUSE), kind) from None
            ended("failed")
            log.error("job failed", **known, where=_where(error))
            raise JobFailed(str(error) if isinstance(error, JobFailed) else kind) from None
        ended("done")

    async def _deaths(self, link: Link, leased: Leased) -> int:
        """Return how often this job was begun since it was last queued and nothing more was heard of it."""
        rows = await link.fetch(
            """
            SELECT count(*) - 1 AS deaths FROM pgqueuer_log
            WHERE job_id = $1 AND status = 'picked' AND id > (
                SELECT coalesce(max(id), 0) FROM pgqueuer_log WHERE job_id = $1 AND status <> 'picked'
            )
            """,
            leased.id,
        )
        return int(str(rows[0]["deaths"]))

    def _give_back(self) -> None:
        self._giving_back = True
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(0)


class _ShanghaiSchedule(ScheduleExecutor):
    """The engine reads cron expressions in UTC; people mean the time on their wall."""

    def get_next(self) -> datetime:
        """Return the next moment the expression names, in UTC."""
        wall = utc_now().astimezone(SHANGHAI)
        moment: datetime = croniter(self.parameters.expression, start_time=wall).get_next(datetime)
        return moment.astimezone(UTC)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
