"""The members pages: names found by fingerprint, tags put on many people at once, points adjusted by hand."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint

# CreateModel emits no check constraints.
CHECKS = [
    "ALTER TABLE tag_batch ADD CONSTRAINT tag_batch_action_known CHECK (action IN ('put', 'take'))",
    "ALTER TABLE tag_batch ADD CONSTRAINT tag_batch_state_known CHECK (state IN ('running', 'done', 'undoing', 'undone'))",
    "ALTER TABLE tag_batch_member ADD CONSTRAINT tag_batch_member_outcome_known CHECK (outcome IN ('pending', 'changed', 'unchanged', 'undone'))",
    "ALTER TABLE points_adjustment ADD CONSTRAINT points_adjustment_not_nothing CHECK (amount <> 0)",
]
DROP_CHECKS = [
    "ALTER TABLE tag_batch DROP CONSTRAINT tag_batch_action_known",
    "ALTER TABLE tag_batch DROP CONSTRAINT tag_batch_state_known",
    "ALTER TABLE tag_batch_member DROP CONSTRAINT tag_batch_member_outcome_known",
    "ALTER TABLE points_adjustment DROP CONSTRAINT points_adjustment_not_nothing",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0014_conversation_staff")]

    initial = False

    operations = [
        ops.CreateModel(
            name="PointsAdjustment",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("key", fields.UUIDField(unique=True)),
                ("brand_id", fields.BigIntField()),
                ("staff_id", fields.BigIntField()),
                ("member_id", fields.BigIntField()),
                ("asset", fields.CharField(max_length=16)),
                ("amount", fields.BigIntField()),
                ("reason", fields.CharField(max_length=100)),
                ("day", fields.DateField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "points_adjustment",
                "app": "scrm",
                "constraints": [CheckConstraint(check="amount <> 0", name="points_adjustment_not_nothing")],
                "indexes": [
                    Index(fields=["staff_id", "day"], name="points_adjustment_limit_idx"),
                    Index(fields=["member_id"], name="points_adjustment_member_idx"),
                ],
                "pk_attr": "id",
                "table_description": "Points or growth that one of the staff gave or took by hand, with why; the ledger's entry has the same key.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="TagBatch",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("key", fields.UUIDField(unique=True)),
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
                (
                    "tag",
                    fields.ForeignKeyField(
                        "scrm.Tag",
                        source_field="tag_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("action", fields.CharField(max_length=4)),
                ("staff_id", fields.BigIntField()),
                ("state", fields.CharField(max_length=8)),
                ("total", fields.IntField(db_default=0)),
                ("done", fields.IntField(db_default=0)),
                ("changed", fields.IntField(db_default=0)),
                ("undone", fields.IntField(db_default=0)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("finished_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "tag_batch",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(check="action IN ('put', 'take')", name="tag_batch_action_known"),
                    CheckConstraint(
                        check="state IN ('running', 'done', 'undoing', 'undone')", name="tag_batch_state_known"
                    ),
                ],
                "indexes": [Index(fields=["brand_id", "id"], name="tag_batch_brand_idx")],
                "pk_attr": "id",
                "table_description": "A tag put on, or taken off, many people at once by one of the staff; it can be undone as a whole.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="TagBatchMember",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "batch",
                    fields.ForeignKeyField(
                        "scrm.TagBatch",
                        source_field="batch_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("person_id", fields.BigIntField()),
                ("outcome", fields.CharField(max_length=10)),
                ("mark_id", fields.BigIntField(null=True)),
            ],
            options={
                "table": "tag_batch_member",
                "app": "scrm",
                "unique_together": (("batch_id", "person_id"),),
                "constraints": [
                    CheckConstraint(
                        check="outcome IN ('pending', 'changed', 'unchanged', 'undone')",
                        name="tag_batch_member_outcome_known",
                    )
                ],
                "indexes": [Index(fields=["batch_id", "outcome", "person_id"], name="tag_batch_member_left_idx")],
                "pk_attr": "id",
                "table_description": "One person of a batch, and what came of it; `mark_id` is the `member_tag` row that was put.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="MemberProfile",
            name="name_fingerprint",
            field=fields.CharField(null=True, max_length=64),
        ),
        ops.AddIndex(
            model_name="MemberProfile",
            index=Index(fields=["name_fingerprint"], name="member_profile_name_idx"),
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
    ]
