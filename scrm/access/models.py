"""Tables of access: sessions of members, and the writes whose answers are kept for a repetition."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class MemberSession(Model):
    """A member signed in at one mini-program, on one device. Nothing WeChat told about the login is kept."""

    id: int = fields.BigIntField(primary_key=True)
    fan: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Fan", on_delete=OnDelete.RESTRICT)
    # SHA-256 of the one refresh token that still counts; those before it give a thief away.
    refresh_hash = fields.CharField(64)
    created_at: datetime = fields.DatetimeField()
    # Moves with every refresh.
    expires_at: datetime = fields.DatetimeField()
    revoked_at: datetime | None = fields.DatetimeField(null=True)
    revoked_why = fields.CharField(12, db_default="")

    fan_id: int

    class Meta:
        table = "member_session"
        indexes = [
            Index(fields=("fan_id",), name="member_session_fan_idx"),
            Index(fields=("expires_at",), name="member_session_expires_idx"),
        ]
        constraints = [
            CheckConstraint(
                check="revoked_why IN ('', 'signed_out', 'replayed', 'deleted')", name="member_session_why_known"
            ),
            CheckConstraint(check="(revoked_at IS NULL) = (revoked_why = '')", name="member_session_why_said"),
        ]


class IdempotentRequest(Model):
    """A write under an Idempotency-Key: who works on it until when, or the answer it got."""

    id: int = fields.BigIntField(primary_key=True)
    # Whose key it is, such as "fan:12": the same key of somebody else is another one.
    scope = fields.CharField(40)
    key = fields.CharField(64)
    # SHA-256 of method, path and body.
    request_hash = fields.CharField(64)
    state = fields.CharField(8)
    owner: UUID = fields.UUIDField()
    lease_until: datetime = fields.DatetimeField()
    status: int | None = fields.IntField(null=True)
    # An answer may hold a code that is worth money.
    body_sealed: str | None = fields.TextField(null=True)
    created_at: datetime = fields.DatetimeField()

    class Meta:
        table = "idempotent_request"
        unique_together = (("scope", "key"),)
        indexes = [Index(fields=("created_at",), name="idempotent_request_created_idx")]
        constraints = [
            CheckConstraint(check="state IN ('running', 'done')", name="idempotent_request_state_known"),
            CheckConstraint(
                check="(state = 'done') = (status IS NOT NULL AND body_sealed IS NOT NULL)",
                name="idempotent_request_done_answered",
            ),
        ]
