"""Commands of the door out: ask to say something, and settle what became of it."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from scrm.db import Connection, Transaction, command
from scrm.errors import NotFound
from scrm.events.kinds import Appended
from scrm.outreach.following import FOLLOWS
from scrm.outreach.gate import DISABLED, Facts, Purpose, Verdict, decide
from scrm.outreach.ports import Delivery, Outcome
from scrm.outreach.windows import LONGEST, OPENS, SPENT, TAPPED, open_windows, scene_of

# What else follows, in the same transaction, from messages that came to an end or were put off; given their ids.
Consequence: TypeAlias = Callable[[Connection, Sequence[int]], Awaitable[None]]
_CONSEQUENCES: list[Consequence] = []


def listen(consequence: Consequence) -> None:
    """Let a higher noun act on how deliveries end; to be called once, when its module is imported."""
    _CONSEQUENCES.append(consequence)


async def _follow(raw: Connection, message_ids: Sequence[int]) -> None:
    for consequence in _CONSEQUENCES if message_ids else ():
        await consequence(raw, message_ids)


# A window that closes within this is taken as closed: the message still has to travel.
MARGIN = timedelta(seconds=2)


async def facts_about(
    raw: Connection, fan_id: int, now: datetime, *, purpose: Purpose = "service", except_message: int | None = None
) -> Facts:
    """Gather what the gate looks at, from the timeline and the outbox. Raises NotFound for an unknown fan.

    `except_message` leaves one outbox row out of the count: the one whose turn to be delivered it is.
    """
    fan = await raw.fetchrow(
        f"""
        SELECT f.member_id, f.account_id, {FOLLOWS} AS following, f.refused_code, f.refused_at,
               a.kind, a.verified, a.enabled, m.erased_at IS NOT NULL AS erased,
               -- scrm.pushes.silence
               EXISTS (SELECT FROM dialogue d WHERE d.fan_id = f.id AND d.name = 'person') AS with_person
        FROM fan f JOIN account a ON a.id = f.account_id JOIN member m ON m.id = f.member_id WHERE f.id = $2
        """,  # noqa: S608  # a condition of ours
        now,
        fan_id,
    )
    if fan is None:
        raise NotFound("没有这位粉丝")
    # An act came after the refusal if it was received after it; the platform's own times are of whole seconds.
    acts: dict[str, datetime] = {}
    acts_since: dict[str, datetime] = {}
    for row in await raw.fetch(
        """
        SELECT kind, payload ? $6 AS tapped, max(occurred_at) AS at,
               max(occurred_at) FILTER (
                   WHERE $5::timestamptz IS NULL OR recorded_at > $5 AND occurred_at >= date_trunc('second', $5)
               ) AS since
        FROM event
        WHERE member_id = $1 AND fan_id = $2 AND occurred_at > $3 AND kind = ANY($4::text[])
        GROUP BY kind, tapped
        """,
        fan["member_id"],
        fan_id,
        now - LONGEST,
        list(OPENS),
        fan["refused_at"],
        TAPPED,
    ):
        if fan["erased"]:
            continue  # nobody is there any more to whom a window could be open
        scene = scene_of(row["kind"], row["tapped"])
        acts[scene] = max(acts.get(scene, row["at"]), row["at"])
        if row["since"] is not None:
            acts_since[scene] = max(acts_since.get(scene, row["since"]), row["since"])
    sent = await raw.fetch(
        """
        SELECT coalesce(sent_at, greatest(created_at, due_at)) AS at FROM outbox
        WHERE fan_id = $1 AND coalesce(sent_at, greatest(created_at, due_at)) > $2
          AND state IN ('pending', 'claimed', 'sending', 'sent', 'unknown')
          AND ($3::bigint IS NULL OR id < $3)
        """,
        fan_id,
        now - LONGEST,
        except_message,
    )
    moments = [row["at"] for row in sent]
    windows = open_windows(fan["kind"], acts, moments, now, MARGIN)
    refused = None
    if windows and fan["refused_code"] is not None:
        # Whoever is reached again is reached as before; a grant that is used up stays so, and only a new one counts.
        if not acts_since or fan["refused_code"] in SPENT:
            windows = open_windows(fan["kind"], acts_since, moments, now, MARGIN)
        refused = None if windows else fan["refused_code"]
    silenced = purpose == "answer" and fan["with_person"]
    return Facts(fan["kind"], fan["verified"], fan["enabled"], fan["following"], tuple(windows), now, silenced, refused)


@command
async def say(
    tx: Transaction,
    *,
    key: UUID,
    fan_id: int,
    body: Mapping[str, Any],
    purpose: Purpose,
    now: datetime,
    due_at: datetime | None = None,
) -> Verdict:
    """Ask to send a customer-service message: decides, records why, and when allowed puts it in the outbox.

    `body` is the API's body without `touser`. The same `key` is decided once; asking again returns the first
    verdict and adds nothing.
    """
    raw = tx.connection
    # Two messages to one fan are decided one after the other, so that both cannot take the last place.
    await raw.execute("SELECT 1 FROM fan WHERE id = $1 FOR NO KEY UPDATE", fan_id)
    before = await raw.fetchrow("SELECT allowed, reason FROM outreach_decision WHERE key = $1", key)
    if before is not None:
        return Verdict(before["allowed"], before["reason"])
    facts = await facts_about(raw, fan_id, now, purpose=purpose)
    verdict = decide(facts)
    decision = await _record(raw, key, fan_id, purpose, verdict, facts, now)
    if verdict.allowed:
        await raw.execute(
            """
            INSERT INTO outbox (decision_id, account_id, fan_id, body, state, due_at, created_at)
            SELECT $1, account_id, id, $3::jsonb, 'pending', $4, $5 FROM fan WHERE id = $2
            """,
            decision,
            fan_id,
            json.dumps(body, ensure_ascii=False),
            due_at or now,
            now,
        )
        await raw.execute("NOTIFY fensi_outbox")
    return verdict


async def _record(
    raw: Connection, key: UUID, fan_id: int, purpose: Purpose, verdict: Verdict, facts: Facts, now: datetime
) -> int:
    made: int = await raw.fetchval(
        """
        INSERT INTO outreach_decision (key, account_id, fan_id, member_id, purpose, allowed, reason, facts, decided_at)
        SELECT $1, account_id, id, member_id, $3, $4, $5, $6::jsonb, $7 FROM fan WHERE id = $2
        RETURNING id
        """,
        key,
        fan_id,
        purpose,
        verdict.allowed,
        verdict.reason,
        json.dumps(facts.as_data()),
        now,
    )
    return made


@command
async def picture_refused(
    tx: Transaction, *, key: UUID, fan_id: int, purpose: Purpose, code: int, now: datetime
) -> None:
    """Record that the platform refused, with an errcode, the picture that was to be said: `picture_refused:<errcode>`.

    It is the decision on `key`, so `say` will not say it any more; once decided it stays as it is. The fan is not
    marked: it was not about them. Raises NotFound for an unknown fan.
    """
    raw = tx.connection
    await raw.execute("SELECT 1 FROM fan WHERE id = $1 FOR NO KEY UPDATE", fan_id)
    if not await raw.fetchval("SELECT EXISTS (SELECT FROM outreach_decision WHERE key = $1)", key):
        facts = await facts_about(raw, fan_id, now, purpose=purpose)
        await _record(raw, key, fan_id, purpose, Verdict(False, f"picture_refused:{code}"), facts, now)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message claimed for delivery."""

    id: int
    account_id: int
    fan_id: int
    openid: str
    body: dict[str, Any]
    attempts: int


_CLAIM = """
-- Claim due messages, never two of one fan at once and never a later one before an earlier one that is due
-- or was tried already; one that is planned for later holds nobody up.
WITH due AS (
    SELECT o.id FROM outbox o
    WHERE o.state = 'pending' AND o.due_at <= $1 AND o.account_id <> ALL($4::bigint[])
      AND NOT EXISTS (
          SELECT FROM outbox e
          WHERE e.fan_id = o.fan_id AND e.id < o.id
            AND (e.state IN ('claimed', 'sending') OR e.state = 'pending' AND (e.due_at <= $1 OR e.attempts > 0))
      )
    ORDER BY o.due_at, o.id LIMIT $3
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE outbox o SET state = 'claimed', lease_until = $2
FROM due, fan f WHERE o.id = due.id AND f.id = o.fan_id
RETURNING o.id, o.account_id, o.fan_id, f.openid, o.body, o.attempts
"""


@command
async def claim(
    tx: Transaction, *, now: datetime, lease_until: datetime, limit: int = 200, without: Sequence[int] = ()
) -> list[Outgoing]:
    """Claim due messages for this worker, but those of the accounts `without`.

    A claim that runs out goes back to pending: nothing was sent yet.
    """
    rows = await tx.connection.fetch(_CLAIM, now, lease_until, limit, list(without))
    return [Outgoing(**{**dict(row), "body": json.loads(row["body"])}) for row in rows]


_PUT_BACK = "UPDATE outbox SET state = 'pending', lease_until = NULL WHERE id = $1 AND state = 'claimed'"


@command
async def refuse_or_put_back(tx: Transaction, *, message_id: int, now: datetime) -> str | None:
    """Give a claim back, unless the gate refuses the message by now: then it ends, and the reason is returned.

    What is given back is pending as before, in its place, and no attempt was made.
    """
    reason = await _refused(tx.connection, message_id, now)
    if reason is None:
        await tx.connection.execute(_PUT_BACK, message_id)
    return None if reason == DISABLED else reason


async def _refused(raw: Connection, message_id: int, now: datetime) -> str | None:
    """Ask the gate about a claimed message again: a refusal ends it, with the reason that is returned.

    That its account is disabled ends nothing, for it may be enabled again before the window closes: the message is put
    back, and DISABLED returned.
    """
    row = await raw.fetchrow(
        "SELECT o.fan_id, d.purpose FROM outbox o JOIN outreach_decision d ON d.id = o.decision_id WHERE o.id = $1",
        message_id,
    )
    facts = await facts_about(raw, row["fan_id"], now, purpose=row["purpose"], except_message=message_id)
    verdict = decide(replace(facts, enabled=True))
    if verdict.allowed:
        if facts.enabled:
            return None
        await raw.execute(_PUT_BACK, message_id)
        return DISABLED
    await raw.execute(
        """
        UPDATE outbox SET state = 'refused', detail = $2, lease_until = NULL
        WHERE id = $1 AND state = 'claimed'
        """,
        message_id,
        verdict.reason,
    )
    await _follow(raw, [message_id])
    return verdict.reason


async def start_sending(raw: Connection, items: Sequence[tuple[int, datetime, datetime]]) -> list[str | None]:
    """Say, durably, that messages are now being handed to the platform; after this a crash means `unknown`.

    Items are (outbox id, now, lease until). The gate is asked again, since a fan may have left or a window
    closed meanwhile. The outcome is None when it may go, else the reason it was refused, DISABLED when it
    was put back, or `lost` when it is not ours any more.
    """
    outcomes: list[str | None] = []
    for message_id, now, lease_until in items:
        reason = await _refused(raw, message_id, now)
        if reason is None:
            mine = await raw.fetchval(
                """
                UPDATE outbox SET state = 'sending', lease_until = $2, attempts = attempts + 1
                WHERE id = $1 AND state = 'claimed' AND lease_until > $3 RETURNING id
                """,
                message_id,
                lease_until,
                now,
            )
            reason = None if mine is not None else "lost"
        outcomes.append(reason)
    return outcomes


_SETTLE = """
UPDATE outbox o SET
    state = i.state, code = i.code, detail = i.detail, platform_id = i.platform_id, lease_until = NULL,
    due_at = coalesce(i.due_at, o.due_at), sent_at = CASE WHEN i.state = 'sent' THEN i.now END
FROM unnest($1::bigint[], $2::text[], $3::int[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[])
    AS i (id, state, code, detail, platform_id, due_at, now)
WHERE o.id = i.id AND o.state = 'sending'
"""
_STATE_OF = {
    Outcome.SENT: "sent",
    Outcome.REFUSED: "refused",
    Outcome.FAILED: "failed",
    Outcome.RETRY: "pending",
    Outcome.UNKNOWN: "unknown",
}


_REFUSED = """
-- Fans are locked before their messages, and in their order, as by everybody.
WITH refused AS (
    SELECT DISTINCT ON (o.fan_id) o.fan_id, i.code, i.now
    FROM unnest($1::bigint[], $2::int[], $3::timestamptz[]) AS i (id, code, now) JOIN outbox o ON o.id = i.id
    WHERE o.state = 'sending'  -- an end that is said again says nothing new
    ORDER BY o.fan_id, i.now DESC
), held AS MATERIALIZED (
    SELECT f.id FROM fan f JOIN refused r ON r.fan_id = f.id ORDER BY f.id FOR NO KEY UPDATE OF f
)
UPDATE fan f SET refused_code = r.code, refused_at = r.now
FROM refused r JOIN held h ON h.id = r.fan_id
WHERE f.id = h.id AND (f.refused_at IS NULL OR f.refused_at <= r.now)
"""


async def settle(raw: Connection, items: Sequence[tuple[int, Delivery, datetime]]) -> list[None]:
    """Record how deliveries ended: (outbox id, delivery, when it ended). A retry goes back to pending for later.

    What the platform refuses to this person it would refuse again: the fan is marked, and the gate refuses first
    until they act after the moment given for it.
    """
    ordered = sorted(items, key=lambda item: item[0])
    refused = [
        (message_id, delivery.code, now)
        for message_id, delivery, now in ordered
        if delivery.outcome is Outcome.REFUSED and delivery.code is not None
    ]
    if refused:
        await raw.execute(_REFUSED, *(list(column) for column in zip(*refused, strict=True)))
    await raw.execute(
        _SETTLE,
        [message_id for message_id, _, _ in ordered],
        [_STATE_OF[delivery.outcome] for _, delivery, _ in ordered],
        [delivery.code for _, delivery, _ in ordered],
        [delivery.detail[:256] for _, delivery, _ in ordered],
        [(delivery.platform_id or "")[:64] for _, delivery, _ in ordered],
        [
            now + timedelta(seconds=delivery.retry_after or 1) if delivery.outcome is Outcome.RETRY else None
            for _, delivery, now in ordered
        ],
        [now for _, _, now in ordered],
    )
    await _follow(raw, [message_id for message_id, _, _ in ordered])
    return [None] * len(items)


@command
async def recover(tx: Transaction, *, now: datetime) -> tuple[int, int]:
    """Settle what dead workers left: claims go back to pending, sends in progress become unknown.

    Returns (given back, unknown). An unknown message is shown to staff and never sent again by itself.
    """
    raw = tx.connection
    back = await raw.fetch(
        "UPDATE outbox SET state = 'pending', lease_until = NULL "
        "WHERE state = 'claimed' AND lease_until <= $1 RETURNING id",
        now,
    )
    unknown = await raw.fetch(
        "UPDATE outbox SET state = 'unknown', lease_until = NULL, detail = 'worker stopped while sending' "
        "WHERE state = 'sending' AND lease_until <= $1 RETURNING id",
        now,
    )
    await _follow(raw, [row["id"] for row in unknown])
    return len(back), len(unknown)


async def reported(raw: Connection, events: Sequence[Appended]) -> None:
    """Consequence of a platform's delivery report (`msg_id`, `status` in the payload): note it on the message."""
    for event in events:
        await raw.execute(
            "UPDATE outbox SET detail = $3 WHERE account_id = $1 AND platform_id = $2 AND platform_id <> ''",
            event.account_id,
            str(event.payload.get("msg_id") or ""),
            str(event.payload.get("status") or "")[:256],
        )
