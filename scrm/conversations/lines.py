"""What is said in a conversation: the fan's messages heard, the staff's said by the door out, notes, and what was read.

The words themselves stand on the timeline and in the outbox; a conversation keeps only its last line for the list.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from kit.ids import key_of
from scrm.conversations.bodies import body_of, line_of
from scrm.conversations.changes import CHANNEL, NOTE, Row, announce, change, lock, lock_open, promise_broken, record
from scrm.conversations.desk import hours_of, settings_of
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid
from scrm.members.person import refuse_erased
from scrm.outreach import service as outreach
from scrm.outreach.gate import Verdict
from scrm.outreach.windows import OPENS, TAPPED

# What a fan says, as kinds of events: what opens the longest window.
MESSAGES = tuple(sorted(kind for kind, scene in OPENS.items() if scene == "message"))
LINE = 80


async def say_text(
    raw: Connection, row: Row, key: UUID, kind: Literal["handoff", "closing"], text: str, now: datetime
) -> Verdict:
    """Say something on behalf of the desk, once per key, in the caller's transaction."""
    body = {"msgtype": "text", "text": {"content": text}}
    verdict = await outreach.say(key=key, fan_id=row["fan_id"], body=body, purpose="service", now=now)
    if verdict.allowed:
        await _belongs(raw, row, key, kind, None, now)
    return verdict


async def _belongs(raw: Connection, row: Row, key: UUID, kind: str, staff_id: int | None, now: datetime) -> bool:
    """Note that a message belongs to a conversation; False when that was noted before."""
    return bool(
        await raw.fetchval(
            """
            INSERT INTO conversation_message (key, conversation_id, kind, staff_id, said_at)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO NOTHING RETURNING true
            """,
            key,
            row["id"],
            kind,
            staff_id,
            now,
        )
    )


@command
async def send_message(
    tx: Transaction,
    *,
    conversation_id: int,
    brand_id: int,
    staff_id: int,
    key: UUID,
    content: Mapping[str, Any],
    now: datetime,
) -> Verdict:
    """Say something to the fan as one of the staff; returns the gate's verdict, with the reason of a refusal.

    `content` is a reply as data (scrm.replies.content), `key` the request's: said again it is sent once and returns
    the first verdict. Raises Invalid naming the field, Conflict `not_owner` or `closed`, NotFound.
    """
    raw = tx.connection
    body = body_of(content)
    row = await lock(raw, conversation_id, brand_id)
    key = key_of("conversation-message", conversation_id, key)
    before = await raw.fetchrow("SELECT allowed, reason FROM outreach_decision WHERE key = $1", key)
    if before is not None:
        return Verdict(before["allowed"], before["reason"])
    if row["state"] == "closed":
        raise Conflict("会话已经结束", code="closed")
    if row["state"] != "staff" or row["staff_id"] != staff_id:
        raise Conflict("会话不由您接待，请先接入", code="not_owner")
    verdict = await outreach.say(key=key, fan_id=row["fan_id"], body=body, purpose="service", now=now)
    if not verdict.allowed:
        return verdict
    await _belongs(raw, row, key, "staff", staff_id, now)
    # Who answers has read what they answer, also where no page said so.
    await _seen(raw, row, staff_id)
    broken = promise_broken(row, now)
    await change(
        raw,
        row["id"],
        first_response_at=row["first_response_at"] or now,
        answer_due_at=None,
        alarmed_at=None,
        promise_broken_at=now if broken else row["promise_broken_at"],
        last_at=now,
        last_from="staff",
        last_line=line_of(body)[:LINE],
    )
    if broken:
        await record(raw, row, "promise_broken", "clock", now, staff_id=staff_id, reason="late")
    await announce(raw, row["id"], "message")
    return verdict


@command
async def note(
    tx: Transaction, *, conversation_id: int, brand_id: int, staff_id: int, key: UUID, text: str, now: datetime
) -> None:
    """Write an internal note, which only staff see; the same key once.

    Raises Invalid, Conflict `account_deleted` for a fan who asked to be forgotten, NotFound.
    """
    if not 1 <= len(text.strip()) <= 2000:
        raise Invalid("备注长度为 1 到 2000 个字符", field="text")
    row = await lock(tx.connection, conversation_id, brand_id)
    await refuse_erased(tx.connection, row["member_id"])
    await record(
        tx.connection,
        row,
        NOTE,
        "staff",
        now,
        staff_id=staff_id,
        text=text.strip(),
        key=key_of("note", conversation_id, key),
    )


@command
async def read(tx: Transaction, *, conversation_id: int, brand_id: int, staff_id: int) -> None:
    """Note that one of the staff has seen all that the fan wrote so far. Raises NotFound."""
    raw = tx.connection
    await _seen(raw, await lock(raw, conversation_id, brand_id), staff_id)
    await announce(raw, conversation_id, "read", [staff_id])


async def _seen(raw: Connection, row: Row, staff_id: int) -> None:
    await raw.execute(
        """
        INSERT INTO conversation_read (conversation_id, staff_id, seen) VALUES ($1, $2, $3)
        ON CONFLICT (conversation_id, staff_id) DO UPDATE SET seen = greatest(conversation_read.seen, excluded.seen)
        """,
        row["id"],
        staff_id,
        row["heard"],
    )


_TELL = """
SELECT pg_notify($2, json_build_object('brand', c.brand_id, 'conversation', c.id, 'kind', 'delivery',
                                       'state', c.state, 'staff', c.staff_id, 'named', '[]'::jsonb)::text)
FROM outbox o
JOIN outreach_decision d ON d.id = o.decision_id
JOIN conversation_message m ON m.key = d.key
JOIN conversation c ON c.id = m.conversation_id
WHERE o.id = ANY($1::bigint[])
"""


async def _delivered(raw: Connection, message_ids: Sequence[int]) -> None:
    """Consequence of deliveries that ended: tell the pages that show these messages."""
    await raw.execute(_TELL, list(message_ids), CHANNEL)


outreach.listen(_delivered)

_LATEST = """
WITH said AS (
    SELECT e.id, e.kind, e.occurred_at, e.recorded_at, e.payload
    FROM conversation c JOIN event e ON e.member_id = c.member_id AND e.fan_id = c.fan_id
    WHERE c.id = $1 AND e.kind = ANY($2::text[]) AND e.occurred_at >= $3
)
SELECT kind, recorded_at, payload->>'content' AS content, payload->>'recognition' AS recognition,
       (SELECT count(*) FROM said s WHERE s.occurred_at >= $4) AS heard,
       -- What is tapped opens no 48 hours.
       (SELECT max(s.occurred_at) FROM said s WHERE NOT s.payload ? $5) AS wrote_at
FROM said ORDER BY recorded_at DESC, id DESC LIMIT 1
"""


async def latest(raw: Connection, conversation_id: int) -> None:
    """Read from the timeline what the fan said last and how much, for a conversation that the caller has locked."""
    row = await raw.fetchrow("SELECT heard_since, last_at, last_from FROM conversation WHERE id = $1", conversation_id)
    said = await raw.fetchrow(
        _LATEST, conversation_id, list(MESSAGES), row["heard_since"] - timedelta(hours=48), row["heard_since"], TAPPED
    )
    if said is None:
        return
    await change(raw, conversation_id, heard=said["heard"], last_fan_message_at=said["wrote_at"])
    # Until anybody of ours has said something, what the fan wrote before it was opened is the last line, too.
    if said["recorded_at"] >= row["last_at"] or row["last_from"] == "":
        await change(
            raw,
            conversation_id,
            last_at=max(said["recorded_at"], row["last_at"]),
            last_from="fan",
            last_line=line_of(
                {"msgtype": said["kind"].rpartition(".")[2], "content": said["content"] or said["recognition"] or ""}
            )[:LINE],
        )


@command
async def acted(tx: Transaction, *, fan_id: int) -> None:
    """Tell whoever looks after a fan that they did something which is no message; said of nobody it is nothing."""
    row = await tx.connection.fetchrow("SELECT id FROM conversation WHERE fan_id = $1 AND state <> 'closed'", fan_id)
    if row is not None:
        await announce(tx.connection, row["id"], "act")


@command
async def heard(tx: Transaction, *, fan_id: int, now: datetime) -> None:
    """Take note of what a fan has just said to whoever looks after them; said of nobody it changes nothing.

    What sleeps wakes, and an answer falls due unless one is due already. May be said again of the same message.
    """
    raw = tx.connection
    await raw.execute("SELECT FROM fan WHERE id = $1 FOR NO KEY UPDATE", fan_id)
    row = await lock_open(raw, fan_id)
    if row is None:
        return
    await latest(raw, row["id"])
    if row["snoozed_until"] is not None:
        await change(raw, row["id"], snoozed_until=None)
        await record(raw, row, "woken", "fan", now, staff_id=row["staff_id"], reason="message")
    if row["answer_due_at"] is None and row["desk"] == "ours" and row["state"] in {"waiting", "staff"}:
        settings, opens = await settings_of(raw, row["brand_id"]), (await hours_of(raw, row["brand_id"])).opens(now)
        if opens is not None:
            span = (
                {"seconds": settings.first_response_seconds} if opens == now else {"minutes": settings.promise_minutes}
            )
            await change(raw, row["id"], answer_due_at=opens + timedelta(**span), alarmed_at=None)
    await announce(raw, row["id"], "message")
