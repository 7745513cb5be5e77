"""Ending a conversation, once and with one closing message, and the score the fan may give afterwards."""

from datetime import datetime, timedelta
from typing import Literal

from kit.ids import key_of
from scrm.conversations import words
from scrm.conversations.assigning import assign
from scrm.conversations.changes import Actor, Row, change, lock, lock_fan, lock_open, promise_broken, record
from scrm.conversations.desk import settings_of
from scrm.conversations.lines import say_text
from scrm.conversations.own_words import texts_of
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid
from scrm.pushes import silence
from scrm.pushes.service import DialogueChange, change_dialogue

# The dialogue in which the next message may be a score.
RATING = "rating"
Reason = Literal["staff", "fan", "idle", "unfollowed", "wechat"]


@command
async def close(
    tx: Transaction, *, conversation_id: int, brand_id: int, staff_id: int, now: datetime, summary: str = ""
) -> bool:
    """Close a conversation; False when it was closed already, and nothing changes then.

    Its owner closes it; what nobody has, anybody may. Raises Conflict `not_owner`, Invalid, NotFound.
    """
    if len(summary) > 500:
        raise Invalid("小结最长 500 个字符", field="summary")
    row = await lock(tx.connection, conversation_id, brand_id)
    if row["state"] == "closed":
        return False
    if row["state"] == "staff" and row["staff_id"] not in {None, staff_id}:
        raise Conflict("会话由其他客服接待", code="not_owner")
    await _end(tx.connection, row, "staff", "staff", now, staff_id=staff_id, summary=summary.strip())
    return True


@command
async def leave_queue(tx: Transaction, *, fan_id: int, now: datetime) -> bool:
    """End the waiting of a fan who would rather go on with the bot; False when they do not wait."""
    raw = tx.connection
    await lock_fan(raw, fan_id)
    row = await lock_open(raw, fan_id)
    if row is None or row["state"] != "waiting":
        return False
    await _end(raw, row, "fan", "fan", now)
    return True


@command
async def fan_left(tx: Transaction, *, fan_id: int, now: datetime) -> bool:
    """End the conversation of a fan who no longer follows: nothing can be said to them any more."""
    raw = tx.connection
    await lock_fan(raw, fan_id)
    row = await lock_open(raw, fan_id)
    if row is None:
        return False
    await _end(raw, row, "unfollowed", "fan", now)
    return True


@command
async def close_idle(tx: Transaction, *, conversation_id: int, now: datetime) -> bool:
    """End a conversation in which nobody has said anything for the brand's time; False when it is not idle (now).

    What waits for an answer is never idle, however old it is, except at WeChat's desk, which never took it.
    """
    raw = tx.connection
    row = await lock(raw, conversation_id)
    idle = timedelta(minutes=(await settings_of(raw, row["brand_id"])).idle_minutes)
    unanswered = row["state"] == "waiting" and row["first_response_at"] is None
    waits = row["desk"] == "ours" and (unanswered or row["answer_due_at"] is not None)
    asleep = row["snoozed_until"] is not None and row["snoozed_until"] > now
    if row["state"] == "closed" or waits or asleep or row["last_at"] > now - idle:
        return False
    await _end(raw, row, "idle", "clock", now)
    return True


async def end_silently(raw: Connection, row: Row, now: datetime) -> None:
    """End what WeChat's own customer service has ended, and said so itself."""
    await _end(raw, row, "wechat", "wechat", now)


async def _end(
    raw: Connection,
    row: Row,
    reason: Reason,
    actor: Actor,
    now: datetime,
    *,
    staff_id: int | None = None,
    summary: str = "",
) -> None:
    if promise_broken(row, now):
        await change(raw, row["id"], promise_broken_at=now)
        await record(raw, row, "promise_broken", "clock", now, staff_id=row["staff_id"], reason="none")
    await change(
        raw,
        row["id"],
        state="closed",
        closed_at=now,
        close_reason=reason,
        closed_by=staff_id,
        summary=summary,
        snoozed_until=None,
        answer_due_at=None,
    )
    await silence.end(raw, row["fan_id"])
    await record(raw, row, "closed", actor, now, staff_id=staff_id, reason=reason, text=summary)
    # Who never had to do with people is not told of an end, nor who left. WeChat's own desk says its own words.
    ours = row["desk"] == "ours" or reason == "fan"
    if row["asked_at"] is not None and ours and reason != "unfollowed":
        asks = row["first_response_at"] is not None and reason != "fan"
        texts = await texts_of(raw, row["account_id"])
        text = words.closing(asks_score=asks, by_fan=reason == "fan", texts=texts)
        said = await say_text(raw, row, key_of("conversation-closing", row["id"]), "closing", text, now)
        if said.allowed and asks:
            until = now + timedelta(minutes=(await settings_of(raw, row["brand_id"])).rating_minutes)
            data = {"conversation_id": row["id"]}
            await change_dialogue(raw, row["fan_id"], DialogueChange(RATING, "score", data, until))
    if row["state"] == "staff" and row["desk"] == "ours":
        await assign(raw, row["brand_id"], now)


@command
async def rate(tx: Transaction, *, conversation_id: int, score: int, now: datetime) -> bool:
    """Keep the fan's score, 1 to 5, of a closed conversation; False when it has one already (the first stands).

    Raises Invalid, Conflict `open` for a conversation that is not closed, NotFound.
    """
    if not 1 <= score <= 5:
        raise Invalid("评分为 1 到 5", field="score")
    row = await lock(tx.connection, conversation_id)
    if row["state"] != "closed":
        raise Conflict("会话还没有结束", code="open")
    if row["rating"] is not None:
        return False
    await change(tx.connection, row["id"], rating=score, rated_at=now)
    await record(tx.connection, row, "rated", "fan", now, staff_id=row["staff_id"], reason=str(score))
    return True
