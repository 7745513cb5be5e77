"""The points mall: gifts, redeeming, and what became of what was redeemed."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from miniprogram_api.surface import SURFACE, Call, Moment, Page, RowId, Shown, Taken, Text
from scrm.errors import Conflict, Forbidden, NotFound
from scrm.gifts import queries, service


class Gift(Shown):
    """A gift; `why_not` lists the codes of what stands against redeeming it now, empty: go ahead."""

    id: int
    name: str
    kind: Literal["physical", "virtual"]
    price: int
    stock: int
    per_person: int | None
    level: str | None
    on_sale_from: Moment | None
    on_sale_until: Moment | None
    picture: str
    why_not: list[str]


_OF_A_GIFT = [name for name in Gift.model_fields if name != "why_not"]


class GiftList(Shown):
    """The mall."""

    items: list[Gift]


class Redeem(Taken):
    """Where a physical gift is to be sent."""

    address_id: RowId | None = None


class ParcelAddress(Shown):
    """Where it is sent, masked."""

    name: str
    phone: str
    region: str
    detail: str


class Redemption(Shown):
    """A redemption: placed → shipped → completed, or cancelled."""

    id: int
    gift_id: int
    name: str
    kind: Literal["physical", "virtual"]
    picture: str
    points: int
    state: Literal["placed", "shipped", "completed", "cancelled"]
    shipping_company: str
    shipping_number: str
    placed_at: Moment
    shipped_at: Moment | None
    completed_at: Moment | None
    cancelled_at: Moment | None
    cancel_reason: str
    address: ParcelAddress | None


class RedemptionList(Shown):
    """A page of redemptions, newest first, without addresses; `next` goes into `before`, null at the end."""

    items: list[Redemption]
    next: int | None


class Cancel(Taken):
    """Why, if the member says so."""

    reason: Annotated[Text, Field(max_length=100)] = ""


class Code(BaseModel):
    """The code of a virtual gift."""

    code: str


@SURFACE.get("/gifts")
async def gifts(call: Call) -> GiftList:
    """积分商城."""
    offers = await queries.mall(call.account.brand_id, now=call.now, member_id=call.me.member_id)
    items = [{name: getattr(one.gift, name) for name in _OF_A_GIFT} | {"why_not": one.why_not} for one in offers]
    return GiftList.model_validate({"items": items})


@SURFACE.post("/gifts/{gift_id}/redeem", errors=[NotFound, Conflict, Forbidden])
async def redeem(call: Call, gift_id: int, body: Redeem) -> Redemption:
    """兑换积分商品."""
    me = call.me
    made = await service.redeem(
        key=call.key,
        gift_id=gift_id,
        member_id=me.member_id,
        account_id=me.account_id,
        fan_id=me.fan_id,
        now=call.now,
        address_id=body.address_id,
    )
    return await _one(call, made.id)


@SURFACE.get("/redemptions")
async def redemptions(call: Call, query: Page) -> RedemptionList:
    """我的兑换."""
    found = await queries.redemptions(call.me.member_id, before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    return RedemptionList.model_validate({"items": shown, "next": shown[-1].id if len(found) > query.limit else None})


@SURFACE.get("/redemptions/{redemption_id}", errors=[NotFound])
async def redemption(call: Call, redemption_id: int) -> Redemption:
    """一笔兑换."""
    return await _one(call, redemption_id)


@SURFACE.post("/redemptions/{redemption_id}/cancel", errors=[NotFound, Conflict])
async def cancel_redemption(call: Call, redemption_id: int, body: Cancel) -> Redemption:
    """取消兑换：积分按原有效期退回."""
    await service.cancel(redemption_id=redemption_id, now=call.now, by_member=call.me.member_id, reason=body.reason)
    return await _one(call, redemption_id)


@SURFACE.post("/redemptions/{redemption_id}/arrival", errors=[NotFound, Conflict])
async def confirm_arrival(call: Call, redemption_id: int) -> Redemption:
    """确认收货：兑换完成；再确认一次不会有变化."""
    await service.complete(redemption_id=redemption_id, by_member=call.me.member_id, now=call.now)
    return await _one(call, redemption_id)


@SURFACE.post("/redemptions/{redemption_id}/code", errors=[NotFound, Conflict])
async def show_code(call: Call, redemption_id: int) -> Code:
    """查看兑换码：查看后视为已使用."""
    code = await service.show_code(
        call.parts.sealer, redemption_id=redemption_id, by_member=call.me.member_id, now=call.now
    )
    return Code(code=code)


async def _one(call: Call, redemption_id: int) -> Redemption:
    found = await queries.redemption(call.parts.sealer, call.me.member_id, redemption_id)
    return Redemption.model_validate(found)
