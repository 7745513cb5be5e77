"""What came of each channel."""

from dataclasses import dataclass

from scrm import db
from scrm.channels.models import Channel
from scrm.channels.service import is_scene

# Of an event e: the name of the channel whose code was scanned, null for any other.
CHANNEL = """
CASE WHEN e.kind IN ('wechat.event.scan', 'wechat.event.subscribe') THEN (
    SELECT c.name FROM channel c WHERE c.account_id = e.account_id AND c.scene = e.payload->>'scene'
) END
"""


@dataclass(frozen=True, slots=True)
class ChannelCount:
    """Persons, not scans: a person counts once however often and with however many openids they scan."""

    channel_id: int
    scene: str
    name: str
    touched: int  # persons who scanned or followed through it
    followed: int  # persons who followed through it
    net: int  # of those, the ones still following


_COUNTS = """
SELECT c.id AS channel_id, c.scene, c.name,
       count(DISTINCT p.person) AS touched,
       count(DISTINCT p.person) FILTER (WHERE p.followed_at IS NOT NULL) AS followed,
       count(DISTINCT p.person) FILTER (WHERE p.followed_at IS NOT NULL AND p.following) AS net
FROM channel c
LEFT JOIN LATERAL (
    SELECT coalesce(m.merged_into_id, m.id) AS person, t.followed_at, f.following
    FROM channel_touch t JOIN fan f ON f.id = t.fan_id JOIN member m ON m.id = f.member_id
    WHERE t.channel_id = c.id
) p ON true
WHERE c.account_id = $1
GROUP BY c.id
ORDER BY c.id
"""


async def counts(account_id: int) -> list[ChannelCount]:
    """Return the counts of every channel of an account."""
    return [ChannelCount(**dict(row)) for row in await db.fetch(_COUNTS, account_id)]


async def of_scene(account_id: int, scene: str | None) -> Channel | None:
    """Return the channel whose code has this scene, if there is one; None also for what is no scene."""
    return await Channel.get_or_none(account_id=account_id, scene=scene) if scene and is_scene(scene) else None
