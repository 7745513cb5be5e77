"""Holding a conversation still, recording each change with its reason, and telling whoever watches.

Rows are locked in the order fan, conversation, seat. What needs no fan (assigning, alarms) skips a conversation that
is locked instead of waiting for it, so nobody waits in a circle.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from kit.ids import key_of
from scrm.db import Connection
from scrm.errors import NotFound
from scrm.events import kinds
from scrm.events.kinds import Appended
from scrm.events.service import add

CHANNEL = "fensi_conversation"
Actor = Literal["fan", "staff", "bot", "clock", "wechat"]
Row = Mapping[str, Any]

# What a change is called on the transcript and on the timeline. A note is nobody's but the staff's.
KINDS = {
    "opened": "会话开始",
    "handed_over": "转人工",
    "promised": "承诺回复时间",
    "assigned": "分配客服",
    "transferred": "转接会话",
    "requeued": "客服离线，重新排队",
    "returned": "转回智能助手",
    "snoozed": "暂缓处理",
    "woken": "恢复处理",
    "overdue": "回复超时",
    "promise_risked": "承诺即将到期",
    "promise_broken": "未在承诺时间内回复",
    "closed": "会话结束",
    "rated": "服务评价",
}
NOTE = "noted"
for _name, _title in KINDS.items():
    kinds.register(f"conversation.{_name}", _title)
UNSURE = kinds.register("conversation.bot_unsure", "智能助手没有把握")


async def lock_fan(raw: Connection, fan_id: int) -> Row:
    """Lock a fan first of all and return who they are: member_id, account_id, brand_id. Raises NotFound."""
    row = await raw.fetchrow(
        """
        SELECT f.id AS fan_id, f.member_id, f.account_id, a.brand_id
        FROM fan f JOIN account a ON a.id = f.account_id WHERE f.id = $1 FOR NO KEY UPDATE OF f
        """,
        fan_id,
    )
    if row is None:
        raise NotFound("没有这位粉丝")
    return row  # type: ignore[no-any-return]  # asyncpg is untyped


async def lock_open(raw: Connection, fan_id: int) -> Row | None:
    """Lock the fan's open conversation and return it; the fan is locked already."""
    return await raw.fetchrow(  # type: ignore[no-any-return]  # same
        "SELECT * FROM conversation WHERE fan_id = $1 AND state <> 'closed' FOR NO KEY UPDATE", fan_id
    )


async def lock(raw: Connection, conversation_id: int, brand_id: int | None = None) -> Row:
    """Lock a conversation and, before it, its fan. Raises NotFound, also for another brand's when one is named."""
    fan_id = await raw.fetchval(
        "SELECT fan_id FROM conversation WHERE id = $1 AND ($2::bigint IS NULL OR brand_id = $2)",
        conversation_id,
        brand_id,
    )
    if fan_id is None:
        raise NotFound("没有这个会话")
    await raw.execute("SELECT FROM fan WHERE id = $1 FOR NO KEY UPDATE", fan_id)
    return await again(raw, conversation_id)


async def again(raw: Connection, conversation_id: int) -> Row:
    """Read a conversation anew and lock it."""
    row = await raw.fetchrow("SELECT * FROM conversation WHERE id = $1 FOR NO KEY UPDATE", conversation_id)
    assert row is not None  # noqa: S101  # conversations are never deleted
    return row  # type: ignore[no-any-return]  # asyncpg is untyped


async def change(raw: Connection, conversation_id: int, /, **columns: object) -> None:
    """Write columns of a conversation that the caller has locked."""
    names = ", ".join(f"{name} = ${n}" for n, name in enumerate(columns, 2))
    # The names are ours, written in this package; the values are parameters.
    sql = f"UPDATE conversation SET {names} WHERE id = $1"  # noqa: S608
    await raw.execute(sql, conversation_id, *columns.values())


def promise_broken(row: Row, now: datetime) -> bool:
    """Whether what the fan was promised has just turned out not to be kept, and nobody has noted it yet."""
    return (
        row["promised_until"] is not None
        and row["promised_until"] < now
        and row["first_response_at"] is None
        and row["promise_broken_at"] is None
    )


async def record(
    raw: Connection,
    conversation: Row,
    kind: str,
    actor: Actor,
    now: datetime,
    *,
    staff_id: int | None = None,
    to_staff_id: int | None = None,
    skill: str = "",
    reason: str = "",
    text: str = "",
    key: UUID | None = None,
) -> int | None:
    """Record a change, append it to the timeline, and tell whoever watches once the transaction commits.

    `staff_id` is who did it or had it, `to_staff_id` who has it now. With a `key` the same change is recorded once.
    Returns its id, None for one that was recorded before.
    """
    change_id = await raw.fetchval(
        """
        INSERT INTO conversation_change
            (conversation_id, fan_id, at, kind, actor, staff_id, to_staff_id, skill, reason, text, key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (key) DO NOTHING RETURNING id
        """,
        conversation["id"],
        conversation["fan_id"],
        now,
        kind,
        actor,
        staff_id,
        to_staff_id,
        skill,
        reason,
        text,
        key,
    )
    if change_id is None:
        return None
    if kind != NOTE:
        said = {"staff_id": staff_id, "to_staff_id": to_staff_id, "skill": skill, "reason": reason}
        event = Appended(
            key_of("conversation-change", change_id),
            f"conversation.{kind}",
            now,
            conversation["member_id"],
            conversation["account_id"],
            conversation["fan_id"],
            {"conversation_id": conversation["id"], **{name: value for name, value in said.items() if value}},
            now,
        )
        await add(raw, event)
    await announce(raw, conversation["id"], kind, [one for one in (staff_id, to_staff_id) if one is not None])
    return int(change_id)


# What pages need to know whether it concerns them: who has it now, and who is named besides.
_TELL = """
SELECT pg_notify($2, json_build_object('brand', brand_id, 'conversation', id, 'kind', $3::text, 'state', state,
                                       'staff', staff_id, 'named', $4::jsonb)::text)
FROM conversation WHERE id = $1
"""


async def announce(raw: Connection, conversation_id: int, kind: str, named: Sequence[int] = ()) -> None:
    """Tell the pages that show it, when the transaction commits: they read anew what they need."""
    await raw.execute(_TELL, conversation_id, CHANNEL, kind, json.dumps(list(named)))
