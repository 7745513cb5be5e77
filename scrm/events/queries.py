"""Reading the timeline."""

import json
from datetime import datetime
from typing import Any

from scrm import db

_TIMELINE = """
-- One page of a person's timeline, newest first: the events of the member and of every member merged into it.
SELECT e.id, e.kind, e.occurred_at, e.account_id, e.fan_id, e.payload
FROM event e
WHERE e.member_id IN (SELECT id FROM member WHERE id = $1 OR merged_into_id = $1)
  AND ($2::timestamptz IS NULL OR (e.occurred_at, e.id) < ($2, $3::bigint))
ORDER BY e.occurred_at DESC, e.id DESC
LIMIT $4
"""


async def timeline(
    member_id: int, *, before: tuple[datetime, int] | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return a page of a person's events, newest first; `before` is (occurred_at, id) of the last row seen.

    `member_id` is the person (a member that is not merged into another).
    """
    moment, last = before or (None, 0)
    rows = await db.fetch(_TIMELINE, member_id, moment, last, limit)
    return [{**dict(row), "payload": json.loads(row["payload"])} for row in rows]
