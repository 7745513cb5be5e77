"""Awards that mature later: promised by an event, paid when due, lowered or cancelled by a return or a verdict.

A promise is a row of `pending_award` under the key of the award it becomes. `amount` is what was promised,
`withdrawn` what was taken back since, before the payment or after it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from kit.ids import key_of
from scrm.db import Connection, Transaction, command
from scrm.errors import Invalid
from scrm.points import levels
from scrm.points.awards import Award, award_many
from scrm.points.holders import lock
from scrm.points.ledger import take_back
from scrm.points.postings import GROWTH, Origin, check


@dataclass(frozen=True, slots=True)
class Promise:
    """One award to be paid at `due_at`. `origin` needs event_key, rule, rule_version and day.

    `subject` is what a later event names to lower or cancel it, such as "order:17". The award counts as earned at
    `due_at`, and expires `expires_after_days` after it, however late the payment runs.
    """

    key: UUID
    holder_id: int
    asset: str
    amount: int
    origin: Origin
    subject: str
    due_at: datetime
    now: datetime
    expires_after_days: int | None = None


@dataclass(frozen=True, slots=True)
class Promised:
    """A promise as it stands: `amount` is what is left of it; `state` is pending, paid or cancelled."""

    key: UUID
    holder_id: int
    asset: str
    amount: int
    state: str
    rule: str
    due_at: datetime


async def promise(raw: Connection, promised: Promise) -> bool:
    """Promise an award in the caller's transaction; False when its key was promised before.

    Raises Invalid, naming the field; what is promised here can be paid.
    """
    check(promised.asset, promised.amount)
    if not 0 < len(promised.subject) <= 64:
        raise Invalid("必须有 1 到 64 个字符", field="subject")
    origin = promised.origin
    made = await raw.fetchval(
        """
        INSERT INTO pending_award (key, asset, holder_id, amount, description, platform, event_key, rule, rule_version,
                                   day, subject, state, due_at, created_at, expires_after_days)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', $12, $13, $14)
        ON CONFLICT (key) DO NOTHING RETURNING id
        """,
        promised.key,
        promised.asset,
        promised.holder_id,
        promised.amount,
        origin.description[:200],
        origin.platform[:32],
        origin.event_key,
        origin.rule,
        origin.rule_version,
        origin.day,
        promised.subject,
        promised.due_at,
        promised.now,
        promised.expires_after_days,
    )
    return made is not None


async def of_subject(raw: Connection, subject: str) -> list[Promised]:
    """Return all promises that a subject caused, whatever became of them, in the order they were made."""
    rows = await raw.fetch(
        """
        SELECT key, holder_id, asset, amount - withdrawn AS amount, state, rule, due_at FROM pending_award
        WHERE subject = $1 ORDER BY id
        """,
        subject,
    )
    return [Promised(**dict(row)) for row in rows]


async def reduce(raw: Connection, *, key: UUID, to: int, reason: str, origin: Origin, now: datetime) -> int:
    """Let only `to` (≥ 0) of a promise stand, in the caller's transaction; returns how much that took away.

    What is pending is lowered, and cancelled when nothing is left; what was paid is clawed back, its own lot first,
    the rest as a debt (`origin` is the clawback's). `to` is a level, not a step: the caller computes it from all
    returns so far, so a repeated or late event changes nothing. An unknown key takes nothing away.
    """
    if to < 0:
        raise Invalid("不能小于零", field="to")
    return await _lower(raw, await _lock(raw, "key = $1", key), to, reason, origin, now)


async def cancel(raw: Connection, *, subject: str, reason: str, origin: Origin, now: datetime) -> int:
    """Let nothing of what a subject caused stand, as `reduce` to 0; returns how much that took away."""
    return await _lower(raw, await _lock(raw, "subject = $1", subject), 0, reason, origin, now)


async def _lock(raw: Connection, condition: str, value: object) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await raw.fetch(
        f"""
        SELECT id, key, holder_id, asset, amount, withdrawn, state FROM pending_award
        WHERE {condition} ORDER BY id FOR NO KEY UPDATE
        """,  # noqa: S608  # one of two conditions, both written above
        value,
    )
    return rows


async def _lower(
    raw: Connection, rows: list[asyncpg.Record], to: int, reason: str, origin: Origin, now: datetime
) -> int:
    taken = 0
    await lock(raw, [(row["holder_id"], row["asset"]) for row in rows if row["state"] == "paid"], now)
    for row in rows:
        away = row["amount"] - row["withdrawn"] - to
        if row["state"] == "cancelled" or away <= 0:
            continue
        if row["state"] == "paid":
            key = key_of("reduce", row["key"], to)
            await take_back(raw, key, row["holder_id"], row["asset"], away, origin, now, award_key=row["key"])
        await raw.execute(
            """
            UPDATE pending_award SET withdrawn = withdrawn + $2, reason = $3,
                state = CASE WHEN state = 'pending' AND amount = withdrawn + $2 THEN 'cancelled' ELSE state END,
                settled_at = CASE WHEN state = 'pending' AND amount = withdrawn + $2 THEN $4 ELSE settled_at END
            WHERE id = $1
            """,
            row["id"],
            away,
            reason[:64],
            now,
        )
        taken += away
    return taken


@command
async def mature_due(tx: Transaction, *, now: datetime, limit: int = 1000) -> int:
    """Pay promises that are due, at most `limit` of them in this transaction; returns how many.

    Call it until it returns less than `limit`. Several workers may: each takes what no other has claimed, and one
    that is killed leaves everything as it was.
    """
    raw = tx.connection
    rows = await raw.fetch(
        """
        SELECT * FROM pending_award WHERE state = 'pending' AND due_at <= $1
        ORDER BY due_at, id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
        """,
        now,
        limit,
    )
    await award_many(raw, [_award(row, now) for row in rows])
    await levels.settle(raw, [row["holder_id"] for row in rows if row["asset"] == GROWTH], now)
    await raw.execute(
        "UPDATE pending_award SET state = 'paid', settled_at = $2 WHERE id = ANY($1::bigint[])",
        [row["id"] for row in rows],
        now,
    )
    return len(rows)


def _award(row: asyncpg.Record, now: datetime) -> Award:
    days = row["expires_after_days"]
    origin = Origin(
        row["description"],
        row["platform"],
        row["due_at"],
        row["event_key"],
        row["rule"],
        row["rule_version"],
        row["day"],
    )
    return Award(
        row["key"],
        row["holder_id"],
        row["asset"],
        row["amount"] - row["withdrawn"],
        origin,
        now,
        row["due_at"] + timedelta(days=days) if days is not None else None,
    )
