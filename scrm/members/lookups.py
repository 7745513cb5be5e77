"""Asking the platform who a fan is: about whom it is time to, and what the answer changes.

A fan comes with a lookup that is due, whichever push or sign-in made them known, and a follow makes one due again. A
worker claims them; a claim that ends without an answer is due again when its lease runs out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from scrm.db import Transaction, command
from scrm.members.service import link_unionid


@dataclass(frozen=True, slots=True)
class Lookup:
    """A fan to ask about, claimed until `lease_until`."""

    fan_id: int
    account_id: int
    openid: str
    lease_until: datetime


_CLAIM = """
-- So many of each account, and of those named only: where nobody may be asked about, they do not stand in the way.
WITH due AS (
    SELECT f.id FROM unnest($1::bigint[]) AS a (id)
    CROSS JOIN LATERAL (
        SELECT id FROM fan WHERE account_id = a.id AND lookup_due_at <= $2
        ORDER BY lookup_due_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED
    ) f
)
UPDATE fan f SET lookup_due_at = $3 FROM due WHERE f.id = due.id
RETURNING f.id AS fan_id, f.account_id, f.openid, f.lookup_due_at AS lease_until
"""


@command
async def claim(
    tx: Transaction, account_ids: Sequence[int], *, now: datetime, lease_until: datetime, each: int
) -> list[Lookup]:
    """Claim lookups that are due at these official accounts, at most `each` of one account, by id of the fan."""
    rows = await tx.connection.fetch(_CLAIM, list(account_ids), now, lease_until, each)
    return sorted((Lookup(**dict(row)) for row in rows), key=lambda lookup: lookup.fan_id)


_ANSWERED = """
-- What we heard later than the platform's follow stands. No follow is counted: none was heard of.
UPDATE fan
SET lookup_due_at = NULL,
    following = following OR ($3::timestamptz IS NOT NULL AND (follow_changed_at IS NULL OR follow_changed_at <= $3)),
    follow_changed_at = greatest(follow_changed_at, $3)
WHERE id = $1 AND lookup_due_at = $2 RETURNING id
"""


@command
async def answer(
    tx: Transaction, lookup: Lookup, *, following_since: datetime | None, unionid: str | None, now: datetime
) -> bool:
    """Take the platform's answer: since when the fan follows, None if not, and the unionid that makes them a person.

    Returns False, and changes nothing, when the claim is no more: taken over, erased, or followed again meanwhile.
    """
    if await tx.connection.fetchval(_ANSWERED, lookup.fan_id, lookup.lease_until, following_since) is None:
        return False
    if unionid:
        await link_unionid(fan_id=lookup.fan_id, unionid=unionid, now=now)
    return True
