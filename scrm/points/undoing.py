"""Undoing a clawback: what it took returns to the same lots with their old expiry, the debt it made is forgiven."""

from datetime import datetime
from uuid import UUID

from kit.ids import key_of
from scrm.db import Connection
from scrm.errors import NotFound
from scrm.points import holders
from scrm.points.holders import Holding, lock
from scrm.points.postings import Entry, Origin, Posting, book, enter


async def undo_claw_back(raw: Connection, *, claw_back_key: UUID, origin: Origin, now: datetime) -> bool:
    """Undo a clawback in the caller's transaction; False when it was undone before.

    As far as its debt was repaid meanwhile, the home that owed gets a new lot, earned when the clawback was booked.
    What went back to a lot that has expired since is gone at once. Raises NotFound for an unknown clawback.
    """
    taken = await raw.fetchrow(
        "SELECT id, asset, holder_id, amount, recorded_at FROM ledger_entry WHERE key = $1 AND kind = 'clawback'",
        claw_back_key,
    )
    if taken is None:
        raise NotFound("没有这笔扣回", field="claw_back_key")
    asset, home = taken["asset"], taken["holder_id"]
    drawn = await raw.fetch(
        """
        SELECT l.holder_id, sum(d.amount)::bigint AS amount FROM ledger_draw d JOIN ledger_lot l ON l.id = d.lot_id
        WHERE d.entry_id = $1 GROUP BY l.holder_id ORDER BY l.holder_id
        """,
        taken["id"],
    )
    given = {row["holder_id"]: row["amount"] for row in drawn}
    locked = await lock(raw, [(holder, asset) for holder in {home, *given}], now)
    key = key_of("undo", claw_back_key)
    made = await enter(raw, [Entry(key, "undo", asset, home, -taken["amount"], origin, now, taken["id"])])
    if key not in made:
        return False
    await raw.execute(
        """
        UPDATE ledger_lot l SET remaining = l.remaining + d.amount
        FROM ledger_draw d WHERE d.entry_id = $1 AND l.id = d.lot_id
        """,
        taken["id"],
    )
    owed = -taken["amount"] - sum(given.values())
    forgiven = min(owed, locked.sums[home, asset].debt)
    await book(
        raw,
        [
            Posting(made[key], asset, "expense", None, taken["amount"]),
            *(Posting(made[key], asset, "holder", holder, amount) for holder, amount in given.items()),
            Posting(made[key], asset, "debt", home, forgiven),
            Posting(made[key], asset, "holder", home, owed - forgiven),
        ],
    )
    if owed > forgiven:
        await raw.execute(
            """
            INSERT INTO ledger_lot (entry_id, holder_id, asset, amount, remaining, earned_at)
            VALUES ($1, $2, $3, $4, $4, $5)
            """,
            made[key],
            home,
            asset,
            owed - forgiven,
            taken["recorded_at"],
        )
    for holder, amount in given.items():
        has = locked.sums[holder, asset]
        locked.sums[holder, asset] = Holding(has.balance + amount, has.debt)
    await holders.expire(raw, locked, now)
    return True
