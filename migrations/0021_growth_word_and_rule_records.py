"""A brand's own word for growth, and the records of what its rules did, rule by rule."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

# The word of the preset a039 (A039), as install_preset gives it; a database without brands has nobody to ask.
WORD_OF_A039 = """
UPDATE brand SET growth_word = '经验' WHERE id IN (
    SELECT brand_id FROM points_rule WHERE code IN ('community.post', 'community.comment', 'community.share')
)
"""


class Migration(migrations.Migration):
    dependencies = [("scrm", "0020_lookups_and_firm_timeline")]

    initial = False

    operations = [
        ops.AddIndex(
            model_name="AwardExplanation",
            index=Index(fields=["rule_id", "id"], name="award_explanation_rule_idx"),
        ),
        ops.AddField(
            model_name="Brand",
            name="growth_word",
            field=fields.CharField(db_default="成长值", max_length=8),
        ),
        ops.RunSQL(WORD_OF_A039, ops.RunSQL.noop),
    ]
