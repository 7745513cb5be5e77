"""Whether a repetition of a push was given its answer."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("scrm", "0017_outreach_age")]

    initial = False

    operations = [
        ops.AddField(model_name="Push", name="told", field=fields.BooleanField(db_default=False)),
    ]
