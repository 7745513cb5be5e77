"""Why a gift cannot be redeemed: the same stable codes when it is shown and when it is tried."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from scrm.errors import Conflict, DomainError, Forbidden
from scrm.points.ledger import NotEnough

REFUSALS: dict[str, DomainError] = {
    refusal.code: refusal
    for refusal in (
        Conflict("商品不在兑换时间内", code="not_on_sale"),
        Conflict("商品已兑完", code="sold_out"),
        Forbidden("会员等级不足", code="level_too_low"),
        Conflict("已达到每人限兑数量", code="limit_reached"),
        NotEnough(),
    )
}


@dataclass(frozen=True, slots=True)
class GiftView:
    """A gift as the business sees it; moments are aware, the price is points."""

    id: int
    brand_id: int
    name: str
    kind: str
    price: int
    stock: int
    per_person: int | None
    level: str | None
    on_sale_from: datetime | None
    on_sale_until: datetime | None
    enabled: bool
    picture: str

    def on_sale(self, now: datetime) -> bool:
        """Whether it may be redeemed at all at this moment."""
        begun = self.on_sale_from is None or self.on_sale_from <= now
        ended = self.on_sale_until is not None and self.on_sale_until <= now
        return self.enabled and begun and not ended


@dataclass(frozen=True, slots=True)
class Person:
    """What decides whether a person may redeem gifts."""

    spendable: int
    reached: Collection[str]  # the names of their level and of all below
    taken: dict[int, int]  # gift → redemptions that were not cancelled, over all homes


COLUMNS = ", ".join(GiftView.__dataclass_fields__)


def why_not(gift: GiftView, person: Person | None, now: datetime) -> list[str]:
    """Return the codes of all that stands against redeeming a gift, the most general first.

    Without a person (a preview for somebody not signed in) only what concerns everybody.
    """
    reasons = []
    if not gift.on_sale(now):
        reasons.append("not_on_sale")
    if gift.stock == 0:
        reasons.append("sold_out")
    if person is not None:
        if gift.level is not None and gift.level not in person.reached:
            reasons.append("level_too_low")
        if gift.per_person is not None and person.taken.get(gift.id, 0) >= gift.per_person:
            reasons.append("limit_reached")
        if person.spendable < gift.price:
            reasons.append("not_enough")
    return reasons


def refusal(code: str) -> DomainError:
    """Return a fresh error for a code of `why_not`."""
    known = REFUSALS[code]
    return type(known)(known.title, code=known.code)
