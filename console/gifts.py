"""积分商城: a brand's gifts, whether they are on the shelf, and their stock by movements."""

from dataclasses import asdict
from typing import Any

from console.gift_shapes import (
    CodesLoaded,
    GiftChange,
    GiftItem,
    GiftLevels,
    GiftList,
    GiftQuery,
    GiftTermsBody,
    MovementQuery,
    NewCodes,
    NewGift,
    Shelf,
    StockChange,
    StockMovement,
    StockMovements,
)
from console.points_rule_shapes import BrandQuery
from console.surface import SURFACE, Call
from scrm import db
from scrm.errors import Conflict, Invalid, NotFound
from scrm.gifts import catalogue, listing, movements
from scrm.gifts.catalogue import Changed, GiftTerms, Loaded
from scrm.gifts.listing import GiftCard
from scrm.points import levels
from scrm.points.rule_editing import refuse_unknown
from scrm.staff import audit
from scrm.staff.audit import Entry

MANAGE = "mall.manage"
# Bytes of five hundred of the longest codes. More at once would keep the process from answering while they are sealed.
MAX_CODES = 512 * 1024


@SURFACE.get("/gifts", permission=MANAGE, errors=[NotFound])
async def gift_list(call: Call, query: GiftQuery) -> GiftList:
    """一个品牌的积分商品."""
    found = await listing.gifts(
        call.brand(query.brand), show=query.show, kind=query.kind, before=query.before, limit=query.limit + 1
    )
    shown = found[: query.limit]
    items = [GiftItem.model_validate(one) for one in shown]
    return GiftList(items=items, next=shown[-1].id if len(found) > len(shown) else None)


@SURFACE.get("/gifts/levels", permission=MANAGE, errors=[NotFound])
async def gift_levels(call: Call, query: BrandQuery) -> GiftLevels:
    """可以限定的会员等级."""
    async with db.connection() as raw:
        return GiftLevels(items=[one.name for one in await levels.of_brand(raw, call.brand(query.brand))])


@SURFACE.post("/gifts", permission=MANAGE, status=201, errors=[NotFound, Invalid])
async def add_gift(call: Call, body: NewGift) -> GiftItem:
    """新建积分商品."""
    brand_id = call.brand(body.brand_id)
    async with db.connection() as raw:
        await refuse_unknown(raw, brand_id)
    terms = GiftTerms(**_given(body), enabled=body.enabled)

    async def change() -> int:
        return await catalogue.create_gift(
            brand_id=brand_id, kind=body.kind, terms=terms, stock=body.stock, now=call.now, staff_id=call.me.staff_id
        )

    def line(made: int) -> Entry:
        given = {name: value for name, value in _entered(terms).items() if value not in (None, "")}
        after = {"gift_kind": body.kind, **given, "stock": body.stock}
        return Entry("gift.added", f"gift:{made}", terms.name, brand_id, after=after)

    return GiftItem.model_validate(await listing.gift(await audit.along(call.actor, change, line, call.now)))


@SURFACE.get("/gifts/{gift_id}", permission=MANAGE, errors=[NotFound])
async def gift(call: Call, gift_id: int) -> GiftItem:
    """一个积分商品."""
    return GiftItem.model_validate(await known_gift(call, gift_id))


@SURFACE.put("/gifts/{gift_id}", permission=MANAGE, errors=[NotFound, Invalid, Conflict])
async def change_gift(call: Call, gift_id: int, body: GiftChange) -> GiftItem:
    """修改积分商品；之前兑换的不变.

    409 `stale_version`: somebody has changed it meanwhile.
    """
    return await _changed(call, gift_id, _given(body), body.expected)


@SURFACE.put("/gifts/{gift_id}/shelf", permission=MANAGE, errors=[NotFound])
async def shelve_gift(call: Call, gift_id: int, body: Shelf) -> GiftItem:
    """上架或下架."""
    return await _changed(call, gift_id, {"enabled": body.enabled}, None)


@SURFACE.post("/gifts/{gift_id}/stock", permission=MANAGE, errors=[NotFound, Invalid, Conflict])
async def move_gift_stock(call: Call, gift_id: int, body: StockChange) -> GiftItem:
    """增减库存，记下原因."""
    one = await known_gift(call, gift_id)

    async def change() -> int:
        return await catalogue.stock_up(
            gift_id=gift_id, amount=body.amount, reason=body.reason, now=call.now, staff_id=call.me.staff_id
        )

    def line(stock: int) -> Entry:
        after = {"amount": body.amount, "stock": stock, "reason": body.reason}
        return Entry("gift.stocked", f"gift:{gift_id}", one.name, one.brand_id, after=after)

    await audit.along(call.actor, change, line, call.now)
    return GiftItem.model_validate(await listing.gift(gift_id))


@SURFACE.post("/gifts/{gift_id}/codes", permission=MANAGE, max_body=MAX_CODES, errors=[NotFound, Invalid])
async def load_gift_codes(call: Call, gift_id: int, body: NewCodes) -> CodesLoaded:
    """导入兑换码；已有的不会再加一次."""
    one = await known_gift(call, gift_id)

    async def change() -> Loaded:
        return await catalogue.load_codes(
            call.parts.sealer, gift_id=gift_id, codes=body.codes, now=call.now, staff_id=call.me.staff_id
        )

    def line(loaded: Loaded) -> Entry | None:
        after = {"added": loaded.added, "known": loaded.known}
        entry = Entry("gift.codes", f"gift:{gift_id}", one.name, one.brand_id, after=after)
        return entry if loaded.added else None

    return CodesLoaded.model_validate(await audit.along(call.actor, change, line, call.now))


@SURFACE.get("/gifts/{gift_id}/movements", permission=MANAGE, errors=[NotFound])
async def gift_movements(call: Call, gift_id: int, query: MovementQuery) -> StockMovements:
    """库存变动：多少、为什么、谁、什么时候."""
    await known_gift(call, gift_id)
    found = await movements.of_gift(gift_id, before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    items = [StockMovement.model_validate(one) for one in shown]
    return StockMovements(items=items, next=shown[-1].id if len(found) > len(shown) else None)


async def known_gift(call: Call, gift_id: int) -> GiftCard:
    """Return a gift of the caller's brands. Raises NotFound for any other."""
    one = await listing.gift(gift_id)
    call.at(one.brand_id, "没有这个积分商品")
    return one


async def _changed(call: Call, gift_id: int, changes: dict[str, Any], expected: int | None) -> GiftItem:
    one = await known_gift(call, gift_id)

    async def change() -> Changed | None:
        return await catalogue.change_gift(gift_id=gift_id, changes=changes, expected=expected)

    def line(made: Changed | None) -> Entry | None:
        if made is None:
            return None
        said = {"before": _entered(made.before), "after": _entered(made.after)}
        return Entry("gift.changed", f"gift:{gift_id}", made.after.name, one.brand_id, **said)

    await audit.along(call.actor, change, line, call.now)
    return GiftItem.model_validate(await listing.gift(gift_id))


def _given(body: GiftTermsBody) -> dict[str, Any]:
    return {name: getattr(body, name) for name in GiftTermsBody.model_fields}


def _entered(terms: GiftTerms) -> dict[str, Any]:
    """Return terms as the trail tells them."""
    values = asdict(terms)
    return {"shelf": values.pop("enabled"), **values}
