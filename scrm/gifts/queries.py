"""Reading the points mall: what a person may redeem and why not, and what became of what they redeemed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from kit.seal import Sealer
from scrm import db
from scrm.db import Connection
from scrm.errors import NotFound
from scrm.gifts.addresses import MaskedAddress, masked
from scrm.gifts.refusals import COLUMNS, GiftView, Person, why_not
from scrm.points import levels
from scrm.points.holders import HOMES
from scrm.points.levels import Level


@dataclass(frozen=True, slots=True)
class Offer:
    """A gift in the mall, and the codes of what stands against redeeming it now; empty: go ahead."""

    gift: GiftView
    why_not: Sequence[str]


@dataclass(frozen=True, slots=True)
class RedemptionView:
    """A redemption as its member sees it. `address` is masked; only `redemption` fills it."""

    id: int
    gift_id: int
    name: str
    kind: str
    picture: str
    points: int
    state: str
    shipping_company: str
    shipping_number: str
    placed_at: datetime
    shipped_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    cancel_reason: str
    address: MaskedAddress | None = None


_REDEMPTIONS = f"""
SELECT r.id, r.gift_id, g.name, g.kind, g.picture, r.points, r.state, r.shipping_company, r.shipping_number,
       r.placed_at, r.shipped_at, r.completed_at, r.cancelled_at, r.cancel_reason, r.address_sealed
FROM redemption r JOIN gift g ON g.id = r.gift_id
WHERE r.member_id = ANY(ARRAY({HOMES}))
"""  # noqa: S608  # our own text


async def gift(raw: Connection, gift_id: int) -> GiftView:
    """Return a gift. Raises NotFound."""
    row = await raw.fetchrow(f"SELECT {COLUMNS} FROM gift WHERE id = $1", gift_id)  # noqa: S608  # our own names
    if row is None:
        raise NotFound("没有这个积分商品", field="gift_id")
    return GiftView(**dict(row))


_PERSON = f"""
WITH homes AS ({HOMES})
SELECT coalesce(sum(b.balance - b.debt - coalesce(gone.amount, 0)) FILTER (WHERE b.asset = 'points'), 0)::bigint
           AS points,
       coalesce(sum(b.balance - b.debt) FILTER (WHERE b.asset = 'growth'), 0)::bigint AS growth,
       (SELECT json_agg(json_build_array(rank, name, threshold) ORDER BY rank) FROM level WHERE brand_id = $2)
           AS levels,
       (SELECT json_agg(json_build_array(t.gift_id, t.count)) FROM (
            SELECT gift_id, count(*) FROM redemption
            WHERE member_id = ANY(ARRAY(SELECT id FROM homes)) AND state <> 'cancelled' GROUP BY gift_id
       ) t) AS taken
FROM ledger_balance b
LEFT JOIN LATERAL (
    SELECT sum(l.remaining) AS amount FROM ledger_lot l
    WHERE l.holder_id = b.holder_id AND l.asset = b.asset AND l.remaining > 0 AND l.expires_at <= $3
) gone ON true
WHERE b.holder_id = ANY(ARRAY(SELECT id FROM homes))
"""  # noqa: S608  # our own text


async def person(raw: Connection, member_id: int, brand_id: int, now: datetime) -> Person:
    """Return what decides whether the person that a member is may redeem gifts of a brand."""
    row = await raw.fetchrow(_PERSON, member_id, brand_id, now)
    scheme = [Level(rank, name, threshold, ()) for rank, name, threshold in json.loads(row["levels"] or "[]")]
    own = levels.standing(row["growth"], scheme).level.rank if scheme else -1
    return Person(
        spendable=max(0, row["points"]),
        reached=[level.name for level in scheme if level.rank <= own],
        taken=dict(json.loads(row["taken"] or "[]")),
    )


async def mall(brand_id: int, *, now: datetime, member_id: int | None = None) -> list[Offer]:
    """Return a brand's enabled gifts whose time is not over, oldest first, with why this person may not have each.

    Without `member_id` it is the preview for somebody not signed in.
    """
    async with db.connection() as raw:
        rows = await raw.fetch(
            f"""
            SELECT {COLUMNS} FROM gift
            WHERE brand_id = $1 AND enabled AND (on_sale_until IS NULL OR on_sale_until > $2) ORDER BY id
            """,  # noqa: S608  # our own names
            brand_id,
            now,
        )
        who = None if member_id is None else await person(raw, member_id, brand_id, now)
    gifts = [GiftView(**dict(row)) for row in rows]
    return [Offer(one, why_not(one, who, now)) for one in gifts]


async def redemptions(
    member_id: int, *, before: int | None = None, limit: int = 20, brands: Sequence[int] | None = None
) -> list[RedemptionView]:
    """Return a page of what a person redeemed over all homes, newest first; `before` is the last id seen.

    `brands` are those whose gifts are meant, None is all.
    """
    page = """AND ($2::bigint IS NULL OR r.id < $2) AND ($4::bigint[] IS NULL OR g.brand_id = ANY($4))
    ORDER BY r.id DESC LIMIT $3"""
    rows = await db.fetch(_REDEMPTIONS + page, member_id, before, limit, None if brands is None else list(brands))
    return [_view(row) for row in rows]


async def redemption(sealer: Sealer, member_id: int, redemption_id: int) -> RedemptionView:
    """Return one redemption of a person with its address masked. Raises NotFound, also for somebody else's."""
    async with db.connection() as raw:
        row = await raw.fetchrow(_REDEMPTIONS + "AND r.id = $2", member_id, redemption_id)
    if row is None:
        raise NotFound("没有这笔兑换", field="redemption_id")
    sealed = row["address_sealed"]
    return _view(row, masked(sealer, sealed) if sealed else None)


def _view(row: asyncpg.Record, address: MaskedAddress | None = None) -> RedemptionView:
    values = {name: value for name, value in row.items() if name != "address_sealed"}
    return RedemptionView(**values, address=address)
