"""Asking for work to be done later: a job is put into the queue by the very transaction that needs it.

The queue is PgQueuer's, its tables made by migration 0002; `worker/jobs.py` runs what lies in it. What comes
in thousands does not belong here but in a table with `due_at` (see docs/subsystems/work.md).
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import Channel
from pgqueuer.ports.driver import Driver
from pgqueuer.queries import Queries

from scrm.db import Transaction, command

# Every name said aloud: left unsaid, PgQueuer takes them from environment variables as common as CHANNEL or
# TRIGGER, and would look for tables that no migration of ours has made.
NAMES = DBSettings(
    prefix="",
    db_schema=None,
    channel=Channel("ch_pgqueuer"),
    function="fn_pgqueuer_changed",
    statistics_table="pgqueuer_statistics",
    queue_status_type="pgqueuer_status",
    queue_table="pgqueuer",
    queue_table_log="pgqueuer_log",
    trigger="tg_pgqueuer_changed",
    schedules_table="pgqueuer_schedules",
)


def queries(driver: Driver) -> Queries:
    """Return PgQueuer's statements on a driver, with the names of our tables."""
    return Queries(driver, QueryBuilderEnvironment(NAMES), QueryQueueBuilder(NAMES), QuerySchedulerBuilder(NAMES))


async def enqueue(
    tx: Transaction,
    name: str,
    payload: Mapping[str, Any],
    *,
    dedupe: str | None = None,
    delay: timedelta | None = None,
) -> bool:
    """Put a job into the queue as part of `tx`: a rollback drops it, and no worker sees it before the commit.

    A job runs at least once, so what it does must be harmless to do twice. `payload` is JSON data; ids rather
    than words of people, since the queue is not where personal data lives. While a job with the same `dedupe`
    waits or runs, nothing is added and False is returned. `delay` counts from now, by the database's clock.
    """
    added = await queries(AsyncpgDriver(tx.connection)).enqueue(
        name,
        json.dumps(payload, ensure_ascii=False).encode(),
        execute_after=delay,
        dedupe_key=dedupe,
        on_conflict="skip",
    )
    return added[0] is not None


@command
async def prune_log(tx: Transaction, *, before: datetime, limit: int = 5000) -> int:
    """Delete the queue's own records of jobs that moved before a moment; returns how many went.

    Failed jobs stay in the queue itself, whatever their age, until somebody requeues or deletes them.
    """
    rows = await tx.connection.fetch(
        "DELETE FROM pgqueuer_log WHERE id IN (SELECT id FROM pgqueuer_log WHERE created < $1 LIMIT $2) RETURNING id",
        before,
        limit,
    )
    await tx.connection.execute("DELETE FROM pgqueuer_statistics WHERE created < $1", before)
    return len(rows)
