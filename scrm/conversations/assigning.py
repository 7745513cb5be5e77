"""Giving work to people: who waits longest goes to whom it burdens least, and who is gone loses it again.

Whoever gives something to a seat has locked it, so nobody gets more than they have room for. A command of a fan or of
one of the staff does not queue up for seats that somebody else is filling: the sweep that follows in two seconds waits
for them. Waiting conversations that somebody else is changing are left to the next round, too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scrm import db
from scrm.conversations.apart import each
from scrm.conversations.changes import Row, change, record
from scrm.conversations.desk import hours_of
from scrm.db import Connection, Transaction, command

BATCH = 500


@dataclass(slots=True)
class _Seat:
    staff_id: int
    room: int
    load: int
    skills: frozenset[str]
    last_assigned_at: datetime | None

    def order(self) -> tuple[int, float, int]:
        """Least load first, then whoever has not been given anything for longest."""
        return self.load, self.last_assigned_at.timestamp() if self.last_assigned_at else 0.0, self.staff_id


_SEATS = """
SELECT staff_id, capacity, skills, last_assigned_at FROM seat
WHERE brand_id = $1 AND present_until > $2 ORDER BY staff_id FOR NO KEY UPDATE"""
# After the seats are locked, in a statement of its own, so that it sees what the assigner before us did.
_LOADS = """
SELECT staff_id, count(*) AS n FROM conversation
WHERE state = 'staff' AND staff_id = ANY($1::bigint[]) AND (snoozed_until IS NULL OR snoozed_until <= $2)
GROUP BY staff_id
"""
_WAITING = """
SELECT * FROM conversation
WHERE brand_id = $1 AND state = 'waiting' AND desk = 'ours' AND (skill = '' OR skill = ANY($2::text[]))
ORDER BY priority DESC, waiting_since, id LIMIT $3
FOR NO KEY UPDATE SKIP LOCKED
"""


async def assign(
    raw: Connection, brand_id: int, now: datetime, *, avoid: Mapping[int, int] | None = None, patient: bool = False
) -> int:
    """Assign what waits at a brand to who is present, on duty, able and has room; returns how many were assigned.

    `avoid` maps a conversation to somebody who has just passed it on and does not get it back at once. Without
    `patient` seats that are locked are passed over instead of waited for.
    """
    rows = await raw.fetch(_SEATS if patient else _SEATS + " SKIP LOCKED", brand_id, now)
    if not rows:
        return 0
    on_duty = (await hours_of(raw, brand_id)).on_duty(now, [row["staff_id"] for row in rows])
    loads = {row["staff_id"]: row["n"] for row in await raw.fetch(_LOADS, sorted(on_duty), now)}
    seats = [
        _Seat(
            row["staff_id"],
            row["capacity"] - loads.get(row["staff_id"], 0),
            loads.get(row["staff_id"], 0),
            frozenset(json.loads(row["skills"])),
            row["last_assigned_at"],
        )
        for row in rows
        if row["staff_id"] in on_duty
    ]
    free = [seat for seat in seats if seat.room > 0]
    if not free:
        return 0

    async def to_the_best(row: Row) -> bool:
        shunned = (avoid or {}).get(row["id"])
        able = [
            seat
            for seat in seats
            if seat.room > 0 and seat.staff_id != shunned and (not row["skill"] or row["skill"] in seat.skills)
        ]
        if not able:
            return False
        seat = min(able, key=_Seat.order)
        await _assign_one(row, seat.staff_id, now)
        seat.room, seat.load, seat.last_assigned_at = seat.room - 1, seat.load + 1, now
        return True

    skills = sorted(set[str]().union(*(seat.skills for seat in free)))
    return sum(await each("conversation", await raw.fetch(_WAITING, brand_id, skills, BATCH), to_the_best))


@command
async def _assign_one(tx: Transaction, row: Row, staff_id: int, now: datetime) -> None:
    await give(tx.connection, row, staff_id, now)
    await record(tx.connection, row, "assigned", "clock", now, to_staff_id=staff_id, skill=row["skill"])


async def give(raw: Connection, row: Row, staff_id: int, now: datetime) -> None:
    """Make somebody the owner of a conversation that the caller has locked."""
    await change(
        raw,
        row["id"],
        state="staff",
        staff_id=staff_id,
        assigned_at=row["assigned_at"] or now,
        priority=0,
        snoozed_until=None,
    )
    await raw.execute("UPDATE seat SET last_assigned_at = $2 WHERE staff_id = $1", staff_id, now)


async def requeue(raw: Connection, row: Row, now: datetime) -> None:
    """Put a conversation back into its queue: before those who never had anybody, in its old place among its like."""
    await change(
        raw,
        row["id"],
        state="waiting",
        staff_id=None,
        priority=1,
        waiting_since=row["waiting_since"] or row["assigned_at"] or now,
        snoozed_until=None,
    )


_ABSENT = """
SELECT c.* FROM conversation c LEFT JOIN seat s ON s.staff_id = c.staff_id AND s.brand_id = c.brand_id
WHERE c.state = 'staff' AND c.desk = 'ours' AND (c.snoozed_until IS NULL OR c.snoozed_until <= $1)
  AND (s.present_until IS NULL OR s.present_until <= $1)
ORDER BY c.id LIMIT $2
FOR NO KEY UPDATE OF c SKIP LOCKED
"""


@command
async def requeue_absent(tx: Transaction, *, now: datetime, limit: int = BATCH) -> int:
    """Take conversations back from owners whose lease is over, or whose seat is another brand's; returns how many.

    What sleeps stays until it wakes.
    """
    rows = await tx.connection.fetch(_ABSENT, now, limit)
    return len(await each("conversation", rows, lambda row: _requeue_one(row, now)))


@command
async def _requeue_one(tx: Transaction, row: Row, now: datetime) -> None:
    await requeue(tx.connection, row, now)
    await record(tx.connection, row, "requeued", "clock", now, staff_id=row["staff_id"], reason="absent")


_ASLEEP = """
SELECT * FROM conversation WHERE state = 'staff' AND snoozed_until <= $1
ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""


@command
async def wake_due(tx: Transaction, *, now: datetime, limit: int = BATCH) -> int:
    """Wake what was put off until now; returns how many."""
    rows = await tx.connection.fetch(_ASLEEP, now, limit)
    return len(await each("conversation", rows, lambda row: _wake_one(row, now)))


@command
async def _wake_one(tx: Transaction, row: Row, now: datetime) -> None:
    await change(tx.connection, row["id"], snoozed_until=None)
    await record(tx.connection, row, "woken", "clock", now, staff_id=row["staff_id"], reason="due")


@command
async def assign_brand(tx: Transaction, *, brand_id: int, now: datetime) -> int:
    """Assign what waits at one brand; returns how many were assigned."""
    return await assign(tx.connection, brand_id, now, patient=True)


async def assign_waiting(now: datetime) -> int:
    """Assign what waits, brand by brand, each in a transaction of its own; returns how many were assigned."""
    rows = await db.fetch("SELECT DISTINCT brand_id AS id FROM conversation WHERE state = 'waiting' AND desk = 'ours'")
    return sum(await each("brand", rows, lambda row: assign_brand(brand_id=row["id"], now=now)))
