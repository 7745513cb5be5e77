"""Adjusting points or growth by hand: through the ledger, with a reason, and within what one of the staff may move.

What is taken is spent, never a debt: a correction below zero is refused. A day's limit of one of the staff counts
what they gave and took, in absolute numbers, per natural day in Asia/Shanghai.
"""

from datetime import datetime
from uuid import UUID

from kit.clock import natural_day
from kit.ids import key_of
from scrm.db import Transaction, command
from scrm.errors import Conflict, Invalid, NotFound
from scrm.events import kinds
from scrm.events.service import add
from scrm.members.person import hold, refuse_erased
from scrm.points import ledger, levels
from scrm.points.ledger import GROWTH, POINTS, Origin

ADJUSTED = kinds.register("points.adjusted", "人工调整积分")
AT_ONCE = 10_000
A_DAY = 50_000
REASON = (2, 100)  # characters
PLATFORM = "工作台"
TITLES = {POINTS: "积分", GROWTH: "成长值"}


@command
async def adjust(
    tx: Transaction,
    *,
    key: UUID,
    brand_id: int,
    staff_id: int,
    member_id: int,
    asset: str,
    amount: int,
    reason: str,
    now: datetime,
) -> bool:
    """Give (above zero) or take (below) an amount; False when this key was done before.

    Raises Invalid naming the field, NotFound for somebody erased or unknown to the brand, NotEnough, and Conflict
    `adjustment_limit` when the day's limit of this member of staff would be passed.
    """
    raw, day = tx.connection, natural_day(now)
    reason = " ".join(reason.split())
    if asset not in TITLES:
        raise Invalid("没有这种资产", field="asset")
    if amount == 0 or abs(amount) > AT_ONCE:
        raise Invalid(f"一次可增减 1 到 {AT_ONCE}", field="amount")
    if not REASON[0] <= len(reason) <= REASON[1]:
        raise Invalid(f"请写明原因，{REASON[0]} 到 {REASON[1]} 个字", field="reason")
    homes = await hold(raw, member_id)
    await refuse_erased(raw, member_id)
    known = """
        SELECT EXISTS (SELECT FROM fan f JOIN account a ON a.id = f.account_id
                       WHERE f.member_id = ANY($1::bigint[]) AND a.brand_id = $2)
    """
    if not await raw.fetchval(known, homes, brand_id):
        raise NotFound("没有这位会员", field="member_id")
    if await raw.fetchval("SELECT EXISTS (SELECT FROM points_adjustment WHERE key = $1)", key):
        return False
    # Two adjustments by one of the staff run one after the other, so that both together keep to the limit.
    await raw.execute("SELECT pg_advisory_xact_lock(hashtextextended('points.adjust', $1::bigint))", staff_id)
    used = await raw.fetchval(
        "SELECT coalesce(sum(abs(amount)), 0)::bigint FROM points_adjustment WHERE staff_id = $1 AND day = $2",
        staff_id,
        day,
    )
    if used + abs(amount) > A_DAY:
        raise Conflict(f"今天最多还能调整 {max(0, A_DAY - used)}", code="adjustment_limit", field="amount")
    event_key = key_of(ADJUSTED.name, key)
    origin = Origin(f"人工调整：{reason}", PLATFORM, now, event_key)
    move = ledger.award if amount > 0 else ledger.spend
    await move(key=key, holder_id=member_id, asset=asset, amount=abs(amount), origin=origin, now=now)
    await raw.execute(
        """
        INSERT INTO points_adjustment (key, brand_id, staff_id, member_id, asset, amount, reason, day, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        key,
        brand_id,
        staff_id,
        member_id,
        asset,
        amount,
        reason,
        day,
        now,
    )
    payload = {"brand": brand_id, "staff": staff_id, "asset": asset, "amount": amount, "reason": reason}
    await add(raw, kinds.Appended(event_key, ADJUSTED.name, now, member_id, None, None, payload, now))
    if asset == GROWTH:
        await levels.settle(raw, [member_id], now)
    return True
