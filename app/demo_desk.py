"""The demo brand's service desk: skills, seats and shifts of its staff, and people who have asked for a person.

One of the staff is on duty around the clock, so that 人工 is in service hours whenever the demo is tried.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.demo_data import Demo
from app.demo_staff import PEOPLE
from kit.ids import key_of
from scrm import db
from scrm.conversations import desk, lines, quick_replies, service
from scrm.conversations.shifts import DAY, ShiftView
from scrm.db import Transaction, command
from scrm.staff.queries import staff_by_login

_NOON = ((12 * 60, 13 * 60),)
_WORKDAY = ("workdays", 9 * 60, 18 * 60, _NOON)


@dataclass(frozen=True, slots=True)
class _Place:
    """How many conversations somebody is given at once, and when they serve: pattern, minutes, breaks."""

    capacity: int
    pattern: str
    starts: int
    ends: int
    breaks: tuple[tuple[int, int], ...] = ()


PLACES = {
    "chen.qing": _Place(0, *_WORKDAY),
    "wang.qiang": _Place(3, *_WORKDAY),
    "li.na": _Place(5, "daily", 0, DAY),
}


@command
async def ensure(_tx: Transaction, demo: Demo, now: datetime) -> bool:
    """Give the staff their places unless somebody has one; says whether it did. All or nothing."""
    brand = demo.service.brand_id
    if await db.fetch("SELECT FROM seat WHERE brand_id = $1 LIMIT 1", brand):
        return False
    for name, title in demo.data["desk"]["skills"].items():
        await desk.set_skill(brand_id=brand, name=name, title=title)
    for title, text in demo.data["desk"]["quick_replies"].items():
        await quick_replies.add(brand_id=brand, staff_id=None, title=title, text=text, now=now)
    for person in PEOPLE:
        staff, place = await staff_by_login(person.login), PLACES[person.login]
        if staff is None:
            continue
        await desk.set_seat(brand_id=brand, staff_id=staff.id, capacity=place.capacity, skills=person.skills)
        shift = ShiftView(staff.id, place.pattern, place.starts, place.ends, breaks=place.breaks)
        await desk.set_shifts(brand_id=brand, staff_id=staff.id, shifts=[shift])
    return True


@command
async def take(tx: Transaction, demo: Demo, openid: str, answer: str, note: str, now: datetime) -> bool:
    """Let the desk have answered somebody who waits, who is to hear more tomorrow; False where nobody waits."""
    owner, brand = await staff_by_login("li.na"), demo.service.brand_id
    waiting = await tx.connection.fetchval(
        """
        SELECT c.id FROM conversation c JOIN fan f ON f.id = c.fan_id
        WHERE f.account_id = $1 AND f.openid = $2 AND c.state = 'waiting'
        """,
        demo.service.id,
        openid,
    )
    if owner is None or waiting is None:
        return False
    said: dict[str, Any] = {"conversation_id": waiting, "brand_id": brand, "staff_id": owner.id, "now": now}
    await service.pull(**said)
    await lines.send_message(**said, key=key_of("demo", waiting), content={"type": "text", "content": answer})
    await lines.note(**said, key=key_of("demo-note", waiting), text=note)
    await service.snooze(**said, until=now + timedelta(hours=20))
    # Nobody sits there yet: what else waits is not given to an empty chair.
    await desk.leave(staff_id=owner.id, now=now)
    return True
