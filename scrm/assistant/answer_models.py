"""Tables of the assistant's settings, budgets, answers and interest rules' progress."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class AssistantSetting(Model):
    """A brand's settings of the assistant; `data` has the shape of `scrm.assistant.settings.AssistantSettings`."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.OneToOneField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    data = fields.JSONField[dict[str, Any]]()
    changed_at: datetime = fields.DatetimeField()

    brand_id: int

    class Meta:
        table = "assistant_setting"


class AssistantUsage(Model):
    """What the model was used on a day in Shanghai: by one person, or (member 0) by a brand altogether.

    Reserved calls count as if they had cost the most they could, until they are settled.
    """

    id: int = fields.BigIntField(primary_key=True)
    brand_id: int = fields.BigIntField()
    member_id: int = fields.BigIntField()
    purpose = fields.CharField(12)
    day: date = fields.DateField()
    calls = fields.IntField(db_default=0)
    tokens: int = fields.BigIntField(db_default=0)
    # Millionths of a fen.
    cost_micro: int = fields.BigIntField(db_default=0)

    class Meta:
        table = "assistant_usage"
        unique_together = (("brand_id", "day", "member_id", "purpose"),)
        constraints = [
            CheckConstraint(check="calls >= 0 AND tokens >= 0 AND cost_micro >= 0", name="assistant_usage_counts"),
            CheckConstraint(check="purpose IN ('answers', 'interests')", name="assistant_usage_purpose_known"),
        ]


class AssistantCall(Model):
    """One call of the model, reserved before and settled after. One that was never settled stays charged in full."""

    id: int = fields.BigIntField(primary_key=True)
    brand_id: int = fields.BigIntField()
    # The person at that time; 0 where nobody is charged but the brand.
    member_id: int = fields.BigIntField()
    purpose = fields.CharField(12)
    day: date = fields.DateField()
    tokens: int = fields.BigIntField()
    cost_micro: int = fields.BigIntField()
    settled = fields.BooleanField(db_default=False)
    created_at: datetime = fields.DatetimeField()

    class Meta:
        table = "assistant_call"
        indexes = [Index(fields=("created_at",), name="assistant_call_age_idx")]


class AssistantAnswer(Model):
    """Why the bot said what it said: one row for each text the assistant took on."""

    id: int = fields.BigIntField(primary_key=True)
    # The key of the push; the question itself is that push's event on the timeline.
    key: UUID = fields.UUIDField(unique=True)
    brand_id: int = fields.BigIntField()
    account_id: int = fields.BigIntField()
    fan_id: int = fields.BigIntField()
    member_id: int = fields.BigIntField()
    outcome = fields.CharField(16)
    # Why it was withheld, of an answer that was.
    reason = fields.CharField(32, db_default="")
    detail = fields.CharField(256, db_default="")
    # What the fan was told, and what the model had said.
    said = fields.TextField()
    written = fields.TextField(db_default="")
    ai = fields.BooleanField(db_default=False)
    passages = fields.JSONField[list[dict[str, Any]]]()
    tools = fields.JSONField[list[dict[str, Any]]]()
    choices = fields.JSONField[list[dict[str, Any]]]()
    model = fields.CharField(64, db_default="")
    tokens_in = fields.IntField(db_default=0)
    tokens_out = fields.IntField(db_default=0)
    cost_micro: int = fields.BigIntField(db_default=0)
    took_ms = fields.IntField(db_default=0)
    answered_at: datetime = fields.DatetimeField()

    class Meta:
        table = "assistant_answer"
        indexes = [
            Index(fields=("fan_id", "id"), name="assistant_answer_fan_idx"),
            Index(fields=("brand_id", "id"), name="assistant_answer_brand_idx"),
        ]
        constraints = [
            CheckConstraint(
                check="outcome IN ('self_service', 'knowledge', 'menu', 'answered', 'doubt', 'failed', 'over_budget')",
                name="assistant_answer_outcome_known",
            ),
        ]


class InterestProgress(Model):
    """How far the rules have read the timeline: every text up to this event has been looked at. One row."""

    id: int = fields.BigIntField(primary_key=True)
    event_id: int = fields.BigIntField(db_default=0)

    class Meta:
        table = "interest_progress"


class InterestQuestion(Model):
    """A text that no rule understood and the model shall be asked about, when the budget allows."""

    id: int = fields.BigIntField(primary_key=True)
    event_key: UUID = fields.UUIDField(unique=True)
    brand_id: int = fields.BigIntField()
    due_at: datetime = fields.DatetimeField()
    attempts = fields.IntField(db_default=0)
    # What the append needs: kept here because the timeline finds events by person, not by key.
    event = fields.JSONField[dict[str, Any]]()

    class Meta:
        table = "interest_question"
        indexes = [Index(fields=("due_at",), name="interest_question_due_idx")]
