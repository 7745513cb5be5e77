from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index


class Migration(migrations.Migration):
    dependencies = [("scrm", "0012_conversations")]

    initial = False

    operations = [
        ops.CreateModel(
            name="QuickReply",
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
                ("staff_id", fields.BigIntField(null=True)),
                ("title", fields.CharField(max_length=32)),
                ("text", fields.CharField(max_length=600)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "quick_reply",
                "app": "scrm",
                "indexes": [Index(fields=["brand_id", "staff_id"], name="quick_reply_owner_idx")],
                "pk_attr": "id",
                "table_description": "A text that staff send often: of the whole brand, or of one person. Variables such as {昵称} are filled in.",
            },
            bases=["Model"],
        ),
    ]
