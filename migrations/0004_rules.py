"""The rules of points and growth with their versions, why they gave what they gave, and levels."""

from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint

# CreateModel emits no check constraints.
CHECKS = [
    "ALTER TABLE points_rule_version ADD CONSTRAINT points_rule_version_not_negative CHECK (points >= 0 AND growth >= 0)",
    "ALTER TABLE points_rule_version ADD CONSTRAINT points_rule_version_frequency_known CHECK (frequency IN ('each', 'daily', 'once_daily', 'once'))",
    "ALTER TABLE points_rule_version ADD CONSTRAINT points_rule_version_span CHECK (effective_until > effective_from)",
    "ALTER TABLE award_limit ADD CONSTRAINT award_limit_not_negative CHECK (kept >= 0)",
    "ALTER TABLE level ADD CONSTRAINT level_not_negative CHECK (rank >= 0 AND threshold >= 0)",
]
DROP_CHECKS = [
    "ALTER TABLE points_rule_version DROP CONSTRAINT points_rule_version_not_negative",
    "ALTER TABLE points_rule_version DROP CONSTRAINT points_rule_version_frequency_known",
    "ALTER TABLE points_rule_version DROP CONSTRAINT points_rule_version_span",
    "ALTER TABLE award_limit DROP CONSTRAINT award_limit_not_negative",
    "ALTER TABLE level DROP CONSTRAINT level_not_negative",
]

# What a rule said stays what it said: only so can an award be explained later.
IMMUTABLE = [
    """
    CREATE FUNCTION fensi_refuse_rule_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a version of a rule does not change' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER points_rule_version_immutable BEFORE UPDATE OR DELETE ON points_rule_version
        FOR EACH ROW EXECUTE FUNCTION fensi_refuse_rule_change()
    """,
]
MUTABLE = [
    "DROP TRIGGER points_rule_version_immutable ON points_rule_version",
    "DROP FUNCTION fensi_refuse_rule_change()",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0003_ledger")]

    initial = False

    operations = [
        ops.CreateModel(
            name="AwardExplanation",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("event_key", fields.UUIDField()),
                ("rule_id", fields.BigIntField()),
                ("version", fields.IntField(null=True)),
                ("beneficiary_id", fields.BigIntField()),
                ("asset", fields.CharField(max_length=16)),
                ("planned", fields.BigIntField()),
                ("given", fields.BigIntField()),
                ("reason", fields.CharField(max_length=32)),
                ("award_key", fields.UUIDField(null=True)),
                ("subject", fields.CharField(max_length=64)),
                ("day", fields.DateField()),
                ("due_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("occurred_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "award_explanation",
                "app": "scrm",
                "unique_together": (("event_key", "rule_id", "beneficiary_id", "asset"),),
                "indexes": [
                    Index(fields=["beneficiary_id", "rule_id", "day"], name="award_explanation_caps_idx"),
                    Index(fields=["rule_id", "subject"], name="award_explanation_subject_idx"),
                ],
                "pk_attr": "id",
                "table_description": "Why one rule gave one person something for one event, less than planned, nothing, or took it back.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AwardLimit",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("rule_id", fields.BigIntField()),
                ("subject", fields.CharField(max_length=64)),
                ("kept", fields.BigIntField(null=True)),
                ("reason", fields.CharField(max_length=32)),
                ("kept_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("held", fields.BooleanField()),
                ("held_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "award_limit",
                "app": "scrm",
                "unique_together": (("rule_id", "subject"),),
                "constraints": [CheckConstraint(check="kept >= 0", name="award_limit_not_negative")],
                "pk_attr": "id",
                "table_description": "What returns and verdicts leave of the awards for a subject, also of those that are only given later.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Level",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "brand",
                    fields.ForeignKeyField(
                        "scrm.Brand",
                        source_field="brand_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("rank", fields.IntField()),
                ("name", fields.CharField(max_length=32)),
                ("threshold", fields.BigIntField()),
                ("benefits", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
            ],
            options={
                "table": "level",
                "app": "scrm",
                "unique_together": (("brand_id", "rank"),),
                "constraints": [CheckConstraint(check="rank >= 0 AND threshold >= 0", name="level_not_negative")],
                "pk_attr": "id",
                "table_description": "A level 等级 of a brand: reached at `threshold` growth, with what it is worth to the member.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="MemberLevel",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "brand",
                    fields.ForeignKeyField(
                        "scrm.Brand",
                        source_field="brand_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("member_id", fields.BigIntField()),
                ("rank", fields.IntField()),
                ("name", fields.CharField(max_length=32)),
                ("growth", fields.BigIntField()),
                ("changed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "member_level",
                "app": "scrm",
                "indexes": [Index(fields=["member_id", "brand_id", "id"], name="member_level_latest_idx")],
                "pk_attr": "id",
                "table_description": "One change of a person's level, up or down; who has none is at the lowest level.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PointsRule",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "brand",
                    fields.ForeignKeyField(
                        "scrm.Brand",
                        source_field="brand_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("code", fields.CharField(max_length=64)),
                ("kind", fields.CharField(max_length=32)),
                ("event_kind", fields.CharField(max_length=64)),
                ("system", fields.BooleanField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "points_rule",
                "app": "scrm",
                "unique_together": (("brand_id", "code"),),
                "pk_attr": "id",
                "table_description": "One rule of a brand; `kind` names the code that reads it (scrm.points.rules).",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PointsRuleVersion",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "rule",
                    fields.ForeignKeyField(
                        "scrm.PointsRule",
                        source_field="rule_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("version", fields.IntField()),
                ("module", fields.CharField(max_length=32)),
                ("name", fields.CharField(max_length=64)),
                ("frequency", fields.CharField(max_length=16)),
                ("points", fields.IntField()),
                ("growth", fields.IntField()),
                ("note", fields.CharField(max_length=200)),
                ("day_cap_points", fields.IntField(null=True)),
                ("day_cap_growth", fields.IntField(null=True)),
                ("month_cap_points", fields.IntField(null=True)),
                ("month_cap_growth", fields.IntField(null=True)),
                ("unit", fields.CharField(max_length=16)),
                ("enabled", fields.BooleanField()),
                ("points_valid_days", fields.IntField(null=True)),
                ("settings", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("effective_from", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("effective_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "points_rule_version",
                "app": "scrm",
                "unique_together": (("rule_id", "version"),),
                "constraints": [
                    CheckConstraint(check="points >= 0 AND growth >= 0", name="points_rule_version_not_negative"),
                    CheckConstraint(
                        check="frequency IN ('each', 'daily', 'once_daily', 'once')",
                        name="points_rule_version_frequency_known",
                    ),
                    CheckConstraint(check="effective_until > effective_from", name="points_rule_version_span"),
                ],
                "pk_attr": "id",
                "table_description": "What a rule says from a moment on: the columns of the operator's table (mission A038).",
            },
            bases=["Model"],
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
        ops.RunSQL(IMMUTABLE, MUTABLE),
    ]
