"""What staff do with gifts: create them, change them, fill their stock and their codes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from kit.seal import Sealer
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid, NotFound
from scrm.gifts import movements
from scrm.gifts.models import Gift
from scrm.points import levels

MOST_CODES = 5000  # of one call: sealing them takes about a second
LARGEST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class GiftTerms:
    """What staff decide about a gift: `price` in points, `level` by its name, aware moments; None is no limit."""

    name: str
    price: int
    per_person: int | None = None
    level: str | None = None
    on_sale_from: datetime | None = None
    on_sale_until: datetime | None = None
    enabled: bool = True
    picture: str = ""


TERMS = tuple(field.name for field in fields(GiftTerms))


@dataclass(frozen=True, slots=True)
class Changed:
    """A gift's terms before and after a change."""

    before: GiftTerms
    after: GiftTerms


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many codes were new, and how many were known already, of this gift or another of its brand."""

    added: int
    known: int


@command
async def create_gift(
    tx: Transaction,
    *,
    brand_id: int,
    kind: str,
    terms: GiftTerms,
    stock: int = 0,
    now: datetime,
    staff_id: int | None = None,
) -> int:
    """Create a gift and return its id; `kind` is physical or virtual. Raises Invalid naming the field.

    A virtual gift begins without stock: its codes are its stock.
    """
    if kind not in {"physical", "virtual"}:
        raise Invalid("类型只能是 physical 或 virtual", field="kind")
    if not 0 <= stock <= LARGEST or (kind == "virtual" and stock):
        raise Invalid("库存不能为负；虚拟商品的库存由导入的兑换码决定", field="stock")
    await _check(tx.connection, brand_id, terms)
    given = asdict(terms) | {"name": terms.name.strip()}
    made = await Gift.create(brand_id=brand_id, kind=kind, stock=stock, created_at=now, **given)
    if stock:
        await movements.note(tx.connection, made.id, stock, stock, "初始库存", staff_id, now)
    return made.id


@command
async def change_gift(
    tx: Transaction, *, gift_id: int, changes: Mapping[str, Any], expected: int | None = None
) -> Changed | None:
    """Change some of a gift's terms, by name; what was redeemed before keeps its price. None: nothing differs.

    `expected` is the version that the changes were made from. Raises NotFound, Invalid naming the field, Conflict
    `stale_version` when somebody has changed the gift since.
    """
    if unknown := set(changes) - set(TERMS):
        raise Invalid("不能修改这一项", field=min(unknown))
    gift = await _locked(gift_id)
    if expected is not None and gift.version != expected:
        raise Conflict("这个商品已被修改，请刷新后再保存", code="stale_version", field="expected")
    before = GiftTerms(**{name: getattr(gift, name) for name in TERMS})
    after = replace(before, **changes)
    after = replace(after, name=after.name.strip())
    if after == before:
        return None
    await _check(tx.connection, gift.brand_id, after, before.level)
    await Gift.filter(id=gift_id).update(**asdict(after), version=gift.version + 1)
    return Changed(before, after)


@command
async def stock_up(
    tx: Transaction, *, gift_id: int, amount: int, reason: str, now: datetime, staff_id: int | None = None
) -> int:
    """Add to a physical gift's stock, or take from it (`amount` below zero), and return what there is now.

    Raises NotFound, Invalid for zero, for no reason and for virtual gifts, Conflict when there are not so many left
    to take. The gift's row is held, so whoever redeems meanwhile comes before or after, and nothing is lost.
    """
    if amount == 0 or abs(amount) > LARGEST:
        raise Invalid("数量不能为零", field="amount")
    if not 1 <= len(reason.strip()) <= 100:
        raise Invalid("原因长度为 1 到 100 个字符", field="reason")
    gift = await _locked(gift_id)
    if gift.kind == "virtual":
        raise Invalid("虚拟商品的库存由导入的兑换码决定", field="gift_id")
    if not 0 <= gift.stock + amount <= LARGEST:
        raise Conflict("库存不足以减少这么多" if amount < 0 else "库存太多了", field="amount")
    stock: int = await tx.connection.fetchval(
        "UPDATE gift SET stock = stock + $2 WHERE id = $1 RETURNING stock", gift_id, amount
    )
    await movements.note(tx.connection, gift_id, amount, stock, reason.strip(), staff_id, now)
    return stock


async def load_codes(
    sealer: Sealer, *, gift_id: int, codes: Sequence[str], now: datetime, staff_id: int | None = None
) -> Loaded:
    """Add codes to a virtual gift; one that is known is counted and left alone, so a list may be loaded twice.

    Raises NotFound, Invalid naming `gift_id`, `codes` or `codes[3]`. Codes are sealed before the transaction.
    """
    if not 1 <= len(codes) <= MOST_CODES:
        raise Invalid(f"一次导入 1 到 {MOST_CODES} 个兑换码", field="codes")
    unique: dict[str, str] = {}
    for index, code in enumerate(codes):
        if not 1 <= len(code.strip()) <= 128:
            raise Invalid("兑换码长度为 1 到 128 个字符", field=f"codes[{index}]")
        unique.setdefault(sealer.fingerprint(code.strip()), code.strip())
    sealed = {fingerprint: sealer.seal(code) for fingerprint, code in unique.items()}
    added = await _store_codes(gift_id=gift_id, sealed=sealed, now=now, staff_id=staff_id)
    return Loaded(added, len(codes) - added)


@command
async def _store_codes(
    tx: Transaction, *, gift_id: int, sealed: Mapping[str, str], now: datetime, staff_id: int | None
) -> int:
    raw = tx.connection
    gift = await _locked(gift_id)
    if gift.kind != "virtual":
        raise Invalid("只有虚拟商品有兑换码", field="gift_id")
    added: int = await raw.fetchval(
        """
        -- Two lists loaded at once may have codes in common: fingerprints in one order, so they wait in line.
        WITH i AS (SELECT * FROM unnest($2::text[], $3::text[]) AS i (fingerprint, sealed)),
             made AS (
                 INSERT INTO gift_code (gift_id, brand_id, fingerprint, sealed, state)
                 SELECT $1, $4, fingerprint, sealed, 'free' FROM i ORDER BY fingerprint
                 ON CONFLICT (brand_id, fingerprint) DO NOTHING RETURNING id
             )
        SELECT count(*) FROM made
        """,
        gift_id,
        list(sealed),
        list(sealed.values()),
        gift.brand_id,
    )
    if added:
        stock = await raw.fetchval("UPDATE gift SET stock = stock + $2 WHERE id = $1 RETURNING stock", gift_id, added)
        await movements.note(raw, gift_id, added, stock, "导入兑换码", staff_id, now)
    return added


async def _locked(gift_id: int) -> Gift:
    gift = await Gift.filter(id=gift_id).select_for_update(no_key=True).get_or_none()
    if gift is None:
        raise NotFound("没有这个积分商品", field="gift_id")
    return gift


async def _check(raw: Connection, brand_id: int, terms: GiftTerms, known_level: str | None = None) -> None:
    # A level that is gone since stands in nobody's way: its gift can be taken off the shelf.
    if not 1 <= len(terms.name.strip()) <= 64:
        raise Invalid("名称长度为 1 到 64 个字符", field="name")
    if not 1 <= terms.price <= LARGEST:
        raise Invalid("所需积分必须大于零", field="price")
    if terms.per_person is not None and not 1 <= terms.per_person <= LARGEST:
        raise Invalid("每人限兑数量必须大于零", field="per_person")
    fresh = terms.level not in {None, known_level}
    if fresh and terms.level not in {one.name for one in await levels.of_brand(raw, brand_id)}:
        raise Invalid("没有这个等级", field="level")
    if len(terms.picture) > 255:
        raise Invalid("图片地址最长 255 个字符", field="picture")
    for field in ("on_sale_from", "on_sale_until"):
        moment = getattr(terms, field)
        if moment is not None and moment.tzinfo is None:
            raise Invalid("时间必须带时区", field=field)
    if terms.on_sale_from and terms.on_sale_until and terms.on_sale_from >= terms.on_sale_until:
        raise Invalid("结束时间必须晚于开始时间", field="on_sale_until")
