"""What gave less than planned, or was taken back, is found without reading all that was given (发放记录)."""

from tortoise import migrations
from tortoise.migrations import operations as ops

# Over the whole list, newest first: rows of one rule or one person are few among these.
UP = [
    "CREATE INDEX award_explanation_less_idx ON award_explanation (id) WHERE given >= 0 AND (given < planned OR asset = '')",
    "CREATE INDEX award_explanation_back_idx ON award_explanation (id) WHERE given < 0",
]
DOWN = ["DROP INDEX award_explanation_back_idx", "DROP INDEX award_explanation_less_idx"]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0023_gift_movements")]

    initial = False

    operations = [ops.RunSQL(UP, DOWN)]
