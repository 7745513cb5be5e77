"""Tables of the points mall: gifts, their stock's movements and codes, members' addresses, redemptions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Gift(Model):
    """A gift 积分商品. `stock` of a virtual one is the number of its free codes."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    name = fields.CharField(64)
    kind = fields.CharField(10)
    price = fields.IntField()  # points
    stock = fields.IntField(db_default=0)
    # How many one person may have, redemptions that were cancelled not counted; null: as many as they like.
    per_person: int | None = fields.IntField(null=True)
    # The lowest growth level that may redeem it (a name of scrm.points.levels); null: everybody.
    level = fields.CharField(32, null=True)
    on_sale_from: datetime | None = fields.DatetimeField(null=True)
    # The first moment at which it is on sale no more.
    on_sale_until: datetime | None = fields.DatetimeField(null=True)
    enabled = fields.BooleanField(db_default=True)
    picture = fields.CharField(255, db_default="")
    created_at = fields.DatetimeField()
    # Counts changes of the terms, so that of two who edit at once the later one is told.
    version: int = fields.IntField(db_default=1)

    brand_id: int

    class Meta:
        table = "gift"
        indexes = [Index(fields=("brand_id", "id"), name="gift_brand_idx")]
        constraints = [
            CheckConstraint(check="kind IN ('physical', 'virtual')", name="gift_kind_known"),
            CheckConstraint(check="stock >= 0", name="gift_stock_not_negative"),
            CheckConstraint(check="price > 0 AND per_person > 0", name="gift_numbers_positive"),
            CheckConstraint(check="on_sale_from < on_sale_until", name="gift_window_ordered"),
        ]


class StockMovement(Model):
    """How many came into a gift's stock (above zero) or were taken out by staff, and why. A trigger refuses changes."""

    id: int = fields.BigIntField(primary_key=True)
    gift: fields.ForeignKeyRelation[Gift] = fields.ForeignKeyField("scrm.Gift", on_delete=OnDelete.RESTRICT)
    amount = fields.IntField()
    # What there was afterwards.
    stock = fields.IntField()
    reason = fields.CharField(100)
    # Null: the command line, the demo.
    staff: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Staff", null=True, on_delete=OnDelete.RESTRICT
    )
    at: datetime = fields.DatetimeField()

    gift_id: int
    staff_id: int | None

    class Meta:
        table = "gift_stock_movement"
        indexes = [Index(fields=("gift_id", "id"), name="gift_stock_movement_idx")]
        constraints = [CheckConstraint(check="amount <> 0", name="gift_stock_movement_moves")]


class MemberAddress(Model):
    """Where a member wants things sent; name, phone and address are one seal."""

    id: int = fields.BigIntField(primary_key=True)
    member: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Member", on_delete=OnDelete.RESTRICT)
    sealed = fields.TextField()
    is_default = fields.BooleanField(db_default=False)
    created_at = fields.DatetimeField()

    member_id: int

    class Meta:
        table = "member_address"
        indexes = [Index(fields=("member_id",), name="member_address_member_idx")]


class Redemption(Model):
    """One gift redeemed by one member: placed → shipped → completed, or cancelled."""

    id: int = fields.BigIntField(primary_key=True)
    # The caller's key: asking again with it changes nothing.
    key: UUID = fields.UUIDField(unique=True)
    gift: fields.ForeignKeyRelation[Gift] = fields.ForeignKeyField("scrm.Gift", on_delete=OnDelete.RESTRICT)
    # The home member; points came from all homes of the person.
    member: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Member", on_delete=OnDelete.RESTRICT)
    account: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Account", on_delete=OnDelete.RESTRICT)
    fan: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Fan", null=True, on_delete=OnDelete.RESTRICT
    )
    points = fields.IntField()
    state = fields.CharField(10)
    # A copy: what the member changes later does not redirect a parcel.
    address_sealed: str | None = fields.TextField(null=True)
    shipping_company = fields.CharField(32, db_default="")
    shipping_number = fields.CharField(64, db_default="")
    placed_at: datetime = fields.DatetimeField()
    shipped_at: datetime | None = fields.DatetimeField(null=True)
    completed_at: datetime | None = fields.DatetimeField(null=True)
    cancelled_at: datetime | None = fields.DatetimeField(null=True)
    cancel_reason = fields.CharField(100, db_default="")

    gift_id: int
    member_id: int
    account_id: int
    fan_id: int | None

    class Meta:
        table = "redemption"
        indexes = [
            Index(fields=("member_id", "id"), name="redemption_member_idx"),
            Index(fields=("gift_id", "state"), name="redemption_gift_idx"),
            # Staff look for the few that wait among all there ever were.
            PartialIndex(fields=("id",), name="redemption_placed_idx", condition={"state": "placed"}),
        ]
        constraints = [
            CheckConstraint(
                check="state IN ('placed', 'shipped', 'completed', 'cancelled')", name="redemption_state_known"
            ),
            CheckConstraint(check="points > 0", name="redemption_points_positive"),
        ]


class GiftCode(Model):
    """One code of a virtual gift: worth money, so it is sealed; the fingerprint keeps a brand from loading it twice."""

    id: int = fields.BigIntField(primary_key=True)
    gift: fields.ForeignKeyRelation[Gift] = fields.ForeignKeyField("scrm.Gift", on_delete=OnDelete.RESTRICT)
    # The gift's: another brand's codes are nobody's business here.
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    sealed = fields.TextField()
    fingerprint = fields.CharField(64)
    # free → given → shown; a cancelled redemption frees what was only given, and makes void what was shown.
    state = fields.CharField(10)
    redemption: fields.ForeignKeyNullableRelation[Redemption] = fields.ForeignKeyField(
        "scrm.Redemption", null=True, on_delete=OnDelete.RESTRICT
    )
    shown_at: datetime | None = fields.DatetimeField(null=True)

    gift_id: int
    brand_id: int
    redemption_id: int | None

    class Meta:
        table = "gift_code"
        unique_together = (("brand_id", "fingerprint"),)
        indexes = [
            PartialIndex(fields=("gift_id", "id"), name="gift_code_free_idx", condition={"state": "free"}),
            Index(fields=("redemption_id",), name="gift_code_redemption_idx"),
        ]
        constraints = [
            CheckConstraint(check="state IN ('free', 'given', 'shown', 'void')", name="gift_code_state_known"),
            CheckConstraint(check="(state = 'free') = (redemption_id IS NULL)", name="gift_code_taken_by_somebody"),
        ]
