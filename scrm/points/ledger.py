"""The ledger's commands: award, spend, claw back, expire, undo. Nothing else moves a value (law 3).

Every command has a business key and runs once however often it is called. An entry's postings add up to zero:

* award:    expense −a, holder +a; while the person owes, debt +r and holder +(a−r)
* spend:    holder −s (drawn from lots, oldest first), redeemed +s
* clawback: holder −h as far as there is something, debt −(c−h), expense +c
* expire:   holder −e, expired +e
* undo:     the mirror image of a spend, back into the same lots; what the person owes is repaid from it at once

A person is all homes merged into one member (scrm.members.models): lots and debts stay with the home they arose
at, so a split takes them apart again, while spending and repaying go over all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, NotFound
from scrm.points.postings import (
    GROWTH,
    POINTS,
    NotEnough,
    Origin,
    check,
    draw,
    enter,
    expire,
    homes_of,
    lock,
    lock_rows,
    owed,
    post,
    repay,
)

__all__ = [
    "GROWTH",
    "POINTS",
    "Award",
    "Holding",
    "NotEnough",
    "Origin",
    "award",
    "award_many",
    "claw_back",
    "expire_due",
    "give",
    "holding",
    "homes_of",
    "spend",
    "undo_spend",
]


@dataclass(frozen=True, slots=True)
class Holding:
    """What a person has and owes of one asset."""

    balance: int
    debt: int

    @property
    def spendable(self) -> int:
        """What may be spent: what there is, less what is owed."""
        return max(0, self.balance - self.debt)


@dataclass(frozen=True, slots=True)
class Award:
    """One award of many: the arguments of `award`."""

    key: UUID
    holder_id: int
    asset: str
    amount: int
    origin: Origin
    now: datetime
    expires_at: datetime | None = None


@command
async def award(
    tx: Transaction,
    *,
    key: UUID,
    holder_id: int,
    asset: str,
    amount: int,
    origin: Origin,
    now: datetime,
    expires_at: datetime | None = None,
) -> bool:
    """Give `amount` (> 0) to a home member; False when this key was awarded before. Debts are repaid first."""
    return await give(tx.connection, Award(key, holder_id, asset, amount, origin, now, expires_at))


async def give(raw: Connection, given: Award) -> bool:
    """Give one award in the caller's transaction; False when its key was there."""
    check(given.asset, given.amount)
    homes = await lock(raw, given.holder_id, given.asset, given.now)
    made = await enter(raw, given.key, "award", given.asset, given.holder_id, given.amount, given.origin, given.now)
    if made is None:
        return False
    repaid = await repay(raw, made, given.asset, homes, given.amount)
    left = given.amount - repaid
    await post(raw, made, given.asset, [("expense", None, -given.amount), ("holder", given.holder_id, left)])
    if left:
        await raw.execute(
            """
            INSERT INTO ledger_lot (entry_id, holder_id, asset, amount, remaining, earned_at, expires_at)
            VALUES ($1, $2, $3, $4, $4, $5, $6)
            """,
            made,
            given.holder_id,
            given.asset,
            left,
            given.origin.occurred_at,
            given.expires_at,
        )
    return True


_AWARD_MANY = """
WITH i AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::int[],
        $10::date[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[]
    ) AS i (key, holder_id, asset, amount, description, platform, event_key, rule, rule_version, day, occurred_at,
            recorded_at, expires_at)
), entry AS (
    INSERT INTO ledger_entry (key, kind, asset, holder_id, amount, description, platform, event_key, rule,
                              rule_version, day, occurred_at, recorded_at)
    SELECT key, 'award', asset, holder_id, amount, description, platform, event_key, rule, rule_version, day,
           occurred_at, recorded_at
    FROM i ORDER BY key
    ON CONFLICT (key) DO NOTHING RETURNING id, key, asset, holder_id, amount, occurred_at
), posting AS (
    INSERT INTO ledger_posting (entry_id, asset, account, holder_id, amount)
    SELECT id, asset, 'expense', NULL, -amount FROM entry
    UNION ALL SELECT id, asset, 'holder', holder_id, amount FROM entry
), lot AS (
    INSERT INTO ledger_lot (entry_id, holder_id, asset, amount, remaining, earned_at, expires_at)
    SELECT e.id, e.holder_id, e.asset, e.amount, e.amount, e.occurred_at, i.expires_at FROM entry e JOIN i USING (key)
), balance AS (
    INSERT INTO ledger_balance (holder_id, asset, balance)
    SELECT holder_id, asset, sum(amount) FROM entry GROUP BY holder_id, asset ORDER BY holder_id, asset
    ON CONFLICT (holder_id, asset) DO UPDATE SET balance = ledger_balance.balance + excluded.balance
)
SELECT key FROM entry
"""


async def award_many(raw: Connection, awards: Sequence[Award]) -> list[bool]:
    """Give many awards in the caller's transaction (a group commit); each is True when it was new.

    Those of people who owe something take the single way, which repays first; the others share one statement.
    """
    for given in awards:
        check(given.asset, given.amount)
    owing = {
        row["id"]
        for row in await raw.fetch(
            """
            SELECT m.id FROM member m
            JOIN member h ON coalesce(h.merged_into_id, h.id) = coalesce(m.merged_into_id, m.id)
            JOIN ledger_balance b ON b.holder_id = h.id AND b.debt > 0
            WHERE m.id = ANY($1::bigint[])
            """,
            list({given.holder_id for given in awards}),
        )
    }
    first: dict[UUID, Award] = {}
    for given in awards:
        first.setdefault(given.key, given)
    many = [given for given in first.values() if given.holder_id not in owing]
    fresh = {row["key"] for row in await raw.fetch(_AWARD_MANY, *_columns(many))} if many else set()
    for given in first.values():
        if given.holder_id in owing and await give(raw, given):
            fresh.add(given.key)
    return [given.key in fresh and first[given.key] is given for given in awards]


def _columns(awards: Sequence[Award]) -> list[list[object]]:
    return [
        [a.key for a in awards],
        [a.holder_id for a in awards],
        [a.asset for a in awards],
        [a.amount for a in awards],
        [a.origin.description[:200] for a in awards],
        [a.origin.platform[:32] for a in awards],
        [a.origin.event_key for a in awards],
        [a.origin.rule for a in awards],
        [a.origin.rule_version for a in awards],
        [a.origin.day for a in awards],
        [a.origin.occurred_at for a in awards],
        [a.now for a in awards],
        [a.expires_at for a in awards],
    ]


@command
async def spend(
    tx: Transaction, *, key: UUID, holder_id: int, asset: str, amount: int, origin: Origin, now: datetime
) -> bool:
    """Take `amount` (> 0) from a person's lots, oldest first; False when this key was spent before.

    Lots whose expiry has come are not spent, whether or not they were swept yet. Raises NotEnough.
    """
    raw = tx.connection
    check(asset, amount)
    homes = await lock(raw, holder_id, asset, now)
    made = await enter(raw, key, "spend", asset, holder_id, -amount, origin, now)
    if made is None:
        return False
    debt = await owed(raw, homes, asset)
    drawn = await draw(raw, made, homes, asset, amount + debt, take=amount)
    await post(raw, made, asset, [*(("holder", home, -taken) for home, taken in drawn), ("redeemed", None, amount)])
    return True


@command
async def claw_back(
    tx: Transaction,
    *,
    key: UUID,
    holder_id: int,
    asset: str,
    amount: int,
    origin: Origin,
    now: datetime,
    award_key: UUID | None = None,
) -> bool:
    """Take back `amount` (> 0): from the lot of `award_key` first, then the oldest, and the rest becomes a debt.

    False when this key was clawed back before.
    """
    raw = tx.connection
    check(asset, amount)
    homes = await lock(raw, holder_id, asset, now)
    made = await enter(raw, key, "clawback", asset, holder_id, -amount, origin, now)
    if made is None:
        return False
    first = await raw.fetchval(
        "SELECT l.id FROM ledger_lot l JOIN ledger_entry e ON e.id = l.entry_id WHERE e.key = $1", award_key
    )
    drawn = await draw(raw, made, homes, asset, 0, take=amount, first=first, all_or_nothing=False)
    missing = amount - sum(taken for _, taken in drawn)
    await post(
        raw,
        made,
        asset,
        [
            *(("holder", home, -taken) for home, taken in drawn),
            ("debt", holder_id, -missing),
            ("expense", None, amount),
        ],
    )
    return True


@command
async def undo_spend(tx: Transaction, *, key: UUID, spend_key: UUID, origin: Origin, now: datetime) -> bool:
    """Give back what a spend took, to the same lots with their old expiry; False when it was undone before.

    What the person owes is repaid from it at once. Raises NotFound for an unknown spend.
    """
    raw = tx.connection
    spent = await raw.fetchrow(
        "SELECT id, asset, holder_id, amount FROM ledger_entry WHERE key = $1 AND kind = 'spend'", spend_key
    )
    if spent is None:
        raise NotFound("没有这笔消费", field="spend")
    homes = await lock(raw, spent["holder_id"], spent["asset"], now)
    if await raw.fetchval("SELECT 1 FROM ledger_entry WHERE undoes_id = $1", spent["id"]):
        return False
    made = await enter(
        raw, key, "undo", spent["asset"], spent["holder_id"], -spent["amount"], origin, now, undoes=spent["id"]
    )
    if made is None:
        return False
    restored = await raw.fetch(
        """
        UPDATE ledger_lot l SET remaining = l.remaining + d.amount
        FROM ledger_draw d WHERE d.entry_id = $1 AND l.id = d.lot_id
        RETURNING l.holder_id, d.amount
        """,
        spent["id"],
    )
    await post(
        raw,
        made,
        spent["asset"],
        [("redeemed", None, spent["amount"]), *(("holder", row["holder_id"], row["amount"]) for row in restored)],
    )
    debt = await owed(raw, homes, spent["asset"])
    if debt:
        back = min(debt, -spent["amount"])
        drawn = await draw(raw, made, homes, spent["asset"], 0, take=back, all_or_nothing=False)
        repaid = await repay(raw, made, spent["asset"], homes, sum(taken for _, taken in drawn))
        if repaid != sum(taken for _, taken in drawn):
            raise Conflict("欠账与余额不符")
        await post(raw, made, spent["asset"], [("holder", home, -taken) for home, taken in drawn])
    return True


@command
async def expire_due(tx: Transaction, *, now: datetime, limit: int = 1000) -> int:
    """Let lots go whose expiry has come, at most those of `limit` holders; returns how many holders that were."""
    due = await tx.connection.fetch(
        """
        SELECT holder_id, asset FROM ledger_lot WHERE expires_at <= $1 AND remaining > 0
        GROUP BY holder_id, asset ORDER BY holder_id, asset LIMIT $2
        """,
        now,
        limit,
    )
    for row in due:
        await lock_rows(tx.connection, [row["holder_id"]], row["asset"])
        await expire(tx.connection, [row["holder_id"]], row["asset"], now)
    return len(due)


async def holding(raw: Connection, member_id: int, asset: str, now: datetime) -> Holding:
    """Return what the person that a member is has and owes; what expired but was not swept yet is not counted."""
    row = await raw.fetchrow(
        """
        SELECT coalesce(sum(b.balance - coalesce(gone.amount, 0)), 0)::bigint AS balance,
               coalesce(sum(b.debt), 0)::bigint AS debt
        FROM ledger_balance b
        LEFT JOIN LATERAL (
            SELECT sum(l.remaining) AS amount FROM ledger_lot l
            WHERE l.holder_id = b.holder_id AND l.asset = b.asset AND l.remaining > 0 AND l.expires_at <= $3
        ) gone ON true
        WHERE b.asset = $2 AND b.holder_id = ANY($1::bigint[])
        """,
        await homes_of(raw, member_id),
        asset,
        now,
    )
    return Holding(row["balance"], row["debt"])
