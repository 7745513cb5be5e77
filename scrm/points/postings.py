"""What ledger entries are made of: the entry, its postings, what it draws from lots. The commands are in ledger.py.

Whoever calls these has locked the balances concerned (scrm.points.holders), so lots and balances stand still.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from scrm.db import Connection
from scrm.errors import Conflict, DomainError, Invalid

POINTS, GROWTH = "points", "growth"
# Another kind of value is one more name here. Its holders must be members too, or scrm.points.holders learns of it.
ASSETS = frozenset({POINTS, GROWTH})
# Sums of as many movements as a machine can book stay within a bigint.
LARGEST = 10**12


class NotEnough(DomainError):  # noqa: N818  # reads as the answer it becomes
    """A spend is larger than what the person has, less what they owe."""

    status = 409
    code = "not_enough"
    title = "积分不足"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a movement comes from, as a statement shows it (mission A095)."""

    description: str
    platform: str
    occurred_at: datetime
    event_key: UUID | None = None
    rule: str = ""
    rule_version: int | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A movement about to be entered; `amount` is signed as the holder's statement shows it."""

    key: UUID
    kind: str
    asset: str
    holder_id: int
    amount: int
    origin: Origin
    now: datetime
    undoes_id: int | None = None


class Posting(NamedTuple):
    """One side of an entry; `holder_id` is the home of a `holder` or `debt` posting, else None."""

    entry_id: int
    asset: str
    account: str
    holder_id: int | None
    amount: int


class Draw(NamedTuple):
    """What an entry takes from a lot."""

    entry_id: int
    lot_id: int
    amount: int


def check(asset: str, amount: int) -> None:
    """Raise Invalid, naming the field, for an unknown asset or an amount that is not above zero (or beyond sense)."""
    if asset not in ASSETS:
        raise Invalid("没有这种资产", field="asset")
    if amount <= 0:
        raise Invalid("数额必须大于零", field="amount")
    if amount > LARGEST:
        raise Invalid("数额太大", field="amount")


_ENTER = """
INSERT INTO ledger_entry (key, kind, asset, holder_id, amount, description, platform, event_key, rule, rule_version,
                          day, undoes_id, occurred_at, recorded_at)
SELECT * FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::uuid[], $9::text[],
    $10::int[], $11::date[], $12::bigint[], $13::timestamptz[], $14::timestamptz[]
)
ON CONFLICT (key) DO NOTHING RETURNING key, id
"""


async def enter(raw: Connection, entries: Sequence[Entry]) -> dict[UUID, int]:
    """Insert entries, whose keys differ, and return the ids of those that are new, by key.

    Raises Conflict when a key is there for another kind of movement: then it does not say that this one happened.
    """
    rows = await raw.fetch(
        _ENTER,
        [e.key for e in entries],
        [e.kind for e in entries],
        [e.asset for e in entries],
        [e.holder_id for e in entries],
        [e.amount for e in entries],
        [e.origin.description[:200] for e in entries],
        [e.origin.platform[:32] for e in entries],
        [e.origin.event_key for e in entries],
        [e.origin.rule for e in entries],
        [e.origin.rule_version for e in entries],
        [e.origin.day for e in entries],
        [e.undoes_id for e in entries],
        [e.origin.occurred_at for e in entries],
        [e.now for e in entries],
    )
    made: dict[UUID, int] = {row["key"]: row["id"] for row in rows}
    if known := [e for e in entries if e.key not in made]:
        foreign = await raw.fetchval(
            """
            SELECT 1 FROM unnest($1::uuid[], $2::text[]) AS w (key, kind)
            JOIN ledger_entry e ON e.key = w.key AND e.kind <> w.kind LIMIT 1
            """,
            [e.key for e in known],
            [e.kind for e in known],
        )
        if foreign is not None:
            raise Conflict("这个业务键已用于另一种变动", field="key")
    return made


_BOOK = """
WITH p AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
        AS p (entry_id, asset, account, holder_id, amount)
), sums AS (
    SELECT holder_id, asset,
           coalesce(sum(amount) FILTER (WHERE account = 'holder'), 0) AS balance,
           coalesce(sum(amount) FILTER (WHERE account = 'debt'), 0) AS debt
    FROM p WHERE holder_id IS NOT NULL GROUP BY holder_id, asset
), kept AS (
    UPDATE ledger_balance b SET balance = b.balance + s.balance, debt = b.debt - s.debt
    FROM sums s WHERE b.holder_id = s.holder_id AND b.asset = s.asset
)
INSERT INTO ledger_posting (entry_id, asset, account, holder_id, amount)
SELECT entry_id, asset, account, holder_id, amount FROM p
"""


async def book(raw: Connection, postings: Iterable[Posting]) -> None:
    """Write postings and add them to the balances they concern; postings of nothing are left out."""
    real = [posting for posting in postings if posting.amount != 0]
    if real:
        await raw.execute(_BOOK, *map(list, zip(*real, strict=True)))


async def take(raw: Connection, draws: Sequence[Draw], *, expiries: int = 0) -> None:
    """Take from lots; `expiries` is added to their count of expiries."""
    if draws:
        await raw.execute(
            """
            WITH d AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS d (entry_id, lot_id, amount)),
                 taken AS (
                     UPDATE ledger_lot l SET remaining = l.remaining - d.amount, expiries = l.expiries + $4
                     FROM d WHERE l.id = d.lot_id
                 )
            INSERT INTO ledger_draw (entry_id, lot_id, amount) SELECT entry_id, lot_id, amount FROM d
            """,
            *map(list, zip(*draws, strict=True)),
            expiries,
        )


# A few lots of each home, oldest first, from the partial index, however many lots the homes have.
_OLDEST = """
SELECT l.id, l.holder_id, l.remaining, l.earned_at
FROM unnest($1::bigint[]) AS h (id) CROSS JOIN LATERAL (
    SELECT id, holder_id, remaining, earned_at FROM ledger_lot
    WHERE holder_id = h.id AND asset = $2 AND remaining > 0 AND (earned_at, id) > ($3, $4)
    ORDER BY earned_at, id LIMIT $5
) l
ORDER BY l.earned_at, l.id LIMIT $5
"""
_EVER = datetime.fromisoformat("0001-01-02T00:00:00Z")


async def draw(
    raw: Connection, entry_id: int, homes: Sequence[int], asset: str, amount: int, *, first: UUID | None = None
) -> dict[int, int]:
    """Take up to `amount` from lots, the one of the award `first` and then the oldest; returns it by home."""
    draws: list[Draw] = []
    drawn: dict[int, int] = {}

    def use(lot_id: int, home: int, remaining: int) -> None:
        nonlocal amount
        part = min(amount, remaining)
        amount -= part
        draws.append(Draw(entry_id, lot_id, part))
        drawn[home] = drawn.get(home, 0) + part

    preferred = None
    if first is not None and amount:
        preferred = await raw.fetchrow(
            """
            SELECT l.id, l.holder_id, l.remaining FROM ledger_lot l JOIN ledger_entry e ON e.id = l.entry_id
            WHERE e.key = $1 AND l.holder_id = ANY($2::bigint[]) AND l.asset = $3 AND l.remaining > 0
            """,
            first,
            list(homes),
            asset,
        )
        if preferred is not None:
            use(preferred["id"], preferred["holder_id"], preferred["remaining"])
    seen, limit = (_EVER, 0), 32
    while amount:
        lots = await raw.fetch(_OLDEST, list(homes), asset, *seen, limit)
        for lot in lots:
            if amount and (preferred is None or lot["id"] != preferred["id"]):
                use(lot["id"], lot["holder_id"], lot["remaining"])
        if len(lots) < limit:
            break
        seen, limit = (lots[-1]["earned_at"], lots[-1]["id"]), min(limit * 4, 4096)
    await take(raw, draws)
    return drawn
