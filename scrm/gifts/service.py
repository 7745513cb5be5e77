"""Redeeming gifts: points, stock and code in one transaction, and what becomes of a redemption afterwards.

Locks, in this order in every command: fan, member, redemption, ledger, gift, code. A person's own rows come first
and hinder nobody else. The gift's row, which a storm of people wants at once, comes last: the conditional UPDATE of
its stock is followed only by the code and the commit, so people wait for each other there as briefly as possible,
whoever finds it empty rolls back, and since nobody holds it while waiting for anything, no circle can form. Only the
points of redemptions made while two were one person may lie with both after a split: two such cancellations at once can
meet, and the command is run again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from kit.ids import key_of
from kit.seal import Sealer
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid, NotFound
from scrm.events import kinds
from scrm.events import service as events
from scrm.gifts import queries
from scrm.gifts.addresses import snapshot
from scrm.gifts.refusals import GiftView, refusal, why_not
from scrm.members.person import hold, refuse_erased
from scrm.points import ledger
from scrm.points.awarding import PLATFORMS

REDEEMED = kinds.register("gift.redeemed", "兑换积分商品")
CANCELLED = kinds.register("gift.cancelled", "取消兑换")
SHIPPED = kinds.register("gift.shipped", "积分商品发货")
STAFF = "后台"  # the platform of what staff do, in a statement


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The redemption a key stands for; `fresh` is False when it had been made before."""

    id: int
    fresh: bool


@command
async def redeem(
    tx: Transaction,
    *,
    key: UUID,
    gift_id: int,
    member_id: int,
    account_id: int,
    fan_id: int | None,
    now: datetime,
    address_id: int | None = None,
) -> Redeemed:
    """Redeem one gift for a home member; asking again with the same key gives the same redemption.

    Raises NotFound (gift, address), Invalid `address_required`, and the refusals of scrm.gifts.refusals:
    not_on_sale, sold_out, level_too_low, limit_reached, not_enough; Conflict when the key was somebody else's or
    the gift changed at this very moment.
    """
    raw = tx.connection
    gift = await queries.gift(raw, gift_id)
    at = await raw.fetchrow("SELECT brand_id, kind FROM account WHERE id = $1", account_id)
    if at is None or at["brand_id"] != gift.brand_id:
        raise NotFound("没有这个积分商品", field="gift_id")
    # Cheap, for the storm's losers: nobody who comes after the last one waits for anything. A retry with a key
    # goes on to find what it made.
    if gift.stock == 0 and not await raw.fetchval("SELECT EXISTS (SELECT FROM redemption WHERE key = $1)", key):
        raise refusal("not_on_sale" if not gift.on_sale(now) else "sold_out")
    homes = await hold(raw, member_id, fan_id)
    before = await raw.fetchrow("SELECT id, gift_id, member_id FROM redemption WHERE key = $1", key)
    if before is not None:
        if before["member_id"] not in homes or before["gift_id"] != gift_id:
            raise _taken_key()
        return Redeemed(before["id"], fresh=False)
    for reason in why_not(gift, await queries.person(raw, member_id, gift.brand_id, now), now):
        raise refusal(reason)
    made: int | None = await raw.fetchval(
        """
        INSERT INTO redemption (key, gift_id, member_id, account_id, fan_id, points, state, address_sealed, placed_at)
        VALUES ($1, $2, $3, $4, $5, $6, 'placed', $7, $8) ON CONFLICT (key) DO NOTHING RETURNING id
        """,
        key,
        gift_id,
        member_id,
        account_id,
        fan_id,
        gift.price,
        await _address(raw, homes, gift, address_id),
        now,
    )
    if made is None:
        raise _taken_key()  # by somebody else, at this very moment
    event_key = key_of(REDEEMED.name, made)
    await ledger.spend(
        key=_spend_key(made),
        holder_id=member_id,
        asset=ledger.POINTS,
        amount=gift.price,
        origin=ledger.Origin(f"兑换积分商品:{gift.name}:id:{gift_id}", PLATFORMS[at["kind"]], now, event_key),
        now=now,
    )
    await events.append(
        key=event_key,
        kind=REDEEMED.name,
        occurred_at=now,
        recorded_at=now,
        member_id=member_id,
        account_id=account_id,
        fan_id=fan_id,
        payload={"redemption_id": made, "gift_id": gift_id, "name": gift.name, "points": gift.price},
    )
    await _take(raw, gift, made)
    return Redeemed(made, fresh=True)


@command
async def cancel(
    tx: Transaction,
    *,
    redemption_id: int,
    now: datetime,
    by_member: int | None = None,
    reason: str = "",
) -> bool:
    """Cancel a redemption; False when it was cancelled before. The same lots get their points back, expiries kept.

    The member may (`by_member`, a home member) while it is placed; staff may later too. Stock, and a code, come
    back only if they never left: what was shipped is counted by whoever receives it, and a code that was shown
    is void. Raises NotFound, also for somebody else's; Conflict `wrong_state`, and `account_deleted` for whom nothing
    is written any more.
    """
    raw = tx.connection
    row = await _hold(raw, redemption_id, by_member)
    if row["state"] == "cancelled":
        return False
    await refuse_erased(raw, row["member_id"])
    if by_member is not None and row["state"] != "placed":
        raise Conflict("已发货或已使用，不能取消", code="wrong_state")
    await raw.execute(
        "UPDATE redemption SET state = 'cancelled', cancelled_at = $2, cancel_reason = $3 WHERE id = $1",
        redemption_id,
        now,
        reason[:100],
    )
    event_key = key_of(CANCELLED.name, redemption_id)
    platform = STAFF if by_member is None else PLATFORMS[row["account_kind"]]
    await ledger.undo_spend(
        spend_key=_spend_key(redemption_id),
        origin=ledger.Origin(f"取消兑换:{row['name']}:id:{row['gift_id']}", platform, now, event_key),
        now=now,
    )
    await _tell(row, CANCELLED, event_key, now, {"reason": reason[:100]}, by_member=by_member is not None)
    if row["state"] == "placed":
        await raw.execute("UPDATE gift SET stock = stock + 1 WHERE id = $1", row["gift_id"])
    await raw.execute(
        """
        UPDATE gift_code SET state = CASE state WHEN 'shown' THEN 'void' ELSE 'free' END,
                             redemption_id = CASE state WHEN 'shown' THEN redemption_id END
        WHERE redemption_id = $1
        """,
        redemption_id,
    )
    return True


@command
async def ship(tx: Transaction, *, redemption_id: int, company: str, number: str, now: datetime) -> bool:
    """Record that a physical gift was sent; False when it was, with this number. A new number corrects the old.

    The event tells the first sending and by whom; the number, which may be corrected, is the row's alone. Raises
    NotFound, Invalid naming `company` or `number`, Conflict `wrong_state`, and `account_deleted` as cancelling does.
    """
    company, number = company.strip(), number.strip()
    if not 1 <= len(company) <= 32:
        raise Invalid("快递公司长度为 1 到 32 个字符", field="company")
    if not 1 <= len(number) <= 64:
        raise Invalid("快递单号长度为 1 到 64 个字符", field="number")
    raw = tx.connection
    row = await _hold(raw, redemption_id, None)
    await refuse_erased(raw, row["member_id"])
    if row["kind"] != "physical" or row["state"] not in {"placed", "shipped"}:
        raise Conflict("当前状态不能发货", code="wrong_state")
    if (row["state"], row["shipping_company"], row["shipping_number"]) == ("shipped", company, number):
        return False
    await raw.execute(
        """
        UPDATE redemption SET state = 'shipped', shipping_company = $2, shipping_number = $3,
                              shipped_at = coalesce(shipped_at, $4) WHERE id = $1
        """,
        redemption_id,
        company,
        number,
        now,
    )
    await _tell(row, SHIPPED, key_of(SHIPPED.name, redemption_id), now, {"company": company}, by_member=False)
    return True


@command
async def complete(tx: Transaction, *, redemption_id: int, now: datetime, by_member: int | None = None) -> bool:
    """Record that a shipped gift arrived; False when it had. Raises NotFound, Conflict `wrong_state`."""
    row = await _hold(tx.connection, redemption_id, by_member)
    if row["state"] == "completed":
        return False
    if row["state"] != "shipped":
        raise Conflict("尚未发货，不能确认收货", code="wrong_state")
    await tx.connection.execute(
        "UPDATE redemption SET state = 'completed', completed_at = $2 WHERE id = $1", redemption_id, now
    )
    return True


@command
async def show_code(tx: Transaction, sealer: Sealer, *, redemption_id: int, by_member: int, now: datetime) -> str:
    """Show the code of a virtual gift to its member, who has then had it: the redemption is completed.

    Raises NotFound, also for somebody else's and for physical gifts; Conflict `wrong_state` when it was cancelled.
    """
    raw = tx.connection
    row = await _hold(raw, redemption_id, by_member)
    if row["kind"] != "virtual":
        raise NotFound("这个商品没有兑换码", field="redemption_id")
    if row["state"] == "cancelled":
        raise Conflict("兑换已取消", code="wrong_state")
    if row["state"] == "placed":
        await raw.execute(
            "UPDATE redemption SET state = 'completed', completed_at = $2 WHERE id = $1", redemption_id, now
        )
        await raw.execute(
            "UPDATE gift_code SET state = 'shown', shown_at = $2 WHERE redemption_id = $1", redemption_id, now
        )
    sealed = await raw.fetchval("SELECT sealed FROM gift_code WHERE redemption_id = $1", redemption_id)
    return sealer.open(sealed)


async def _address(raw: Connection, homes: list[int], gift: GiftView, address_id: int | None) -> str | None:
    if gift.kind == "virtual":
        return None
    if address_id is None:
        raise Invalid("请选择收货地址", code="address_required", field="address_id")
    return await snapshot(raw, homes, address_id)


async def _take(raw: Connection, gift: GiftView, redemption_id: int) -> None:
    """Take one from the stock, and for a virtual gift its code; from here on others wait for our commit."""
    taken = await raw.fetchval(
        """
        UPDATE gift SET stock = stock - 1
        WHERE id = $1 AND stock > 0 AND enabled AND price = $2
          AND (on_sale_from, on_sale_until, per_person, level) IS NOT DISTINCT FROM
              ($3::timestamptz, $4::timestamptz, $5::int, $6::varchar)
        RETURNING id
        """,
        gift.id,
        gift.price,
        gift.on_sale_from,
        gift.on_sale_until,
        gift.per_person,
        gift.level,
    )
    if taken is None:
        if (await queries.gift(raw, gift.id)).stock == 0:
            raise refusal("sold_out")
        raise Conflict("商品信息刚刚有变，请重新确认", code="gift_changed")
    if gift.kind == "virtual":
        # Whoever took from the stock holds the gift's row, so nobody else is choosing a code of it.
        code = await raw.fetchval(
            """
            UPDATE gift_code SET state = 'given', redemption_id = $2
            WHERE id = (SELECT id FROM gift_code WHERE gift_id = $1 AND state = 'free' ORDER BY id LIMIT 1)
            RETURNING id
            """,
            gift.id,
            redemption_id,
        )
        if code is None:
            raise refusal("sold_out")


async def _hold(raw: Connection, redemption_id: int, by_member: int | None) -> asyncpg.Record:
    """Lock a redemption, after the person it belongs to; `by_member` must be one of that person's homes."""
    whose = await raw.fetchrow("SELECT member_id, fan_id FROM redemption WHERE id = $1", redemption_id)
    if whose is None:
        raise NotFound("没有这笔兑换", field="redemption_id")
    homes = await hold(raw, whose["member_id"], whose["fan_id"])
    if by_member is not None and by_member not in homes:
        raise NotFound("没有这笔兑换", field="redemption_id")
    return await raw.fetchrow(
        """
        SELECT r.id, r.state, r.member_id, r.account_id, r.fan_id, r.gift_id, r.points, r.shipping_company,
               r.shipping_number, g.name, g.kind, a.kind AS account_kind
        FROM redemption r JOIN gift g ON g.id = r.gift_id JOIN account a ON a.id = r.account_id
        WHERE r.id = $1 FOR NO KEY UPDATE OF r
        """,
        redemption_id,
    )


async def _tell(
    row: asyncpg.Record, kind: kinds.Kind, key: UUID, now: datetime, more: dict[str, Any], *, by_member: bool
) -> None:
    """Note what became of a redemption. What staff do is no fan's act: it says nothing of when a member was here."""
    await events.append(
        key=key,
        kind=kind.name,
        occurred_at=now,
        recorded_at=now,
        member_id=row["member_id"],
        account_id=row["account_id"],
        fan_id=row["fan_id"] if by_member else None,
        payload={
            "redemption_id": row["id"],
            "gift_id": row["gift_id"],
            "name": row["name"],
            "points": row["points"],
            **more,
        },
    )


def _taken_key() -> Conflict:
    return Conflict("这个请求编号已被使用", field="key")


def _spend_key(redemption_id: int) -> UUID:
    return key_of("gift.spend", redemption_id)
