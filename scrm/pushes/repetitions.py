"""What repetitions of a push are told, and the answer that was stored too late for any request to carry it.

An answer goes to the fan one way: in a request, which may be a repetition's, or by the door out. Whoever takes it the
one way says so in the push's row, and the other way is closed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from scrm.db import Connection, Transaction, command
from scrm.pushes.service import keep_held


@dataclass(frozen=True, slots=True)
class State:
    """How a push stands; see scrm.pushes.models.Push."""

    key: UUID
    state: str
    answer: dict[str, Any] | None
    reason: str


# In one order, so that two batches never wait for each other in a circle.
_TELL = """
UPDATE push SET told = true FROM (
    SELECT key FROM push WHERE key = ANY($1::uuid[]) AND state = 'answered' AND NOT told
    ORDER BY key FOR NO KEY UPDATE
) answered
WHERE push.key = answered.key
"""


async def look(raw: Connection, keys: Sequence[UUID]) -> list[State | None]:
    """Return how each push stands, None for one that does not exist (any more); a batch for a group of waiters.

    An answer that is returned is taken as told: from then on it cannot be withdrawn.
    """
    await raw.execute(_TELL, list(keys))
    rows = await raw.fetch("SELECT key, state, answer, reason FROM push WHERE key = ANY($1::uuid[])", list(keys))
    known = {
        row["key"]: State(row["key"], row["state"], json.loads(row["answer"]) if row["answer"] else None, row["reason"])
        for row in rows
    }
    return [known.get(key) for key in keys]


@command
async def withdraw(
    tx: Transaction,
    *,
    key: UUID,
    fan_id: int,
    state: str,
    reason: str,
    hold: Sequence[Mapping[str, Any]],
    now: datetime,
) -> bool:
    """Take an answer back that no request has carried, because it leaves by the door out; `state` is late or failed.

    `hold` are replies to keep for the fan's next message. Returns False, and changes nothing, when a repetition was
    told the answer meanwhile.
    """
    withdrawn = await tx.connection.fetchval(
        "UPDATE push SET state = $2, answer = NULL, reason = $3 WHERE key = $1 AND state = 'answered' AND NOT told "
        "RETURNING key",
        key,
        state,
        reason[:64],
    )
    if withdrawn is None:
        return False
    if hold:
        await keep_held(tx.connection, fan_id, key, hold, now)
    return True
