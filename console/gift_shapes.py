"""What the page of the points mall is shown and sends: gifts, their stock, and what became of redemptions."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from console.surface import BrandPage
from web.shapes import Instant, Moment, Page, RowId, Shown, Taken, Text

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Kind = Literal["physical", "virtual"]
State = Literal["placed", "shipped", "completed", "cancelled"]
Reason = Annotated[Text, Field(min_length=2, max_length=100)]


class GiftQuery(BrandPage):
    """A page of a brand's gifts, newest first."""

    brand: RowId
    show: Literal["all", "on", "off", "sold_out"] = "all"
    kind: Kind | None = None


class GiftItem(Shown):
    """A gift; `price` in points, null is no limit. `redeemed` counts nothing cancelled, `waiting` is to be sent."""

    id: int
    brand_id: int
    name: str
    kind: Kind
    price: int
    stock: int
    per_person: int | None
    level: str | None
    on_sale_from: Moment | None
    on_sale_until: Moment | None
    enabled: bool
    picture: str
    version: int
    redeemed: int
    waiting: int


class GiftList(BaseModel):
    """A page of gifts; `next` is the `before` of the next page."""

    items: list[GiftItem]
    next: int | None


class GiftLevels(BaseModel):
    """The names of a brand's levels, the lowest first."""

    items: list[str]


class GiftTermsBody(Taken):
    """What staff decide about a gift; `picture` is an address, `level` a name, null is no limit."""

    name: Annotated[Text, Field(min_length=1, max_length=64)]
    price: Count
    per_person: Count | None = None
    level: Annotated[Text, Field(max_length=32)] | None = None
    on_sale_from: Instant | None = None
    on_sale_until: Instant | None = None
    picture: Annotated[Text, Field(max_length=255)] = ""


class NewGift(GiftTermsBody):
    """A new gift; the stock of a virtual one is its codes, so it begins without."""

    brand_id: RowId
    kind: Kind
    stock: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    enabled: bool = True


class GiftChange(GiftTermsBody):
    """Other terms; `expected` is the version that they were made from."""

    expected: Annotated[int, Field(ge=1, le=2**31 - 1)]


class Shelf(Taken):
    """Whether a gift is on the shelf."""

    enabled: bool


class StockChange(Taken):
    """How many come (above zero) or go (below), and why."""

    amount: Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)]
    reason: Reason


class NewCodes(Taken):
    """Codes of a virtual gift, each worth one."""

    codes: Annotated[list[Annotated[Text, Field(min_length=1, max_length=128)]], Field(min_length=1, max_length=500)]


class CodesLoaded(Shown):
    """How many were new, and how many were known already, of this gift or another."""

    added: int
    known: int


class StockMovement(Shown):
    """A change of a stock; `stock` is what there was afterwards, `by` whose doing it was."""

    id: int
    amount: int
    stock: int
    reason: str
    by: str | None
    at: Moment


class StockMovements(BaseModel):
    """A page of a gift's movements, newest first."""

    items: list[StockMovement]
    next: int | None


class MovementQuery(Page):
    """A page of movements."""


class MallRedemptionQuery(BrandPage):
    """A page of a brand's redemptions, newest first; `to_ship` are parcels that wait."""

    brand: RowId
    show: Literal["all", "to_ship", "placed", "shipped", "completed", "cancelled"] = "all"
    gift: RowId | None = None
    member: RowId | None = None


class ToShipQuery(Taken):
    """What is to be sent of a brand, or of one of its gifts."""

    brand: RowId
    gift: RowId | None = None


class ParcelAddress(Shown):
    """Where a parcel goes; masked unless the caller has `mall.parcels`."""

    name: str
    phone: str
    region: str
    detail: str


class MallRedemption(BaseModel):
    """A redemption; `member_id` is the person, `nickname` what the caller may call them.

    Nothing is written of whom `erased` says that they left: no parcel is sent, and nothing cancelled.
    """

    id: int
    gift_id: int
    gift: str
    kind: Kind
    member_id: int
    nickname: str
    erased: bool
    points: int
    state: State
    shipping_company: str
    shipping_number: str
    placed_at: Moment
    shipped_at: Moment | None
    completed_at: Moment | None
    cancelled_at: Moment | None
    cancel_reason: str
    address: ParcelAddress | None


class MallRedemptions(BaseModel):
    """A page of redemptions; `next` is the `before` of the next page."""

    items: list[MallRedemption]
    next: int | None


class Shipping(Taken):
    """By whom a parcel was sent, and its number there."""

    company: Annotated[Text, Field(min_length=1, max_length=32)]
    number: Annotated[Text, Field(min_length=1, max_length=64)]


class Cancelling(Taken):
    """Why; the member reads it."""

    reason: Reason
