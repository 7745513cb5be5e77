"""Commands about pushes that are accepted: whose turn it is, who works on them, and the one answer each ends with.

How they are accepted stands in `accepting`; `docs/subsystems/callback.md` lists the cases.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from scrm import db
from scrm.db import Connection, Transaction, command
from scrm.pushes.silence import PERSON

_TAKE_TURN = """
-- The turn goes to the oldest push of the fan that somebody still works on; a dead one's lease runs out.
INSERT INTO turn (fan_id, push_key, lease_until)
SELECT $1, $2, $4
WHERE NOT EXISTS (
    SELECT FROM push o, push me
    WHERE me.key = $2 AND o.fan_id = $1 AND o.state = 'running' AND o.lease_until > $3
      AND (o.received_at, o.key) < (me.received_at, me.key)
)
ON CONFLICT (fan_id) DO UPDATE SET push_key = excluded.push_key, lease_until = excluded.lease_until
WHERE turn.lease_until <= $3 OR turn.push_key = excluded.push_key
RETURNING fan_id
"""


async def take_turn(fan_id: int, key: UUID, *, now: datetime, lease_until: datetime) -> bool:
    """Take the turn at a fan; False while another push has it or an older one waits. A dead holder's is taken."""
    return bool(await db.fetch(_TAKE_TURN, fan_id, key, now, lease_until))


@command
async def renew(tx: Transaction, keys: Sequence[UUID], *, lease_until: datetime) -> None:
    """Keep the leases of pushes still being worked on, and of their turns."""
    await tx.connection.execute(
        "UPDATE push SET lease_until = $2 WHERE key = ANY($1::uuid[]) AND state = 'running'", list(keys), lease_until
    )
    await tx.connection.execute(
        "UPDATE turn SET lease_until = $2 WHERE push_key = ANY($1::uuid[])", list(keys), lease_until
    )


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A push whose worker died: accepted, never answered, now taken over."""

    key: UUID
    account_id: int
    fan_id: int | None
    member_id: int | None
    fields: dict[str, Any]
    attempts: int
    received_at: datetime


_TAKE_OVER = """
UPDATE push p SET attempts = p.attempts + 1, lease_until = $2
FROM (
    SELECT key FROM push WHERE state = 'running' AND lease_until <= $1 AND ($4::uuid IS NULL OR key = $4)
    ORDER BY received_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
) due
WHERE p.key = due.key
RETURNING p.key, p.account_id, p.fan_id, (SELECT f.member_id FROM fan f WHERE f.id = p.fan_id) AS member_id,
          p.fields, p.attempts, p.received_at
"""


@command
async def take_over(
    tx: Transaction, *, now: datetime, lease_until: datetime, limit: int = 100, key: UUID | None = None
) -> list[Abandoned]:
    """Claim pushes whose lease ran out, oldest first; with `key` only that one. Attempts are counted."""
    rows = await tx.connection.fetch(_TAKE_OVER, now, lease_until, limit, key)
    taken = [Abandoned(**{**dict(row), "fields": json.loads(row["fields"])}) for row in rows]
    return sorted(taken, key=lambda push: push.received_at)


@dataclass(frozen=True, slots=True)
class DialogueChange:
    """What an answer does to the fan's dialogue: `name` None ends it."""

    name: str | None
    step: str = ""
    data: Mapping[str, Any] | None = None
    expires_at: datetime | None = None


_DROP_HELD = """
-- Whole answers go, the oldest first: one that lacks its middle is worse than none. Its push says that it was lost.
WITH kept AS (
    SELECT push_key, sum(count(*)) OVER newest AS parts, row_number() OVER newest AS nth
    FROM held_reply WHERE fan_id = $1 AND held_at > $2
    GROUP BY push_key WINDOW newest AS (ORDER BY max(id) DESC)
), dropped AS (
    DELETE FROM held_reply
    WHERE fan_id = $1 AND (held_at <= $2 OR push_key NOT IN (SELECT push_key FROM kept WHERE parts <= $3 OR nth = 1))
    RETURNING push_key
)
UPDATE push SET reason = 'held_dropped' WHERE key IN (SELECT push_key FROM dropped)
"""


@command
async def finish(
    tx: Transaction,
    *,
    key: UUID,
    fan_id: int | None,
    attempts: int,
    state: str,
    answer: Mapping[str, Any] | None,
    reason: str = "",
    now: datetime,
    dialogue: DialogueChange | None = None,
    hold: Sequence[Mapping[str, Any]] = (),
    released: Sequence[int] = (),
) -> bool:
    """End a running push: its state and answer, the dialogue's next step, and the turn given back.

    `hold` are replies to keep for the fan's next message, `released` the ids of held ones that this answer
    delivers. Returns False, and changes nothing, when somebody else took the push over meanwhile (`attempts`
    is the fencing number). `state` is answered, late or failed.
    """
    raw = tx.connection
    done = await raw.fetchval(
        """
        UPDATE push SET state = $3, answer = $4::jsonb, reason = $5, lease_until = NULL, fields = NULL
        WHERE key = $1 AND attempts = $2 AND state = 'running' RETURNING key
        """,
        key,
        attempts,
        state,
        None if answer is None else json.dumps(answer, ensure_ascii=False),
        reason[:64],
    )
    if done is None:
        return False
    if fan_id is None:
        return True
    await raw.execute("DELETE FROM turn WHERE fan_id = $1 AND push_key = $2", fan_id, key)
    if dialogue is not None:
        await change_dialogue(raw, fan_id, dialogue)
    if released:
        await raw.execute("DELETE FROM held_reply WHERE id = ANY($1::bigint[])", list(released))
    if released or hold:
        await keep_held(raw, fan_id, key, hold, now)
    return True


async def keep_held(
    raw: Connection, fan_id: int, key: UUID, replies: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Keep replies of a push for the fan's next message, and drop what has waited too long or is too much."""
    for reply in replies:
        await raw.execute(
            "INSERT INTO held_reply (fan_id, push_key, reply, held_at) VALUES ($1, $2, $3::jsonb, $4)",
            fan_id,
            key,
            json.dumps(reply, ensure_ascii=False),
            now,
        )
    await raw.execute(_DROP_HELD, fan_id, now - HELD_LASTS, HELD_KEPT)


async def change_dialogue(raw: Connection, fan_id: int, change: DialogueChange) -> None:
    """Start, continue or end the fan's dialogue; while silence holds (scrm.pushes.silence) nothing changes."""
    if change.name is None:
        await raw.execute("DELETE FROM dialogue WHERE fan_id = $1 AND name <> $2", fan_id, PERSON)
        return
    await raw.execute(
        """
        INSERT INTO dialogue (fan_id, name, step, data, expires_at) VALUES ($1, $2, $3, $4::jsonb, $5)
        ON CONFLICT (fan_id) DO UPDATE
        SET name = excluded.name, step = excluded.step, data = excluded.data, expires_at = excluded.expires_at
        WHERE dialogue.name <> $6
        """,
        fan_id,
        change.name,
        change.step,
        json.dumps(change.data or {}, ensure_ascii=False),
        change.expires_at,
        PERSON,
    )


@dataclass(frozen=True, slots=True)
class Held:
    """A reply that waits for the fan's next message."""

    id: int
    reply: dict[str, Any]


# So many messages wait for a fan at most, unless one answer alone is longer; and answers grow stale. What is more goes.
HELD_KEPT, HELD_LASTS = 40, timedelta(hours=48)


async def held_for(fan_id: int, now: datetime) -> list[Held]:
    """Return the replies that wait for this fan's next message, oldest first."""
    rows = await db.fetch(
        "SELECT id, reply FROM held_reply WHERE fan_id = $1 AND held_at > $2 ORDER BY id", fan_id, now - HELD_LASTS
    )
    return [Held(row["id"], json.loads(row["reply"])) for row in rows]


@dataclass(frozen=True, slots=True)
class RunningDialogue:
    """The dialogue a fan is in."""

    name: str
    step: str
    data: dict[str, Any]


async def dialogue_of(fan_id: int, now: datetime) -> RunningDialogue | None:
    """Return the fan's running dialogue; one whose time is up is none."""
    rows = await db.fetch("SELECT name, step, data FROM dialogue WHERE fan_id = $1 AND expires_at > $2", fan_id, now)
    return RunningDialogue(rows[0]["name"], rows[0]["step"], json.loads(rows[0]["data"])) if rows else None


# Enough to see what a platform changed, not enough for somebody with the token to fill the disk.
MALFORMED_KEPT = 1000


@command
async def keep_malformed(
    tx: Transaction, *, account_id: int, reason: str, body_sealed: str, received_at: datetime
) -> None:
    """Keep a genuine push that made no sense, sealed; the oldest beyond MALFORMED_KEPT per account go."""
    await tx.connection.execute(
        "INSERT INTO malformed_push (account_id, reason, body_sealed, received_at) VALUES ($1, $2, $3, $4)",
        account_id,
        reason[:64],
        body_sealed,
        received_at,
    )
    await tx.connection.execute(
        """
        DELETE FROM malformed_push WHERE id IN (
            SELECT id FROM malformed_push WHERE account_id = $1 ORDER BY id DESC OFFSET $2
        )
        """,
        account_id,
        MALFORMED_KEPT,
    )


@command
async def prune(tx: Transaction, *, before: datetime, limit: int = 5000) -> int:
    """Delete finished pushes received before a moment; their events stay. Returns how many went."""
    rows = await tx.connection.fetch(
        """
        DELETE FROM push WHERE key IN (
            SELECT key FROM push WHERE received_at < $1 AND state <> 'running' LIMIT $2
        ) RETURNING key
        """,
        before,
        limit,
    )
    return len(rows)
