"""Staff and rules count their changes, so that a page that is behind overwrites nothing (expected)."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("scrm", "0024_rare_explanations")]

    initial = False

    operations = [
        ops.AddField(
            model_name="ReplyRule",
            name="version",
            field=fields.IntField(db_default=1),
        ),
        ops.AddField(
            model_name="Staff",
            name="version",
            field=fields.IntField(db_default=1),
        ),
    ]
