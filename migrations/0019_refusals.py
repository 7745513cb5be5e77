"""What the platform last refused a fan with, so that the gate refuses first."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("scrm", "0018_told")]

    initial = False

    operations = [
        ops.AddField(
            model_name="Fan",
            name="refused_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name="Fan",
            name="refused_code",
            field=fields.IntField(null=True),
        ),
    ]
