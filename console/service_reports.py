"""How service is doing, for charts and tables: by day, by hour and by staff."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from console.surface import SURFACE, Call
from kit.clock import midnight, natural_day
from scrm.conversations import desk_queries, reports
from scrm.conversations.reports import BotShare, Figures
from scrm.errors import Invalid
from web.shapes import Day, RowId, Shown, Taken, Text

READ = "reports.read"
# The longest period of a report: a year and a day.
LONGEST_DAYS = 366
# What is shown to whoever says nothing: a week, with today.
USUAL_DAYS = 7


class ServiceReportQuery(Taken):
    """Days of Asia/Shanghai, inclusive; without any the last seven. `skill` `-` is the queue for everybody."""

    brand: RowId | None = None
    account: RowId | None = None
    skill: Annotated[Text, Field(min_length=1, max_length=32)] | None = None
    since: Day | None = None
    until: Day | None = None


class ServiceFigures(Shown):
    """Numbers of a group of conversations; times in seconds, null where there is nothing to average."""

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


class ServiceDay(BaseModel):
    """A day; of its `fan_days` so many were the bot's alone, null where the report is cut to a skill."""

    day: date
    figures: ServiceFigures
    fan_days: int | None
    by_bot: int | None


class ServiceHour(BaseModel):
    """An hour of the day, 0 to 23, over all days of the period."""

    hour: int
    figures: ServiceFigures


class ServiceStaff(BaseModel):
    """What somebody had last; conversations that nobody ever had are nobody's."""

    staff_id: int
    name: str
    figures: ServiceFigures


class ServiceScore(BaseModel):
    """How many fans gave a score."""

    score: int
    count: int


class ServiceReport(BaseModel):
    """The service in a period; every day and all 24 hours are there, also the empty ones."""

    since: date
    until: date
    total: ServiceFigures
    fan_days: int | None
    by_bot: int | None
    scores: list[ServiceScore]
    by_day: list[ServiceDay]
    by_hour: list[ServiceHour]
    by_staff: list[ServiceStaff]


class ServiceChoiceQuery(Taken):
    """Of one brand, or of all that the caller works for."""

    brand: RowId | None = None


class ServiceAccountChoice(BaseModel):
    """An account to cut a report to."""

    id: int
    brand_id: int
    name: str


class ServiceSkillChoice(BaseModel):
    """A skill to cut a report to."""

    name: str
    title: str


class ServiceChoices(BaseModel):
    """What a report can be cut to."""

    accounts: list[ServiceAccountChoice]
    skills: list[ServiceSkillChoice]


@SURFACE.get("/reports/service/choices", permission=READ)
async def service_choices(call: Call, query: ServiceChoiceQuery) -> ServiceChoices:
    """客服报表的筛选项."""
    accounts, skills = await desk_queries.choices(call.within(query.brand))
    return ServiceChoices(
        accounts=[ServiceAccountChoice(**one) for one in accounts],
        skills=[ServiceSkillChoice(**one) for one in skills],
    )


@SURFACE.get("/reports/service", permission=READ, errors=[Invalid])
async def service_report(call: Call, query: ServiceReportQuery) -> ServiceReport:
    """客服报表."""
    first, last = _period(query, natural_day(call.now))
    told = await reports.report(
        brands=call.within(query.brand),
        since=midnight(first),
        until=midnight(last + timedelta(days=1)),
        account_id=query.account,
        skill="" if query.skill == "-" else query.skill,
    )
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    names = await desk_queries.names(sorted(told.by_staff))
    return ServiceReport(
        since=first,
        until=last,
        total=_shown(told.total),
        fan_days=told.bot and told.bot.fan_days,
        by_bot=told.bot and told.bot.by_bot,
        scores=[ServiceScore(score=score, count=told.scores.get(score, 0)) for score in range(1, 6)],
        by_day=[_day(day, told.by_day, told.bot_by_day if told.bot else None) for day in days],
        by_hour=[ServiceHour(hour=hour, figures=_shown(told.by_hour.get(hour))) for hour in range(24)],
        by_staff=_staff(told.by_staff, names),
    )


def _period(query: ServiceReportQuery, today: date) -> tuple[date, date]:
    last = query.until or max(today, query.since or today)
    first = query.since or _back(last, USUAL_DAYS - 1)
    if first > last:
        raise Invalid("结束日期不能早于开始日期", field="until")
    if (last - first).days >= LONGEST_DAYS:
        raise Invalid("一次最多查询 366 天", field="since")
    if last.year > 9000 or first.year < 1000:
        raise Invalid("日期超出范围", field="since")
    return first, last


def _back(day: date, days: int) -> date:
    # The calendar has a first day.
    return date.fromordinal(max(1, day.toordinal() - days))


_NOTHING = Figures(0, 0, 0, 0, 0, None, None, None, None, 0, None, 0, 0, 0)


def _shown(figures: Figures | None) -> ServiceFigures:
    return ServiceFigures.model_validate(figures or _NOTHING)


def _day(day: date, figures: Mapping[date, Figures], bot: Mapping[date, BotShare] | None) -> ServiceDay:
    share = None if bot is None else bot.get(day, BotShare(0, 0))
    return ServiceDay(
        day=day,
        figures=_shown(figures.get(day)),
        fan_days=share and share.fan_days,
        by_bot=share and share.by_bot,
    )


def _staff(figures: Mapping[int, Figures], names: Mapping[int, str]) -> Sequence[ServiceStaff]:
    # Whoever had most comes first.
    ordered = sorted(figures.items(), key=lambda one: (-one[1].asked, one[0]))
    return [
        ServiceStaff(staff_id=staff, name=names.get(staff, f"员工 {staff}"), figures=_shown(one))
        for staff, one in ordered
    ]
