"""Appending to the timeline: one row per happening, whoever says it and however often."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from scrm.db import Connection, Transaction, command
from scrm.events import kinds

_APPEND = """
WITH fresh AS (
    INSERT INTO event_key (key) VALUES ($1) ON CONFLICT DO NOTHING RETURNING key
)
INSERT INTO event (key, kind, occurred_at, recorded_at, member_id, account_id, fan_id, payload)
SELECT key, $2, $3, $4, $5, $6, $7, $8::jsonb FROM fresh
RETURNING id
"""


@command
async def append(
    tx: Transaction,
    *,
    key: UUID,
    kind: str,
    occurred_at: datetime,
    recorded_at: datetime,
    member_id: int | None,
    account_id: int | None,
    fan_id: int | None,
    payload: Mapping[str, Any],
) -> bool:
    """Append one event with its consequences; return False when its key was there already (nothing changes).

    `member_id` is the home member. Times are aware. Raises ValueError for an unregistered kind.
    """
    return await add(
        tx.connection, kinds.Appended(key, kind, occurred_at, member_id, account_id, fan_id, payload, recorded_at)
    )


async def add(raw: Connection, event: kinds.Appended) -> bool:
    """Append in the caller's transaction: for events that are themselves consequences."""
    kinds.get(event.kind)
    row = await raw.fetchrow(
        _APPEND,
        event.key,
        event.kind,
        event.occurred_at,
        event.recorded_at,
        event.member_id,
        event.account_id,
        event.fan_id,
        json.dumps(event.payload, ensure_ascii=False),
    )
    if row is None:
        return False
    await run_consequences(raw, [event])
    return True


async def run_consequences(raw: Connection, appended: Sequence[kinds.Appended]) -> None:
    """Run what follows from events just appended, kind by kind; part of the caller's transaction."""
    by_kind: dict[str, list[kinds.Appended]] = defaultdict(list)
    for event in appended:
        if kinds.get(event.kind).consequence is not None:
            by_kind[event.kind].append(event)
    # The same order everywhere, so that two batches never wait for each other in a circle; and since one fan may
    # have events of several kinds, all fans are locked before the first kind's consequence.
    fans = sorted({event.fan_id for events in by_kind.values() for event in events if event.fan_id is not None})
    if fans:
        await raw.execute("SELECT FROM fan WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", fans)
    for name in sorted(by_kind):
        consequence = kinds.get(name).consequence
        assert consequence is not None  # noqa: S101  # only such kinds were collected
        await consequence(raw, sorted(by_kind[name], key=lambda event: (event.fan_id or 0, event.occurred_at)))
