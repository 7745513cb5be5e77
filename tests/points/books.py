"""What the tests of the ledger share: people, origins, and the audit that must find nothing at any time."""

from collections.abc import Sequence
from datetime import datetime

from scrm import db
from scrm.db import transaction
from scrm.points.postings import Origin
from tests.conftest import START

# Each finds what must never be. They know the tables only, none of the ledger's code.
AUDIT = {
    "the postings of an entry do not add up to zero": """
        SELECT e.id FROM ledger_entry e LEFT JOIN ledger_posting p ON p.entry_id = e.id
        GROUP BY e.id HAVING coalesce(sum(p.amount), 1) <> 0
    """,
    "a posting has no entry, or another asset than its entry": """
        SELECT p.id FROM ledger_posting p LEFT JOIN ledger_entry e ON e.id = p.entry_id
        WHERE e.id IS NULL OR e.asset <> p.asset
    """,
    "the amount of an entry is not what the postings of its people say": """
        SELECT e.id FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id AND p.holder_id IS NOT NULL
        GROUP BY e.id HAVING sum(p.amount) <> e.amount
    """,
    "a balance is not the sum of its postings": """
        SELECT coalesce(b.holder_id, p.holder_id), b.balance, b.debt, p.balance, p.debt
        FROM ledger_balance b FULL JOIN (
            SELECT holder_id, asset, coalesce(sum(amount) FILTER (WHERE account = 'holder'), 0) AS balance,
                   coalesce(-sum(amount) FILTER (WHERE account = 'debt'), 0) AS debt
            FROM ledger_posting WHERE holder_id IS NOT NULL GROUP BY holder_id, asset
        ) p ON p.holder_id = b.holder_id AND p.asset = b.asset
        WHERE (coalesce(b.balance, 0), coalesce(b.debt, 0)) <> (coalesce(p.balance, 0), coalesce(p.debt, 0))
    """,
    "a balance is not the sum of its lots": """
        SELECT coalesce(b.holder_id, l.holder_id) FROM ledger_balance b FULL JOIN (
            SELECT holder_id, asset, sum(remaining) AS remaining FROM ledger_lot GROUP BY holder_id, asset
        ) l ON l.holder_id = b.holder_id AND l.asset = b.asset
        WHERE coalesce(b.balance, 0) <> coalesce(l.remaining, 0)
    """,
    "a lot is not what was drawn from it": """
        SELECT l.id FROM ledger_lot l LEFT JOIN (
            SELECT d.lot_id, sum(d.amount) AS amount FROM ledger_draw d
            WHERE NOT EXISTS (SELECT FROM ledger_entry u WHERE u.undoes_id = d.entry_id) GROUP BY d.lot_id
        ) d ON d.lot_id = l.id
        WHERE l.amount - l.remaining <> coalesce(d.amount, 0)
    """,
    "a spend is undone twice": """
        SELECT undoes_id FROM ledger_entry WHERE undoes_id IS NOT NULL GROUP BY undoes_id HAVING count(*) > 1
    """,
    "a paid promise has no award of what it stood at, or an unpaid one has": """
        SELECT p.id FROM pending_award p LEFT JOIN ledger_entry e ON e.key = p.key
        WHERE (p.state = 'paid') <> (e.id IS NOT NULL)
           OR p.state = 'paid' AND p.amount - p.withdrawn > e.amount
    """,
}


_ALL = " UNION ALL ".join(
    f"(SELECT '{what}', x::text FROM ({sql}) x)"  # noqa: S608  # all of it is written above
    for what, sql in AUDIT.items()
)


async def audit() -> None:
    """Check the whole database's ledger; fails with all that it finds."""
    assert [tuple(row) for row in await db.fetch(_ALL)] == []


async def make_members(count: int) -> list[int]:
    """Make members nobody knows by any openid and return their ids, in order."""
    async with transaction() as tx:
        rows = await tx.connection.fetch(
            "INSERT INTO member (created_at) SELECT $1 FROM generate_series(1, $2) RETURNING id", START, count
        )
    return [row["id"] for row in rows]


async def merge(kept: int, absorbed: Sequence[int]) -> None:
    """Point members to the one they turned out to be, as scrm.members does."""
    await db.fetch("UPDATE member SET merged_into_id = $1 WHERE id = ANY($2::bigint[])", kept, list(absorbed))


async def split(home: int) -> None:
    """Make a merged member its own person again: a split only clears the pointer."""
    await db.fetch("UPDATE member SET merged_into_id = NULL WHERE id = $1", home)


def origin(occurred_at: datetime = START, description: str = "每日签到", platform: str = "小程序") -> Origin:
    """Return where a movement comes from."""
    return Origin(description, platform, occurred_at)
