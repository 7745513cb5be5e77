"""Whose balances a command moves: a person's homes, their locks in the one order, and what has expired there.

Lots, balances and debts change only under the lock of their balance row. Every command locks all rows it needs
at once, here, before anything else; so two commands never wait for each other in a circle.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from uuid import UUID

from kit.ids import key_of
from scrm.db import Connection
from scrm.points.postings import GROWTH, POINTS, Draw, Entry, Origin, Posting, book, enter, take

EXPIRED = {POINTS: "积分过期", GROWTH: "成长值过期"}
SYSTEM = "系统"


@dataclass(frozen=True, slots=True)
class Holding:
    """What somebody has and owes of one asset."""

    balance: int
    debt: int

    @property
    def spendable(self) -> int:
        """What may be spent: what there is, less what is owed."""
        return max(0, self.balance - self.debt)


@dataclass(slots=True)
class Locked:
    """Locked balances: by home, all homes of its person, the oldest first, and what each home has and owes."""

    homes: dict[int, list[int]]
    sums: dict[tuple[int, str], Holding] = field(default_factory=dict)

    def of(self, holder_id: int, asset: str) -> Holding:
        """Return what the person has and owes over all homes."""
        own = [self.sums[home, asset] for home in self.homes[holder_id]]
        return Holding(sum(one.balance for one in own), sum(one.debt for one in own))

    def repay(self, entry_id: int, holder_id: int, asset: str, amount: int) -> list[Posting]:
        """Return postings that repay the person's debts, the oldest home's first, with at most `amount`."""
        postings = []
        for home in self.homes[holder_id]:
            has = self.sums[home, asset]
            part = min(amount, has.debt)
            if part:
                self.sums[home, asset] = Holding(has.balance, has.debt - part)
                postings.append(Posting(entry_id, asset, "debt", home, part))
                amount -= part
        return postings


_PEOPLE = """
SELECT id, merged_into_id FROM member
WHERE id IN (SELECT coalesce(merged_into_id, id) FROM member WHERE id = ANY($1::bigint[]))
ORDER BY id FOR SHARE
"""
_HOMES = """
SELECT id, id AS person FROM member WHERE id = ANY($1::bigint[])
UNION ALL SELECT id, merged_into_id FROM member WHERE merged_into_id = ANY($1::bigint[])
ORDER BY id
"""
_HOMES_AND_ASSETS = f"""
SELECT h.id, h.person, ARRAY(SELECT asset FROM ledger_balance WHERE holder_id = h.id) AS assets FROM ({_HOMES}) h
ORDER BY h.id
"""  # noqa: S608  # put together from the statement above
_BALANCES = """
SELECT b.holder_id, b.asset, b.balance, b.debt
FROM unnest($1::bigint[], $2::text[]) AS w (holder_id, asset)
JOIN ledger_balance b ON b.holder_id = w.holder_id AND b.asset = w.asset
ORDER BY b.holder_id, b.asset FOR NO KEY UPDATE OF b
"""
# Makes the missing and locks the others in one pass: made first and locked afterwards, two commands could each have
# made what the other waits for.
_NEW_BALANCES = """
INSERT INTO ledger_balance (holder_id, asset)
SELECT holder_id, asset FROM unnest($1::bigint[], $2::text[]) AS w (holder_id, asset) ORDER BY holder_id, asset
ON CONFLICT (holder_id, asset) DO UPDATE SET balance = ledger_balance.balance
RETURNING holder_id, asset, balance, debt
"""


# All home members of the person that member $1 is: a part of reads, which then need not ask for them first.
HOMES = """
SELECT h.id FROM member m CROSS JOIN LATERAL (
    SELECT coalesce(m.merged_into_id, m.id) AS id
    UNION ALL SELECT o.id FROM member o WHERE o.merged_into_id = coalesce(m.merged_into_id, m.id)
) h WHERE m.id = $1
"""


async def homes_of(raw: Connection, member_id: int) -> list[int]:
    """Return all home members of the person that a member is, the oldest first."""
    return [row["id"] for row in await raw.fetch(f"{HOMES} ORDER BY h.id", member_id)] or [member_id]


async def lock(raw: Connection, wanted: Iterable[tuple[int, str]], now: datetime) -> Locked:
    """Lock the balances of (holder, asset) pairs over all homes of each person, and let go what has expired there.

    The people cannot be merged or split until the transaction ends. A transaction that moves several balances
    (two people, points and growth) locks them here in one call first.
    """
    wanted = set(wanted)
    if not wanted:
        return Locked({})
    homes, known = await _lock_people(raw, {holder for holder, _ in wanted})
    pairs = sorted({(home, asset) for holder, asset in wanted for home in homes[holder]})
    rows = await raw.fetch(
        _BALANCES if known.issuperset(pairs) else _NEW_BALANCES,
        [home for home, _ in pairs],
        [asset for _, asset in pairs],
    )
    sums = {(row["holder_id"], row["asset"]): Holding(row["balance"], row["debt"]) for row in rows}
    locked = Locked(homes, sums)
    await expire(raw, locked, now)
    return locked


async def _lock_people(raw: Connection, holders: Collection[int]) -> tuple[dict[int, list[int]], set[tuple[int, str]]]:
    """Return every home's fellow homes, and the (home, asset) pairs that have a balance."""
    # A person found merged into another while we waited for the lock is followed there.
    while True:
        people = await raw.fetch(_PEOPLE, list(holders))
        if all(row["merged_into_id"] is None for row in people):
            break
    homes: dict[int, list[int]] = {}
    known: set[tuple[int, str]] = set()
    # A person's own row comes with the homes merged into it; all of them share one list.
    for row in await raw.fetch(_HOMES_AND_ASSETS, [row["id"] for row in people]):
        own = homes.setdefault(row["person"], [])
        own.append(row["id"])
        homes[row["id"]] = own
        known.update((row["id"], asset) for asset in row["assets"])
    return {holder: [holder] for holder in holders} | homes, known


async def expire(raw: Connection, locked: Locked, now: datetime) -> None:
    """Let the lots go whose expiry has come: one entry for what a home loses of an asset at one moment."""
    pairs = [pair for pair, has in locked.sums.items() if has.balance]
    if not pairs:
        return
    lots = await raw.fetch(
        """
        SELECT l.id, l.holder_id, l.asset, l.remaining, l.expires_at, l.expiries
        FROM unnest($1::bigint[], $2::text[]) AS w (holder_id, asset)
        JOIN ledger_lot l ON l.holder_id = w.holder_id AND l.asset = w.asset
        WHERE l.remaining > 0 AND l.expires_at <= $3
        ORDER BY l.expires_at, l.holder_id, l.asset, l.id
        """,
        *map(list, zip(*pairs, strict=True)),
        now,
    )
    if not lots:
        return
    groups = [
        (moment, home, asset, list(group))
        for (moment, home, asset), group in groupby(
            lots, key=lambda lot: (lot["expires_at"], lot["holder_id"], lot["asset"])
        )
    ]
    entries: list[tuple[UUID, Entry]] = []
    for moment, home, asset, group in groups:
        # A lot that a spend's undoing fills again expires anew, under another key.
        key = key_of("expire", group[0]["id"], group[0]["expiries"])
        amount = sum(lot["remaining"] for lot in group)
        entries.append((key, Entry(key, "expire", asset, home, -amount, Origin(EXPIRED[asset], SYSTEM, moment), now)))
    made = await enter(raw, [entry for _, entry in entries])
    draws: list[Draw] = []
    postings: list[Posting] = []
    for (key, entry), (_, home, asset, group) in zip(entries, groups, strict=True):
        draws += [Draw(made[key], lot["id"], lot["remaining"]) for lot in group]
        postings += [
            Posting(made[key], asset, "holder", home, entry.amount),
            Posting(made[key], asset, "expired", None, -entry.amount),
        ]
        has = locked.sums[home, asset]
        locked.sums[home, asset] = Holding(has.balance + entry.amount, has.debt)
    await take(raw, draws, expiries=1)
    await book(raw, postings)


async def expire_some(raw: Connection, now: datetime, limit: int) -> int:
    """Let go what has expired of some homes, found by at most `limit` lots; returns how many homes and assets.

    A balance that is locked belongs to a command that sees to it itself, so nothing waits here.
    """
    rows = await raw.fetch(
        """
        SELECT holder_id, asset, balance, debt FROM ledger_balance
        WHERE (holder_id, asset) IN (
            SELECT holder_id, asset FROM ledger_lot
            WHERE expires_at <= $1 AND remaining > 0 ORDER BY expires_at LIMIT $2
        )
        FOR NO KEY UPDATE SKIP LOCKED
        """,
        now,
        limit,
    )
    sums = {(row["holder_id"], row["asset"]): Holding(row["balance"], row["debt"]) for row in rows}
    await expire(raw, Locked({}, sums), now)
    return len(sums)
