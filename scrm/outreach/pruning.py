"""How long it is known what was said and why: decisions and messages that came to their end go after a stated time."""

from dataclasses import dataclass
from datetime import datetime

from scrm.db import Transaction, command


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many decisions and messages went, and where the next call goes on; None at the end."""

    decisions: int
    messages: int
    next: tuple[datetime, int] | None


@command
async def prune(
    tx: Transaction, *, before: datetime, after: tuple[datetime, int] | None = None, limit: int = 1000
) -> Pruned:
    """Forget the oldest decisions, with their messages, that were over before a moment; at most `limit` are looked at.

    What is under way or planned stays, however old. So does what was said for the staff (purpose "service"): a
    conversation's words stand nowhere else, and they stay as long as it does. `before` has to be further back than
    the counts of the gate (scrm.outreach.windows.LONGEST), and than whoever might ask for a message again under its
    key. Call it with `next` until that is None.
    """
    raw = tx.connection
    rows = await raw.fetch(
        """
        SELECT d.id, d.decided_at, o.id AS message,
               (o.id IS NULL OR o.state IN ('sent', 'refused', 'failed', 'unknown')
                AND coalesce(o.sent_at, greatest(o.created_at, o.due_at)) < $1)
               AND d.purpose <> 'service' AS over
        FROM outreach_decision d LEFT JOIN outbox o ON o.decision_id = d.id
        WHERE d.decided_at < $1
          AND (d.decided_at, d.id) > (coalesce($2::timestamptz, '-infinity'::timestamptz), $3::bigint)
        ORDER BY d.decided_at, d.id LIMIT $4
        """,
        before,
        None if after is None else after[0],
        0 if after is None else after[1],
        limit,
    )
    over = [row for row in rows if row["over"]]
    # An end is never left again, so what was over when it was looked at still is.
    messages = await raw.fetch(
        "DELETE FROM outbox WHERE id = ANY($1::bigint[]) RETURNING id",
        sorted(row["message"] for row in over if row["message"] is not None),
    )
    decisions = await raw.fetch(
        "DELETE FROM outreach_decision WHERE id = ANY($1::bigint[]) RETURNING id", sorted(row["id"] for row in over)
    )
    last = rows[-1] if len(rows) == limit else None
    return Pruned(len(decisions), len(messages), None if last is None else (last["decided_at"], last["id"]))
