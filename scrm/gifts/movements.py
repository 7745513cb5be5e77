"""What staff did to a gift's stock: how many came or went, why, who and when, written once and never changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scrm import db
from scrm.db import Connection


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of a stock; `stock` is what there was afterwards, `by` who made it, None: no staff."""

    id: int
    amount: int
    stock: int
    reason: str
    by: str | None
    at: datetime


async def note(
    raw: Connection, gift_id: int, amount: int, stock: int, reason: str, staff_id: int | None, now: datetime
) -> None:
    """Write a movement, part of the caller's transaction, which holds the gift."""
    await raw.execute(
        """
        INSERT INTO gift_stock_movement (gift_id, amount, stock, reason, staff_id, at) VALUES ($1, $2, $3, $4, $5, $6)
        """,
        gift_id,
        amount,
        stock,
        reason,
        staff_id,
        now,
    )


async def of_gift(gift_id: int, *, before: int | None = None, limit: int = 20) -> list[Movement]:
    """Return a page of a gift's movements, newest first; `before` is the last id seen."""
    rows: list[Any] = await db.fetch(
        """
        SELECT v.id, v.amount, v.stock, v.reason, s.name AS by, v.at
        FROM gift_stock_movement v LEFT JOIN staff s ON s.id = v.staff_id
        WHERE v.gift_id = $1 AND ($2::bigint IS NULL OR v.id < $2) ORDER BY v.id DESC LIMIT $3
        """,
        gift_id,
        before,
        limit,
    )
    return [Movement(**dict(row)) for row in rows]
