"""Checking in, the calendar of a month, make-up cards."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from kit.clock import natural_day
from miniprogram_api.surface import SURFACE, Asset, Call, Day, Taken
from scrm.checkins import queries, service
from scrm.checkins.rewards import Reward
from scrm.errors import Conflict


class RewardView(BaseModel):
    """An amount of points or growth."""

    asset: Asset
    amount: int


class CheckedIn(BaseModel):
    """What checking in came to. `fresh` is false when today had been checked in before, by whatever way.

    `level` is the one that it has reached, null when none.
    """

    day: date
    fresh: bool
    earned: list[RewardView]
    level: str | None
    streak: int
    next_reward: list[RewardView]
    points: int
    growth: int


class MonthQuery(Taken):
    """A month in Asia/Shanghai, this one unless said otherwise."""

    month: Annotated[str, Field(pattern=r"^2[0-9]{3}-(0[1-9]|1[0-2])$")] | None = None


class DayView(BaseModel):
    """A day that was checked in, or made up with a card."""

    day: date
    kind: Literal["done", "made_up"]


class Calendar(BaseModel):
    """A month's check-ins, with the streak that is running today and the make-up cards."""

    month: str
    today: date
    streak: int
    days: list[DayView]
    cards_left: int
    cards_reach_back_to: date


class MakeUp(Taken):
    """The missed day to mend."""

    day: Day


class MadeUp(BaseModel):
    """The streak that is running after mending."""

    streak: int


@SURFACE.post("/checkin")
async def check_in(call: Call) -> CheckedIn:
    """签到：每个自然日一次，各渠道合并计算."""
    me = call.me
    done = await service.check_in(
        member_id=me.member_id, account_id=me.account_id, fan_id=me.fan_id, occurred_at=call.now, now=call.now
    )
    return CheckedIn(
        day=done.day,
        fresh=done.fresh,
        earned=_rewards(done.earned),
        level=done.level,
        streak=done.streak,
        next_reward=_rewards(done.next_reward),
        points=done.held["points"],
        growth=done.held["growth"],
    )


@SURFACE.get("/checkin/calendar")
async def calendar(call: Call, query: MonthQuery) -> Calendar:
    """签到日历."""
    today = natural_day(call.now)
    year, month = map(int, (query.month or f"{today:%Y-%m}").split("-"))
    found = await queries.month(call.me.member_id, call.account.id, call.now, year, month)
    return Calendar.model_validate(
        {
            "month": f"{found.first:%Y-%m}",
            "today": found.today,
            "streak": found.streak,
            "days": [{"day": day, "kind": kind} for day, kind in sorted(found.days.items())],
            "cards_left": found.cards.left,
            "cards_reach_back_to": found.cards.oldest,
        }
    )


@SURFACE.post("/checkin/make-up", errors=[Conflict])
async def make_up(call: Call, body: MakeUp) -> MadeUp:
    """用补签卡补签."""
    me = call.me
    streak = await service.make_up(
        member_id=me.member_id, account_id=me.account_id, fan_id=me.fan_id, day=body.day, now=call.now
    )
    return MadeUp(streak=streak)


def _rewards(given: Sequence[Reward]) -> list[RewardView]:
    return [RewardView.model_validate({"asset": one.asset, "amount": one.amount}) for one in given]
