"""The ledger's commands: award, spend, claw back, expire, undo. Nothing else moves a value (law 3).

Every command has a business key and runs once however often it is called. An entry's postings add up to zero:

* award:    expense −a, holder +a; while the person owes, debt +r and holder +(a−r)
* spend:    holder −s (drawn from lots, oldest first), redeemed +s
* clawback: holder −h as far as there is something, debt −(c−h), expense +c
* expire:   holder −e, expired +e
* undo:     the mirror image of a spend or a clawback, back into the same lots; what the person owes is repaid from it

A person is all homes merged into one member (scrm.members.models): lots and debts stay with the home they arose
at, so a split takes them apart again, while spending and repaying go over all of them. docs/subsystems/points.md
lists the cases.
"""

from datetime import datetime
from uuid import UUID

from scrm.db import Connection, Transaction, command
from scrm.points import holders
from scrm.points.awards import Award, award_many, give
from scrm.points.holders import Holding, homes_of, lock
from scrm.points.postings import GROWTH, POINTS, Entry, NotEnough, Origin, Posting, book, check, draw, enter
from scrm.points.queries import holding
from scrm.points.undoing import undo_claw_back, undo_spent

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
    "lock",
    "spend",
    "take_back",
    "undo_claw_back",
    "undo_spend",
]


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


@command
async def spend(
    tx: Transaction, *, key: UUID, holder_id: int, asset: str, amount: int, origin: Origin, now: datetime
) -> bool:
    """Take `amount` (> 0) from a person's lots, oldest first; False when this key was spent before.

    Lots whose expiry has come are not spent, whether or not they were swept yet. Raises NotEnough, Invalid.
    """
    raw = tx.connection
    check(asset, amount)
    locked = await lock(raw, [(holder_id, asset)], now)
    made = await enter(raw, [Entry(key, "spend", asset, holder_id, -amount, origin, now)])
    if key not in made:
        return False
    if locked.of(holder_id, asset).spendable < amount:
        raise NotEnough
    drawn = await draw(raw, made[key], locked.homes[holder_id], asset, amount)
    await book(raw, [*_from(drawn, made[key], asset), Posting(made[key], asset, "redeemed", None, amount)])
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

    False when this key was clawed back before. Raises Invalid.
    """
    return await take_back(tx.connection, key, holder_id, asset, amount, origin, now, award_key)


async def take_back(
    raw: Connection,
    key: UUID,
    holder_id: int,
    asset: str,
    amount: int,
    origin: Origin,
    now: datetime,
    award_key: UUID | None = None,
) -> bool:
    """Claw back in the caller's transaction."""
    check(asset, amount)
    locked = await lock(raw, [(holder_id, asset)], now)
    made = await enter(raw, [Entry(key, "clawback", asset, holder_id, -amount, origin, now)])
    if key not in made:
        return False
    drawn = await draw(raw, made[key], locked.homes[holder_id], asset, amount, first=award_key)
    await book(
        raw,
        [
            *_from(drawn, made[key], asset),
            Posting(made[key], asset, "debt", holder_id, sum(drawn.values()) - amount),
            Posting(made[key], asset, "expense", None, amount),
        ],
    )
    return True


def _from(drawn: dict[int, int], entry_id: int, asset: str) -> list[Posting]:
    return [Posting(entry_id, asset, "holder", home, -amount) for home, amount in sorted(drawn.items())]


@command
async def undo_spend(tx: Transaction, *, spend_key: UUID, origin: Origin, now: datetime) -> bool:
    """Give back what a spend took, to the same lots with their old expiry; False when it was undone before.

    What expired meanwhile is gone at once, and what the person owes is repaid from the rest. The spend's key is
    the undoing's too: a spend is undone once, whoever asks. Raises NotFound for an unknown spend.
    """
    return await undo_spent(tx.connection, spend_key=spend_key, origin=origin, now=now)


@command
async def expire_due(tx: Transaction, *, now: datetime, limit: int = 1000) -> int:
    """Let go what has expired, found by at most `limit` lots; returns how many balances that concerned.

    Call it until it returns 0. What a command has locked is left to that command or to the next sweep.
    """
    return await holders.expire_some(tx.connection, now, limit)
