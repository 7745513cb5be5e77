"""Tables of staff: roles, people, the brands they work for, their sessions, failed sign-ins, and the audit trail."""

from datetime import datetime
from typing import Any

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Role(Model):
    """A role 角色. A built-in one has a code, and its permissions stand in `permissions.py`."""

    id: int = fields.BigIntField(primary_key=True)
    code = fields.CharField(16, null=True, unique=True)
    name = fields.CharField(32)
    # Whose role it is; null: everybody's, and only staff of all brands may change it.
    brand: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Brand", null=True, on_delete=OnDelete.RESTRICT
    )
    permissions = fields.JSONField[list[str]]()
    created_at: datetime = fields.DatetimeField()

    brand_id: int | None

    class Meta:
        table = "role"
        unique_together = (("brand_id", "name"),)


class Staff(Model):
    """A member of staff 员工. Never deleted: what they did keeps their name."""

    id: int = fields.BigIntField(primary_key=True)
    login = fields.CharField(32, unique=True)
    name = fields.CharField(32)
    password_hash = fields.CharField(160)
    # A password that somebody else has seen: nothing else is open until it is changed.
    must_change = fields.BooleanField(db_default=True)
    status = fields.CharField(8, db_default="active")
    role: fields.ForeignKeyRelation[Role] = fields.ForeignKeyField("scrm.Role", on_delete=OnDelete.RESTRICT)
    # Works for every brand, also for those to come; otherwise for those in `staff_brand`.
    all_brands = fields.BooleanField(db_default=False)
    # What they answer best, such as "售后"; conversations are queued by it.
    skills = fields.JSONField[list[str]]()
    # How many conversations at once.
    capacity = fields.SmallIntField(db_default=5)
    # Counts the changes of what they are: whoever changes says what they saw.
    version = fields.IntField(db_default=1)
    created_at: datetime = fields.DatetimeField()
    signed_in_at: datetime | None = fields.DatetimeField(null=True)

    role_id: int

    class Meta:
        table = "staff"
        indexes = [Index(fields=("role_id",), name="staff_role_idx")]
        constraints = [
            CheckConstraint(check="status IN ('active', 'disabled')", name="staff_status_known"),
            CheckConstraint(check="capacity BETWEEN 0 AND 100", name="staff_capacity_sane"),
        ]


class StaffBrand(Model):
    """A brand that a member of staff works for."""

    id: int = fields.BigIntField(primary_key=True)
    staff: fields.ForeignKeyRelation[Staff] = fields.ForeignKeyField("scrm.Staff", on_delete=OnDelete.CASCADE)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)

    staff_id: int
    brand_id: int

    class Meta:
        table = "staff_brand"
        unique_together = (("staff_id", "brand_id"),)


class StaffSession(Model):
    """Somebody signed in at one browser."""

    id: int = fields.BigIntField(primary_key=True)
    staff: fields.ForeignKeyRelation[Staff] = fields.ForeignKeyField("scrm.Staff", on_delete=OnDelete.RESTRICT)
    # SHA-256 of the cookie: whoever reads the database cannot sign in with it.
    token_hash = fields.CharField(64, unique=True)
    address = fields.CharField(45)
    agent = fields.CharField(200)
    created_at: datetime = fields.DatetimeField()
    # Written at most once a minute; the idle limit counts from it.
    seen_at: datetime = fields.DatetimeField()
    expires_at: datetime = fields.DatetimeField()
    revoked_at: datetime | None = fields.DatetimeField(null=True)
    revoked_why = fields.CharField(12, db_default="")

    staff_id: int

    class Meta:
        table = "staff_session"
        indexes = [
            Index(fields=("staff_id",), name="staff_session_staff_idx"),
            Index(fields=("expires_at",), name="staff_session_expires_idx"),
        ]
        constraints = [
            CheckConstraint(
                check="revoked_why IN ('', 'signed_out', 'revoked', 'password', 'disabled', 'replaced')",
                name="staff_session_why_known",
            ),
            CheckConstraint(check="(revoked_at IS NULL) = (revoked_why = '')", name="staff_session_why_said"),
        ]


class SignInFailure(Model):
    """Sign-ins that failed, per login name (known or not) and per address: what the next one has to wait for."""

    id: int = fields.BigIntField(primary_key=True)
    # A keyed fingerprint of "login:…" or "address:…".
    subject = fields.CharField(64, unique=True)
    failures = fields.IntField(db_default=0)
    failed_at: datetime = fields.DatetimeField()
    locked_until: datetime | None = fields.DatetimeField(null=True)

    class Meta:
        table = "sign_in_failure"
        indexes = [Index(fields=("failed_at",), name="sign_in_failure_failed_idx")]


class Audit(Model):
    """Who changed what, when, from where. Append-only: a trigger refuses anything else."""

    id: int = fields.BigIntField(primary_key=True)
    at: datetime = fields.DatetimeField()
    # Null: the command line, or nobody known (a failed sign-in). The name is as it was then.
    staff_id: int | None = fields.BigIntField(null=True)
    staff_name = fields.CharField(64)
    address = fields.CharField(45, db_default="")
    # Such as "staff.added"; `subject` is what it was done to, such as "staff:12".
    action = fields.CharField(48)
    subject = fields.CharField(64)
    subject_name = fields.CharField(64, db_default="")
    # Whose matter it is; null: the house's, shown to staff of all brands only.
    brand_id: int | None = fields.BigIntField(null=True)
    # What was different, before and after, personal data masked.
    before = fields.JSONField[dict[str, Any]](null=True)
    after = fields.JSONField[dict[str, Any]](null=True)

    class Meta:
        table = "audit"
        indexes = [
            Index(fields=("brand_id", "id"), name="audit_brand_idx"),
            Index(fields=("staff_id", "id"), name="audit_staff_idx"),
            Index(fields=("subject", "id"), name="audit_subject_idx"),
        ]
