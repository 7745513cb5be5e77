"""Commands about channels: creating them, and counting whom they touched."""

from collections.abc import Sequence
from datetime import datetime

from tortoise.exceptions import IntegrityError

from kit.names import is_name
from scrm.channels.models import Channel
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid
from scrm.events.kinds import Appended

MOST_FEN = 10**12

_KNOW_SCENES = """
-- A code made elsewhere is a channel too, named by its scene until somebody names it better.
INSERT INTO channel (account_id, scene, name, created_at)
SELECT account_id, scene, scene, min(at) FROM unnest($1::bigint[], $2::text[], $3::timestamptz[])
    AS i (account_id, scene, at)
GROUP BY account_id, scene ORDER BY account_id, scene
ON CONFLICT (account_id, scene) DO NOTHING
"""
_TOUCH = """
-- One row per fan and channel, whatever the order in which retried and repeated scans arrive.
INSERT INTO channel_touch (channel_id, fan_id, first_at, last_at, followed_at)
VALUES ($1, $2, $3, $3, $4)
ON CONFLICT (channel_id, fan_id) DO UPDATE
SET first_at = least(channel_touch.first_at, excluded.first_at),
    last_at = greatest(channel_touch.last_at, excluded.last_at),
    followed_at = least(channel_touch.followed_at, excluded.followed_at)
"""
_FIRST_AND_LAST = """
UPDATE fan SET
    first_channel_id = CASE WHEN first_touch_at IS NULL OR $3 < first_touch_at THEN $2 ELSE first_channel_id END,
    last_channel_id = CASE WHEN last_touch_at IS NULL OR $3 >= last_touch_at THEN $2 ELSE last_channel_id END,
    first_touch_at = least(first_touch_at, $3),
    last_touch_at = greatest(last_touch_at, $3)
WHERE id = $1
"""


async def scanned(raw: Connection, events: Sequence[Appended]) -> None:
    """Consequence of a scan by somebody who follows already. The payload names the `scene`."""
    await _touch(raw, events, followed=False)


async def followed_through(raw: Connection, events: Sequence[Appended]) -> None:
    """Consequence of a follow through a code; a follow without `scene` in its payload touches no channel."""
    await _touch(raw, events, followed=True)


async def _touch(raw: Connection, events: Sequence[Appended], *, followed: bool) -> None:
    scenes = [(event, str(event.payload["scene"])) for event in events if is_scene(str(event.payload.get("scene", "")))]
    if not scenes:
        return
    await raw.execute(
        _KNOW_SCENES,
        [event.account_id for event, _ in scenes],
        [scene for _, scene in scenes],
        [event.occurred_at for event, _ in scenes],
    )
    for event, scene in scenes:
        channel_id = await raw.fetchval(
            "SELECT id FROM channel WHERE account_id = $1 AND scene = $2", event.account_id, scene
        )
        await raw.execute(_TOUCH, channel_id, event.fan_id, event.occurred_at, event.occurred_at if followed else None)
        await raw.execute(_FIRST_AND_LAST, event.fan_id, channel_id, event.occurred_at)


def is_scene(scene: str) -> bool:
    """Tell whether a code can have this scene: WeChat's are 1 to 64 characters; anything else touches no channel."""
    return is_name(scene, 64)


def check_scene(scene: str) -> None:
    """Raise Invalid for what is no scene."""
    if not is_scene(scene):
        raise Invalid("场景值长度为 1 到 64 个字符，不含控制字符", field="scene")


@command
async def create(
    _tx: Transaction, *, account_id: int, scene: str, name: str, cost_fen: int = 0, now: datetime
) -> Channel:
    """Create a channel; its QR code is made at the platform afterwards (see `record_code`).

    Raises Invalid naming the field that is wrong, Conflict when the account has the scene already.
    """
    name = name.strip()
    check_scene(scene)
    if not is_name(name, 64):
        raise Invalid("渠道名称长度为 1 到 64 个字符，不含控制字符", field="name")
    if cost_fen < 0:
        raise Invalid("渠道成本不能为负", field="cost_fen")
    if cost_fen > MOST_FEN:
        raise Invalid("渠道成本不能超过一百亿元", field="cost_fen")
    if await Channel.filter(account_id=account_id, scene=scene).exists():
        raise Conflict("这个场景值已被使用", field="scene")
    try:
        return await Channel.create(account_id=account_id, scene=scene, name=name, cost_fen=cost_fen, created_at=now)
    except IntegrityError:
        # Somebody created it, or a scan made it known, between our look and our insert.
        raise Conflict("这个场景值已被使用", field="scene") from None


@command
async def record_code(_tx: Transaction, *, channel_id: int, ticket: str, url: str) -> None:
    """Keep what the platform gave for a channel's QR code."""
    await Channel.filter(id=channel_id).update(ticket=ticket, url=url)
