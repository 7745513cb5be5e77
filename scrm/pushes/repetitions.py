"""What repetitions of a push are told, and the answer that was stored too late for any request to carry it.

An answer goes to the fan one way: in a request, which may be a repetition's, or by the door out. Whoever takes it the
one way says so in the push's row, and the other way is closed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from scrm import db
from scrm.db import Connection, Transaction, command
from scrm.pushes.service import keep_held


@dataclass(frozen=True, slots=True)
class State:
    """How a push stands; see scrm.pushes.models.Push."""

    key: UUID
    state: str
    answer: dict[str, Any] | None
    reason: str


# In one order, so that two batches never wait for each other in a circle. A push that failed may have an apology.
_TELL = """
UPDATE push SET told = told + 1 FROM (
    SELECT key FROM push WHERE key = ANY($1::uuid[]) AND answer IS NOT NULL ORDER BY key FOR NO KEY UPDATE
) answered
WHERE push.key = answered.key
"""


async def look(raw: Connection, keys: Sequence[UUID]) -> list[State | None]:
    """Return how each push stands, None for one that does not exist (any more); a batch for a group of waiters.

    An answer that is returned is taken as told: from then on it cannot be withdrawn, unless it is `untold`.
    """
    await raw.execute(_TELL, list(keys))
    rows = await raw.fetch("SELECT key, state, answer, reason FROM push WHERE key = ANY($1::uuid[])", list(keys))
    known = {
        row["key"]: State(row["key"], row["state"], json.loads(row["answer"]) if row["answer"] else None, row["reason"])
        for row in rows
    }
    return [known.get(key) for key in keys]


@command
async def untold(tx: Transaction, *, key: UUID) -> None:
    """Take back one look that found an answer: nobody waited for it any more."""
    await tx.connection.execute("UPDATE push SET told = told - 1 WHERE key = $1 AND answer IS NOT NULL", key)


@command
async def owe(tx: Transaction, *, key: UUID, purpose: str, due_at: datetime) -> None:
    """Write down that an answer was stored too late for its request: at `due_at` another process may see to it."""
    await tx.connection.execute(
        "INSERT INTO owed_answer (push_key, purpose, due_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        key,
        purpose,
        due_at,
    )


@command
async def owe_doubtful(tx: Transaction, *, accepted: Mapping[UUID, datetime], due_at: datetime) -> None:
    """Owe the answers of pushes that were refused, as far as they are stored after all: `accepted` is key and moment.

    The moment, a process's own, tells them from pushes that another request had brought, and answered, before.
    """
    await tx.connection.execute(
        """
        INSERT INTO owed_answer (push_key, purpose, due_at)
        SELECT p.key, 'answer', $3 FROM unnest($1::uuid[], $2::timestamptz[]) AS a (key, at)
        JOIN push p ON p.key = a.key AND p.received_at = a.at
        WHERE p.state = 'answered' AND p.answer IS NOT NULL AND p.told = 0 ON CONFLICT DO NOTHING
        """,
        list(accepted),
        list(accepted.values()),
        due_at,
    )


@dataclass(frozen=True, slots=True)
class Owed:
    """An answer that nobody has seen to; `answer` is None when somebody has, or its push is no longer kept."""

    key: UUID
    fan_id: int | None
    answer: dict[str, Any] | None
    purpose: str


async def owed(*, now: datetime, limit: int = 50) -> list[Owed]:
    """Return answers that are owed still, the longest due first."""
    rows = await db.fetch(
        """
        SELECT o.push_key, p.fan_id, p.answer, o.purpose FROM owed_answer o LEFT JOIN push p ON p.key = o.push_key
        WHERE o.due_at <= $1 ORDER BY o.due_at LIMIT $2
        """,
        now,
        limit,
    )
    return [
        Owed(row["push_key"], row["fan_id"], json.loads(row["answer"]) if row["answer"] else None, row["purpose"])
        for row in rows
    ]


@command
async def put_off(tx: Transaction, *, key: UUID, due_at: datetime) -> None:
    """Have an answer that is owed looked at again later: it could not be sent now."""
    await tx.connection.execute("UPDATE owed_answer SET due_at = $2 WHERE push_key = $1", key, due_at)


@command
async def seen_to(tx: Transaction, *, key: UUID) -> None:
    """Forget that an answer was owed: it leaves by the door out, or a request has carried it."""
    await tx.connection.execute("DELETE FROM owed_answer WHERE push_key = $1", key)


@command
async def withdraw(
    tx: Transaction,
    *,
    key: UUID,
    fan_id: int,
    state: str,
    reason: str,
    hold: Sequence[Mapping[str, Any]],
    now: datetime,
) -> str | None:
    """Take an answer back that no request has carried, because it leaves by the door out; `state` is late or failed.

    `hold` are replies to keep for the fan's next message. Returns the state the push is in then: one that had failed
    stays so, for its reason. None, and nothing is changed, when a repetition was told the answer meanwhile.
    """
    ended: str | None = await tx.connection.fetchval(
        """
        UPDATE push SET answer = NULL,
            state = CASE state WHEN 'failed' THEN state ELSE $2 END,
            reason = CASE state WHEN 'failed' THEN reason ELSE $3 END
        WHERE key = $1 AND answer IS NOT NULL AND told = 0 RETURNING state
        """,
        key,
        state,
        reason[:64],
    )
    if ended is None:
        return None
    await seen_to(key=key)
    if hold:
        await keep_held(tx.connection, fan_id, key, hold, now)
    return ended
