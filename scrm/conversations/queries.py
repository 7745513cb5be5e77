"""Reading conversations for the inbox: my, waiting and all lists, one conversation, and what was said with a fan."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from scrm import db
from scrm.channels.queries import CHANNEL
from scrm.conversations.changes import KINDS, NOTE
from scrm.conversations.lines import MESSAGES
from scrm.events import kinds
from scrm.menus.queries import ENTRY
from scrm.outreach.following import FOLLOWS
from scrm.outreach.windows import OPENS

View = Literal["mine", "waiting", "all"]
# The last row seen: (priority, moment, id), as `InboxRow.cursor` gives it.
Cursor = tuple[int, datetime, int]


@dataclass(frozen=True, slots=True)
class InboxRow:
    """One line of the inbox. Whether the fan can be answered only the gate knows (scrm.outreach.chances).

    `member_id` is the fan's home, `person_id` who they turned out to be, `erased` whether they asked to be forgotten.
    `following` is the gate's: true at a mini-program, and of whoever acted since we last heard that they unfollowed.
    """

    id: int
    fan_id: int
    member_id: int
    person_id: int
    erased: bool
    account_id: int
    account: str
    state: str
    desk: str
    skill: str
    staff_id: int | None
    reason: str
    priority: int
    opened_at: datetime
    waiting_since: datetime | None
    answer_due_at: datetime | None
    alarmed_at: datetime | None
    promised_until: datetime | None
    snoozed_until: datetime | None
    last_at: datetime
    last_from: str
    last_line: str
    unread: int
    following: bool

    def cursor(self, view: View) -> Cursor:
        """Return where this row stands in a list, to ask for what follows it."""
        if view == "waiting":
            return self.priority, self.waiting_since or self.last_at, self.id
        return 0, self.last_at, self.id


_ROW = f"""
SELECT c.id, c.fan_id, c.member_id, coalesce(m.merged_into_id, m.id) AS person_id, m.erased_at IS NOT NULL AS erased,
       c.account_id, a.name AS account, c.state, c.desk, c.skill, c.staff_id, c.reason,
       c.priority, c.opened_at, c.waiting_since, c.answer_due_at, c.alarmed_at, c.promised_until, c.snoozed_until,
       c.last_at, c.last_from, c.last_line, greatest(c.heard - coalesce(r.seen, 0), 0) AS unread,
       {FOLLOWS} AS following
FROM conversation c
JOIN account a ON a.id = c.account_id
JOIN fan f ON f.id = c.fan_id
JOIN member m ON m.id = f.member_id
LEFT JOIN conversation_read r ON r.conversation_id = c.id AND r.staff_id = $3
WHERE c.brand_id = $2 AND
"""  # noqa: S608  # a condition of ours
_FILTER = """
($8::text IS NULL OR c.skill = $8) AND ($9::bigint IS NULL OR c.account_id = $9)
AND ($10::boolean IS NULL OR $10 = (c.snoozed_until IS NOT NULL AND c.snoozed_until > $1))
AND ($11::text IS NULL OR position(lower($11) IN lower(c.last_line)) > 0 OR EXISTS (
    SELECT FROM member_profile p JOIN member h ON h.id = p.member_id JOIN member own ON own.id = c.member_id
    WHERE coalesce(h.merged_into_id, h.id) = coalesce(own.merged_into_id, own.id)
      AND position(lower($11) IN lower(p.nickname)) > 0
)) AND
"""
_LISTS: dict[View, str] = {
    "mine": """c.state = 'staff' AND c.staff_id = $3
  AND ($4::timestamptz IS NULL OR (c.last_at, c.id) < ($4, $5::bigint)) AND $6::int IS NOT NULL
ORDER BY c.last_at DESC, c.id DESC LIMIT $7""",
    "waiting": """c.state = 'waiting'
  AND ($4::timestamptz IS NULL OR (-c.priority, c.waiting_since, c.id) > (-$6::int, $4, $5::bigint))
ORDER BY c.priority DESC, c.waiting_since, c.id LIMIT $7""",
    "all": """c.state <> 'closed'
  AND ($4::timestamptz IS NULL OR (c.last_at, c.id) < ($4, $5::bigint)) AND $6::int IS NOT NULL
ORDER BY c.last_at DESC, c.id DESC LIMIT $7""",
}


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is cut down to; `search` looks into nicknames and last lines, `snoozed` False hides what sleeps."""

    skill: str | None = None
    account_id: int | None = None
    snoozed: bool | None = None
    search: str | None = None


EVERYTHING = Filter()


async def inbox(
    *,
    brand_id: int,
    staff_id: int,
    view: View,
    now: datetime,
    after: Cursor | None = None,
    limit: int = 50,
    only: Filter = EVERYTHING,
) -> list[InboxRow]:
    """Return a page of a brand's open conversations as one of the staff sees them.

    `mine` and `all` begin with what was said last, `waiting` with who is next.
    """
    priority, moment, last = after or (0, None, 0)
    rows = await db.fetch(
        _ROW + _FILTER + _LISTS[view],
        now,
        brand_id,
        staff_id,
        moment,
        last,
        priority,
        limit,
        only.skill,
        only.account_id,
        only.snoozed,
        only.search,
    )
    return [InboxRow(**dict(row)) for row in rows]


async def one(*, conversation_id: int, brand_id: int, staff_id: int, now: datetime) -> InboxRow | None:
    """Return a conversation of a brand as one of the staff sees it, open or closed."""
    rows = await db.fetch(_ROW + "c.id = $4", now, brand_id, staff_id, conversation_id)
    return InboxRow(**dict(rows[0])) if rows else None


@dataclass(frozen=True, slots=True)
class Serving:
    """Whoever looks after a fan, or is awaited."""

    conversation_id: int
    state: str
    desk: str
    asked_by: UUID | None


async def serving(fan_id: int) -> Serving | None:
    """Return the fan's conversation if it waits or somebody has it."""
    rows = await db.fetch(
        """
        SELECT id AS conversation_id, state, desk, asked_by FROM conversation
        WHERE fan_id = $1 AND state IN ('waiting', 'staff')
        """,
        fan_id,
    )
    return Serving(**dict(rows[0])) if rows else None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many open conversations each list holds, and how many of mine have something unread or wait for my answer."""

    mine: int
    waiting: int
    all: int
    unread: int
    unanswered: int


async def counts(*, brand_id: int, staff_id: int, now: datetime) -> Counts:
    """Return the numbers beside the inbox's lists; what sleeps does not wait for an answer now."""
    rows = await db.fetch(
        """
        SELECT count(*) FILTER (WHERE c.state = 'staff' AND c.staff_id = $2) AS mine,
               count(*) FILTER (WHERE c.state = 'waiting') AS waiting,
               count(*) AS all,
               count(*) FILTER (
                   WHERE c.state = 'staff' AND c.staff_id = $2 AND c.heard > coalesce(r.seen, 0)
               ) AS unread,
               count(*) FILTER (
                   WHERE c.state = 'staff' AND c.staff_id = $2 AND (c.answer_due_at IS NOT NULL OR c.last_from = 'fan')
                     AND (c.snoozed_until IS NULL OR c.snoozed_until <= $3)
               ) AS unanswered
        FROM conversation c LEFT JOIN conversation_read r ON r.conversation_id = c.id AND r.staff_id = $2
        WHERE c.brand_id = $1 AND c.state <> 'closed'
        """,
        brand_id,
        staff_id,
        now,
    )
    return Counts(**dict(rows[0]))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what was said and done. `source` and `id` tell it apart, `body` is the fan's payload or ours.

    source: fan (`kind` is the event's) · act (a click, a scan, a follow; `title` the event's, `name` in the body the
    menu entry's or the channel's) · bot (a passive answer; shown as long as its push is kept) · outbox (`kind`
    is staff, handoff, closing or answer; `state` of the delivery with the platform's `detail`) · note · system (`kind`
    is a change's, `title` what it is called).
    """

    at: datetime
    source: str
    id: int
    kind: str
    title: str
    body: dict[str, Any]
    state: str
    detail: str
    staff_id: int | None
    to_staff_id: int | None

    @property
    def cursor(self) -> tuple[datetime, int, int]:
        """Where this line stands, to ask for those before it."""
        return self.at, _RANK[self.source], self.id


# What a fan does that stands among what is said: what opens a minute, and leaving.
ACTS = (*sorted(kind for kind, scene in OPENS.items() if scene != "message"), "wechat.event.unsubscribe")
_RANK = {"fan": 0, "act": 0, "bot": 1, "system": 2, "note": 2, "outbox": 3}
_TRANSCRIPT = f"""
WITH me AS (
    SELECT fan_id, member_id FROM conversation WHERE id = $1 AND brand_id = $2
), heard AS (
    SELECT e.occurred_at AS at, 0 AS rank, e.id, e.kind,
           CASE WHEN e.kind = ANY($9::text[]) THEN jsonb_build_object(
               'name', coalesce({ENTRY}, {CHANNEL}, e.payload->>'key', e.payload->>'scene', '')
           ) ELSE e.payload END AS body
    FROM me JOIN event e ON e.member_id = me.member_id AND e.fan_id = me.fan_id
    WHERE e.kind = ANY($3::text[] || $9::text[]) AND ($4::timestamptz IS NULL OR e.occurred_at <= $4)
      AND ($4::timestamptz IS NULL OR (e.occurred_at, 0, e.id) < ($4, $5::int, $6::bigint))
    ORDER BY e.occurred_at DESC, e.id DESC LIMIT $7
), answered AS (
    -- What the bot answered stands with the push, as long as that is kept.
    SELECT h.at, 1 AS rank, h.id, p.answer AS body
    FROM (
        SELECT e.occurred_at AS at, e.id, e.key FROM me JOIN event e ON e.member_id = me.member_id
         AND e.fan_id = me.fan_id
        WHERE e.kind LIKE 'wechat.%' AND ($4::timestamptz IS NULL OR e.occurred_at <= $4)
          AND ($4::timestamptz IS NULL OR (e.occurred_at, 1, e.id) < ($4, $5::int, $6::bigint))
        ORDER BY e.occurred_at DESC, e.id DESC LIMIT $7
    ) h JOIN push p ON p.key = h.key
    WHERE p.answer IS NOT NULL AND p.answer->>'type' <> 'none'
), changed AS (
    SELECT k.at, 2 AS rank, k.id, k.kind, k.text, k.reason, k.skill, k.staff_id, k.to_staff_id
    FROM me JOIN conversation_change k ON k.fan_id = me.fan_id
    WHERE $4::timestamptz IS NULL OR (k.at, 2, k.id) < ($4, $5::int, $6::bigint)
    ORDER BY k.at DESC, k.id DESC LIMIT $7
), said AS (
    SELECT o.created_at AS at, 3 AS rank, o.id, coalesce(m.kind, d.purpose) AS kind, o.body, o.state, o.detail,
           m.staff_id
    FROM me JOIN outbox o ON o.fan_id = me.fan_id
    JOIN outreach_decision d ON d.id = o.decision_id
    LEFT JOIN conversation_message m ON m.key = d.key
    WHERE $4::timestamptz IS NULL OR (o.created_at, 3, o.id) < ($4, $5::int, $6::bigint)
    ORDER BY o.created_at DESC, o.id DESC LIMIT $7
)
SELECT * FROM (
    SELECT at, rank, id, CASE WHEN kind = ANY($9::text[]) THEN 'act' ELSE 'fan' END AS source, kind, body::text,
           '' AS state, '' AS detail, NULL::bigint AS staff_id, NULL::bigint AS to_staff_id
    FROM heard
    UNION ALL
    SELECT at, rank, id, 'bot', 'answer', body::text, '', '', NULL, NULL FROM answered
    UNION ALL
    SELECT at, rank, id, CASE WHEN kind = $8 THEN 'note' ELSE 'system' END, kind,
           jsonb_build_object('text', text, 'reason', reason, 'skill', skill)::text, '', '', staff_id, to_staff_id
    FROM changed
    UNION ALL
    SELECT at, rank, id, 'outbox', kind, body::text, state, detail, staff_id, NULL FROM said
) line
ORDER BY at DESC, rank DESC, id DESC LIMIT $7
"""  # noqa: S608  # conditions of ours


async def transcript(
    *, conversation_id: int, brand_id: int, before: tuple[datetime, int, int] | None = None, limit: int = 50
) -> list[Line]:
    """Return a page of all that was said with the conversation's fan, newest first, also before it was opened.

    `before` is the cursor of the last line seen. Another brand's conversation has no lines. A fan's message has its
    moment at WeChat, in whole seconds.
    """
    moment, rank, last = before or (None, 0, 0)
    rows = await db.fetch(_TRANSCRIPT, conversation_id, brand_id, list(MESSAGES), moment, rank, last, limit, NOTE, ACTS)
    return [
        Line(
            at=row["at"],
            source=row["source"],
            id=row["id"],
            kind=row["kind"],
            title=kinds.get(row["kind"]).title if row["source"] == "act" else KINDS.get(row["kind"], ""),
            body=json.loads(row["body"]),
            state=row["state"],
            detail=row["detail"],
            staff_id=row["staff_id"],
            to_staff_id=row["to_staff_id"],
        )
        for row in rows
    ]


async def present(*, brand_id: int, now: datetime) -> list[dict[str, Any]]:
    """Return a brand's seats: staff_id, capacity, skills, whether present, and how many conversations they have."""
    rows = await db.fetch(
        """
        SELECT s.staff_id, s.capacity, s.skills, coalesce(s.present_until > $2, false) AS present,
               count(c.id) FILTER (WHERE c.snoozed_until IS NULL OR c.snoozed_until <= $2) AS load
        FROM seat s LEFT JOIN conversation c ON c.staff_id = s.staff_id AND c.state = 'staff'
        WHERE s.brand_id = $1 GROUP BY s.staff_id ORDER BY s.staff_id
        """,
        brand_id,
        now,
    )
    return [{**dict(row), "skills": json.loads(row["skills"])} for row in rows]
