"""Tables of the rules 积分规则: what earns what, why something was or was not given, and levels 等级.

A rule is a name that stays; what it says is in its versions, which nobody changes (a trigger refuses). The version
that counts for an event is the newest whose time holds the moment of the event, so a version with an end is a
promotion after which the one before it is in force again.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class PointsRule(Model):
    """One rule of a brand; `kind` names the code that reads it (scrm.points.rules)."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    code = fields.CharField(64)
    kind = fields.CharField(32)
    event_kind = fields.CharField(64)
    # 系统规则 comes with a preset, 自定义规则 is the brand's own.
    system = fields.BooleanField()
    created_at = fields.DatetimeField()

    brand_id: int

    class Meta:
        table = "points_rule"
        unique_together = (("brand_id", "code"),)


class PointsRuleVersion(Model):
    """What a rule says from a moment on: the columns of the operator's table (mission A038)."""

    id: int = fields.BigIntField(primary_key=True)
    rule: fields.ForeignKeyRelation[PointsRule] = fields.ForeignKeyField("scrm.PointsRule", on_delete=OnDelete.RESTRICT)
    version = fields.IntField()
    module = fields.CharField(32)
    name = fields.CharField(64)
    frequency = fields.CharField(16)
    points = fields.IntField()
    growth = fields.IntField()
    note = fields.CharField(200)
    # Per person over all accounts; null is no cap.
    day_cap_points: int | None = fields.IntField(null=True)
    day_cap_growth: int | None = fields.IntField(null=True)
    month_cap_points: int | None = fields.IntField(null=True)
    month_cap_growth: int | None = fields.IntField(null=True)
    unit = fields.CharField(16)
    enabled = fields.BooleanField()
    # Days until points given by this version expire; null is never. Growth does not expire.
    points_valid_days: int | None = fields.IntField(null=True)
    # What only this kind of rule asks, such as the days a purchase waits for its return.
    settings = fields.JSONField[dict[str, Any]]()
    effective_from: datetime = fields.DatetimeField()
    effective_until: datetime | None = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()

    rule_id: int

    class Meta:
        table = "points_rule_version"
        unique_together = (("rule_id", "version"),)
        constraints = [
            CheckConstraint(check="points >= 0 AND growth >= 0", name="points_rule_version_not_negative"),
            CheckConstraint(
                check="frequency IN ('each', 'daily', 'once_daily', 'once')", name="points_rule_version_frequency_known"
            ),
            CheckConstraint(check="effective_until > effective_from", name="points_rule_version_span"),
        ]


class AwardExplanation(Model):
    """Why one rule gave one person something for one event, less than planned, nothing, or took it back."""

    id: int = fields.BigIntField(primary_key=True)
    event_key: UUID = fields.UUIDField()
    rule_id: int = fields.BigIntField()
    # Null when no version was in force at the moment of the event.
    version: int | None = fields.IntField(null=True)
    # The home member, as everywhere.
    beneficiary_id: int = fields.BigIntField()
    # Empty when the rule as a whole was not followed.
    asset = fields.CharField(16)
    planned: int = fields.BigIntField()
    # Signed: below zero for what was taken back.
    given: int = fields.BigIntField()
    reason = fields.CharField(32)
    # The business key of the award given or taken back, in the ledger or among the pending ones.
    award_key: UUID | None = fields.UUIDField(null=True)
    # What it was for, such as the order: a later event names it.
    subject = fields.CharField(64)
    day: date = fields.DateField()
    due_at: datetime | None = fields.DatetimeField(null=True)
    occurred_at: datetime = fields.DatetimeField()
    created_at: datetime = fields.DatetimeField()

    class Meta:
        table = "award_explanation"
        unique_together = (("event_key", "rule_id", "beneficiary_id", "asset"),)
        indexes = [
            Index(fields=("beneficiary_id", "rule_id", "day"), name="award_explanation_caps_idx"),
            Index(fields=("rule_id", "subject"), name="award_explanation_subject_idx"),
            Index(fields=("rule_id", "id"), name="award_explanation_rule_idx"),
        ]


class AwardLimit(Model):
    """What returns and verdicts leave of the awards for a subject, also of those that are only given later."""

    id: int = fields.BigIntField(primary_key=True)
    rule_id: int = fields.BigIntField()
    subject = fields.CharField(64)
    # What remains of the subject, such as the fen of an order that were not returned; null is all of it.
    kept: int | None = fields.BigIntField(null=True)
    reason = fields.CharField(32)
    # When what said so happened: where the latest word counts, an older one changes nothing.
    kept_at: datetime | None = fields.DatetimeField(null=True)
    held = fields.BooleanField()
    held_at: datetime | None = fields.DatetimeField(null=True)

    class Meta:
        table = "award_limit"
        unique_together = (("rule_id", "subject"),)
        constraints = [CheckConstraint(check="kept >= 0", name="award_limit_not_negative")]


class Level(Model):
    """A level 等级 of a brand: reached at `threshold` growth, with what it is worth to the member."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    rank = fields.IntField()
    name = fields.CharField(32)
    threshold: int = fields.BigIntField()
    benefits = fields.JSONField[list[str]]()

    brand_id: int

    class Meta:
        table = "level"
        unique_together = (("brand_id", "rank"),)
        constraints = [CheckConstraint(check="rank >= 0 AND threshold >= 0", name="level_not_negative")]


class MemberLevel(Model):
    """One change of a person's level, up or down; who has none is at the lowest level."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    # The person, not the home: the level is of all homes together while they are one.
    member_id: int = fields.BigIntField()
    rank = fields.IntField()
    name = fields.CharField(32)
    growth: int = fields.BigIntField()
    changed_at: datetime = fields.DatetimeField()

    brand_id: int

    class Meta:
        table = "member_level"
        indexes = [Index(fields=("member_id", "brand_id", "id"), name="member_level_latest_idx")]
