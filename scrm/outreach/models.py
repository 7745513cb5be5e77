"""Tables of the door out: every decision, and the outbox of what was allowed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Decision(Model):
    """Whether something may be said to a fan, and why: one row for every attempt, allowed or not."""

    id: int = fields.BigIntField(primary_key=True)
    # The business key of what is to be said; the same key decides once.
    key: UUID = fields.UUIDField(unique=True)
    account_id: int = fields.BigIntField()
    fan_id: int = fields.BigIntField()
    member_id: int = fields.BigIntField()
    purpose = fields.CharField(32)
    allowed = fields.BooleanField()
    reason = fields.CharField(64)
    # The facts the gate saw: windows, counts, capability. Enough to decide again and get the same verdict.
    facts = fields.JSONField[dict[str, Any]]()
    decided_at: datetime = fields.DatetimeField()

    class Meta:
        table = "outreach_decision"
        indexes = [
            Index(fields=("fan_id", "decided_at"), name="outreach_decision_fan_idx"),
            # For forgetting the oldest (scrm.outreach.pruning).
            Index(fields=("decided_at", "id"), name="outreach_decision_age_idx"),
        ]


class OutboxMessage(Model):
    """A message on its way out; it ends as sent, refused, failed or unknown, and never leaves those states."""

    id: int = fields.BigIntField(primary_key=True)
    decision: fields.OneToOneRelation[Decision] = fields.OneToOneField("scrm.Decision", on_delete=OnDelete.RESTRICT)
    account_id: int = fields.BigIntField()
    fan_id: int = fields.BigIntField()
    body = fields.JSONField[dict[str, Any]]()
    state = fields.CharField(10)
    due_at: datetime = fields.DatetimeField()
    lease_until: datetime | None = fields.DatetimeField(null=True)
    attempts = fields.IntField(db_default=0)
    code: int | None = fields.IntField(null=True)
    detail = fields.CharField(256, db_default="")
    platform_id = fields.CharField(64, db_default="")
    created_at: datetime = fields.DatetimeField()
    sent_at: datetime | None = fields.DatetimeField(null=True)

    decision_id: int

    class Meta:
        table = "outbox"
        indexes = [
            PartialIndex(fields=("due_at",), name="outbox_pending_idx", condition={"state": "pending"}),
            PartialIndex(fields=("lease_until",), name="outbox_claimed_idx", condition={"state": "claimed"}),
            PartialIndex(fields=("lease_until",), name="outbox_sending_idx", condition={"state": "sending"}),
            Index(fields=("fan_id", "id"), name="outbox_fan_idx"),
            Index(fields=("account_id", "platform_id"), name="outbox_platform_idx"),
        ]
        constraints = [
            CheckConstraint(
                check="state IN ('pending', 'claimed', 'sending', 'sent', 'refused', 'failed', 'unknown')",
                name="outbox_state_known",
            )
        ]
