"""Tables of pushes being answered, of turns, and of running dialogues."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.contrib.postgres.indexes import BrinIndex
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Push(Model):
    """One push and its answer. Short-lived: the platform repeats for seconds, rows are pruned after days."""

    key: UUID = fields.UUIDField(primary_key=True)
    account_id: int = fields.BigIntField()
    # Null when it is about the account itself, such as a mass send's report.
    fan_id: int | None = fields.BigIntField(null=True)
    # running: accepted, being worked on until `lease_until` · answered: `answer` went back in the reply
    # late: the platform was told success, the answer went by the door out · failed: see `reason`
    state = fields.CharField(10)
    answer = fields.JSONField[dict[str, Any]](null=True)
    reason = fields.CharField(64, db_default="")
    # How many repetitions were given the answer; see scrm.pushes.repetitions.
    told = fields.IntField(db_default=0)
    # The push itself, while somebody may have to take it over.
    fields_ = fields.JSONField[dict[str, Any]](null=True, source_field="fields")
    attempts = fields.IntField(db_default=1)
    lease_until: datetime | None = fields.DatetimeField(null=True)
    received_at: datetime = fields.DatetimeField()

    class Meta:
        table = "push"
        indexes = [
            PartialIndex(fields=("lease_until",), name="push_running_idx", condition={"state": "running"}),
            PartialIndex(fields=("fan_id",), name="push_running_fan_idx", condition={"state": "running"}),
            BrinIndex(fields=("received_at",), name="push_received_idx"),
        ]
        constraints = [
            CheckConstraint(check="state IN ('running', 'answered', 'late', 'failed')", name="push_state_known")
        ]


class HeldReply(Model):
    """What an account without customer-service messages could not say in time: it waits for the fan's next push."""

    id: int = fields.BigIntField(primary_key=True)
    fan_id: int = fields.BigIntField()
    push_key: UUID = fields.UUIDField()
    reply = fields.JSONField[dict[str, Any]]()
    held_at: datetime = fields.DatetimeField()

    class Meta:
        table = "held_reply"
        indexes = [Index(fields=("fan_id", "id"), name="held_reply_fan_idx")]


class OwedAnswer(Model):
    """An answer that was stored too late for its request; whoever sees it leave by the door out takes the row away."""

    push_key: UUID = fields.UUIDField(primary_key=True)
    purpose = fields.CharField(32)
    # When somebody else may look after it: the process that stored it has tried by then, or died.
    due_at: datetime = fields.DatetimeField()

    class Meta:
        table = "owed_answer"


class Turn(Model):
    """Whose turn it is at a fan: one message at a time, across processes. A lease, so a dead holder loses it."""

    fan_id: int = fields.BigIntField(primary_key=True, generated=False)
    push_key: UUID = fields.UUIDField()
    lease_until: datetime = fields.DatetimeField()

    class Meta:
        table = "turn"


class Dialogue(Model):
    """A running conversation of several steps with one fan; gone when it ends or its time is up."""

    fan_id: int = fields.BigIntField(primary_key=True, generated=False)
    name = fields.CharField(64)
    step = fields.CharField(64)
    data = fields.JSONField[dict[str, Any]]()
    expires_at: datetime = fields.DatetimeField()

    class Meta:
        table = "dialogue"


class MalformedPush(Model):
    """A push that was genuine (its signature was right) but made no sense; kept sealed for inspection."""

    id: int = fields.BigIntField(primary_key=True)
    account_id: int = fields.BigIntField()
    reason = fields.CharField(64)
    body_sealed = fields.TextField()
    received_at: datetime = fields.DatetimeField()

    class Meta:
        table = "malformed_push"
