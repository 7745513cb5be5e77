"""What a brand or an account tells its fans around a conversation in words of its own."""

from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from tortoise.fields.base import OnDelete
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("scrm", "0015_member_pages")]

    initial = False

    operations = [
        ops.CreateModel(
            name="AccountWords",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "account",
                    fields.OneToOneField(
                        "scrm.Account",
                        source_field="account_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("texts", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
            ],
            options={
                "table": "account_words",
                "app": "scrm",
                "pk_attr": "id",
                "table_description": "An account's own words, which go before its brand's.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="DeskWords",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "brand",
                    fields.OneToOneField(
                        "scrm.Brand",
                        source_field="brand_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("texts", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
            ],
            options={
                "table": "desk_words",
                "app": "scrm",
                "pk_attr": "id",
                "table_description": "A brand's own words by their names (scrm.conversations.words.DEFAULTS); what is not in it is said as usual.",
            },
            bases=["Model"],
        ),
    ]
