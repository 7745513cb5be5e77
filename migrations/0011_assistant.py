"""The assistant: settings, budgets, the record of answers, and how far interest rules have read."""

from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint

# CreateModel emits no check constraints.
CHECKS = [
    "ALTER TABLE assistant_usage ADD CONSTRAINT assistant_usage_counts CHECK (calls >= 0 AND tokens >= 0 AND cost_micro >= 0)",
    "ALTER TABLE assistant_usage ADD CONSTRAINT assistant_usage_purpose_known CHECK (purpose IN ('answers', 'interests'))",
    "ALTER TABLE assistant_answer ADD CONSTRAINT assistant_answer_outcome_known CHECK (outcome IN ('self_service', 'knowledge', 'menu', 'answered', 'doubt', 'failed', 'over_budget'))",
]
DROP_CHECKS = [
    "ALTER TABLE assistant_usage DROP CONSTRAINT assistant_usage_counts",
    "ALTER TABLE assistant_usage DROP CONSTRAINT assistant_usage_purpose_known",
    "ALTER TABLE assistant_answer DROP CONSTRAINT assistant_answer_outcome_known",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0010_knowledge")]

    initial = False

    operations = [
        ops.CreateModel(
            name="AssistantAnswer",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("key", fields.UUIDField(unique=True)),
                ("brand_id", fields.BigIntField()),
                ("account_id", fields.BigIntField()),
                ("fan_id", fields.BigIntField()),
                ("member_id", fields.BigIntField()),
                ("outcome", fields.CharField(max_length=16)),
                ("reason", fields.CharField(db_default="", max_length=32)),
                ("detail", fields.CharField(db_default="", max_length=256)),
                ("said", fields.TextField(unique=False)),
                ("written", fields.TextField(db_default="", unique=False)),
                ("ai", fields.BooleanField(db_default=False)),
                ("passages", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("tools", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("choices", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("model", fields.CharField(db_default="", max_length=64)),
                ("tokens_in", fields.IntField(db_default=0)),
                ("tokens_out", fields.IntField(db_default=0)),
                ("cost_micro", fields.BigIntField(db_default=0)),
                ("took_ms", fields.IntField(db_default=0)),
                ("answered_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "assistant_answer",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="outcome IN ('self_service', 'knowledge', 'menu', 'answered', 'doubt', 'failed', 'over_budget')",
                        name="assistant_answer_outcome_known",
                    )
                ],
                "indexes": [
                    Index(fields=["fan_id", "id"], name="assistant_answer_fan_idx"),
                    Index(fields=["brand_id", "id"], name="assistant_answer_brand_idx"),
                ],
                "pk_attr": "id",
                "table_description": "Why the bot said what it said: one row for each text the assistant took on.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AssistantCall",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("brand_id", fields.BigIntField()),
                ("member_id", fields.BigIntField()),
                ("purpose", fields.CharField(max_length=12)),
                ("day", fields.DateField()),
                ("tokens", fields.BigIntField()),
                ("cost_micro", fields.BigIntField()),
                ("settled", fields.BooleanField(db_default=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "assistant_call",
                "app": "scrm",
                "indexes": [Index(fields=["created_at"], name="assistant_call_age_idx")],
                "pk_attr": "id",
                "table_description": "One call of the model, reserved before and settled after. One that was never settled stays charged in full.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AssistantSetting",
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
                ("data", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("changed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "assistant_setting",
                "app": "scrm",
                "pk_attr": "id",
                "table_description": "A brand's settings of the assistant; `data` has the shape of `scrm.assistant.settings.AssistantSettings`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AssistantUsage",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("brand_id", fields.BigIntField()),
                ("member_id", fields.BigIntField()),
                ("purpose", fields.CharField(max_length=12)),
                ("day", fields.DateField()),
                ("calls", fields.IntField(db_default=0)),
                ("tokens", fields.BigIntField(db_default=0)),
                ("cost_micro", fields.BigIntField(db_default=0)),
            ],
            options={
                "table": "assistant_usage",
                "app": "scrm",
                "unique_together": (("brand_id", "day", "member_id", "purpose"),),
                "constraints": [
                    CheckConstraint(
                        check="calls >= 0 AND tokens >= 0 AND cost_micro >= 0", name="assistant_usage_counts"
                    ),
                    CheckConstraint(check="purpose IN ('answers', 'interests')", name="assistant_usage_purpose_known"),
                ],
                "pk_attr": "id",
                "table_description": "What the model was used on a day in Shanghai: by one person, or (member 0) by a brand altogether.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="InterestProgress",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("event_id", fields.BigIntField(db_default=0)),
            ],
            options={
                "table": "interest_progress",
                "app": "scrm",
                "pk_attr": "id",
                "table_description": "How far the rules have read the timeline: every text up to this event has been looked at. One row.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="InterestQuestion",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("event_key", fields.UUIDField(unique=True)),
                ("brand_id", fields.BigIntField()),
                ("due_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("attempts", fields.IntField(db_default=0)),
                ("event", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
            ],
            options={
                "table": "interest_question",
                "app": "scrm",
                "indexes": [Index(fields=["due_at"], name="interest_question_due_idx")],
                "pk_attr": "id",
                "table_description": "A text that no rule understood and the model shall be asked about, when the budget allows.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
    ]
