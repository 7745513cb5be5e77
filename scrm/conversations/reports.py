"""How service is doing: first response, waiting, resolution, the bot's share and satisfaction, by hour and by staff.

Counted are conversations by the moment a person was asked for (or took the fan). Waiting and first response leave out
what was asked outside service hours: that was promised for later, and whether it was kept is counted for itself.
Times are seconds, hours and days are Asia/Shanghai's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from scrm import db
from scrm.conversations.desk import DeskSettings
from scrm.conversations.lines import MESSAGES

_FIGURES = """
    count(*)::int AS asked,
    count(first_response_at)::int AS answered,
    count(closed_at)::int AS closed,
    count(first_response_at) FILTER (WHERE promised_until IS NULL)::int AS answered_in_hours,
    count(*) FILTER (
        WHERE promised_until IS NULL
          AND first_response_at - asked_at <= make_interval(secs => coalesce(d.first_response_seconds, $6))
    )::int AS in_time,
    avg(extract(epoch FROM assigned_at - asked_at)) FILTER (WHERE promised_until IS NULL)::float AS waiting,
    avg(extract(epoch FROM first_response_at - asked_at)) FILTER (WHERE promised_until IS NULL)::float
        AS first_response,
    (percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM first_response_at - asked_at))
        FILTER (WHERE promised_until IS NULL))::float AS first_response_median,
    avg(extract(epoch FROM closed_at - asked_at)) FILTER (WHERE close_reason IN ('staff', 'idle'))::float AS resolution,
    count(rating)::int AS rated,
    avg(rating)::float AS rating,
    count(promised_until)::int AS promises,
    count(*) FILTER (WHERE first_response_at <= promised_until)::int AS promises_kept,
    count(promise_broken_at) FILTER (WHERE promised_until IS NOT NULL)::int AS promises_broken
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of one group of conversations; None where there is nothing to average.

    `waiting` is until somebody had it, `resolution` until it was closed by the staff or for being idle; seconds.
    `in_time` of `answered_in_hours` were answered within the brand's time to a first answer. `promises` were given
    outside hours; those neither kept nor broken are not over yet, or the fan went away.
    """

    asked: int
    answered: int
    closed: int
    answered_in_hours: int
    in_time: int
    waiting: float | None
    first_response: float | None
    first_response_median: float | None
    resolution: float | None
    rated: int
    rating: float | None
    promises: int
    promises_kept: int
    promises_broken: int


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
    """The service of brands in a period. `bot` is None where it is cut to a skill: the bot's fans need none."""

    total: Figures
    scores: dict[int, int]
    bot: BotShare | None
    bot_by_day: dict[date, BotShare]
    by_day: dict[date, Figures]
    by_hour: dict[int, Figures]
    by_staff: dict[int, Figures]


_PERIOD = """
FROM conversation c LEFT JOIN desk d ON d.brand_id = c.brand_id
WHERE ($1::bigint[] IS NULL OR c.brand_id = ANY($1)) AND c.asked_at >= $2 AND c.asked_at < $3
  AND ($4::bigint IS NULL OR c.account_id = $4) AND ($5::text IS NULL OR c.skill = $5) AND $6::int IS NOT NULL
"""
# Our own words in all of them, never a caller's.
_TOTAL = f"SELECT {_FIGURES} {_PERIOD}"
_BY_DAY = f"""
SELECT (asked_at AT TIME ZONE 'Asia/Shanghai')::date AS part, {_FIGURES} {_PERIOD} GROUP BY 1 ORDER BY 1
"""
_BY_HOUR = f"""
SELECT extract(hour FROM asked_at AT TIME ZONE 'Asia/Shanghai')::int AS part, {_FIGURES} {_PERIOD}
GROUP BY 1 ORDER BY 1
"""  # noqa: S608
_BY_STAFF = f"SELECT staff_id AS part, {_FIGURES} {_PERIOD} AND staff_id IS NOT NULL GROUP BY 1 ORDER BY 1"
_SCORES = f"SELECT rating, count(*)::int AS n {_PERIOD} AND rating IS NOT NULL GROUP BY 1 ORDER BY 1"
_BOT = """
WITH wrote AS (
    SELECT DISTINCT e.fan_id, (e.occurred_at AT TIME ZONE 'Asia/Shanghai')::date AS day
    FROM event e JOIN account a ON a.id = e.account_id
    WHERE ($1::bigint[] IS NULL OR a.brand_id = ANY($1)) AND e.occurred_at >= $2 AND e.occurred_at < $3
      AND ($4::bigint IS NULL OR e.account_id = $4) AND e.kind = ANY($5::text[])
)
SELECT w.day, count(*)::int AS fan_days,
       count(*) FILTER (
           WHERE NOT EXISTS (
               SELECT FROM conversation c
               WHERE c.fan_id = w.fan_id
                 AND c.asked_at < (w.day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
                 AND (c.closed_at IS NULL OR c.closed_at >= w.day::timestamp AT TIME ZONE 'Asia/Shanghai')
           )
       )::int AS by_bot
FROM wrote w GROUP BY 1 ORDER BY 1
"""


async def report(
    *,
    brands: Sequence[int] | None,
    since: datetime,
    until: datetime,
    account_id: int | None = None,
    skill: str | None = None,
) -> Report:
    """Return the service of these brands (None: all) in a period; both ends are aware moments, `until` is outside.

    `account_id` and `skill` cut it further; the skill "" is the queue for everybody. A period that does not begin
    and end at midnight in Shanghai counts a fan's day by the part of it that lies within.
    """
    given = (
        None if brands is None else list(brands),
        since,
        until,
        account_id,
        skill,
        DeskSettings().first_response_seconds,
    )
    (total,) = await db.fetch(_TOTAL, *given)
    days = {}
    if skill is None:
        for row in await db.fetch(_BOT, *given[:4], list(MESSAGES)):
            days[row["day"]] = BotShare(row["fan_days"], row["by_bot"])
    bot = BotShare(sum(one.fan_days for one in days.values()), sum(one.by_bot for one in days.values()))
    return Report(
        total=Figures(**dict(total)),
        scores={row["rating"]: row["n"] for row in await db.fetch(_SCORES, *given)},
        bot=bot if skill is None else None,
        bot_by_day=days,
        by_day=await _parts(_BY_DAY, *given),
        by_hour=await _parts(_BY_HOUR, *given),
        by_staff=await _parts(_BY_STAFF, *given),
    )


async def total(*, brands: Sequence[int] | None, since: datetime, until: datetime) -> Figures:
    """Return the sums alone, for what is asked for every few seconds."""
    seconds = DeskSettings().first_response_seconds
    (row,) = await db.fetch(_TOTAL, None if brands is None else list(brands), since, until, None, None, seconds)
    return Figures(**dict(row))


async def _parts(sql: str, *given: object) -> dict[Any, Figures]:
    parts = {}
    for row in await db.fetch(sql, *given):
        figures = dict(row)
        part = figures.pop("part")
        parts[part] = Figures(**figures)
    return parts
