"""Commands about pushes: accept each once, whose turn it is, and the one answer it ends with.

A push is accepted by one statement that decides everything at once: whether it is new (its key), who the fan
is, and whether the answer prepared for it may stand. `docs/subsystems/callback.md` lists the cases.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from scrm import db
from scrm.db import Connection, Transaction, command
from scrm.events import kinds
from scrm.events.kinds import Appended
from scrm.events.service import run_consequences
from scrm.pushes.silence import PERSON


@dataclass(slots=True)  # not frozen: one is made for every push, and freezing doubles what that costs
class Arrival:
    """A push to accept. `answer` is the reply, as data, when it could be found without asking anybody."""

    key: UUID
    account_id: int
    # None for what happened to the account itself and not to a fan.
    openid: str | None
    kind: str
    occurred_at: datetime
    received_at: datetime
    payload: Mapping[str, Any]
    fields: Mapping[str, Any]
    lease_until: datetime
    answer: Mapping[str, Any] | None = None


@dataclass(slots=True)  # not frozen, as above
class Accepted:
    """What accepting came to.

    `fresh` is false for a push that was accepted before, here or elsewhere. `running` says that somebody has
    to work on it: no answer was prepared, or it may not stand because a dialogue, another message of the same
    fan or a held answer comes first.
    """

    fresh: bool
    running: bool
    fan_id: int | None
    member_id: int | None


# Knowing the fields beforehand, it writes them in three fifths of the time that finding them out takes.
_ARRIVALS = TypeAdapter(list[Arrival])

_ACCEPT = """
WITH input AS (
    -- One JSON text: to encode eleven arrays element by element costs the caller more than this costs here.
    SELECT * FROM ROWS FROM (
        json_to_recordset($1::json) AS (
            key uuid, account_id bigint, openid text, kind text, occurred_at timestamptz, received_at timestamptz,
            payload jsonb, fields json, lease_until timestamptz, answer jsonb
        )
    ) WITH ORDINALITY AS i (
        key, account_id, openid, kind, occurred_at, received_at, payload, fields, lease_until, answer, n
    )
), known AS (
    SELECT i.*, f.id AS fan_id, f.member_id
    FROM input i
    -- OFFSET 0 keeps this a look-up in the index for each push, however small the planner thinks the table is.
    LEFT JOIN LATERAL (
        SELECT id, member_id FROM fan WHERE account_id = i.account_id AND openid = i.openid OFFSET 0
    ) f ON true
), strangers AS MATERIALIZED (
    -- As in members' ENSURE_FANS.
    SELECT account_id, openid, since, nextval('member_id_seq') AS member_id
    FROM (
        SELECT account_id, openid, min(received_at) AS since FROM known
        WHERE fan_id IS NULL AND openid IS NOT NULL GROUP BY account_id, openid
    ) each_once
), made AS (
    INSERT INTO fan (account_id, openid, member_id, created_at)
    SELECT account_id, openid, member_id, since FROM strangers ORDER BY account_id, openid
    ON CONFLICT DO NOTHING
    RETURNING id, account_id, openid, member_id, created_at
), their_members AS (
    INSERT INTO member (id, created_at) SELECT member_id, created_at FROM made
), located AS (
    SELECT k.n, k.key, k.account_id, k.kind, k.openid, k.occurred_at, k.received_at, k.payload, k.fields,
           k.lease_until, k.answer,
           coalesce(k.fan_id, m.id) AS fan_id, coalesce(k.member_id, m.member_id) AS member_id
    FROM known k LEFT JOIN made m ON k.fan_id IS NULL AND m.account_id = k.account_id AND m.openid = k.openid
), fresh AS (
    -- Not one key is taken while a fan is unknown (made by another process this moment): every batch takes its locks
    -- in one order (fans, keys, consequences), so that batches with pushes in common wait for each other and never in
    -- a circle.
    INSERT INTO event_key (key) SELECT key FROM located
    WHERE NOT EXISTS (SELECT FROM located u WHERE u.fan_id IS NULL AND u.openid IS NOT NULL)
    ORDER BY key ON CONFLICT DO NOTHING RETURNING key
), new AS (
    SELECT l.*,
           l.answer IS NULL
           OR EXISTS (
               SELECT FROM push p WHERE p.fan_id = l.fan_id AND p.state = 'running' AND p.lease_until > l.received_at
           )
           OR EXISTS (SELECT FROM dialogue d WHERE d.fan_id = l.fan_id AND d.expires_at > l.received_at)
           OR EXISTS (
               SELECT FROM held_reply h
               WHERE h.fan_id = l.fan_id AND h.held_at > l.received_at - interval '48 hours'
           )
           AS running
    FROM located l JOIN fresh USING (key)
), timeline AS (
    INSERT INTO event (key, kind, occurred_at, recorded_at, member_id, account_id, fan_id, payload)
    SELECT key, kind, occurred_at, received_at, member_id, account_id, fan_id, payload FROM new
), kept AS (
    INSERT INTO push (key, account_id, fan_id, state, answer, fields, lease_until, received_at)
    SELECT key, account_id, fan_id,
           CASE WHEN running THEN 'running' ELSE 'answered' END,
           CASE WHEN running THEN NULL ELSE answer END,
           CASE WHEN running THEN fields::jsonb END,
           CASE WHEN running THEN lease_until END,
           received_at
    FROM new
)
SELECT new.key IS NOT NULL AS fresh, coalesce(new.running, false) AS running, l.fan_id, l.member_id
FROM located l LEFT JOIN new ON new.n = l.n
ORDER BY l.n
"""


async def accept(raw: Connection, arrivals: Sequence[Arrival]) -> list[Accepted]:
    """Accept a batch of pushes in the caller's transaction (a group commit): events, consequences, answers.

    A fan nobody has seen becomes a fan and a member here. The same key twice in one batch counts once.
    """
    unique = _in_order(_without_twins(arrivals))
    rows = await _accept_located(raw, unique)
    if rows is None:
        raise RuntimeError("a fan that was just made is not there")
    appended = [
        Appended(a.key, a.kind, a.occurred_at, row.member_id, a.account_id, row.fan_id, a.payload, a.received_at)
        for a, row in zip(unique, rows, strict=True)
        if row.fresh
    ]
    await run_consequences(raw, appended)
    return _with_twins(arrivals, unique, rows)


async def accept_at_once(raw: Connection, arrivals: Sequence[Arrival]) -> list[Accepted] | None:
    """Do all of `accept` by its one statement, without a transaction around it, where that is enough.

    It is where no kind has a consequence: nearly always. Otherwise None, and nothing done but perhaps fans made, whom
    `accept` then finds.
    """
    if any(kinds.get(arrival.kind).consequence is not None for arrival in arrivals):
        return None
    unique = _in_order(_without_twins(arrivals))
    rows = await _accept_located(raw, unique)
    return None if rows is None else _with_twins(arrivals, unique, rows)


async def _accept_located(raw: Connection, arrivals: list[Arrival]) -> list[Accepted] | None:
    """Run _ACCEPT, again when another process made one of the fans at the same moment: it is known the next time."""
    given = _ARRIVALS.dump_json(arrivals).decode()
    for _ in range(2):
        rows = [Accepted(*row) for row in await raw.fetch(_ACCEPT, given)]
        if not any(row.fan_id is None and a.openid is not None for a, row in zip(arrivals, rows, strict=True)):
            return rows
    return None


def _without_twins(arrivals: Sequence[Arrival]) -> list[Arrival]:
    first: dict[UUID, Arrival] = {}
    for arrival in arrivals:
        first.setdefault(arrival.key, arrival)
    return list(first.values())


def _with_twins(arrivals: Sequence[Arrival], unique: list[Arrival], rows: list[Accepted]) -> list[Accepted]:
    if len(unique) == len(arrivals):
        return rows
    accepted = {arrival.key: row for arrival, row in zip(unique, rows, strict=True)}
    outcomes = []
    for arrival in arrivals:
        row = accepted[arrival.key]
        outcomes.append(row)
        accepted[arrival.key] = Accepted(False, False, row.fan_id, row.member_id)
    return outcomes


def _in_order(arrivals: list[Arrival]) -> list[Arrival]:
    """Take back answers prepared for messages that follow, in this batch, one of the same fan that needs work."""
    working: set[tuple[int, str]] = set()
    ordered = []
    for arrival in arrivals:
        fan = (arrival.account_id, arrival.openid or "")
        if arrival.openid is not None and arrival.answer is None:
            working.add(fan)
        elif fan in working:
            arrival = replace(arrival, answer=None)  # the same arrival, without its answer
        ordered.append(arrival)
    return ordered


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
