"""How service is doing: first response, waiting, resolution, the bot's share and satisfaction, by hour and by staff.

Counted are conversations by the moment a person was asked for (or took the fan). Waiting and first response leave out
what was asked outside service hours: that was promised for later, and whether it was kept is counted for itself.
Times are seconds, hours are Asia/Shanghai's.
"""

from dataclasses import dataclass
from datetime import datetime

from scrm import db
from scrm.conversations.lines import MESSAGES

_FIGURES = """
    count(*)::int AS asked,
    count(first_response_at)::int AS answered,
    count(closed_at)::int AS closed,
    avg(extract(epoch FROM assigned_at - asked_at)) FILTER (WHERE promised_until IS NULL)::float AS waiting,
    avg(extract(epoch FROM first_response_at - asked_at)) FILTER (WHERE promised_until IS NULL)::float
        AS first_response,
    (percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM first_response_at - asked_at))
        FILTER (WHERE promised_until IS NULL))::float AS first_response_median,
    avg(extract(epoch FROM closed_at - asked_at)) FILTER (WHERE close_reason IN ('staff', 'idle'))::float AS resolution,
    count(rating)::int AS rated,
    avg(rating)::float AS rating
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of one group of conversations; None where there is nothing to average.

    `waiting` is until somebody had it, `resolution` until it was closed by the staff or for being idle; seconds.
    """

    asked: int
    answered: int
    closed: int
    waiting: float | None
    first_response: float | None
    first_response_median: float | None
    resolution: float | None
    rated: int
    rating: float | None


@dataclass(frozen=True, slots=True)
class Promises:
    """Promises given outside hours: kept, broken, and those whose time is not over yet or whose fan went away."""

    given: int
    kept: int
    broken: int


@dataclass(frozen=True, slots=True)
class BotShare:
    """Days of fans: a fan who wrote on a day counts once, and is the bot's when no person had to do with them."""

    fan_days: int
    by_bot: int

    @property
    def share(self) -> float | None:
        """The share that the bot resolved alone; None when nobody wrote."""
        return self.by_bot / self.fan_days if self.fan_days else None


@dataclass(frozen=True, slots=True)
class Report:
    """The service of a brand in a period."""

    total: Figures
    scores: dict[int, int]
    promises: Promises
    bot: BotShare
    by_hour: dict[int, Figures]
    by_staff: dict[int, Figures]


_PERIOD = "FROM conversation WHERE brand_id = $1 AND asked_at >= $2 AND asked_at < $3"
# Our own words in both, never a caller's.
_TOTAL = f"SELECT {_FIGURES} {_PERIOD}"
_BY_HOUR = f"""
SELECT extract(hour FROM asked_at AT TIME ZONE 'Asia/Shanghai')::int AS part, {_FIGURES} {_PERIOD}
GROUP BY 1 ORDER BY 1
"""  # noqa: S608
_BY_STAFF = f"SELECT staff_id AS part, {_FIGURES} {_PERIOD} AND staff_id IS NOT NULL GROUP BY 1 ORDER BY 1"
_SCORES = f"SELECT rating, count(*)::int AS n {_PERIOD} AND rating IS NOT NULL GROUP BY 1 ORDER BY 1"
_PROMISES = f"""
SELECT count(*)::int AS given,
       count(*) FILTER (WHERE first_response_at <= promised_until)::int AS kept,
       count(promise_broken_at)::int AS broken
{_PERIOD} AND promised_until IS NOT NULL
"""
_BOT = """
WITH wrote AS (
    SELECT DISTINCT e.fan_id, date_trunc('day', e.occurred_at AT TIME ZONE 'Asia/Shanghai') AS day
    FROM event e JOIN account a ON a.id = e.account_id
    WHERE a.brand_id = $1 AND e.occurred_at >= $2 AND e.occurred_at < $3 AND e.kind = ANY($4::text[])
)
SELECT count(*)::int AS fan_days,
       count(*) FILTER (
           WHERE NOT EXISTS (
               SELECT FROM conversation c
               WHERE c.fan_id = w.fan_id
                 AND c.asked_at < (w.day + interval '1 day') AT TIME ZONE 'Asia/Shanghai'
                 AND (c.closed_at IS NULL OR c.closed_at >= w.day AT TIME ZONE 'Asia/Shanghai')
           )
       )::int AS by_bot
FROM wrote w
"""


async def report(*, brand_id: int, since: datetime, until: datetime) -> Report:
    """Return a brand's service in a period; both ends are aware moments, `until` is outside."""
    given = (brand_id, since, until)
    (total,) = await db.fetch(_TOTAL, *given)
    (promises,) = await db.fetch(_PROMISES, *given)
    (bot,) = await db.fetch(_BOT, *given, list(MESSAGES))
    return Report(
        total=Figures(**dict(total)),
        scores={row["rating"]: row["n"] for row in await db.fetch(_SCORES, *given)},
        promises=Promises(**dict(promises)),
        bot=BotShare(**dict(bot)),
        by_hour=await _parts(_BY_HOUR, *given),
        by_staff=await _parts(_BY_STAFF, *given),
    )


async def _parts(sql: str, *given: object) -> dict[int, Figures]:
    parts = {}
    for row in await db.fetch(sql, *given):
        figures = dict(row)
        part = figures.pop("part")
        parts[part] = Figures(**figures)
    return parts
