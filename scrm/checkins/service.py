"""Checking in: once per natural day in Asia/Shanghai and person, over all channels and devices together.

A person is locked while they check in (scrm.members.person), so however many phones ask at once, one day is one row
over all homes. Merges are settled in scrm.checkins.doubles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from kit.clock import natural_day
from kit.ids import key_of
from scrm.checkins import doubles  # noqa: F401  # importing it is what makes it listen to merges and splits
from scrm.checkins.queries import DONE, MADE_UP, cards, day_of, running_streak, streak_to
from scrm.checkins.rewards import EVENT, Reward, earned, expected, held, level_reached
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid
from scrm.events import kinds
from scrm.events import service as events
from scrm.members.person import hold
from scrm.points.ledger import homes_of

MADE_UP_DAY = kinds.register("checkin.made_up", "补签")
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """What checking in came to. `fresh` is False when the day had been checked in before, by whatever way."""

    day: date
    fresh: bool
    earned: Sequence[Reward]
    level: str | None  # the name of the one that this has reached
    streak: int
    next_reward: Sequence[Reward]
    held: Mapping[str, int]  # what the person has now, by asset


@command
async def check_in(
    tx: Transaction,
    *,
    member_id: int,
    account_id: int,
    fan_id: int | None,
    occurred_at: datetime,
    now: datetime,
) -> CheckedIn:
    """Check a home member's person in for the natural day of `occurred_at`; again on that day changes nothing.

    `occurred_at` is when they asked, so a message written before midnight and read after it counts for its day.
    What it earns follows from the event, by the rules. Raises Invalid when it lies after `now`.
    """
    if occurred_at > now:
        raise Invalid("签到时间不能晚于现在", field="occurred_at")
    raw, day = tx.connection, natural_day(occurred_at)
    # Looked at before locking: who taps ten times waits for nobody after the first.
    homes = await homes_of(raw, member_id)
    fresh = await day_of(raw, homes, day) is None
    if fresh:
        homes = await hold(raw, member_id, fan_id)
        fresh = await day_of(raw, homes, day) is None
    key = key_of(EVENT, member_id, day)
    if fresh:
        streak = await streak_to(raw, homes, day - ONE_DAY) + 1
        await _write(raw, key, DONE, member_id, day, account_id, fan_id, occurred_at)
        await events.append(
            key=key,
            kind=EVENT,
            occurred_at=occurred_at,
            recorded_at=now,
            member_id=member_id,
            account_id=account_id,
            fan_id=fan_id,
            payload={"day": day.isoformat(), "streak": streak},
        )
    got = await earned(raw, key) if fresh else ()
    return CheckedIn(
        day=day,
        fresh=fresh,
        earned=got,
        level=await level_reached(raw, member_id, account_id, got),
        streak=await running_streak(raw, homes, max(day, natural_day(now))),
        next_reward=await expected(raw, account_id, now + ONE_DAY),
        held=await held(raw, member_id, now),
    )


@command
async def make_up(
    tx: Transaction, *, member_id: int, account_id: int, fan_id: int | None, day: date, now: datetime
) -> int:
    """Use a make-up card for a missed day, and return the streak that is running then.

    It mends the streak and the calendar and earns nothing. Raises Invalid for a day that is not over or too long
    ago, Conflict `no_card_left` or, when the day needs no card, `checked_in_already`.
    """
    raw, today = tx.connection, natural_day(now)
    if day >= today:
        raise Invalid("只能补签今天以前的日子", field="day")
    homes = await hold(raw, member_id, fan_id)
    if await day_of(raw, homes, day) is not None:
        raise Conflict("这一天已经签到", code="checked_in_already", field="day")
    have = await cards(raw, homes, account_id, today)
    if have.left == 0:
        raise Conflict("本月没有补签卡了", code="no_card_left")
    if day < have.oldest:
        raise Invalid("这一天太久以前，不能补签", field="day")
    key = key_of(MADE_UP_DAY.name, member_id, day)
    await _write(raw, key, MADE_UP, member_id, day, account_id, fan_id, now)
    await events.append(
        key=key,
        kind=MADE_UP_DAY.name,
        occurred_at=now,
        recorded_at=now,
        member_id=member_id,
        account_id=account_id,
        fan_id=fan_id,
        payload={"day": day.isoformat()},
    )
    return await running_streak(raw, homes, today)


@command
async def set_policy(tx: Transaction, *, brand_id: int, cards_per_month: int, days_back: int = 7) -> None:
    """Say how many make-up cards a person has per month, and how many days back they reach; 0 cards is none.

    Raises Invalid naming the field.
    """
    if not 0 <= cards_per_month <= 31:
        raise Invalid("每月补签卡为 0 到 31 张", field="cards_per_month")
    if not 1 <= days_back <= 366:
        raise Invalid("可补签天数为 1 到 366", field="days_back")
    await tx.connection.execute(
        """
        INSERT INTO checkin_policy (brand_id, cards_per_month, days_back) VALUES ($1, $2, $3)
        ON CONFLICT (brand_id) DO UPDATE SET cards_per_month = $2, days_back = $3
        """,
        brand_id,
        cards_per_month,
        days_back,
    )


async def _write(
    raw: Connection,
    key: UUID,
    kind: str,
    member_id: int,
    day: date,
    account_id: int,
    fan_id: int | None,
    occurred_at: datetime,
) -> None:
    await raw.execute(
        """
        INSERT INTO checkin (event_key, kind, member_id, day, account_id, fan_id, occurred_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        key,
        kind,
        member_id,
        day,
        account_id,
        fan_id,
        occurred_at,
    )
