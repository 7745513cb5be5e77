"""The rota 排班 of a brand: a week of shifts by people and days, special days, and who serves when."""

from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from console.desk import MANAGE, brand_of, entry
from console.surface import SURFACE, Call
from kit.clock import natural_day
from scrm.conversations import desk, desk_queries, rota
from scrm.conversations.shifts import ShiftView
from scrm.errors import Invalid, NotFound
from scrm.staff.audit import Entry, along
from web.shapes import Day, Shown, Taken, Text

WEEK = 7
# Special days are shown from this long ago on.
SHOWN_DAYS = 60
Pattern = Literal["daily", "workdays", "restdays", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "date", "off"]
Minute = Annotated[int, Field(ge=0, le=2880)]


class RotaQuery(Taken):
    """The week in which a day lies, Monday first; without one the present week."""

    day: Day | None = None


class RotaDay(Shown):
    """A day: `own` when the brand said what it is; `note` is the brand's word, or the public calendar's."""

    day: date
    kind: Literal["workday", "restday", "closed"]
    own: bool
    note: str


class RotaSpan(Shown):
    """When somebody serves on the day it begins; minutes after its midnight, over 1440 on the next day."""

    staff_id: int
    day: date
    starts: int
    ends: int


class ShiftInput(Taken):
    """A shift: days that fit a pattern, or one date; `ends` at or before `starts` is on the next day."""

    pattern: Pattern
    day: Day | None = None
    starts: Minute
    ends: Minute
    breaks: Annotated[list[Annotated[list[Minute], Field(min_length=2, max_length=2)]], Field(max_length=10)] = Field(
        default_factory=list
    )


class ShiftsInput(Taken):
    """All shifts of somebody at a brand."""

    shifts: Annotated[list[ShiftInput], Field(max_length=100)]


class RotaShift(BaseModel):
    """A shift as it was set."""

    staff_id: int
    pattern: Pattern
    day: date | None
    starts: int
    ends: int
    breaks: list[list[int]]


class RotaPerson(BaseModel):
    """Somebody who may answer at the brand."""

    staff_id: int
    name: str
    seated: bool
    on_duty: bool
    present: bool


class SpecialDay(BaseModel):
    """A day on which the brand departs from the public calendar."""

    day: date
    kind: Literal["workday", "restday", "closed"]
    note: str


class SpecialDayInput(Taken):
    """A special day; `kind` null takes it back."""

    day: Day
    kind: Literal["workday", "restday", "closed"] | None
    note: Annotated[Text, Field(max_length=64)] = ""


class RotaView(BaseModel):
    """A week; without any shift service is on whenever somebody is present."""

    brand_id: int
    first: date
    days: list[RotaDay]
    people: list[RotaPerson]
    spans: list[RotaSpan]
    shifts: list[RotaShift]
    special: list[SpecialDay]


@SURFACE.get("/desk/{brand_id}/rota", permission=MANAGE, errors=[NotFound, Invalid])
async def service_rota(call: Call, brand_id: int, query: RotaQuery) -> RotaView:
    """一周排班."""
    await brand_of(call, brand_id)
    today = natural_day(call.now)
    day = query.day or today
    if not 1000 < day.year < 9000:
        raise Invalid("日期超出范围", field="day")
    first = day - timedelta(days=day.weekday())
    hours = await desk_queries.hours(brand_id)
    special = await desk_queries.special_days(brand_id, min(first, today - timedelta(days=SHOWN_DAYS)))
    people = await rota.people(brand_id, call.now)
    on_duty = rota.on_duty(hours, people, call.now)
    notes = {one["day"]: one["note"] for one in special}
    return RotaView(
        brand_id=brand_id,
        first=first,
        days=[RotaDay.model_validate(one) for one in rota.days(hours, first, WEEK, notes)],
        people=[
            RotaPerson(
                staff_id=one.staff_id,
                name=one.name,
                seated=one.seated,
                on_duty=one.staff_id in on_duty,
                present=one.present,
            )
            for one in people
        ],
        # The night shift of the Sunday before reaches into Monday.
        spans=[RotaSpan.model_validate(one) for one in rota.spans(hours, first - timedelta(days=1), WEEK + 1)],
        shifts=[_shift(one) for one in hours.shifts],
        special=[SpecialDay.model_validate(one) for one in special],
    )


@SURFACE.put("/desk/{brand_id}/rota/{staff_id}", permission=MANAGE, status=204, errors=[NotFound, Invalid])
async def set_shifts(call: Call, brand_id: int, staff_id: int, body: ShiftsInput) -> None:
    """修改一位客服的班次."""
    await brand_of(call, brand_id)
    who = await rota.check_person(brand_id, staff_id, call.now)
    was = [one for one in (await desk_queries.hours(brand_id)).shifts if one.staff_id == staff_id]
    given = [
        ShiftView(staff_id, one.pattern, one.starts, one.ends, one.day, tuple((a, b) for a, b in one.breaks))
        for one in body.shifts
    ]
    await along(
        call.actor,
        lambda: desk.set_shifts(brand_id=brand_id, staff_id=staff_id, shifts=given),
        lambda _: Entry(
            "desk.shifts",
            f"staff:{staff_id}",
            who.name,
            brand_id,
            {"shifts": [_said(one) for one in was]},
            {"shifts": [_said(one) for one in given]},
        ),
        call.now,
    )


@SURFACE.put("/desk/{brand_id}/days", permission=MANAGE, status=204, errors=[NotFound, Invalid])
async def set_special_day(call: Call, brand_id: int, body: SpecialDayInput) -> None:
    """设置特殊日：上班、休息或停止服务."""
    name = await brand_of(call, brand_id)
    known = {one["day"]: one for one in await desk_queries.special_days(brand_id, body.day)}
    was = known.get(body.day)
    after = None if body.kind is None else {"day": str(body.day), "kind": body.kind, "note": body.note}
    before = was and {"day": str(body.day), "kind": was["kind"], "note": was["note"]}
    await along(
        call.actor,
        lambda: desk.set_special_day(brand_id=brand_id, day=body.day, kind=body.kind, note=body.note),
        lambda _: None if before == after else entry("desk.day", brand_id, name, before, after),
        call.now,
    )


def _shift(one: ShiftView) -> RotaShift:
    return RotaShift.model_validate(
        {
            "staff_id": one.staff_id,
            "pattern": one.pattern,
            "day": one.day,
            "starts": one.starts,
            "ends": one.ends,
            "breaks": [list(pause) for pause in one.breaks],
        }
    )


_PATTERNS = {
    "daily": "每天", "workdays": "工作日", "restdays": "休息日",
    "mon": "周一", "tue": "周二", "wed": "周三", "thu": "周四", "fri": "周五", "sat": "周六", "sun": "周日",
    "off": "请假", "date": "",
}  # fmt: skip


def _said(one: ShiftView) -> str:
    """Say a shift in words, for the trail."""
    when = f"{one.day or ''}{_PATTERNS[one.pattern]}"
    if one.pattern == "off":
        return when
    pauses = "、".join(f"{_clock(a)}-{_clock(b)}" for a, b in one.breaks)
    return f"{when} {_clock(one.starts)}-{_clock(one.ends)}" + (f"（休 {pauses}）" if pauses else "")


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"
