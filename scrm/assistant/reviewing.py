"""Reading the assistant's record for staff: what was asked and said, why, and what it could not answer.

The question stands on the timeline only (whoever is erased takes it along), so it may be missing here.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scrm import db
from scrm.assistant.answers import AT_A_LOSS, Outcome
from scrm.errors import NotFound


@dataclass(frozen=True, slots=True)
class LogRow:
    """An answer in a list; `asked` None when it is no more on the timeline, `cost_micro` in millionths of a fen."""

    id: int
    account_id: int
    fan_id: int
    outcome: Outcome
    reason: str
    asked: str | None
    said: str
    ai: bool
    cost_micro: int
    took_ms: int
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class LogView:
    """An answer with all that explains it; `written` is what the model wrote, before it was checked."""

    row: LogRow
    detail: str
    written: str
    passages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    choices: list[dict[str, Any]]
    model: str
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question that the assistant had no answer to, so many times by so many fans; `last_id` is the latest record."""

    text: str
    times: int
    fans: int
    last_id: int
    last_at: datetime


# The push's event: found by the person, in the partitions of about that time.
_ASKED = """
LEFT JOIN fan f ON f.id = a.fan_id
LEFT JOIN LATERAL (
    SELECT e.payload ->> 'content' AS asked FROM event e
    WHERE e.member_id IN (a.member_id, f.member_id) AND e.key = a.key
      AND e.occurred_at BETWEEN a.answered_at - interval '7 days' AND a.answered_at + interval '7 days'
    LIMIT 1
) q ON true
"""
_ROW = """a.id, a.account_id, a.fan_id, a.outcome, a.reason, q.asked, a.said, a.ai, a.cost_micro, a.took_ms,
          a.answered_at"""


async def log(
    brand_id: int, *, outcomes: tuple[str, ...] | None = None, before: int | None = None, limit: int = 50
) -> list[LogRow]:
    """Return a page of a brand's answers, newest first; `before` is the last id seen, `outcomes` None: all."""
    rows = await db.fetch(
        f"""
        SELECT {_ROW} FROM assistant_answer a {_ASKED}
        WHERE a.brand_id = $1 AND ($2::text[] IS NULL OR a.outcome = ANY($2)) AND ($3::bigint IS NULL OR a.id < $3)
        ORDER BY a.id DESC LIMIT $4
        """,  # noqa: S608  # constants of this module
        brand_id,
        None if outcomes is None else list(outcomes),
        before,
        limit,
    )
    return [LogRow(**dict(row)) for row in rows]


async def brand_of_answer(answer_id: int) -> int | None:
    """Return whose answer it was; None when there is none."""
    rows = await db.fetch("SELECT brand_id FROM assistant_answer WHERE id = $1", answer_id)
    return rows[0]["brand_id"] if rows else None


async def one(brand_id: int, answer_id: int) -> LogView:
    """Return an answer of a brand with all that explains it. Raises NotFound."""
    rows = await db.fetch(
        f"""
        SELECT {_ROW}, a.detail, a.written, a.passages, a.tools, a.choices, a.model, a.tokens_in, a.tokens_out
        FROM assistant_answer a {_ASKED} WHERE a.brand_id = $1 AND a.id = $2
        """,  # noqa: S608  # same
        brand_id,
        answer_id,
    )
    if not rows:
        raise NotFound("没有这条应答记录", field="answer_id")
    row = dict(rows[0])
    listed = {name: row.pop(name) for name in LogRow.__dataclass_fields__}
    lists = {name: json.loads(row.pop(name)) for name in ("passages", "tools", "choices")}
    return LogView(LogRow(**listed), **lists, **row)


async def unanswered(brand_id: int, *, since: datetime, limit: int = 30) -> list[Unanswered]:
    """Return what the assistant was at a loss for since a moment, the most frequent first.

    Questions are one when they differ only in case, blanks and punctuation.
    """
    rows = await db.fetch(
        f"""
        SELECT (array_agg(q.asked ORDER BY a.id DESC))[1] AS text, count(*) AS times, count(DISTINCT a.fan_id) AS fans,
               max(a.id) AS last_id, max(a.answered_at) AS last_at
        FROM assistant_answer a {_ASKED}
        WHERE a.brand_id = $1 AND a.outcome = ANY($2::text[]) AND a.answered_at >= $3 AND q.asked IS NOT NULL
        GROUP BY lower(regexp_replace(q.asked, '[[:space:][:punct:]，。！？、；：～…“”‘’（）《》]', '', 'g'))
        ORDER BY times DESC, last_id DESC LIMIT $4
        """,  # noqa: S608  # same
        brand_id,
        list(AT_A_LOSS),
        since,
        limit,
    )
    return [Unanswered(**dict(row)) for row in rows]
