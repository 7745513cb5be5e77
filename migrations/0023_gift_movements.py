"""Staff's changes of a gift's stock are written down for good, its terms have a version; what waits is found at once."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint

# As the timeline: once written, it stays.
FIRM = [
    "ALTER TABLE gift_stock_movement ADD CONSTRAINT gift_stock_movement_moves CHECK (amount <> 0)",
    "CREATE TRIGGER gift_stock_movement_firm BEFORE UPDATE OR DELETE ON gift_stock_movement FOR EACH ROW EXECUTE FUNCTION fensi_refuse_change()",
    "CREATE TRIGGER gift_stock_movement_not_truncated BEFORE TRUNCATE ON gift_stock_movement FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()",
]
LOOSE = [
    "DROP TRIGGER gift_stock_movement_not_truncated ON gift_stock_movement",
    "DROP TRIGGER gift_stock_movement_firm ON gift_stock_movement",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0022_firm_keys")]

    initial = False

    operations = [
        ops.CreateModel(
            name="StockMovement",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "gift",
                    fields.ForeignKeyField(
                        "scrm.Gift",
                        source_field="gift_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("amount", fields.IntField()),
                ("stock", fields.IntField()),
                ("reason", fields.CharField(max_length=100)),
                (
                    "staff",
                    fields.ForeignKeyField(
                        "scrm.Staff",
                        source_field="staff_id",
                        null=True,
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "gift_stock_movement",
                "app": "scrm",
                "constraints": [CheckConstraint(check="amount <> 0", name="gift_stock_movement_moves")],
                "indexes": [Index(fields=["gift_id", "id"], name="gift_stock_movement_idx")],
                "pk_attr": "id",
                "table_description": "How many came into a gift's stock (above zero) or were taken out by staff, and why. A trigger refuses changes.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(FIRM, LOOSE),
        ops.AddField(
            model_name="Gift",
            name="version",
            field=fields.IntField(db_default=1),
        ),
        ops.AddIndex(
            model_name="Redemption",
            index=PartialIndex(fields=["id"], name="redemption_placed_idx", condition={"state": "placed"}),
        ),
    ]
