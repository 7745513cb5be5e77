"""The worker process: the outbox, jobs and schedules, and the pushes that others left behind."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from aiohttp import web

from app import causes
from app.server import SERVICES, NotMigratedError, check_holidays, check_ready, health_routes, stopping
from app.services import Services, services
from app.settings import Settings
from bot.recovery import resume_abandoned, send_owed
from kit.tasks import repeat
from scrm.access import withdrawing
from scrm.checkins.cards import JOB as CHECKIN_CARD
from scrm.members import profiles
from scrm.migrate import pending
from web import metrics
from worker import schedules
from worker.cards import send_card
from worker.desk import keep_desk
from worker.embeddings import Embeddings
from worker.interests import JOB as NOTICE_INTERESTS
from worker.interests import notice_interests
from worker.jobs import JobRunner
from worker.outbox import OutboxWorker
from worker.profiles import Profiles
from worker.runner import run_worker

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class JobServices(schedules.Services):
    """What jobs are handed: what schedules need, and everything this process has opened."""

    opened: Services
    embeddings: Embeddings = field(default_factory=Embeddings)


class _Counted:
    """Counts what the outbox reports."""

    def delivered(self, outcome: str, seconds: float) -> None:
        metrics.DELIVERIES.labels(outcome).inc()

    def recovered(self, given_back: int, unknown: int) -> None:
        metrics.DELIVERIES.labels("given_back").inc(given_back)
        metrics.DELIVERIES.labels("unknown").inc(unknown)


@schedules.registry.job(CHECKIN_CARD, timeout=60)
async def checkin_card(payload: dict[str, Any], given: schedules.Services) -> None:
    """Send a fan their check-in calendar as a picture."""
    assert isinstance(given, JobServices)  # noqa: S101  # this process hands out no other
    opened = given.opened
    fan_id, asked = int(payload["fan_id"]), UUID(payload["asked"])
    await send_card(fan_id, asked, opened.clients, opened.directory.accounts, opened.clock)


@schedules.registry.job("knowledge.embed", timeout=600)
async def embed_knowledge(_payload: dict[str, Any], given: schedules.Services) -> None:
    """Make the vectors that published texts lack, where an endpoint for them is configured."""
    assert isinstance(given, JobServices)  # noqa: S101  # same
    if given.opened.embedder is not None:
        await given.embeddings.make_missing(given.opened.embedder)


schedules.registry.schedule("* * * * *", "knowledge.embed")


@schedules.registry.job(NOTICE_INTERESTS, timeout=300)
async def interests(_payload: dict[str, Any], given: schedules.Services) -> None:
    """Note what fans' texts show of their interests and intents."""
    assert isinstance(given, JobServices)  # noqa: S101  # same
    await notice_interests(given.opened.clock, given.opened.model)


schedules.registry.schedule("* * * * *", NOTICE_INTERESTS)


@schedules.registry.job("members.fingerprint_names", timeout=300)
async def fingerprint_names(_payload: dict[str, Any], given: schedules.Services) -> None:
    """Let names of before be found; there is nothing to do any more once all have their fingerprint."""
    assert isinstance(given, JobServices)  # noqa: S101  # same
    while await profiles.fingerprint_names(given.opened.sealer):
        pass


schedules.registry.schedule("15 4 * * *", "members.fingerprint_names")


@schedules.registry.job(withdrawing.REVOKED, timeout=60)
async def clear_withdrawn(payload: dict[str, Any], given: schedules.Services) -> None:
    """Clear what somebody no longer lets us know."""
    assert isinstance(given, JobServices)  # noqa: S101  # same
    before = datetime.fromisoformat(payload["before"])
    fan_id, fields = int(payload["fan_id"]), payload["fields"]
    await withdrawing.clear(given.opened.sealer, fan_id=fan_id, fields=fields, before=before)


@schedules.registry.job(withdrawing.CANCELLED, timeout=60)
async def erase_cancelled(payload: dict[str, Any], given: schedules.Services) -> None:
    """Erase somebody who has no WeChat account any more."""
    assert isinstance(given, JobServices)  # noqa: S101  # same
    await withdrawing.erase(given.opened.sealer, fan_id=int(payload["fan_id"]), now=given.clock.now())


async def work(settings: Settings, database_url: str) -> None:
    """Work until SIGINT or SIGTERM, then end in good order. Raises NotReadyError."""
    if names := await pending(database_url):
        raise NotMigratedError(causes.of_schema(names, demo=settings.demo))
    stop = asyncio.Event()
    with stopping(stop):
        async with services(settings, database_url) as opened:
            await check_ready(settings, opened.clock)
            check_holidays(opened.clock.now())
            asking = Profiles(opened.clients, opened.directory.accounts, opened.clock)
            background = [
                opened.tasks.spawn(opened.directory.watch(), "directory"),
                opened.tasks.spawn(opened.engine.keep_leases(), "leases"),
                opened.tasks.spawn(
                    repeat(partial(_look_after, opened), LOOK_SECONDS, "recovery did not run"), "recovery"
                ),
                opened.tasks.spawn(keep_desk(opened.clock), "desk"),
                opened.tasks.spawn(asking.keep(), "profiles"),
            ]
            outbox = OutboxWorker(
                database_url,
                opened.messenger,
                opened.directory.accounts,
                opened.clock,
                opened.tasks,
                _Counted(),
            )
            given = JobServices(opened.clock, opened, outreach_kept=timedelta(days=settings.outreach_days))
            runner = JobRunner(database_url, given, schedules.registry)
            watched = await _show_health(settings, opened)
            log.info("working")
            try:
                await run_worker(runner, outbox, stop)
            finally:
                await watched.cleanup()
                for task in background:
                    task.cancel()
    log.info("stopped")


async def _show_health(settings: Settings, opened: Services) -> web.AppRunner:
    """Serve /healthz, /readyz and /metrics of this worker. A second worker on one machine goes without."""
    app = web.Application()
    app[SERVICES] = opened
    app.router.add_routes(health_routes())
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    if settings.worker_port:
        try:
            await web.TCPSite(runner, settings.host, settings.worker_port).start()
        except OSError:
            log.warning("metrics are not shown: the port is taken", port=settings.worker_port)
    return runner


async def _look_after(opened: Services) -> None:
    """Resume abandoned pushes, and send the answers that nobody heard."""
    resumed = await resume_abandoned(opened.directory, opened.engine, opened.clock, opened.tasks)
    if resumed:
        log.warning("abandoned pushes resumed", count=len(resumed))
    if sent := await send_owed(opened.clock):
        log.warning("answers of lost processes sent", count=sent)
