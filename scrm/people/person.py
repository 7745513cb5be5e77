"""What staff read on a member's page besides the nouns' own lists: who they are, where, what was merged, what happened.

Everything is cut to the brands that the reader works for; somebody none of whose fans is theirs is not found.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scrm import db
from scrm.channels.queries import CHANNEL
from scrm.errors import NotFound
from scrm.events import kinds
from scrm.menus.queries import ENTRY

Brands = Sequence[int] | None

_WHO = """
SELECT r.id, array_agg(DISTINCT h.id) AS homes, array_agg(DISTINCT a.brand_id) AS brands, r.erased_at
FROM member m
JOIN member r ON r.id = coalesce(m.merged_into_id, m.id)
JOIN member h ON h.id = r.id OR h.merged_into_id = r.id
JOIN fan f ON f.member_id = h.id
JOIN account a ON a.id = f.account_id
WHERE m.id = $1 GROUP BY r.id
"""


@dataclass(frozen=True, slots=True)
class Who:
    """A person: member number, homes, the brands that know them (only the reader's), and whether they were erased."""

    id: int
    homes: list[int]
    brands: list[int]
    erased: bool


async def who(member_id: int, brands: Brands) -> Who:
    """Return the person that a member is. Raises NotFound, also for whom only other brands know."""
    rows = await db.fetch(_WHO, member_id)
    own = [] if not rows else sorted(one for one in rows[0]["brands"] if brands is None or one in brands)
    if not own:
        raise NotFound("没有这位会员")
    return Who(rows[0]["id"], sorted(rows[0]["homes"]), own, rows[0]["erased_at"] is not None)


@dataclass(frozen=True, slots=True)
class Following:
    """A fan of the person: account, following, and the channels that brought them first and last."""

    id: int
    home_id: int
    account_id: int
    account: str
    kind: str
    brand_id: int
    following: bool
    follow_count: int
    follow_changed_at: datetime | None
    first_channel: str | None
    first_touch_at: datetime | None
    last_channel: str | None
    last_touch_at: datetime | None
    created_at: datetime


async def fans(person: Who) -> list[Following]:
    """Return the fans that a person is at the reader's brands, the oldest first."""
    rows = await db.fetch(
        """
        SELECT f.id, f.member_id AS home_id, a.id AS account_id, a.name AS account, a.kind, a.brand_id, f.following,
               f.follow_count, f.follow_changed_at, first.name AS first_channel, f.first_touch_at,
               last.name AS last_channel, f.last_touch_at, f.created_at
        FROM fan f JOIN account a ON a.id = f.account_id
        LEFT JOIN channel first ON first.id = f.first_channel_id
        LEFT JOIN channel last ON last.id = f.last_channel_id
        WHERE f.member_id = ANY($1::bigint[]) AND a.brand_id = ANY($2::bigint[]) ORDER BY f.id
        """,
        person.homes,
        person.brands,
    )
    return [Following(**dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Merge:
    """Evidence that two homes are one person; `split_at` when it was withdrawn."""

    id: int
    one: int
    other: int
    evidence: str
    merged_at: datetime
    split_at: datetime | None


async def merges(person: Who) -> list[Merge]:
    """Return what made these homes one person, withdrawn evidence included, the newest first."""
    rows = await db.fetch(
        """
        SELECT id, (evidence->>'one')::bigint AS one, (evidence->>'other')::bigint AS other,
               evidence->>'kind' AS evidence, merged_at, split_at
        FROM member_merge
        WHERE (evidence->>'one')::bigint = ANY($1::bigint[]) OR (evidence->>'other')::bigint = ANY($1::bigint[])
        ORDER BY id DESC
        """,
        person.homes,
    )
    return [Merge(**dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as staff read it; `account` is empty for what concerns no account.

    What was pressed or scanned has in its payload the `name` of the menu's entry or the channel.
    """

    id: int
    kind: str
    title: str
    occurred_at: datetime
    account: str
    payload: dict[str, Any]


_HAPPENINGS = f"""
SELECT e.id, e.kind, e.occurred_at, coalesce(a.name, '') AS account, e.payload, coalesce({ENTRY}, {CHANNEL}) AS name
FROM event e LEFT JOIN account a ON a.id = e.account_id
WHERE e.member_id = ANY($1::bigint[])
  AND ($3::bigint IS NULL OR (e.occurred_at, e.id) < (
      (SELECT occurred_at FROM event WHERE id = $3 AND member_id = ANY($1::bigint[]) LIMIT 1), $3))
  AND ($4::text IS NULL OR e.kind LIKE $4)
  -- What concerns no account says its brand or tag, or is about the person alone.
  AND CASE
      WHEN e.account_id IS NOT NULL THEN a.brand_id = ANY($2::bigint[])
      WHEN e.payload ? 'brand' THEN (e.payload->>'brand')::bigint = ANY($2::bigint[])
      WHEN e.payload ? 'tag' THEN
          EXISTS (SELECT FROM tag t WHERE t.id = (e.payload->>'tag')::bigint AND t.brand_id = ANY($2::bigint[]))
      ELSE true
  END
ORDER BY e.occurred_at DESC, e.id DESC LIMIT $5
"""  # noqa: S608  # conditions of ours


async def happenings(
    person: Who, *, group: str | None = None, before: int | None = None, limit: int = 30
) -> list[Happening]:
    """Return a page of what happened to a person, newest first (mission A096); `before` is the last id seen.

    `group` is the beginning of a kind, such as "wechat.".
    """
    rows = await db.fetch(
        _HAPPENINGS, person.homes, person.brands, before, None if group is None else f"{group}%", limit
    )
    titles = {kind.name: kind.title for kind in kinds.every()}
    return [
        Happening(
            row["id"],
            row["kind"],
            titles.get(row["kind"], row["kind"]),
            row["occurred_at"],
            row["account"],
            json.loads(row["payload"]) | ({"name": row["name"]} if row["name"] else {}),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation in a list; `staff_id` is who has it now, `staff` the name of who has it or closed it."""

    id: int
    brand_id: int
    staff_id: int | None
    account: str
    state: str
    staff: str | None
    opened_at: datetime
    closed_at: datetime | None
    close_reason: str
    summary: str
    rating: int | None


async def talks(person: Who, *, before: int | None = None, limit: int = 20) -> list[Talk]:
    """Return a page of a person's conversations, newest first; `before` is the last id seen."""
    rows = await db.fetch(
        """
        SELECT c.id, c.brand_id, c.staff_id, a.name AS account, c.state, s.name AS staff, c.opened_at, c.closed_at,
               c.close_reason, c.summary, c.rating
        FROM conversation c JOIN account a ON a.id = c.account_id
        LEFT JOIN staff s ON s.id = coalesce(c.staff_id, c.closed_by)
        WHERE c.member_id = ANY($1::bigint[]) AND c.brand_id = ANY($2::bigint[]) AND ($3::bigint IS NULL OR c.id < $3)
        ORDER BY c.id DESC LIMIT $4
        """,
        person.homes,
        person.brands,
        before,
        limit,
    )
    return [Talk(**dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A decision of the door out: whether something might be said, why, and what became of it (None: never tried)."""

    id: int
    account: str
    purpose: str
    allowed: bool
    reason: str
    decided_at: datetime
    state: str | None
    code: int | None
    sent_at: datetime | None


async def spoken(person: Who, *, before: int | None = None, limit: int = 20) -> list[Spoken]:
    """Return a page of what was or was not said to a person and why, newest first; `before` is the last id seen."""
    rows = await db.fetch(
        """
        SELECT d.id, a.name AS account, d.purpose, d.allowed, d.reason, d.decided_at, o.state, o.code, o.sent_at
        FROM fan f JOIN account a ON a.id = f.account_id
        JOIN outreach_decision d ON d.fan_id = f.id
        LEFT JOIN outbox o ON o.decision_id = d.id
        WHERE f.member_id = ANY($1::bigint[]) AND a.brand_id = ANY($2::bigint[]) AND ($3::bigint IS NULL OR d.id < $3)
        ORDER BY d.id DESC LIMIT $4
        """,
        person.homes,
        person.brands,
        before,
        limit,
    )
    return [Spoken(**dict(row)) for row in rows]
