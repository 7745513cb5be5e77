"""Where a person stands at a brand, in one round trip: points, growth, level and how far the next one is."""

import json
from dataclasses import dataclass
from datetime import datetime

from scrm.db import Connection
from scrm.points.holders import HOMES, Holding
from scrm.points.levels import Level, Standing, standing
from scrm.points.postings import GROWTH, POINTS

_SUMMARY = f"""
-- What expired but was not swept yet is not counted.
WITH held AS (
    SELECT b.asset, sum(b.balance - coalesce(gone.amount, 0))::bigint AS balance, sum(b.debt)::bigint AS debt
    FROM ledger_balance b
    LEFT JOIN LATERAL (
        SELECT sum(l.remaining) AS amount FROM ledger_lot l
        WHERE l.holder_id = b.holder_id AND l.asset = b.asset AND l.remaining > 0 AND l.expires_at <= $3
    ) gone ON true
    WHERE b.holder_id = ANY(ARRAY({HOMES}))
    GROUP BY b.asset
)
SELECT (SELECT json_agg(held) FROM held) AS held,
       (SELECT json_agg(l ORDER BY l.rank) FROM level l WHERE l.brand_id = $2) AS levels,
       (SELECT growth_word FROM brand WHERE id = $2) AS growth_word
"""  # noqa: S608  # put together from our own


@dataclass(frozen=True, slots=True)
class Summary:
    """What a person has and owes, and their level; `levels` are the brand's, the lowest first, maybe none.

    `growth_word` is what the brand calls growth.
    """

    points: Holding
    growth: Holding
    levels: list[Level]
    growth_word: str

    @property
    def standing(self) -> Standing | None:
        """The level of the growth less what is owed; None at a brand without levels."""
        own = self.growth.balance - self.growth.debt
        return standing(own, self.levels) if self.levels else None


async def of(raw: Connection, member_id: int, brand_id: int, now: datetime) -> Summary:
    """Return where the person that a member is stands at a brand."""
    row = await raw.fetchrow(_SUMMARY, member_id, brand_id, now)
    held = {one["asset"]: Holding(one["balance"], one["debt"]) for one in json.loads(row["held"] or "[]")}
    levels = [
        Level(one["rank"], one["name"], one["threshold"], tuple(one["benefits"]))
        for one in json.loads(row["levels"] or "[]")
    ]
    nothing = Holding(0, 0)
    return Summary(held.get(POINTS, nothing), held.get(GROWTH, nothing), levels, row["growth_word"])
