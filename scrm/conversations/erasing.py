"""What conversations hold of fans who asked to be forgotten."""

from collections.abc import Sequence
from datetime import datetime

from scrm.conversations.closing import fan_left
from scrm.db import Connection


async def forget(raw: Connection, fans: Sequence[int], now: datetime) -> None:
    """End what is open and erase last lines, summaries and notes; that and when somebody was served stays.

    Part of the caller's transaction, which holds the fans.
    """
    for fan in fans:
        await fan_left(fan_id=fan, now=now)
    await raw.execute(
        "UPDATE conversation SET last_line = '', summary = '' WHERE fan_id = ANY($1::bigint[])", list(fans)
    )
    await raw.execute("UPDATE conversation_change SET text = '' WHERE fan_id = ANY($1::bigint[])", list(fans))
