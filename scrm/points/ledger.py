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
from datetime import date, datetime
from uuid import UUID

from kit.ids import key_of
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, DomainError, Invalid, NotFound

POINTS, GROWTH = "points", "growth"
# Another kind of value (dealer points …) is one more name here; its holders need not be members.
ASSETS = frozenset({POINTS, GROWTH})


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
class Holding:
    """What a person has and owes of one asset."""

    balance: int
    debt: int

    @property
    def spendable(self) -> int:
        """What may be spent: what there is, less what is owed."""
        return max(0, self.balance - self.debt)


_ENTRY = """
INSERT INTO ledger_entry (key, kind, asset, holder_id, amount, description, platform, event_key, rule, rule_version,
                          day, undoes_id, occurred_at, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (key) DO NOTHING RETURNING id
"""


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
    raw = tx.connection
    _check(asset, amount)
    homes = await _lock(raw, holder_id, asset)
    entry = await _entry(raw, key, "award", asset, holder_id, amount, origin, now)
    if entry is None:
        return False
    repaid = await _repay(raw, entry, asset, homes, amount)
    await _post(raw, entry, asset, [("expense", None, -amount), ("holder", holder_id, amount - repaid)])
    if amount > repaid:
        await raw.execute(
            """
            INSERT INTO ledger_lot (entry_id, holder_id, asset, amount, remaining, earned_at, expires_at)
            VALUES ($1, $2, $3, $4, $4, $5, $6)
            """,
            entry,
            holder_id,
            asset,
            amount - repaid,
            origin.occurred_at,
            expires_at,
        )
    return True


@command
async def spend(
    tx: Transaction, *, key: UUID, holder_id: int, asset: str, amount: int, origin: Origin, now: datetime
) -> bool:
    """Take `amount` (> 0) from a person's lots, oldest first; False when this key was spent before.

    Lots whose expiry has come are not spent, whether or not they were swept yet. Raises NotEnough.
    """
    raw = tx.connection
    _check(asset, amount)
    homes = await _lock(raw, holder_id, asset)
    entry = await _entry(raw, key, "spend", asset, holder_id, -amount, origin, now)
    if entry is None:
        return False
    owed = await _owed(raw, homes, asset)
    drawn = await _draw(raw, entry, homes, asset, amount + owed, now, take=amount)
    await _post(raw, entry, asset, [*(("holder", home, -taken) for home, taken in drawn), ("redeemed", None, amount)])
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
    _check(asset, amount)
    homes = await _lock(raw, holder_id, asset)
    entry = await _entry(raw, key, "clawback", asset, holder_id, -amount, origin, now)
    if entry is None:
        return False
    first = await raw.fetchval(
        "SELECT l.id FROM ledger_lot l JOIN ledger_entry e ON e.id = l.entry_id WHERE e.key = $1", award_key
    )
    drawn = await _draw(raw, entry, homes, asset, 0, now, take=amount, first=first, all_or_nothing=False)
    missing = amount - sum(taken for _, taken in drawn)
    await _post(
        raw,
        entry,
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
    homes = await _lock(raw, spent["holder_id"], spent["asset"])
    if await raw.fetchval("SELECT 1 FROM ledger_entry WHERE undoes_id = $1", spent["id"]):
        return False
    entry = await _entry(
        raw, key, "undo", spent["asset"], spent["holder_id"], -spent["amount"], origin, now, undoes=spent["id"]
    )
    if entry is None:
        return False
    restored = await raw.fetch(
        """
        UPDATE ledger_lot l SET remaining = l.remaining + d.amount
        FROM ledger_draw d WHERE d.entry_id = $1 AND l.id = d.lot_id
        RETURNING l.holder_id, d.amount
        """,
        spent["id"],
    )
    await _post(
        raw,
        entry,
        spent["asset"],
        [("redeemed", None, spent["amount"]), *(("holder", row["holder_id"], row["amount"]) for row in restored)],
    )
    owed = await _owed(raw, homes, spent["asset"])
    if owed:
        back = min(owed, -spent["amount"])
        drawn = await _draw(raw, entry, homes, spent["asset"], 0, now, take=back, all_or_nothing=False)
        repaid = await _repay(raw, entry, spent["asset"], homes, sum(taken for _, taken in drawn))
        if repaid != sum(taken for _, taken in drawn):
            raise Conflict("欠账与余额不符")
        await _post(raw, entry, spent["asset"], [("holder", home, -taken) for home, taken in drawn])
    return True


@command
async def expire_due(tx: Transaction, *, now: datetime, limit: int = 1000) -> int:
    """Let lots go whose expiry has come, at most `limit`; returns how many went."""
    raw = tx.connection
    due = await raw.fetch(
        """
        SELECT holder_id, asset FROM ledger_lot WHERE expires_at <= $1 AND remaining > 0
        ORDER BY expires_at LIMIT $2
        """,
        now,
        limit,
    )
    for holder, asset in sorted({(row["holder_id"], row["asset"]) for row in due}):
        await _lock_rows(raw, [holder], asset)
    lots = await raw.fetch(
        """
        SELECT id, holder_id, asset, remaining, expires_at, expiries FROM ledger_lot
        WHERE expires_at <= $1 AND remaining > 0 ORDER BY expires_at LIMIT $2 FOR NO KEY UPDATE
        """,
        now,
        limit,
    )
    for lot in lots:
        origin = Origin("积分过期" if lot["asset"] == POINTS else "成长值过期", "系统", lot["expires_at"])
        key = key_of("expire", lot["id"], lot["expiries"])
        entry = await _entry(raw, key, "expire", lot["asset"], lot["holder_id"], -lot["remaining"], origin, now)
        if entry is None:
            continue
        await raw.execute("UPDATE ledger_lot SET remaining = 0, expiries = expiries + 1 WHERE id = $1", lot["id"])
        await raw.execute(
            "INSERT INTO ledger_draw (entry_id, lot_id, amount) VALUES ($1, $2, $3)", entry, lot["id"], lot["remaining"]
        )
        await _post(
            raw,
            entry,
            lot["asset"],
            [("holder", lot["holder_id"], -lot["remaining"]), ("expired", None, lot["remaining"])],
        )
    return len(lots)


async def holding(raw: Connection, member_id: int, asset: str) -> Holding:
    """Return what the person that a member is has and owes."""
    row = await raw.fetchrow(
        """
        SELECT coalesce(sum(balance), 0)::bigint AS balance, coalesce(sum(debt), 0)::bigint AS debt
        FROM ledger_balance WHERE asset = $2 AND holder_id = ANY($1::bigint[])
        """,
        await homes_of(raw, member_id),
        asset,
    )
    return Holding(row["balance"], row["debt"])


async def homes_of(raw: Connection, member_id: int) -> list[int]:
    """Return all home members of the person that a member is, in the order in which they are locked."""
    rows = await raw.fetch(
        """
        WITH root AS (SELECT coalesce(merged_into_id, id) AS id FROM member WHERE id = $1)
        SELECT m.id FROM member m, root WHERE m.id = root.id OR m.merged_into_id = root.id ORDER BY m.id
        """,
        member_id,
    )
    return [row["id"] for row in rows] or [member_id]


# --- inside -----------------------------------------------------------------------------------------------


def _check(asset: str, amount: int) -> None:
    if asset not in ASSETS:
        raise Invalid("没有这种资产", field="asset")
    if amount <= 0:
        raise Invalid("数额必须大于零", field="amount")


async def _lock(raw: Connection, holder_id: int, asset: str) -> list[int]:
    """Lock a person's balances, and the person against being merged or split meanwhile; returns the homes."""
    await raw.execute(
        """
        SELECT 1 FROM member WHERE id = (SELECT coalesce(merged_into_id, id) FROM member WHERE id = $1) FOR SHARE
        """,
        holder_id,
    )
    homes = await homes_of(raw, holder_id)
    await _lock_rows(raw, homes, asset)
    return homes


async def _lock_rows(raw: Connection, homes: Sequence[int], asset: str) -> None:
    await raw.execute(
        """
        INSERT INTO ledger_balance (holder_id, asset) SELECT unnest($1::bigint[]), $2
        ON CONFLICT (holder_id, asset) DO NOTHING
        """,
        list(homes),
        asset,
    )
    await raw.execute(
        """
        SELECT 1 FROM ledger_balance WHERE holder_id = ANY($1::bigint[]) AND asset = $2
        ORDER BY holder_id FOR NO KEY UPDATE
        """,
        list(homes),
        asset,
    )


async def _entry(
    raw: Connection,
    key: UUID,
    kind: str,
    asset: str,
    holder_id: int,
    amount: int,
    origin: Origin,
    now: datetime,
    undoes: int | None = None,
) -> int | None:
    entry: int | None = await raw.fetchval(
        _ENTRY,
        key,
        kind,
        asset,
        holder_id,
        amount,
        origin.description[:200],
        origin.platform[:32],
        origin.event_key,
        origin.rule,
        origin.rule_version,
        origin.day,
        undoes,
        origin.occurred_at,
        now,
    )
    return entry


async def _owed(raw: Connection, homes: Sequence[int], asset: str) -> int:
    owed: int = await raw.fetchval(
        "SELECT coalesce(sum(debt), 0)::bigint FROM ledger_balance WHERE holder_id = ANY($1::bigint[]) AND asset = $2",
        list(homes),
        asset,
    )
    return owed


async def _repay(raw: Connection, entry: int, asset: str, homes: Sequence[int], amount: int) -> int:
    """Repay debts of the person's homes, oldest home first, with at most `amount`; returns what was used."""
    left = amount
    for row in await raw.fetch(
        """
        SELECT holder_id, debt FROM ledger_balance
        WHERE holder_id = ANY($1::bigint[]) AND asset = $2 AND debt > 0 ORDER BY holder_id
        """,
        list(homes),
        asset,
    ):
        part = min(left, row["debt"])
        if part:
            await _post(raw, entry, asset, [("debt", row["holder_id"], part)])
            left -= part
    return amount - left


async def _draw(
    raw: Connection,
    entry: int,
    homes: Sequence[int],
    asset: str,
    needed: int,
    now: datetime,
    *,
    take: int,
    first: int | None = None,
    all_or_nothing: bool = True,
) -> list[tuple[int, int]]:
    """Take `take` from living lots, `first` and then the oldest; returns (home, amount) per home.

    With `all_or_nothing` raises NotEnough unless `needed` is there.
    """
    lots = await raw.fetch(
        """
        SELECT id, holder_id, remaining FROM ledger_lot
        WHERE holder_id = ANY($1::bigint[]) AND asset = $2 AND remaining > 0
          AND (expires_at IS NULL OR expires_at > $3)
        ORDER BY id = $4 DESC NULLS LAST, earned_at, id FOR NO KEY UPDATE
        """,
        list(homes),
        asset,
        now,
        first if first is not None else 0,
    )
    if all_or_nothing and sum(lot["remaining"] for lot in lots) < needed:
        raise NotEnough
    drawn: dict[int, int] = {}
    ids: list[int] = []
    amounts: list[int] = []
    for lot in lots:
        if take == 0:
            break
        part = min(take, lot["remaining"])
        take -= part
        ids.append(lot["id"])
        amounts.append(part)
        drawn[lot["holder_id"]] = drawn.get(lot["holder_id"], 0) + part
    if ids:
        await raw.execute(
            """
            WITH d AS (SELECT * FROM unnest($2::bigint[], $3::bigint[]) AS d (lot_id, amount)),
                 taken AS (UPDATE ledger_lot l SET remaining = l.remaining - d.amount FROM d WHERE l.id = d.lot_id)
            INSERT INTO ledger_draw (entry_id, lot_id, amount) SELECT $1, lot_id, amount FROM d
            """,
            entry,
            ids,
            amounts,
        )
    return sorted(drawn.items())


async def _post(raw: Connection, entry: int, asset: str, postings: Sequence[tuple[str, int | None, int]]) -> None:
    """Write postings and add them to the balances they concern."""
    real = [posting for posting in postings if posting[2] != 0]
    await raw.execute(
        """
        WITH p AS (SELECT * FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS p (account, holder_id, amount)),
             sums AS (
                 SELECT holder_id,
                        coalesce(sum(amount) FILTER (WHERE account = 'holder'), 0) AS balance,
                        coalesce(sum(amount) FILTER (WHERE account = 'debt'), 0) AS debt
                 FROM p WHERE holder_id IS NOT NULL GROUP BY holder_id
             ),
             kept AS (
                 UPDATE ledger_balance b SET balance = b.balance + s.balance, debt = b.debt - s.debt
                 FROM sums s WHERE b.holder_id = s.holder_id AND b.asset = $2
             )
        INSERT INTO ledger_posting (entry_id, asset, account, holder_id, amount)
        SELECT $1, $2, account, holder_id, amount FROM p
        """,
        entry,
        asset,
        [account for account, _, _ in real],
        [holder for _, holder, _ in real],
        [amount for _, _, amount in real],
    )
