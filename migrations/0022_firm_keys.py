"""The keys of the timeline are as firm as the timeline: none is changed, deleted or truncated."""

from tortoise import migrations
from tortoise.migrations import operations as ops

# A key that goes lets its happening be appended once more. Inserting, also ON CONFLICT DO NOTHING, fires neither.
FIRM = [
    "CREATE TRIGGER event_key_firm BEFORE UPDATE OR DELETE ON event_key FOR EACH ROW EXECUTE FUNCTION fensi_refuse_change()",
    "CREATE TRIGGER event_key_not_truncated BEFORE TRUNCATE ON event_key FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()",
]
LOOSE = ["DROP TRIGGER event_key_not_truncated ON event_key", "DROP TRIGGER event_key_firm ON event_key"]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0020_lookups_and_firm_timeline")]

    initial = False

    operations = [ops.RunSQL(FIRM, LOOSE)]
