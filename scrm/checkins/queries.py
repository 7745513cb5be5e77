"""Reading check-ins: streak, the calendar of a month, make-up cards left. A person's days are those of all homes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kit.clock import natural_day
from scrm import db
from scrm.checkins.rewards import Reward, expected
from scrm.db import Connection
from scrm.errors import Invalid
from scrm.points.ledger import homes_of

DONE, MADE_UP = "done", "made_up"


@dataclass(frozen=True, slots=True)
class Cards:
    """Make-up cards: how many are left this month, and what they may still mend.

    `oldest` is the earliest day that may be made up, `missed` the latest day since then that needs it.
    """

    left: int
    oldest: date
    missed: date | None


@dataclass(frozen=True, slots=True)
class Month:
    """A month's check-ins: day → "done" or "made_up". `streak` is the one that is running today."""

    first: date
    days: Mapping[date, str]
    today: date
    streak: int
    cards: Cards


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands today, before or after checking in; the next reward is then today's or tomorrow's."""

    today: date
    done: bool
    streak: int
    next_reward: Sequence[Reward]


async def day_of(raw: Connection, homes: Sequence[int], day: date) -> str | None:
    """Return how a person's day was checked in, None when it was not."""
    kind: str | None = await raw.fetchval(
        "SELECT kind FROM checkin WHERE member_id = ANY($1::bigint[]) AND day = $2 ORDER BY kind LIMIT 1",
        list(homes),
        day,
    )
    return kind


async def streak_to(raw: Connection, homes: Sequence[int], last: date) -> int:
    """Return how many days in a row, made-up ones included, end with `last`; 0 when it was not checked in."""
    length: int = await raw.fetchval(
        """
        -- Counted backwards from `last`, days without a gap all have the same day + number.
        SELECT count(*) FROM (
            SELECT day + (row_number() OVER (ORDER BY day DESC))::int AS anchor
            FROM (SELECT DISTINCT day FROM checkin WHERE member_id = ANY($1::bigint[]) AND day <= $2) days
        ) numbered WHERE anchor = $2::date + 1
        """,
        list(homes),
        last,
    )
    return length


async def running_streak(raw: Connection, homes: Sequence[int], today: date) -> int:
    """Return the streak as of today: one that ended yesterday is not lost until today is over."""
    return await streak_to(raw, homes, today) or await streak_to(raw, homes, today - timedelta(days=1))


async def cards(raw: Connection, homes: Sequence[int], account_id: int, today: date) -> Cards:
    """Return a person's make-up cards by the policy of the account's brand; none without a policy."""
    row = await raw.fetchrow(
        """
        SELECT p.cards_per_month, p.days_back FROM checkin_policy p JOIN account a ON a.brand_id = p.brand_id
        WHERE a.id = $1
        """,
        account_id,
    )
    if row is None:
        return Cards(0, today, None)
    used = await raw.fetchval(
        """
        SELECT count(*) FROM checkin
        WHERE member_id = ANY($1::bigint[]) AND kind = 'made_up'
          AND date_trunc('month', occurred_at AT TIME ZONE 'Asia/Shanghai') = date_trunc('month', $2::date::timestamp)
        """,
        list(homes),
        today,
    )
    left, oldest = max(0, row["cards_per_month"] - used), today - timedelta(days=row["days_back"])
    missed = await raw.fetchval(
        """
        -- Nobody missed a day before we knew them.
        SELECT max(d)::date FROM generate_series($2::date::timestamp, $3::date - interval '1 day', '1 day') AS d
        WHERE NOT EXISTS (SELECT FROM checkin WHERE member_id = ANY($1::bigint[]) AND day = d::date)
          AND d >= (SELECT min(created_at AT TIME ZONE 'Asia/Shanghai')::date FROM member WHERE id = ANY($1::bigint[]))
        """,
        list(homes),
        oldest,
        today,
    )
    return Cards(left, oldest, missed if left else None)


async def my_cards(member_id: int, account_id: int, now: datetime) -> Cards:
    """Return a person's make-up cards at this moment."""
    async with db.connection() as raw:
        return await cards(raw, await homes_of(raw, member_id), account_id, natural_day(now))


async def standing(member_id: int, account_id: int, now: datetime) -> Standing:
    """Return where a person stands at this moment."""
    today = natural_day(now)
    async with db.connection() as raw:
        homes = await homes_of(raw, member_id)
        done = await day_of(raw, homes, today) is not None
        return Standing(
            today=today,
            done=done,
            streak=await running_streak(raw, homes, today),
            next_reward=await expected(raw, account_id, now + timedelta(days=int(done))),
        )


async def this_month(member_id: int, account_id: int, now: datetime) -> Month:
    """Return the calendar of the month in Asia/Shanghai in which this moment falls."""
    today = natural_day(now)
    return await month(member_id, account_id, now, today.year, today.month)


async def month(member_id: int, account_id: int, now: datetime, year: int, number: int) -> Month:
    """Return the calendar of a month (1 to 12). Raises Invalid naming `year` or `month`."""
    if not 2000 <= year <= 2999:
        raise Invalid("年份不正确", field="year")
    if not 1 <= number <= 12:
        raise Invalid("月份为 1 到 12", field="month")
    first, today = date(year, number, 1), natural_day(now)
    async with db.connection() as raw:
        homes = await homes_of(raw, member_id)
        rows = await raw.fetch(
            """
            -- A day checked in and made up, by two members who became one, was checked in.
            SELECT day, min(kind) AS kind FROM checkin
            WHERE member_id = ANY($1::bigint[]) AND day >= $2 AND day < $2::date + interval '1 month'
            GROUP BY day ORDER BY day
            """,
            homes,
            first,
        )
        return Month(
            first=first,
            days={row["day"]: row["kind"] for row in rows},
            today=today,
            streak=await running_streak(raw, homes, today),
            cards=await cards(raw, homes, account_id, today),
        )
