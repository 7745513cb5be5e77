"""A code is known within its brand: another brand may have one that reads the same, and learns nothing of ours."""

from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

# PostgreSQL named it; tortoise drops it under the name that it would have given.
RENAME = "ALTER TABLE gift_code RENAME CONSTRAINT {} TO {}"
NAMES = ("gift_code_fingerprint_key", "uid_gift_code_fingerp_08b45c")
BRANDS = "UPDATE gift_code c SET brand_id = g.brand_id FROM gift g WHERE g.id = c.gift_id"


class Migration(migrations.Migration):
    dependencies = [("scrm", "0025_versions_of_staff_and_rules")]

    initial = False

    operations = [
        ops.AlterModelOptions(
            name="GiftCode",
            options={
                "table": "gift_code",
                "app": "scrm",
                "unique_together": (("brand_id", "fingerprint"),),
                "constraints": [
                    CheckConstraint(check="state IN ('free', 'given', 'shown', 'void')", name="gift_code_state_known"),
                    CheckConstraint(
                        check="(state = 'free') = (redemption_id IS NULL)", name="gift_code_taken_by_somebody"
                    ),
                ],
                "indexes": [
                    PartialIndex(fields=["gift_id", "id"], name="gift_code_free_idx", condition={"state": "free"}),
                    Index(fields=["redemption_id"], name="gift_code_redemption_idx"),
                ],
                "pk_attr": "id",
                "table_description": "One code of a virtual gift: worth money, so it is sealed; the fingerprint keeps a brand from loading it twice.",
            },
        ),
        ops.RunSQL(RENAME.format(*NAMES), RENAME.format(*reversed(NAMES))),
        ops.AlterField(
            model_name="GiftCode",
            name="fingerprint",
            field=fields.CharField(max_length=64),
        ),
        ops.AddField(
            model_name="GiftCode",
            name="brand",
            field=fields.ForeignKeyField(
                "scrm.Brand",
                source_field="brand_id",
                db_constraint=True,
                to_field="id",
                null=True,
                on_delete=OnDelete.RESTRICT,
            ),
        ),
        ops.RunSQL(BRANDS, ops.RunSQL.noop),
        ops.AlterField(
            model_name="GiftCode",
            name="brand",
            field=fields.ForeignKeyField(
                "scrm.Brand", source_field="brand_id", db_constraint=True, to_field="id", on_delete=OnDelete.RESTRICT
            ),
        ),
        ops.AddConstraint(
            model_name="GiftCode",
            constraint=UniqueConstraint(fields=("brand_id", "fingerprint"), name=None),
        ),
    ]
