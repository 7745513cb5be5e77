"""Tables of check-in: the days, and what a brand allows."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Checkin(Model):
    """One natural day in Asia/Shanghai on which a home member checked in, or which they made up later."""

    id: int = fields.BigIntField(primary_key=True)
    # The key of its event, under which the ledger booked what it earned.
    event_key: UUID = fields.UUIDField(unique=True)
    member: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Member", on_delete=OnDelete.RESTRICT)
    day: date = fields.DateField()
    kind = fields.CharField(8)
    account: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Account", on_delete=OnDelete.RESTRICT)
    fan: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Fan", null=True, on_delete=OnDelete.RESTRICT
    )
    occurred_at: datetime = fields.DatetimeField()
    # After a merge: the check-in of the same person and day that counts instead of this one.
    doubles: fields.ForeignKeyNullableRelation["Checkin"] = fields.ForeignKeyField(
        "scrm.Checkin", null=True, on_delete=OnDelete.RESTRICT, related_name="doubled_by"
    )
    # How often it was found to be a double: merged, split and merged again must be booked each time.
    doublings = fields.IntField(db_default=0)

    member_id: int
    account_id: int
    fan_id: int | None
    doubles_id: int | None

    class Meta:
        table = "checkin"
        unique_together = (("member_id", "day"),)
        indexes = [Index(fields=("doubles_id",), name="checkin_doubles_idx")]
        constraints = [CheckConstraint(check="kind IN ('done', 'made_up')", name="checkin_kind_known")]


class CheckinPolicy(Model):
    """What a brand allows beyond checking in today; without a row there are no make-up cards."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.OneToOneRelation[Any] = fields.OneToOneField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    # Make-up cards per calendar month, counted in the month in which they are used.
    cards_per_month = fields.IntField()
    # How many days before today may still be made up.
    days_back = fields.IntField()

    brand_id: int

    class Meta:
        table = "checkin_policy"
        constraints = [CheckConstraint(check="cards_per_month >= 0 AND days_back >= 1", name="checkin_policy_sensible")]
