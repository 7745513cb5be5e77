"""The keys of the timeline are as firm as the timeline; and answers that no request carried are written down."""

from uuid import uuid4

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# A key that goes lets its happening be appended once more. Inserting, also ON CONFLICT DO NOTHING, fires neither.
FIRM = [
    "CREATE TRIGGER event_key_firm BEFORE UPDATE OR DELETE ON event_key FOR EACH ROW EXECUTE FUNCTION fensi_refuse_change()",
    "CREATE TRIGGER event_key_not_truncated BEFORE TRUNCATE ON event_key FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()",
]
LOOSE = ["DROP TRIGGER event_key_not_truncated ON event_key", "DROP TRIGGER event_key_firm ON event_key"]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0021_growth_word_and_rule_records")]

    initial = False

    operations = [
        ops.RunSQL(FIRM, LOOSE),
        ops.CreateModel(
            name="OwedAnswer",
            fields=[
                ("push_key", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("purpose", fields.CharField(max_length=32)),
                ("due_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "owed_answer",
                "app": "scrm",
                "pk_attr": "push_key",
                "table_description": "An answer that was stored too late for its request; whoever sees it leave by the door out takes the row away.",
            },
            bases=["Model"],
        ),
    ]
