"""Accepting pushes: each once, with its event, and with the answer that was prepared for it if that may stand.

One statement decides everything at once: whether a push is new (its key), who the fan is, and whether somebody has to
work on it. `docs/subsystems/callback.md` lists the cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from scrm.db import Connection
from scrm.events import kinds
from scrm.events.kinds import Appended
from scrm.events.service import run_consequences


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
    # Whether a fan is made of an openid that nobody has; else the push is about nobody then.
    may_be_new: bool = True


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
            key uuid, account_id bigint, openid text, may_be_new boolean, kind text, occurred_at timestamptz,
            received_at timestamptz, payload jsonb, fields json, lease_until timestamptz, answer jsonb
        )
    ) WITH ORDINALITY AS i (
        key, account_id, openid, may_be_new, kind, occurred_at, received_at, payload, fields, lease_until, answer, n
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
        WHERE fan_id IS NULL AND openid IS NOT NULL AND may_be_new GROUP BY account_id, openid
    ) each_once
), made AS (
    INSERT INTO fan (account_id, openid, member_id, created_at)
    SELECT account_id, openid, member_id, since FROM strangers ORDER BY account_id, openid
    ON CONFLICT DO NOTHING
    RETURNING id, account_id, openid, member_id, created_at
), their_members AS (
    INSERT INTO member (id, created_at) SELECT member_id, created_at FROM made
), located AS (
    SELECT k.n, k.key, k.account_id, k.kind, k.openid, k.may_be_new, k.occurred_at, k.received_at, k.payload, k.fields,
           k.lease_until, k.answer,
           coalesce(k.fan_id, m.id) AS fan_id, coalesce(k.member_id, m.member_id) AS member_id
    FROM known k LEFT JOIN made m ON k.fan_id IS NULL AND m.account_id = k.account_id AND m.openid = k.openid
), fresh AS (
    -- Not one key is taken while a fan is unknown (made by another process this moment): every batch takes its locks
    -- in one order (fans, keys, consequences), so that batches with pushes in common wait for each other and never in
    -- a circle.
    INSERT INTO event_key (key) SELECT key FROM located
    WHERE NOT EXISTS (SELECT FROM located u WHERE u.fan_id IS NULL AND u.openid IS NOT NULL AND u.may_be_new)
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
        if not any(row.fan_id is None and a.openid and a.may_be_new for a, row in zip(arrivals, rows, strict=True)):
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
