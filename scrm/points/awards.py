"""Giving: one award or many in one transaction, debts repaid first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from scrm.db import Connection
from scrm.points.holders import lock
from scrm.points.postings import Entry, Origin, Posting, book, check, enter


@dataclass(frozen=True, slots=True)
class Award:
    """One award: `amount` (> 0) for a home member. `origin.occurred_at` is when it was earned: what is spent first."""

    key: UUID
    holder_id: int
    asset: str
    amount: int
    origin: Origin
    now: datetime
    expires_at: datetime | None = None


async def give(raw: Connection, given: Award) -> bool:
    """Give one award in the caller's transaction; False when its key was there. Raises Invalid."""
    return (await award_many(raw, [given]))[0]


async def award_many(raw: Connection, awards: Sequence[Award]) -> list[bool]:
    """Give many awards in the caller's transaction (a group commit, an event of two people); True for the new ones.

    What a person owes is repaid from an award before anything becomes a lot. Raises Invalid, naming the field.
    """
    first: dict[UUID, Award] = {}
    for given in awards:
        check(given.asset, given.amount)
        first.setdefault(given.key, given)
    if not first:
        return []
    locked = await lock(raw, ((a.holder_id, a.asset) for a in first.values()), max(a.now for a in awards))
    made = await enter(
        raw, [Entry(a.key, "award", a.asset, a.holder_id, a.amount, a.origin, a.now) for a in first.values()]
    )
    postings: list[Posting] = []
    lots: list[tuple[int, int, str, int, datetime, datetime | None]] = []
    for key, entry_id in made.items():
        a = first[key]
        repaid = locked.repay(entry_id, a.holder_id, a.asset, a.amount)
        left = a.amount - sum(posting.amount for posting in repaid)
        postings += [
            Posting(entry_id, a.asset, "expense", None, -a.amount),
            *repaid,
            Posting(entry_id, a.asset, "holder", a.holder_id, left),
        ]
        if left:
            lots.append((entry_id, a.holder_id, a.asset, left, a.origin.occurred_at, a.expires_at))
    await book(raw, postings)
    if lots:
        await raw.execute(
            """
            INSERT INTO ledger_lot (entry_id, holder_id, asset, amount, remaining, earned_at, expires_at)
            SELECT entry_id, holder_id, asset, amount, amount, earned_at, expires_at
            FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
                AS l (entry_id, holder_id, asset, amount, earned_at, expires_at)
            """,
            *map(list, zip(*lots, strict=True)),
        )
    return [given.key in made and first[given.key] is given for given in awards]
