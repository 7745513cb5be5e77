"""Commands about people: following, unfollowing, and finding out that two members are one."""

from collections.abc import Sequence
from datetime import datetime

from scrm.db import Connection, Transaction, command
from scrm.errors import Invalid, NotFound
from scrm.events import kinds
from scrm.events.kinds import Appended
from scrm.members.merging import merge

ENSURE_FANS = """
-- Make the fans, and a member for each, that do not exist yet. Conflicts with another process insert nothing,
-- and a member is only made for a fan that was.
WITH input AS (
    SELECT DISTINCT account_id, openid FROM unnest($1::bigint[], $2::text[]) AS i (account_id, openid)
), missing AS MATERIALIZED (
    SELECT i.account_id, i.openid, nextval('member_id_seq') AS member_id
    FROM input i
    WHERE NOT EXISTS (SELECT FROM fan f WHERE f.account_id = i.account_id AND f.openid = i.openid)
), made AS (
    INSERT INTO fan (account_id, openid, member_id, created_at)
    SELECT account_id, openid, member_id, $3 FROM missing ORDER BY account_id, openid
    ON CONFLICT DO NOTHING
    RETURNING member_id
)
INSERT INTO member (id, created_at) SELECT member_id, $3 FROM made
"""

# An older push that arrives later must not undo a newer one: the platform's time decides.
_FOLLOW = """
UPDATE fan
SET follow_count = follow_count + 1,
    following = CASE WHEN follow_changed_at IS NULL OR follow_changed_at <= $2 THEN true ELSE following END,
    follow_changed_at = greatest(follow_changed_at, $2),
    lookup_due_at = '-infinity'
WHERE id = $1
"""
_UNFOLLOW = """
UPDATE fan SET following = false, follow_changed_at = $2
WHERE id = $1 AND (follow_changed_at IS NULL OR follow_changed_at <= $2)
"""
# Not a follow that we heard of, so none is counted; the platform knows since when, and perhaps a unionid.
_RETURN = """
UPDATE fan SET following = true, follow_changed_at = $2, lookup_due_at = '-infinity'
WHERE id = $1 AND NOT following AND follow_changed_at < $2
"""


async def followed(raw: Connection, events: Sequence[Appended]) -> None:
    """Consequence of a follow: the fan is following again, one follow is counted, and the platform asked who it is."""
    for event in events:
        await raw.execute(_FOLLOW, event.fan_id, event.occurred_at)


async def unfollowed(raw: Connection, events: Sequence[Appended]) -> None:
    """Consequence of an unfollow: the fan stays known, only no longer following."""
    for event in events:
        await raw.execute(_UNFOLLOW, event.fan_id, event.occurred_at)


async def returned(raw: Connection, events: Sequence[Appended]) -> None:
    """Consequence of an act that only a follower can do, later than the unfollow we heard of: the fan follows again."""
    for event in events:
        await raw.execute(_RETURN, event.fan_id, event.occurred_at)


# Inferred, and no follow: it has none of a follow's words, counts and touches of a channel (scrm.outreach.returning).
RETURNED = kinds.register("fan.returned", "恢复关注（未收到关注通知，由互动推断）", returned)


@command
async def link_unionid(tx: Transaction, *, fan_id: int, unionid: str, now: datetime) -> int:
    """Record that a fan carries a unionid and return the person (root member) it belongs to.

    If the unionid is known from another member the two become one, whichever came first and whatever history
    both have; the merge is recorded with its evidence. Saying it again changes nothing, nor does saying it of somebody
    who was erased. Raises NotFound for an unknown fan, Invalid for an empty unionid.
    """
    if not unionid or len(unionid) > 64:
        raise Invalid("unionid 不能为空，最长 64 个字符", field="unionid")
    raw = tx.connection
    # Locked, so that nobody is erased while we write down who they are.
    home = await raw.fetchval("SELECT member_id FROM fan WHERE id = $1 FOR NO KEY UPDATE", fan_id)
    if home is None:
        raise NotFound("没有这位粉丝")
    if await raw.fetchval("SELECT erased_at IS NOT NULL FROM member WHERE id = $1", home):
        return int(home)
    await raw.execute(
        """
        INSERT INTO identity (kind, subject, member_id, created_at) VALUES ('unionid', $1, $2, $3)
        ON CONFLICT (kind, subject) DO NOTHING
        """,
        unionid,
        home,
        now,
    )
    owner = await raw.fetchval("SELECT member_id FROM identity WHERE kind = 'unionid' AND subject = $1", unionid)
    return await merge(raw, owner, home, {"kind": "unionid", "fan_id": fan_id}, now)
