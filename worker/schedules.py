"""What runs when: the worker's own jobs and their times, which are Shanghai's."""

from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any

from kit.clock import Clock
from scrm.access import leaving, requests
from scrm.access import service as access
from scrm.assistant import budgets
from scrm.jobs import prune_log
from scrm.members import erasing
from scrm.migrate import ensure_months
from scrm.outreach import pruning, returning
from scrm.points import ledger, maturing
from scrm.pushes import service as pushes
from scrm.staff import lockout, sessions
from scrm.tags import batches
from worker.jobs import Registry

PUSHES_KEPT = timedelta(days=3)
RETURNS_SEEN = timedelta(hours=1)
JOB_LOG_KEPT = timedelta(days=14)
MODEL_CALLS_KEPT = timedelta(days=90)
BATCH = 5000
SMALL_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Services:
    """What the jobs below need besides the database."""

    clock: Clock
    # How long what was said, and why, is known.
    outreach_kept: timedelta = field(default=timedelta(days=365), kw_only=True)
    # How long one job works at a batch before another goes on.
    slice_seconds: float = field(default=20.0, kw_only=True)


registry: Registry[Services] = Registry()


@registry.job("timeline.months", timeout=60)
async def timeline_months(_payload: dict[str, Any], services: Services) -> None:
    """Make the timeline's partitions of this month and the two that follow."""
    await ensure_months(services.clock.now().date())


@registry.job("pushes.prune", timeout=300)
async def prune_pushes(_payload: dict[str, Any], services: Services) -> None:
    """Delete finished pushes after three days; the platform repeats one for seconds. Their events stay."""
    before = services.clock.now() - PUSHES_KEPT
    while await pushes.prune(before=before, limit=BATCH) == BATCH:
        pass


@registry.job("members.returned", timeout=60)
async def notice_returns(_payload: dict[str, Any], services: Services) -> None:
    """Note fans who came back unheard and acted within the last hour."""
    await _notice_returns(services, RETURNS_SEEN)


@registry.job("members.returned_before", timeout=300)
async def notice_earlier_returns(_payload: dict[str, Any], services: Services) -> None:
    """Note those among all pushes that are kept: what was missed while no worker ran."""
    await _notice_returns(services, PUSHES_KEPT)


async def _notice_returns(services: Services, back: timedelta) -> None:
    now = services.clock.now()
    while await returning.notice(since=now - back, now=now, limit=SMALL_BATCH) == SMALL_BATCH:
        pass


@registry.job("outreach.prune", timeout=600)
async def prune_outreach(_payload: dict[str, Any], services: Services) -> None:
    """Forget messages that came to their end, and decisions, after a year or as long as it is set."""
    before = services.clock.now() - services.outreach_kept
    pruned = await pruning.prune(before=before)
    while pruned.next is not None:
        pruned = await pruning.prune(before=before, after=pruned.next)


@registry.job("jobs.prune_log", timeout=300)
async def prune_job_log(_payload: dict[str, Any], services: Services) -> None:
    """Delete the job queue's records after a fortnight; the engine itself keeps them for ever."""
    before = services.clock.now() - JOB_LOG_KEPT
    while await prune_log(before=before, limit=BATCH) == BATCH:
        pass


@registry.job("points.mature", timeout=300)
async def mature_points(_payload: dict[str, Any], services: Services) -> None:
    """Pay the promised points and growth that are due."""
    now = services.clock.now()
    while await maturing.mature_due(now=now, limit=SMALL_BATCH) == SMALL_BATCH:
        pass


@registry.job("points.expire", timeout=300)
async def expire_points(_payload: dict[str, Any], services: Services) -> None:
    """Let expired points go; nobody could spend them since their expiry, this only makes it seen."""
    now = services.clock.now()
    while await ledger.expire_due(now=now, limit=SMALL_BATCH):
        pass


@registry.job("access.forget_requests", timeout=300)
async def forget_requests(_payload: dict[str, Any], services: Services) -> None:
    """Forget the kept answers of the members' API after two days."""
    while await requests.forget_old(now=services.clock.now()):
        pass


@registry.job("access.forget_sessions", timeout=300)
async def forget_sessions(_payload: dict[str, Any], services: Services) -> None:
    """Forget sessions whose refresh token counts no more, and the fingerprints of the erased after their time."""
    now = services.clock.now()
    while await access.forget_old(now=now):
        pass
    while await erasing.forget_barred(now=now):
        pass


@registry.job(leaving.AFTERWARDS, timeout=60)
async def erase_rest(payload: dict[str, Any], services: Services) -> None:
    """Look again at somebody who was erased: what was under way at that moment is erased too."""
    await leaving.erase_rest(member_id=payload["member_id"], now=services.clock.now())


@registry.job("assistant.forget_calls", timeout=300)
async def forget_model_calls(_payload: dict[str, Any], services: Services) -> None:
    """Forget the model's single calls after ninety days; the days' sums stay."""
    before = services.clock.now() - MODEL_CALLS_KEPT
    while await budgets.forget_calls(before=before):
        pass


@registry.job(batches.JOB, timeout=600)
async def tag_batch(payload: dict[str, Any], services: Services) -> None:
    """Put a tag on everybody of a batch, take it off, or undo that; begun again it goes on where it was.

    After a while the next job goes on: a batch of millions takes longer than any timeout, and a job that was under way
    at three crashes would be held as their cause.
    """
    until = monotonic() + services.slice_seconds
    while await batches.work_some(batch_id=payload["batch"], now=services.clock.now()):
        if monotonic() >= until:
            await batches.go_on(batch_id=payload["batch"])
            return


@registry.job("staff.forget_sessions", timeout=300)
async def forget_staff_sessions(_payload: dict[str, Any], services: Services) -> None:
    """Forget staff sessions that ended long ago, and failed sign-ins that no longer make anybody wait."""
    now = services.clock.now()
    while await sessions.forget_old(now=now):
        pass
    while await lockout.forget_old(now=now):
        pass


registry.schedule("20 3 * * *", "timeline.months")
registry.schedule("40 * * * *", "pushes.prune")
registry.schedule("*/5 * * * *", "members.returned")
registry.schedule("30 4 * * *", "members.returned_before")
registry.schedule("5 4 * * *", "outreach.prune")
registry.schedule("50 3 * * *", "jobs.prune_log")
registry.schedule("* * * * *", "points.mature")
registry.schedule("10 * * * *", "points.expire")
registry.schedule("25 * * * *", "access.forget_requests")
registry.schedule("35 4 * * *", "access.forget_sessions")
registry.schedule("35 3 * * *", "assistant.forget_calls")
registry.schedule("35 * * * *", "staff.forget_sessions")
