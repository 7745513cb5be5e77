"""Tags: a brand's words, and the members they stand on."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint


# CreateModel emits no check constraints.
CHECKS = [
    "ALTER TABLE member_tag ADD CONSTRAINT member_tag_source_known CHECK (source IN ('staff', 'import', 'rule'))",
    "ALTER TABLE member_tag ADD CONSTRAINT member_tag_staff_named CHECK (source <> 'staff' OR staff_id IS NOT NULL)",
]
DROP_CHECKS = [
    "ALTER TABLE member_tag DROP CONSTRAINT member_tag_source_known",
    "ALTER TABLE member_tag DROP CONSTRAINT member_tag_staff_named",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0006_access")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Tag",
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
                ("name", fields.CharField(max_length=32)),
                ("category", fields.CharField(db_default="", max_length=32)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("archived_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "tag",
                "app": "scrm",
                "unique_together": (("brand_id", "name"),),
                "pk_attr": "id",
                "table_description": "A tag 标签 of a brand. Archived, it is offered no more; whoever has it keeps it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="MemberTag",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
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
                (
                    "member",
                    fields.ForeignKeyField(
                        "scrm.Member",
                        source_field="member_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("source", fields.CharField(max_length=8)),
                ("staff_id", fields.BigIntField(null=True)),
                ("put_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "member_tag",
                "app": "scrm",
                "unique_together": (("tag_id", "member_id"),),
                "constraints": [
                    CheckConstraint(check="source IN ('staff', 'import', 'rule')", name="member_tag_source_known"),
                    CheckConstraint(check="source <> 'staff' OR staff_id IS NOT NULL", name="member_tag_staff_named"),
                ],
                "indexes": [Index(fields=["member_id"], name="member_tag_member_idx")],
                "pk_attr": "id",
                "table_description": "A tag on a member; who put it there and when. Taking it off removes the row, the timeline remembers both.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
    ]
