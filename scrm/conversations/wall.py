"""The supervisor's wall 实时看板: what waits now, for how long, who is there with what load, and what is overdue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from scrm import db
from scrm.conversations.watching import RISK

# So many of the longest waiting and of the most overdue are listed; the sums count all.
LISTED = 20


@dataclass(frozen=True, slots=True)
class Sums:
    """How many open conversations are in which way; `risked` promises run out within minutes or have."""

    waiting: int
    longest_since: datetime | None
    with_staff: int
    snoozed: int
    with_bot: int
    at_wechat: int
    overdue: int
    risked: int


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a skill; `title` is empty where it waits for anybody."""

    brand_id: int
    skill: str
    title: str
    waiting: int
    longest_since: datetime


@dataclass(frozen=True, slots=True)
class Open:
    """A conversation that waits or is overdue; `staff` is its owner's name, empty while it has none."""

    id: int
    brand_id: int
    person_id: int
    erased: bool
    account: str
    title: str
    state: str
    staff: str
    waiting_since: datetime | None
    answer_due_at: datetime | None
    promised_until: datetime | None


_OURS = "state IN ('waiting', 'staff') AND desk = 'ours'"
_SUMS = f"""
SELECT count(*) FILTER (WHERE state = 'waiting' AND desk = 'ours')::int AS waiting,
       min(waiting_since) FILTER (WHERE state = 'waiting' AND desk = 'ours') AS longest_since,
       count(*) FILTER (WHERE state = 'staff' AND desk = 'ours')::int AS with_staff,
       count(*) FILTER (WHERE state = 'staff' AND desk = 'ours' AND snoozed_until > $2)::int AS snoozed,
       count(*) FILTER (WHERE state = 'bot')::int AS with_bot,
       count(*) FILTER (WHERE state <> 'bot' AND desk = 'wechat')::int AS at_wechat,
       count(*) FILTER (WHERE {_OURS} AND answer_due_at <= $2)::int AS overdue,
       count(*) FILTER (WHERE {_OURS} AND promised_until <= $3 AND first_response_at IS NULL)::int AS risked
FROM conversation WHERE state <> 'closed' AND ($1::bigint[] IS NULL OR brand_id = ANY($1))
"""  # noqa: S608
_QUEUES = """
SELECT c.brand_id, c.skill, coalesce(k.title, c.skill) AS title, count(*)::int AS waiting,
       min(c.waiting_since) AS longest_since
FROM conversation c LEFT JOIN skill k ON k.brand_id = c.brand_id AND k.name = c.skill
WHERE c.state = 'waiting' AND c.desk = 'ours' AND ($1::bigint[] IS NULL OR c.brand_id = ANY($1))
GROUP BY c.brand_id, c.skill, k.title ORDER BY min(c.waiting_since), c.brand_id, c.skill
"""
_OPEN = """
SELECT c.id, c.brand_id, coalesce(m.merged_into_id, m.id) AS person_id, m.erased_at IS NOT NULL AS erased,
       a.name AS account, coalesce(k.title, c.skill) AS title, c.state, coalesce(p.name, '') AS staff, c.waiting_since,
       c.answer_due_at, c.promised_until
FROM conversation c
JOIN account a ON a.id = c.account_id
JOIN member m ON m.id = c.member_id
LEFT JOIN skill k ON k.brand_id = c.brand_id AND k.name = c.skill
LEFT JOIN staff p ON p.id = c.staff_id
WHERE c.desk = 'ours' AND ($1::bigint[] IS NULL OR c.brand_id = ANY($1)) AND
"""
_WAITING = _OPEN + "c.state = 'waiting' ORDER BY c.waiting_since, c.id LIMIT $2"
_OVERDUE = _OPEN + "c.state IN ('waiting', 'staff') AND c.answer_due_at <= $3 ORDER BY c.answer_due_at, c.id LIMIT $2"


async def sums(brands: Sequence[int] | None, now: datetime) -> Sums:
    """Count the open conversations of these brands (None: all)."""
    (row,) = await db.fetch(_SUMS, _list(brands), now, now + RISK)
    return Sums(**dict(row))


async def queues(brands: Sequence[int] | None) -> list[Queue]:
    """Return the queues in which somebody waits, the longest waiting first."""
    return [Queue(**dict(row)) for row in await db.fetch(_QUEUES, _list(brands))]


async def longest_waiting(brands: Sequence[int] | None) -> list[Open]:
    """Return who has waited longest."""
    return [Open(**dict(row)) for row in await db.fetch(_WAITING, _list(brands), LISTED)]


async def overdue(brands: Sequence[int] | None, now: datetime) -> list[Open]:
    """Return whose answer should have come, the longest ago first."""
    return [Open(**dict(row)) for row in await db.fetch(_OVERDUE, _list(brands), LISTED, now)]


async def brands_of(brands: Sequence[int] | None) -> list[int]:
    """Return the ids of these brands, or of all."""
    rows = await db.fetch("SELECT id FROM brand WHERE $1::bigint[] IS NULL OR id = ANY($1) ORDER BY id", _list(brands))
    return [row["id"] for row in rows]


def _list(brands: Sequence[int] | None) -> list[int] | None:
    return None if brands is None else list(brands)
