"""What ledger entries are made of: locks, lots, postings. Only scrm.points.ledger calls these."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from kit.ids import key_of
from scrm.db import Connection
from scrm.errors import DomainError, Invalid

POINTS, GROWTH = "points", "growth"
# Another kind of value (dealer points …) is one more name here; its holders need not be members.
ASSETS = frozenset({POINTS, GROWTH})
EXPIRED = {POINTS: "积分过期", GROWTH: "成长值过期"}


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


_ENTRY = """
INSERT INTO ledger_entry (key, kind, asset, holder_id, amount, description, platform, event_key, rule, rule_version,
                          day, undoes_id, occurred_at, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (key) DO NOTHING RETURNING id
"""


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


def check(asset: str, amount: int) -> None:
    """Raise Invalid, naming the field, for an unknown asset or an amount that is not above zero."""
    if asset not in ASSETS:
        raise Invalid("没有这种资产", field="asset")
    if amount <= 0:
        raise Invalid("数额必须大于零", field="amount")


async def lock(raw: Connection, holder_id: int, asset: str, now: datetime) -> list[int]:
    """Lock a person's balances, and the person against being merged or split meanwhile; returns the homes.

    What has expired goes first, so that no command sees a balance of which a part is no longer there.
    """
    await raw.execute(
        """
        SELECT 1 FROM member WHERE id = (SELECT coalesce(merged_into_id, id) FROM member WHERE id = $1) FOR SHARE
        """,
        holder_id,
    )
    homes = await homes_of(raw, holder_id)
    await lock_rows(raw, homes, asset)
    await expire(raw, homes, asset, now)
    return homes


async def expire(raw: Connection, homes: Sequence[int], asset: str, now: datetime) -> None:
    """Let the lots of these homes go whose expiry has come; their balances are locked already."""
    lots = await raw.fetch(
        """
        SELECT id, holder_id, remaining, expires_at, expiries FROM ledger_lot
        WHERE holder_id = ANY($1::bigint[]) AND asset = $2 AND expires_at <= $3 AND remaining > 0
        ORDER BY id FOR NO KEY UPDATE
        """,
        list(homes),
        asset,
        now,
    )
    for lot in lots:
        origin = Origin(EXPIRED[asset], "系统", lot["expires_at"])
        key = key_of("expire", lot["id"], lot["expiries"])
        made = await enter(raw, key, "expire", asset, lot["holder_id"], -lot["remaining"], origin, now)
        if made is None:
            continue
        await raw.execute("UPDATE ledger_lot SET remaining = 0, expiries = expiries + 1 WHERE id = $1", lot["id"])
        await raw.execute(
            "INSERT INTO ledger_draw (entry_id, lot_id, amount) VALUES ($1, $2, $3)", made, lot["id"], lot["remaining"]
        )
        await post(
            raw,
            made,
            asset,
            [("holder", lot["holder_id"], -lot["remaining"]), ("expired", None, lot["remaining"])],
        )


async def lock_rows(raw: Connection, homes: Sequence[int], asset: str) -> None:
    """Make the balance rows that are missing and lock all of them, in the one order."""
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


async def enter(
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
    """Insert an entry and return its id, None when its key is there already."""
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


async def owed(raw: Connection, homes: Sequence[int], asset: str) -> int:
    """Return what a person owes over all homes."""
    owed: int = await raw.fetchval(
        "SELECT coalesce(sum(debt), 0)::bigint FROM ledger_balance WHERE holder_id = ANY($1::bigint[]) AND asset = $2",
        list(homes),
        asset,
    )
    return owed


async def repay(raw: Connection, entry: int, asset: str, homes: Sequence[int], amount: int) -> int:
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
            await post(raw, entry, asset, [("debt", row["holder_id"], part)])
            left -= part
    return amount - left


async def draw(
    raw: Connection,
    entry: int,
    homes: Sequence[int],
    asset: str,
    needed: int,
    *,
    take: int,
    first: int | None = None,
    all_or_nothing: bool = True,
) -> list[tuple[int, int]]:
    """Take `take` from lots, `first` and then the oldest; returns (home, amount) per home.

    With `all_or_nothing` raises NotEnough unless `needed` is there.
    """
    lots = await raw.fetch(
        """
        SELECT id, holder_id, remaining FROM ledger_lot
        WHERE holder_id = ANY($1::bigint[]) AND asset = $2 AND remaining > 0
        ORDER BY id = $3 DESC, earned_at, id FOR NO KEY UPDATE
        """,
        list(homes),
        asset,
        first or 0,
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


async def post(raw: Connection, entry: int, asset: str, postings: Sequence[tuple[str, int | None, int]]) -> None:
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
