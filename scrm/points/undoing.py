"""Undoing a spend or a clawback: what it took goes back to the same lots with their old expiry.

What a clawback made a debt is forgiven. Then everything is as after any earning: what has expired is gone, and what
the person owes is repaid from what came back.
"""

from datetime import datetime
from uuid import UUID

import asyncpg

from kit.ids import key_of
from scrm.db import Connection
from scrm.errors import NotFound
from scrm.points import holders
from scrm.points.holders import Holding, Locked, lock
from scrm.points.postings import Entry, Origin, Posting, book, draw, enter

# The account on the other side of each kind of entry that can be undone.
ACCOUNTS = {"spend": "redeemed", "clawback": "expense"}


async def undo_spent(raw: Connection, *, spend_key: UUID, origin: Origin, now: datetime) -> bool:
    """Undo a spend in the caller's transaction; False when it was undone before. Raises NotFound for an unknown one."""
    spent = await _entry(raw, spend_key, "spend")
    if spent is None:
        raise NotFound("没有这笔消费", field="spend")
    return await _undo(raw, spent, origin, now)


async def undo_claw_back(raw: Connection, *, claw_back_key: UUID, origin: Origin, now: datetime) -> bool:
    """Undo a clawback in the caller's transaction; False when it was undone before.

    As far as its debt was repaid meanwhile, the home that owed gets a new lot, earned when the clawback was booked.
    Raises NotFound for an unknown clawback.
    """
    taken = await _entry(raw, claw_back_key, "clawback")
    if taken is None:
        raise NotFound("没有这笔扣回", field="claw_back_key")
    return await _undo(raw, taken, origin, now)


async def _entry(raw: Connection, key: UUID, kind: str) -> asyncpg.Record | None:
    return await raw.fetchrow(
        "SELECT id, key, kind, asset, holder_id, amount, recorded_at FROM ledger_entry WHERE key = $1 AND kind = $2",
        key,
        kind,
    )


async def _undo(raw: Connection, entry: asyncpg.Record, origin: Origin, now: datetime) -> bool:
    asset, home, amount = entry["asset"], entry["holder_id"], -entry["amount"]
    lots = await raw.fetch(
        """
        SELECT l.holder_id, l.expires_at, d.amount FROM ledger_draw d JOIN ledger_lot l ON l.id = d.lot_id
        WHERE d.entry_id = $1
        """,
        entry["id"],
    )
    # Lots may be those of a home that has been split off since.
    locked = await lock(raw, {(home, asset), *((lot["holder_id"], asset) for lot in lots)}, now)
    key = key_of("undo", entry["key"])
    made = await enter(raw, [Entry(key, "undo", asset, home, amount, origin, now, entry["id"])])
    if key not in made:
        return False
    await raw.execute(
        """
        UPDATE ledger_lot l SET remaining = l.remaining + d.amount
        FROM ledger_draw d WHERE d.entry_id = $1 AND l.id = d.lot_id
        """,
        entry["id"],
    )
    given: dict[int, int] = {}
    alive: dict[int, int] = {}
    for lot in lots:
        given[lot["holder_id"]] = given.get(lot["holder_id"], 0) + lot["amount"]
        if lot["expires_at"] is None or lot["expires_at"] > now:
            person = locked.homes[lot["holder_id"]][0]
            alive[person] = alive.get(person, 0) + lot["amount"]
    owed = amount - sum(given.values())
    forgiven = min(owed, locked.sums[home, asset].debt)
    if again := owed - forgiven:
        await raw.execute(
            """
            INSERT INTO ledger_lot (entry_id, holder_id, asset, amount, remaining, earned_at)
            VALUES ($1, $2, $3, $4, $4, $5)
            """,
            made[key],
            home,
            asset,
            again,
            entry["recorded_at"],
        )
        given[home] = given.get(home, 0) + again
        person = locked.homes[home][0]
        alive[person] = alive.get(person, 0) + again
    await book(
        raw,
        [
            Posting(made[key], asset, ACCOUNTS[entry["kind"]], None, -amount),
            Posting(made[key], asset, "debt", home, forgiven),
            *(Posting(made[key], asset, "holder", holder, back) for holder, back in sorted(given.items())),
        ],
    )
    for holder in {home, *given}:
        has = locked.sums[holder, asset]
        debt = has.debt - forgiven if holder == home else has.debt
        locked.sums[holder, asset] = Holding(has.balance + given.get(holder, 0), debt)
    await holders.expire(raw, locked, now)
    await _repay(raw, made[key], asset, locked, alive)
    return True


async def _repay(raw: Connection, entry_id: int, asset: str, locked: Locked, most: dict[int, int]) -> None:
    """Repay what people owe, each with at most what came back to them and is still alive, from their oldest lots."""
    for person, amount in sorted(most.items()):
        repaid = locked.repay(entry_id, person, asset, amount)
        drawn = await draw(raw, entry_id, locked.homes[person], asset, sum(posting.amount for posting in repaid))
        postings = [Posting(entry_id, asset, "holder", home, -taken) for home, taken in sorted(drawn.items())]
        await book(raw, [*repaid, *postings])
