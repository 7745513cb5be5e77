"""Points that one of the staff gives a fan in a conversation, with the sentence that says so."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.clock import natural_day
from kit.ids import key_of
from scrm.conversations import lines
from scrm.conversations.changes import NOTE, lock, record
from scrm.conversations.service import check_owner
from scrm.db import Transaction, command
from scrm.errors import Invalid
from scrm.points import ledger

# Of one gift; a larger one is a matter for the rules or for a supervisor.
MOST = 500


@dataclass(frozen=True, slots=True)
class Gift:
    """What became of a gift: whether it was booked by this very call, and whether the fan is told of it."""

    given: bool
    told: bool
    reason: str


@command
async def give_points(
    tx: Transaction,
    *,
    conversation_id: int,
    brand_id: int,
    staff_id: int,
    amount: int,
    why: str,
    key: UUID,
    now: datetime,
) -> Gift:
    """Give points to the fan of one's conversation and say so; the same key once.

    They are given also where the gate refuses the sentence. Raises Invalid naming the field, Conflict `not_owner` or
    `closed`, NotFound.
    """
    why = " ".join(why.split())
    if not 1 <= amount <= MOST:
        raise Invalid(f"一次可赠送 1 到 {MOST} 积分", field="amount")
    if not 1 <= len(why) <= 32:
        raise Invalid("请填写 1 到 32 个字的原因", field="why")
    row = await lock(tx.connection, conversation_id, brand_id)
    check_owner(row, staff_id)
    booked = await ledger.award(
        key=key_of("conversation-gift", conversation_id, key),
        holder_id=row["member_id"],
        asset=ledger.POINTS,
        amount=amount,
        origin=ledger.Origin(f"客服赠送：{why}", "公众号", now, rule="conversation.gift", day=natural_day(now)),
        now=now,
    )
    said = await lines.send_message(
        conversation_id=conversation_id,
        brand_id=brand_id,
        staff_id=staff_id,
        key=key_of("conversation-gift-message", key),
        content={"type": "text", "content": f"送您 {amount} 积分（{why}），已到账，可在会员中心查看。"},
        now=now,
    )
    if booked:
        note_key = key_of("conversation-gift-note", conversation_id, key)
        text = f"赠送 {amount} 积分：{why}"
        await record(tx.connection, row, NOTE, "staff", now, staff_id=staff_id, text=text, key=note_key)
    return Gift(booked, said.allowed, said.reason)
