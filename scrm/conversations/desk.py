"""The service desk of a brand: its settings, skills, seats, shifts and special days; and who may be given work now."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from scrm.conversations.shifts import DATED, DAY, PATTERNS, ShiftView, next_service_time, on_duty
from scrm.db import Connection, Transaction, command
from scrm.errors import Invalid, NotFound

# How long a browser's sign of life counts: it gives one every third of it.
PRESENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """What a brand has set. `first_response_seconds` is the time to an answer within hours (45, mission F72)."""

    first_response_seconds: int = 45
    # A promise made outside hours runs out so long after service begins.
    promise_minutes: int = 30
    # Two doubts of the bot within this time make it ask for a person.
    unsure_minutes: int = 10
    # How long after a closing a message that is a score is one.
    rating_minutes: int = 30
    # A conversation in which nobody says anything is closed after this.
    idle_minutes: int = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """A brand's shifts and special days. Without any shift it serves whenever somebody is present."""

    shifts: tuple[ShiftView, ...]
    special: dict[date, str]

    def on_duty(self, moment: datetime, staff: Sequence[int]) -> set[int]:
        """Return who of the staff is on duty."""
        return on_duty(self.shifts, moment, self.special) & set(staff) if self.shifts else set(staff)

    def opens(self, moment: datetime) -> datetime | None:
        """Return `moment` when service is on, else when it begins; None when that is not in sight."""
        return next_service_time(self.shifts, moment, self.special) if self.shifts else moment


async def settings_of(raw: Connection, brand_id: int) -> DeskSettings:
    """Return what the brand has set, or the defaults."""
    row = await raw.fetchrow(
        """
        SELECT first_response_seconds, promise_minutes, unsure_minutes, rating_minutes, idle_minutes
        FROM desk WHERE brand_id = $1
        """,
        brand_id,
    )
    return DeskSettings(**dict(row)) if row else DeskSettings()


async def hours_of(raw: Connection, brand_id: int) -> Hours:
    """Return a brand's service hours."""
    shifts = await raw.fetch(
        "SELECT staff_id, pattern, starts, ends, day, breaks FROM shift WHERE brand_id = $1 ORDER BY id", brand_id
    )
    special = await raw.fetch("SELECT day, kind FROM special_day WHERE brand_id = $1", brand_id)
    return Hours(
        tuple(
            ShiftView(**{**dict(row), "breaks": tuple((a, b) for a, b in json.loads(row["breaks"]))}) for row in shifts
        ),
        {row["day"]: row["kind"] for row in special},
    )


@command
async def set_desk(tx: Transaction, *, brand_id: int, settings: DeskSettings) -> None:
    """Write a brand's settings. Raises Invalid naming the field that is not positive."""
    for name in DeskSettings.__slots__:
        if getattr(settings, name) <= 0:
            raise Invalid("必须大于 0", field=name)
    await tx.connection.execute(
        """
        INSERT INTO desk (brand_id, first_response_seconds, promise_minutes, unsure_minutes, rating_minutes,
                          idle_minutes)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (brand_id) DO UPDATE SET
            first_response_seconds = excluded.first_response_seconds, promise_minutes = excluded.promise_minutes,
            unsure_minutes = excluded.unsure_minutes, rating_minutes = excluded.rating_minutes,
            idle_minutes = excluded.idle_minutes
        """,
        brand_id,
        settings.first_response_seconds,
        settings.promise_minutes,
        settings.unsure_minutes,
        settings.rating_minutes,
        settings.idle_minutes,
    )


@command
async def set_skill(tx: Transaction, *, brand_id: int, name: str, title: str) -> None:
    """Add a skill, or change its title. Raises Invalid naming the field."""
    if not 1 <= len(name) <= 32 or name != name.strip():
        raise Invalid("技能代码长度为 1 到 32 个字符", field="name")
    if not 1 <= len(title.strip()) <= 32:
        raise Invalid("技能名称长度为 1 到 32 个字符", field="title")
    await tx.connection.execute(
        """
        INSERT INTO skill (brand_id, name, title) VALUES ($1, $2, $3)
        ON CONFLICT (brand_id, name) DO UPDATE SET title = excluded.title
        """,
        brand_id,
        name,
        title.strip(),
    )


async def known_skill(raw: Connection, brand_id: int, name: str) -> bool:
    """Whether a brand has a skill; the queue without one ("") always exists."""
    return not name or bool(
        await raw.fetchval("SELECT EXISTS (SELECT FROM skill WHERE brand_id = $1 AND name = $2)", brand_id, name)
    )


@command
async def set_seat(
    tx: Transaction, *, brand_id: int, staff_id: int, capacity: int = 5, skills: Sequence[str] = ()
) -> None:
    """Give one of the staff a seat, or change it. Capacity 0 gets nothing assigned. Raises Invalid, NotFound."""
    if not 0 <= capacity <= 200:
        raise Invalid("同时接待数为 0 到 200", field="capacity")
    for name in skills:
        if not name or not await known_skill(tx.connection, brand_id, name):
            raise Invalid("没有这个技能", field="skills")
    await _known(tx.connection, staff_id)
    await tx.connection.execute(
        """
        INSERT INTO seat (staff_id, brand_id, capacity, skills) VALUES ($1, $2, $3, $4::jsonb)
        ON CONFLICT (staff_id) DO UPDATE SET
            brand_id = excluded.brand_id, capacity = excluded.capacity, skills = excluded.skills
        """,
        staff_id,
        brand_id,
        capacity,
        json.dumps(sorted(set(skills)), ensure_ascii=False),
    )


async def _known(raw: Connection, staff_id: int) -> None:
    if not await raw.fetchval("SELECT EXISTS (SELECT FROM staff WHERE id = $1)", staff_id):
        raise NotFound("没有这个员工")


@command
async def set_shifts(tx: Transaction, *, brand_id: int, staff_id: int, shifts: Sequence[ShiftView]) -> None:
    """Replace all shifts of one of the staff at a brand. `ends` at or before `starts` means the next day.

    Raises Invalid naming the field of the shift that is wrong, such as `shifts.0.breaks`, and NotFound.
    """
    rows = [_checked(n, shift) for n, shift in enumerate(shifts)]
    raw = tx.connection
    await _known(raw, staff_id)
    await raw.execute("SELECT pg_advisory_xact_lock(hashtext('shifts'), $1::int)", staff_id % 2**31)
    await raw.execute("DELETE FROM shift WHERE staff_id = $1 AND brand_id = $2", staff_id, brand_id)
    await raw.executemany(
        """
        INSERT INTO shift (brand_id, staff_id, pattern, day, starts, ends, breaks)
        VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb)
        """,
        [
            (brand_id, staff_id, row.pattern, row.day, row.starts, row.ends, json.dumps([list(b) for b in row.breaks]))
            for row in rows
        ],
    )


def _checked(n: int, shift: ShiftView) -> ShiftView:
    where = f"shifts.{n}"
    if shift.pattern not in PATTERNS | DATED:
        raise Invalid("没有这种班次", field=f"{where}.pattern")
    if (shift.pattern in DATED) != (shift.day is not None):
        raise Invalid("指定日期的班次需要日期，其他班次不需要", field=f"{where}.day")
    if not 0 <= shift.starts < DAY:
        raise Invalid("开始时间为 00:00 到 23:59", field=f"{where}.starts")
    ends = shift.ends if shift.ends > shift.starts else shift.ends + DAY
    if not shift.starts < ends <= shift.starts + DAY:
        raise Invalid("班次最长 24 小时", field=f"{where}.ends")
    # A break before the start, by the clock, is one after midnight.
    breaks = tuple((a + DAY, b + DAY) if a < shift.starts else (a, b if b > a else b + DAY) for a, b in shift.breaks)
    if not all(shift.starts <= a < b <= ends for a, b in breaks):
        raise Invalid("休息时间要在班次之内", field=f"{where}.breaks")
    return ShiftView(shift.staff_id, shift.pattern, shift.starts, ends, shift.day, breaks)


@command
async def set_special_day(tx: Transaction, *, brand_id: int, day: date, kind: str | None, note: str = "") -> None:
    """Say that a day is worked, rested or closed for a brand; None takes it back. Raises Invalid naming the field."""
    if kind not in {None, "workday", "restday", "closed"}:
        raise Invalid("只能是 workday、restday 或 closed", field="kind")
    if kind is None:
        await tx.connection.execute("DELETE FROM special_day WHERE brand_id = $1 AND day = $2", brand_id, day)
        return
    await tx.connection.execute(
        """
        INSERT INTO special_day (brand_id, day, kind, note) VALUES ($1, $2, $3, $4)
        ON CONFLICT (brand_id, day) DO UPDATE SET kind = excluded.kind, note = excluded.note
        """,
        brand_id,
        day,
        kind,
        note[:64],
    )


@command
async def use_wechat_desk(tx: Transaction, *, account_id: int, enabled: bool) -> None:
    """Let an account's fans be served by WeChat's own customer service, or by our seats again."""
    if enabled:
        await tx.connection.execute(
            "INSERT INTO wechat_desk (account_id) VALUES ($1) ON CONFLICT (account_id) DO NOTHING", account_id
        )
    else:
        await tx.connection.execute("DELETE FROM wechat_desk WHERE account_id = $1", account_id)


@command
async def take_seat(tx: Transaction, *, brand_id: int, staff_id: int) -> bool:
    """Sit down at a brand's desk, with the capacity and skills that the staff page says; False for who sits there.

    Whoever works for several brands sits at one of them at a time. Skills are known by name or title. Raises NotFound
    for a brand that there is not: whoever works for all of them may name any.
    """
    if not await tx.connection.fetchval("SELECT EXISTS (SELECT FROM brand WHERE id = $1)", brand_id):
        raise NotFound("没有这个品牌", field="brand")
    return bool(
        await tx.connection.fetchval(
            """
            INSERT INTO seat (staff_id, brand_id, capacity, skills)
            SELECT p.id, $2, p.capacity,
                   coalesce((SELECT jsonb_agg(k.name ORDER BY k.name) FROM skill k
                             WHERE k.brand_id = $2 AND (p.skills ? k.name OR p.skills ? k.title)), '[]')
            FROM staff p WHERE p.id = $1
            ON CONFLICT (staff_id) DO UPDATE
            SET brand_id = excluded.brand_id, capacity = excluded.capacity, skills = excluded.skills,
                present_until = NULL
            WHERE seat.brand_id <> excluded.brand_id
            RETURNING true
            """,
            staff_id,
            brand_id,
        )
    )


@command
async def heartbeat(tx: Transaction, *, staff_id: int, now: datetime) -> datetime:
    """Renew the lease of a browser and return until when it lasts; raises NotFound for somebody without a seat."""
    until = await renew(tx.connection, staff_id, now)
    if until is None:
        raise NotFound("这位员工还没有客服坐席", code="no_seat")
    return until


async def renew(raw: Connection, staff_id: int, now: datetime) -> datetime | None:
    """As `heartbeat`, in the caller's transaction; None for somebody without a seat."""
    return await raw.fetchval(  # type: ignore[no-any-return]  # asyncpg is untyped
        "UPDATE seat SET present_until = greatest(present_until, $2) WHERE staff_id = $1 RETURNING present_until",
        staff_id,
        now + PRESENCE,
    )


@command
async def leave(tx: Transaction, *, staff_id: int, now: datetime) -> None:
    """Give the lease up, as somebody does who signs out or goes for a break; the sweep passes on what they had."""
    await tx.connection.execute(
        "UPDATE seat SET present_until = $2 WHERE staff_id = $1 AND present_until > $2", staff_id, now
    )
