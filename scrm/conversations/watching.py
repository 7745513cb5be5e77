"""What the clock does to conversations: alarms, promises, waking, re-queueing, assigning, closing what is idle.

Every step may run at any number of workers at once and be killed anywhere: it claims rows in batches, skips what
somebody else has locked, and does its part in one transaction per batch, in which each row has a savepoint of its own.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from scrm import db
from scrm.conversations.apart import each
from scrm.conversations.assigning import BATCH, assign_waiting, requeue_absent, wake_due
from scrm.conversations.changes import Row, change, record
from scrm.conversations.closing import close_idle
from scrm.conversations.desk import DeskSettings
from scrm.db import Transaction, command

# So long before a promise runs out the staff are told, while they can still keep it.
RISK = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did."""

    woken: int
    requeued: int
    assigned: int
    overdue: int
    risked: int
    broken: int
    closed: int


_OVERDUE = """
SELECT * FROM conversation
WHERE state IN ('waiting', 'staff') AND desk = 'ours' AND answer_due_at <= $1 AND alarmed_at IS NULL
ORDER BY answer_due_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
_AT_RISK = """
SELECT * FROM conversation
WHERE state IN ('waiting', 'staff') AND promised_until <= $1 AND first_response_at IS NULL
  AND promise_risked_at IS NULL
ORDER BY promised_until LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
_BROKEN = """
SELECT * FROM conversation
WHERE state IN ('waiting', 'staff') AND promised_until < $1 AND first_response_at IS NULL
  AND promise_broken_at IS NULL
ORDER BY promised_until LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
_IDLE = """
SELECT c.id FROM conversation c LEFT JOIN desk d ON d.brand_id = c.brand_id
WHERE c.state <> 'closed' AND c.last_at <= $1::timestamptz - make_interval(mins => coalesce(d.idle_minutes, $2))
  AND (c.desk = 'wechat'
       OR c.answer_due_at IS NULL AND (c.state <> 'waiting' OR c.first_response_at IS NOT NULL))
  AND (c.snoozed_until IS NULL OR c.snoozed_until <= $1)
ORDER BY c.last_at LIMIT $3
"""


@command
async def alarm_overdue(tx: Transaction, *, now: datetime, limit: int = BATCH) -> int:
    """Raise the alarm, once, for each answer that has not come in time; returns how many."""
    rows = await tx.connection.fetch(_OVERDUE, now, limit)
    return len(await each("conversation", rows, lambda row: _note(row, now, "overdue", "alarmed_at")))


@command
async def risk_promises(tx: Transaction, *, now: datetime, limit: int = BATCH) -> int:
    """Tell the staff, once each, of promises that run out soon; returns how many."""
    rows = await tx.connection.fetch(_AT_RISK, now + RISK, limit)
    return len(await each("conversation", rows, lambda row: _note(row, now, "promise_risked", "promise_risked_at")))


@command
async def break_promises(tx: Transaction, *, now: datetime, limit: int = BATCH) -> int:
    """Count, once each, promises that ran out with no answer; returns how many."""
    rows = await tx.connection.fetch(_BROKEN, now, limit)
    return len(
        await each(
            "conversation", rows, lambda row: _note(row, now, "promise_broken", "promise_broken_at", reason="none")
        )
    )


@command
async def _note(tx: Transaction, row: Row, now: datetime, kind: str, when: str, reason: str = "") -> None:
    """Record what the clock found about a conversation, and in the column `when` that it has."""
    await change(tx.connection, row["id"], **{when: now})
    await record(tx.connection, row, kind, "clock", now, staff_id=row["staff_id"], reason=reason)


async def close_all_idle(now: datetime, default_minutes: int, *, limit: int = BATCH) -> int:
    """Close what is idle, each in a transaction of its own; returns how many were closed."""
    rows = await db.fetch(_IDLE, now, default_minutes, limit)
    return sum(await each("conversation", rows, lambda row: close_idle(conversation_id=row["id"], now=now)))


async def sweep(now: datetime) -> Swept:
    """Do all that is due at a moment; the order lets somebody else have, in the same sweep, what one loses.

    What cannot be done is logged and left for the next sweep. Raises Unavailable when the database is away.
    """
    return Swept(
        woken=await wake_due(now=now),
        requeued=await requeue_absent(now=now),
        assigned=await assign_waiting(now),
        overdue=await alarm_overdue(now=now),
        risked=await risk_promises(now=now),
        broken=await break_promises(now=now),
        closed=await close_all_idle(now, DeskSettings().idle_minutes),
    )
