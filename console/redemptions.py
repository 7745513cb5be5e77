"""What members redeemed in the points mall: sending it, taking it back, and the list for whoever packs."""

from collections.abc import AsyncGenerator, Sequence

from console.gift_shapes import (
    Cancelling,
    MallRedemption,
    MallRedemptionQuery,
    MallRedemptions,
    ParcelAddress,
    Shipping,
    ToShipQuery,
)
from console.gifts import MANAGE
from console.members import called
from console.surface import SURFACE, Call
from kit import csv_text
from kit.clock import SHANGHAI
from scrm.errors import Conflict, Invalid, NotFound
from scrm.gifts import listing, service
from scrm.gifts.addresses import masked, opened
from scrm.gifts.listing import Ordered
from scrm.staff import audit
from scrm.staff.audit import Entry
from web.downloads import Download

PARCELS = "mall.parcels"


@SURFACE.get("/redemptions", permission=MANAGE, errors=[NotFound])
async def redemption_list(call: Call, query: MallRedemptionQuery) -> MallRedemptions:
    """一个品牌的兑换记录."""
    found = await listing.redemptions(
        call.brand(query.brand),
        show=query.show,
        gift_id=query.gift,
        member_id=query.member,
        before=query.before,
        limit=query.limit + 1,
    )
    shown = found[: query.limit]
    return MallRedemptions(items=await _items(call, shown), next=shown[-1].id if len(found) > len(shown) else None)


@SURFACE.download("/redemptions/to-ship", permission=MANAGE, errors=[NotFound])
async def to_ship(call: Call, query: ToShipQuery) -> Download:
    """导出待发货（CSV），等得最久的在前."""
    brand_id = call.brand(query.brand)
    name = "" if query.gift is None else f"gift:{query.gift}"
    after = {"rows": await listing.waiting(brand_id, query.gift), "clear": call.me.may(PARCELS)}
    entry = Entry("redemptions.exported", name or "redemptions", "待发货", brand_id, after=after)
    await audit.write(call.actor, entry, call.now)
    day = call.now.astimezone(SHANGHAI)
    return Download(f"待发货-{day:%Y%m%d-%H%M}.csv", "text/csv; charset=utf-8", _csv(call, brand_id, query.gift))


@SURFACE.put("/redemptions/{redemption_id}/shipping", permission=MANAGE, errors=[NotFound, Invalid, Conflict])
async def ship_redemption(call: Call, redemption_id: int, body: Shipping) -> MallRedemption:
    """发货，或改正快递单号.

    409 `wrong_state`: it has arrived, was cancelled, or is nothing to send.
    """
    one = await _known(call, redemption_id)

    async def change() -> bool:
        return await service.ship(redemption_id=redemption_id, company=body.company, number=body.number, now=call.now)

    def line(changed: bool) -> Entry | None:
        # The number leads to whoever received it and is erased with them; the trail is not.
        after = {"company": body.company, "number": f"****{body.number[-4:]}"}
        entry = Entry("redemption.shipped", f"redemption:{one.id}", one.gift, one.brand_id, after=after)
        return entry if changed else None

    await audit.along(call.actor, change, line, call.now)
    return await _shown(call, redemption_id)


@SURFACE.put("/redemptions/{redemption_id}/arrival", permission=MANAGE, errors=[NotFound, Conflict])
async def parcel_arrived(call: Call, redemption_id: int) -> MallRedemption:
    """确认送达：会员收到了而没有自己确认.

    409 `wrong_state`: it was not sent yet, or was cancelled.
    """
    one = await _known(call, redemption_id)

    async def change() -> bool:
        return await service.complete(redemption_id=redemption_id, now=call.now)

    def line(changed: bool) -> Entry | None:
        return Entry("redemption.completed", f"redemption:{one.id}", one.gift, one.brand_id) if changed else None

    await audit.along(call.actor, change, line, call.now)
    return await _shown(call, redemption_id)


@SURFACE.post("/redemptions/{redemption_id}/cancel", permission=MANAGE, errors=[NotFound, Invalid])
async def cancel_redemption(call: Call, redemption_id: int, body: Cancelling) -> MallRedemption:
    """取消兑换，积分退回会员；再取消一次不会有变化."""
    one = await _known(call, redemption_id)

    async def change() -> bool:
        return await service.cancel(redemption_id=redemption_id, now=call.now, reason=body.reason)

    def line(changed: bool) -> Entry | None:
        # What staff write of a member is erased with them; the trail is not.
        after = {"points": one.points}
        entry = Entry("redemption.cancelled", f"redemption:{one.id}", one.gift, one.brand_id, after=after)
        return entry if changed else None

    await audit.along(call.actor, change, line, call.now)
    return await _shown(call, redemption_id)


HEADINGS = ("兑换编号", "兑换时间", "商品", "会员号", "收货人", "电话", "省市区", "详细地址")


async def _csv(call: Call, brand_id: int, gift_id: int | None) -> AsyncGenerator[bytes, None]:
    yield csv_text.MARK.encode() + csv_text.lines([HEADINGS])
    async for page in listing.to_ship(brand_id, gift_id):
        yield csv_text.lines(_cells(call, one) for one in page)


def _cells(call: Call, one: Ordered) -> list[object]:
    placed = one.placed_at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    to = _address(call, one)
    # Of a number in clear the country code of China is left out, or the plus would make it a formula.
    where = [] if to is None else [to.name, to.phone.removeprefix("+86"), to.region, to.detail]
    return [one.id, placed, one.gift, one.member_id, *where]


def _address(call: Call, one: Ordered) -> ParcelAddress | None:
    """Return where a parcel goes, in clear only to whoever sends parcels."""
    if one.address_sealed is None:
        return None
    return ParcelAddress.model_validate(
        (opened if call.me.may(PARCELS) else masked)(call.parts.sealer, one.address_sealed)
    )


async def _known(call: Call, redemption_id: int) -> Ordered:
    """Return a redemption at the caller's brands. Raises NotFound for any other."""
    one = await listing.redemption(redemption_id)
    call.at(one.brand_id, "没有这笔兑换")
    return one


async def _shown(call: Call, redemption_id: int) -> MallRedemption:
    (item,) = await _items(call, [await listing.redemption(redemption_id)])
    return item


async def _items(call: Call, found: Sequence[Ordered]) -> list[MallRedemption]:
    nicknames = await called(call, {one.member_id: one.erased for one in found})
    own = set(MallRedemption.model_fields) - {"nickname", "address"}
    return [
        MallRedemption.model_validate(
            {name: getattr(one, name) for name in own}
            | {"nickname": nicknames[one.member_id], "address": _address(call, one)}
        )
        for one in found
    ]
