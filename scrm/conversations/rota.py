"""The rota 排班 as its page shows it: a week by days and people, who has a seat, who is on duty now, and the queues."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kit.clock import midnight
from kit.workdays import is_working_day, occasion
from scrm import db
from scrm.conversations.changes import change, lock, record
from scrm.conversations.desk import Hours, known_skill
from scrm.conversations.shifts import spans_of
from scrm.db import Transaction, command
from scrm.errors import NotFound
from scrm.staff.permissions import granted

ANSWERS = "inbox.answer"


@dataclass(frozen=True, slots=True)
class RotaDay:
    """A day: workday, restday or closed; `own` when the brand said so, `note` its word or the public calendar's."""

    day: date
    kind: str
    own: bool
    note: str


@dataclass(frozen=True, slots=True)
class Span:
    """When somebody serves on the day it begins; minutes after its midnight in Shanghai, over 1440 on the next."""

    staff_id: int
    day: date
    starts: int
    ends: int


def days(hours: Hours, first: date, count: int, notes: dict[date, str]) -> list[RotaDay]:
    """Return what kind of days follow, from `first` on."""
    found = []
    for day in (first + timedelta(days=n) for n in range(count)):
        own = hours.special.get(day)
        kind = own or ("workday" if is_working_day(day) else "restday")
        found.append(RotaDay(day, kind, own is not None, notes.get(day, "") if own else occasion(day) or ""))
    return found


def spans(hours: Hours, first: date, count: int) -> list[Span]:
    """Return what the shifts come to on the days from `first` on, breaks and special days taken off."""
    found = []
    for day in (first + timedelta(days=n) for n in range(count)):
        begins = midnight(day)
        for staff_id, (begin, end) in spans_of(hours.shifts, day, hours.special):
            found.append(Span(staff_id, day, _minutes(begin - begins), _minutes(end - begins)))
    return sorted(found, key=lambda one: (one.day, one.staff_id, one.starts, one.ends))


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds()) // 60


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may answer at a brand. `seated` is False until they have a seat there; `load` is what they have."""

    staff_id: int
    name: str
    seated: bool
    capacity: int
    skills: tuple[str, ...]
    present: bool
    load: int
    overdue: int


_PEOPLE = """
SELECT p.id, p.name, p.capacity AS usual, r.code, r.permissions, s.capacity, s.skills,
       coalesce(s.present_until > $2, false) AS present, had.load, had.overdue
FROM staff p JOIN role r ON r.id = p.role_id
LEFT JOIN seat s ON s.staff_id = p.id AND s.brand_id = $1
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE c.snoozed_until IS NULL OR c.snoozed_until <= $2)::int AS load,
           count(*) FILTER (WHERE c.answer_due_at <= $2)::int AS overdue
    FROM conversation c
    WHERE c.state = 'staff' AND c.desk = 'ours' AND c.staff_id = p.id AND c.brand_id = $1
) had
WHERE p.status = 'active'
  AND (s.staff_id IS NOT NULL OR p.all_brands
       OR EXISTS (SELECT FROM staff_brand b WHERE b.staff_id = p.id AND b.brand_id = $1))
ORDER BY s.staff_id IS NULL, p.id
"""


async def people(brand_id: int, now: datetime) -> list[Person]:
    """Return who may answer at a brand, those with a seat first."""
    return [
        Person(
            row["id"],
            row["name"],
            row["capacity"] is not None,
            row["usual"] if row["capacity"] is None else row["capacity"],
            tuple(json.loads(row["skills"])) if row["skills"] else (),
            row["present"],
            row["load"],
            row["overdue"],
        )
        for row in await db.fetch(_PEOPLE, brand_id, now)
        if row["capacity"] is not None or ANSWERS in granted(row["code"], json.loads(row["permissions"]))
    ]


async def check_person(brand_id: int, staff_id: int, now: datetime) -> Person:
    """Return somebody who may answer at a brand; raises NotFound for anybody else."""
    for one in await people(brand_id, now):
        if one.staff_id == staff_id:
            return one
    raise NotFound("这个品牌没有这位客服")


@dataclass(frozen=True, slots=True)
class DeskAccount:
    """An account whose fans are served: by our seats or, with `wechat`, by WeChat's own customer service."""

    id: int
    name: str
    verified: bool
    wechat: bool
    texts: dict[str, str]


async def accounts(brand_id: int) -> list[DeskAccount]:
    """Return a brand's official accounts, with the words that are their own."""
    rows = await db.fetch(
        """
        SELECT a.id, a.name, a.verified, d.id IS NOT NULL AS wechat, coalesce(w.texts, '{}') AS texts
        FROM account a LEFT JOIN wechat_desk d ON d.account_id = a.id LEFT JOIN account_words w ON w.account_id = a.id
        WHERE a.brand_id = $1 AND a.kind <> 'miniprogram' ORDER BY a.id
        """,
        brand_id,
    )
    return [DeskAccount(**{**dict(row), "texts": json.loads(row["texts"])}) for row in rows]


async def brand_texts(brand_id: int) -> dict[str, str]:
    """Return the words that are a brand's own."""
    rows = await db.fetch("SELECT texts FROM desk_words WHERE brand_id = $1", brand_id)
    return dict(json.loads(rows[0]["texts"])) if rows else {}


async def brand_name(brand_id: int) -> str:
    """Return a brand's name; raises NotFound where there is none."""
    rows = await db.fetch("SELECT name FROM brand WHERE id = $1", brand_id)
    if not rows:
        raise NotFound("没有这个品牌")
    return str(rows[0]["name"])


_WITH_SKILL = "SELECT id FROM conversation WHERE brand_id = $1 AND state <> 'closed' AND skill = $2 ORDER BY id"


@command
async def remove_skill(tx: Transaction, *, brand_id: int, name: str, staff_id: int | None, now: datetime) -> None:
    """Take a skill away: from the seats, and from what waits for it, which then waits for anybody.

    Raises NotFound for a skill that the brand does not have.
    """
    raw = tx.connection
    if not name or not await known_skill(raw, brand_id, name):
        raise NotFound("没有这个技能")
    await raw.execute("DELETE FROM skill WHERE brand_id = $1 AND name = $2", brand_id, name)
    for row in await raw.fetch(_WITH_SKILL, brand_id, name):
        found = await lock(raw, row["id"], brand_id)
        if found["state"] != "closed" and found["skill"] == name:
            await change(raw, row["id"], skill="")
            await record(raw, found, "transferred", "staff", now, staff_id=staff_id, reason="skill_removed")
    # Conversations before seats: the order in which everybody locks.
    await raw.execute("UPDATE seat SET skills = skills - $2::text WHERE brand_id = $1 AND skills ? $2", brand_id, name)


def on_duty(hours: Hours, seats: Sequence[Person], now: datetime) -> set[int]:
    """Return who of those with a seat is on duty now; without any shift whoever is present is."""
    return hours.on_duty(now, [one.staff_id for one in seats if one.seated])
