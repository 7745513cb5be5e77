"""What staff see of the points mall: a brand's gifts with what became of them, and redemptions by what is to do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scrm import db
from scrm.errors import NotFound
from scrm.gifts.refusals import COLUMNS, GiftView
from scrm.points.holders import HOMES


@dataclass(frozen=True, slots=True)
class GiftCard(GiftView):
    """A gift with how often it was redeemed (cancelled ones not counted) and how many parcels wait to be sent."""

    version: int
    redeemed: int
    waiting: int


_GIFTS = f"""
SELECT {", ".join(f"g.{name}" for name in COLUMNS.split(", "))}, g.version, t.redeemed, t.waiting
FROM gift g CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state <> 'cancelled') AS redeemed,
           count(*) FILTER (WHERE state = 'placed' AND g.kind = 'physical') AS waiting
    FROM redemption WHERE gift_id = g.id
) t
"""  # noqa: S608  # our own names
_SHOWN = {
    "all": "true",
    "on": "g.enabled",
    "off": "NOT g.enabled",
    "sold_out": "g.stock = 0",
}


async def gifts(
    brand_id: int, *, show: str = "all", kind: str | None = None, before: int | None = None, limit: int = 20
) -> list[GiftCard]:
    """Return a page of a brand's gifts, newest first; `show` is all, on or off the shelf, or sold_out."""
    rows: list[Any] = await db.fetch(
        f"""{_GIFTS}
        WHERE g.brand_id = $1 AND {_SHOWN[show]} AND ($2::text IS NULL OR g.kind = $2)
          AND ($3::bigint IS NULL OR g.id < $3)
        ORDER BY g.id DESC LIMIT $4
        """,
        brand_id,
        kind,
        before,
        limit,
    )
    return [GiftCard(**dict(row)) for row in rows]


async def gift(gift_id: int) -> GiftCard:
    """Return a gift. Raises NotFound."""
    rows: list[Any] = await db.fetch(f"{_GIFTS} WHERE g.id = $1", gift_id)
    if not rows:
        raise NotFound("没有这个积分商品")
    return GiftCard(**dict(rows[0]))


@dataclass(frozen=True, slots=True)
class Ordered:
    """A redemption as staff see it; `member_id` is the person, `erased` whether they left; the address is sealed."""

    id: int
    brand_id: int
    gift_id: int
    gift: str
    kind: str
    member_id: int
    erased: bool
    points: int
    state: str
    shipping_company: str
    shipping_number: str
    placed_at: datetime
    shipped_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    cancel_reason: str
    address_sealed: str | None = field(repr=False)


_ORDERED = """
SELECT r.id, g.brand_id, r.gift_id, g.name AS gift, g.kind, coalesce(m.merged_into_id, m.id) AS member_id,
       m.erased_at IS NOT NULL AS erased, r.points, r.state, r.shipping_company, r.shipping_number, r.placed_at,
       r.shipped_at, r.completed_at, r.cancelled_at, r.cancel_reason, r.address_sealed
FROM redemption r JOIN gift g ON g.id = r.gift_id JOIN member m ON m.id = r.member_id
"""
_STATES = {
    "all": "true",
    "to_ship": "r.state = 'placed' AND g.kind = 'physical'",
    **{state: f"r.state = '{state}'" for state in ("placed", "shipped", "completed", "cancelled")},
}


async def redemptions(
    brand_id: int,
    *,
    show: str = "all",
    gift_id: int | None = None,
    member_id: int | None = None,
    before: int | None = None,
    limit: int = 20,
) -> list[Ordered]:
    """Return a page of what a brand's gifts were redeemed for, newest first; `member_id` means all homes of a person.

    `show` is all, to_ship (parcels that wait) or a state.
    """
    rows: list[Any] = await db.fetch(
        f"""{_ORDERED}
        WHERE g.brand_id = $1 AND {_STATES[show]} AND ($2::bigint IS NULL OR r.gift_id = $2)
          AND ($3::bigint IS NULL OR r.member_id = ANY(ARRAY({HOMES.replace("$1", "$3")})))
          AND ($4::bigint IS NULL OR r.id < $4)
        ORDER BY r.id DESC LIMIT $5
        """,
        brand_id,
        gift_id,
        member_id,
        before,
        limit,
    )
    return [Ordered(**dict(row)) for row in rows]


async def redemption(redemption_id: int) -> Ordered:
    """Return a redemption. Raises NotFound."""
    rows: list[Any] = await db.fetch(f"{_ORDERED} WHERE r.id = $1", redemption_id)
    if not rows:
        raise NotFound("没有这笔兑换")
    return Ordered(**dict(rows[0]))


async def waiting(brand_id: int, gift_id: int | None = None) -> int:
    """Return how many parcels of a brand, or of one of its gifts, wait to be sent."""
    rows: list[Any] = await db.fetch(
        f"""
        SELECT count(*) AS n FROM redemption r JOIN gift g ON g.id = r.gift_id
        WHERE g.brand_id = $1 AND {_STATES["to_ship"]} AND ($2::bigint IS NULL OR r.gift_id = $2)
        """,  # noqa: S608  # a condition written above
        brand_id,
        gift_id,
    )
    found: int = rows[0]["n"]
    return found


async def to_ship(brand_id: int, gift_id: int | None = None, *, page: int = 500) -> AsyncIterator[list[Ordered]]:
    """Yield all parcels of a brand that wait, or those of one gift, page by page, who waits longest first."""
    after = 0
    while True:
        rows: list[Any] = await db.fetch(
            f"""{_ORDERED}
            WHERE g.brand_id = $1 AND {_STATES["to_ship"]} AND ($2::bigint IS NULL OR r.gift_id = $2) AND r.id > $3
            ORDER BY r.id LIMIT $4
            """,
            brand_id,
            gift_id,
            after,
            page,
        )
        if rows:
            yield [Ordered(**dict(row)) for row in rows]
        if len(rows) < page:
            return
        after = rows[-1]["id"]
