"""Reading the ledger: what a person has and owes, their statement, and what is still to come."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from scrm import db
from scrm.db import Connection
from scrm.points.holders import HOMES, Holding


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement (mission A095). `occurred_at` is shown to the second, `amount` with its sign.

    `owed` is the part of it that is a debt: below zero it became one, above zero it repaid one.
    """

    id: int
    occurred_at: datetime
    amount: int
    owed: int
    kind: str
    description: str
    platform: str
    event_key: UUID | None
    rule: str


@dataclass(frozen=True, slots=True)
class Coming:
    """An award that matures later (待到账)."""

    id: int
    due_at: datetime
    amount: int
    description: str
    event_key: UUID


_HOLDING = f"""
SELECT coalesce(sum(b.balance - coalesce(gone.amount, 0)), 0)::bigint AS balance,
       coalesce(sum(b.debt), 0)::bigint AS debt
FROM ledger_balance b
LEFT JOIN LATERAL (
    SELECT sum(l.remaining) AS amount FROM ledger_lot l
    WHERE l.holder_id = b.holder_id AND l.asset = b.asset AND l.remaining > 0 AND l.expires_at <= $3
) gone ON true
WHERE b.asset = $2 AND b.holder_id = ANY(ARRAY({HOMES}))
"""  # noqa: S608  # our own text


async def holding(raw: Connection, member_id: int, asset: str, now: datetime) -> Holding:
    """Return what the person that a member is has and owes; what expired but was not swept yet is not counted."""
    row = await raw.fetchrow(_HOLDING, member_id, asset, now)
    return Holding(row["balance"], row["debt"])


# Lines come from postings, not from entries: while homes are merged one home's entry may move another's value,
# and after a split each home's lines still add up to what it has and owes.
_STATEMENT = f"""
SELECT e.id, e.occurred_at, p.amount, p.owed, e.kind, e.description, e.platform, e.event_key, e.rule
FROM (
    SELECT o.entry_id, sum(o.amount)::bigint AS amount, sum(o.owed)::bigint AS owed
    FROM ({HOMES}) h CROSS JOIN LATERAL (
        SELECT entry_id, sum(amount) AS amount,
               coalesce(sum(amount) FILTER (WHERE account = 'debt'), 0) AS owed
        FROM ledger_posting
        WHERE holder_id = h.id AND asset = $2 AND entry_id < $3
        GROUP BY entry_id ORDER BY entry_id DESC LIMIT $4
    ) o
    GROUP BY o.entry_id ORDER BY o.entry_id DESC LIMIT $4
) p JOIN ledger_entry e ON e.id = p.entry_id
ORDER BY e.id DESC
"""  # noqa: S608  # our own text

_COMING = f"""
SELECT id, due_at, amount - withdrawn AS amount, description, event_key FROM pending_award
WHERE holder_id = ANY(ARRAY({HOMES})) AND asset = $2 AND state = 'pending'
  AND ($3::timestamptz IS NULL OR (due_at, id) > ($3, $4::bigint))
ORDER BY due_at, id LIMIT $5
"""  # noqa: S608  # our own text


async def statement(member_id: int, asset: str, *, before: int | None = None, limit: int = 50) -> list[Line]:
    """Return a page of a person's statement over all homes, newest first; `before` is the id of the last line seen.

    The order is that of booking, in which balances changed; the time of a line is when the thing happened. All
    lines together add up to balance less debt.
    """
    rows = await db.fetch(_STATEMENT, member_id, asset, 2**63 - 1 if before is None else before, limit)
    return [Line(**dict(row)) for row in rows]


async def coming(
    member_id: int, asset: str, *, after: tuple[datetime, int] | None = None, limit: int = 50
) -> list[Coming]:
    """Return what a person was promised and has not got yet, the soonest first; `after` is the last (due_at, id)."""
    rows = await db.fetch(_COMING, member_id, asset, *(after or (None, 0)), limit)
    return [Coming(**dict(row)) for row in rows]
