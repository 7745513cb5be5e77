"""How many repetitions of a push were given its answer."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("scrm", "0017_outreach_age")]

    initial = False

    operations = [
        ops.AddField(model_name="Push", name="told", field=fields.IntField(db_default=0)),
    ]
