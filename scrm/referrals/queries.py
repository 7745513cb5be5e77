"""Reading invitations: the friends somebody brought, and what they earned by it (mission A080)."""

import json
from dataclasses import dataclass
from datetime import datetime

from kit.seal import Sealer
from scrm import db
from scrm.members import names, profiles
from scrm.points.holders import HOMES


@dataclass(frozen=True, slots=True)
class Friend:
    """Somebody who came through a member's code.

    `nickname` is None while unknown, `called` is what staff call them. `state` is counts, void or fraud; `earned` is
    what the inviter has of it, by asset, nothing where it does not count.
    """

    id: int
    nickname: str | None
    called: str
    erased: bool
    came_at: datetime
    state: str
    earned: dict[str, int]


_INVITED = f"""
SELECT r.id, r.invitee_id, coalesce(m.merged_into_id, m.id) AS person_id, m.erased_at IS NOT NULL AS erased, r.came_at,
       r.state, e.earned
FROM referral r
JOIN member m ON m.id = r.invitee_id
CROSS JOIN LATERAL (
    SELECT coalesce(json_object_agg(asset, amount), '{{}}') AS earned FROM (
        SELECT asset, sum(amount)::bigint AS amount FROM ledger_entry
        WHERE event_key = r.event_key AND kind = 'award' AND holder_id = r.inviter_id AND r.state = 'counts'
        GROUP BY asset
    ) a
) e
WHERE r.inviter_id = ANY(ARRAY({HOMES})) AND ($2::bigint IS NULL OR r.id < $2)
ORDER BY r.id DESC LIMIT $3
"""  # noqa: S608  # put together from our own


async def invited(sealer: Sealer, member_id: int, *, before: int | None = None, limit: int = 20) -> list[Friend]:
    """Return a page of the friends a person brought over all homes, newest first; `before` is the last id seen."""
    rows = await db.fetch(_INVITED, member_id, before, limit)
    known = await profiles.of_many(sealer, [row["invitee_id"] for row in rows])
    return [
        Friend(
            row["id"],
            known[row["invitee_id"]].nickname,
            names.called(known[row["invitee_id"]], row["person_id"], erased=row["erased"]),
            row["erased"],
            row["came_at"],
            row["state"],
            json.loads(row["earned"]),
        )
        for row in rows
    ]
