"""Finding the oldest decisions of the door out, to forget them."""

from tortoise import migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("scrm", "0016_words_of_ones_own")]

    initial = False

    operations = [
        ops.AddIndex(
            model_name="Decision",
            index=Index(fields=("decided_at", "id"), name="outreach_decision_age_idx"),
        ),
    ]
