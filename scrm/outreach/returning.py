"""Fans who came back unheard: whoever acts as only a follower can, after the unfollow we heard of, follows again."""

from datetime import datetime

from kit.ids import key_of
from scrm.db import Transaction, command
from scrm.events import kinds
from scrm.events import service as events
from scrm.members.service import RETURNED
from scrm.outreach.windows import OPENS

# A follow says so itself; whoever enters a mini-program's customer service follows nothing.
_ACTS = sorted(OPENS.keys() - {"wechat.event.subscribe", "wechat.event.user_enter_tempsession"})

_ACT = """
CROSS JOIN LATERAL (
    SELECT e.key, e.occurred_at FROM event e
    WHERE e.member_id = f.member_id AND e.fan_id = f.id AND e.kind = ANY($1::text[])
      AND e.occurred_at > f.follow_changed_at
    ORDER BY e.occurred_at, e.id LIMIT 1
) act
"""
_FIND = f"""
-- Among those who were heard of lately, which is few; the unfollow itself is one of those pushes.
SELECT f.id FROM fan f JOIN member m ON m.id = f.member_id JOIN account a ON a.id = f.account_id {_ACT}
WHERE f.id IN (SELECT fan_id FROM push WHERE received_at > $2) AND NOT f.following
  AND a.kind <> 'miniprogram' AND m.erased_at IS NULL
ORDER BY f.id LIMIT $3
-- Who is being changed at this moment is looked at the next time.
FOR NO KEY UPDATE OF f SKIP LOCKED
"""  # noqa: S608  # a part written above
# Once more, now that they stand still: an unfollow may have been committed since the first look began, and what was an
# act after the former one is none after this.
_SHOW = f"""
SELECT f.id, f.member_id, f.account_id, act.key, act.occurred_at FROM fan f {_ACT}
WHERE f.id = ANY($2::bigint[]) AND NOT f.following ORDER BY f.id
"""  # noqa: S608  # a part written above


@command
async def notice(tx: Transaction, *, since: datetime, now: datetime, limit: int = 1000) -> int:
    """Note fans who acted after their unfollow, of those whose pushes came after `since`; returns how many.

    Each return is noted once, at the first act that shows it. Call it again while it returns `limit`.
    """
    found = [row["id"] for row in await tx.connection.fetch(_FIND, _ACTS, since, limit)]
    noted = 0
    for row in await tx.connection.fetch(_SHOW, _ACTS, found):
        noted += await events.add(
            tx.connection,
            kinds.Appended(
                key=key_of(RETURNED.name, row["id"], row["key"]),
                kind=RETURNED.name,
                occurred_at=row["occurred_at"],
                member_id=row["member_id"],
                account_id=row["account_id"],
                fan_id=row["id"],
                payload={"evidence": str(row["key"])},
                recorded_at=now,
            ),
        )
    return noted
