"""Tables of the service desk: what a brand has set, its skills, seats, shifts and special days."""

from datetime import date, datetime
from typing import Any

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Desk(Model):
    """What a brand has set for its service; without a row the defaults of scrm.conversations.desk hold."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.OneToOneRelation[Any] = fields.OneToOneField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    # Seconds until the first answer, minutes for everything else.
    first_response_seconds = fields.IntField()
    promise_minutes = fields.IntField()
    unsure_minutes = fields.IntField()
    rating_minutes = fields.IntField()
    idle_minutes = fields.IntField()

    brand_id: int

    class Meta:
        table = "desk"
        constraints = [
            CheckConstraint(
                check="first_response_seconds > 0 AND promise_minutes > 0 AND unsure_minutes > 0 "
                "AND rating_minutes > 0 AND idle_minutes > 0",
                name="desk_numbers_positive",
            )
        ]


class WeChatDesk(Model):
    """An account whose fans are served by WeChat's own customer service instead of our seats."""

    id: int = fields.BigIntField(primary_key=True)
    account: fields.OneToOneRelation[Any] = fields.OneToOneField("scrm.Account", on_delete=OnDelete.CASCADE)

    account_id: int

    class Meta:
        table = "wechat_desk"


class Skill(Model):
    """What a conversation may need somebody for: a queue, such as 售后. `name` is its stable code."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    name = fields.CharField(32)
    title = fields.CharField(32)

    brand_id: int

    class Meta:
        table = "skill"
        unique_together = (("brand_id", "name"),)


class Seat(Model):
    """A seat 坐席: one of the staff who answers fans. `present_until` is the lease that their browser renews."""

    staff: fields.OneToOneRelation[Any] = fields.OneToOneField(
        "scrm.Staff", on_delete=OnDelete.RESTRICT, primary_key=True
    )
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    # How many conversations at once are given to them; more they take only themselves.
    capacity = fields.SmallIntField()
    # The skills' names; the queue without a skill is everybody's.
    skills = fields.JSONField[list[str]]()
    present_until: datetime | None = fields.DatetimeField(null=True)
    last_assigned_at: datetime | None = fields.DatetimeField(null=True)

    staff_id: int
    brand_id: int

    class Meta:
        table = "seat"
        indexes = [Index(fields=("brand_id", "staff_id"), name="seat_brand_idx")]
        constraints = [CheckConstraint(check="capacity >= 0", name="seat_capacity_not_negative")]


class Shift(Model):
    """When somebody serves: days that fit a pattern, or one date; see scrm.conversations.shifts."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    staff: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Staff", on_delete=OnDelete.RESTRICT)
    # daily, workdays, restdays, mon … sun, date, off
    pattern = fields.CharField(10)
    day: date | None = fields.DateField(null=True)
    # Minutes after midnight in Asia/Shanghai; `ends` is over 1440 when it ends on the next day.
    starts = fields.SmallIntField()
    ends = fields.SmallIntField()
    breaks = fields.JSONField[list[list[int]]]()

    brand_id: int
    staff_id: int

    class Meta:
        table = "shift"
        indexes = [Index(fields=("brand_id", "staff_id"), name="shift_brand_idx")]
        constraints = [
            CheckConstraint(check="(pattern IN ('date', 'off')) = (day IS NOT NULL)", name="shift_dated"),
            CheckConstraint(
                check="starts >= 0 AND starts < 1440 AND ends > starts AND ends <= 2880", name="shift_minutes_ordered"
            ),
        ]


class SpecialDay(Model):
    """A day on which a brand departs from the public calendar: worked, rested, or closed altogether."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    day: date = fields.DateField()
    kind = fields.CharField(8)
    note = fields.CharField(64, db_default="")

    brand_id: int

    class Meta:
        table = "special_day"
        unique_together = (("brand_id", "day"),)
        constraints = [CheckConstraint(check="kind IN ('workday', 'restday', 'closed')", name="special_day_kind_known")]


class QuickReply(Model):
    """A text that staff send often: of the whole brand, or of one person. Variables such as {昵称} are filled in."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    # None: everybody's.
    staff_id: int | None = fields.BigIntField(null=True)
    title = fields.CharField(32)
    text = fields.CharField(600)
    created_at: datetime = fields.DatetimeField()

    brand_id: int

    class Meta:
        table = "quick_reply"
        indexes = [Index(fields=("brand_id", "staff_id"), name="quick_reply_owner_idx")]
