"""Who is signed in: sessions of members, and the answers of writes under an Idempotency-Key."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint

# CreateModel emits no check constraints.
CHECKS = [
    "ALTER TABLE member_session ADD CONSTRAINT member_session_why_known CHECK (revoked_why IN ('', 'signed_out', 'replayed', 'deleted'))",
    "ALTER TABLE member_session ADD CONSTRAINT member_session_why_said CHECK ((revoked_at IS NULL) = (revoked_why = ''))",
    "ALTER TABLE idempotent_request ADD CONSTRAINT idempotent_request_state_known CHECK (state IN ('running', 'done'))",
    "ALTER TABLE idempotent_request ADD CONSTRAINT idempotent_request_done_answered CHECK ((state = 'done') = (status IS NOT NULL AND body_sealed IS NOT NULL))",
]
DROP_CHECKS = [
    "ALTER TABLE member_session DROP CONSTRAINT member_session_why_known",
    "ALTER TABLE member_session DROP CONSTRAINT member_session_why_said",
    "ALTER TABLE idempotent_request DROP CONSTRAINT idempotent_request_state_known",
    "ALTER TABLE idempotent_request DROP CONSTRAINT idempotent_request_done_answered",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0005_gifts")]

    initial = False

    operations = [
        ops.CreateModel(
            name="MemberSession",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "fan",
                    fields.ForeignKeyField(
                        "scrm.Fan",
                        source_field="fan_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("refresh_hash", fields.CharField(max_length=64)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("revoked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("revoked_why", fields.CharField(db_default="", max_length=12)),
            ],
            options={
                "table": "member_session",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="revoked_why IN ('', 'signed_out', 'replayed', 'deleted')",
                        name="member_session_why_known",
                    ),
                    CheckConstraint(check="(revoked_at IS NULL) = (revoked_why = '')", name="member_session_why_said"),
                ],
                "indexes": [
                    Index(fields=["fan_id"], name="member_session_fan_idx"),
                    Index(fields=["expires_at"], name="member_session_expires_idx"),
                ],
                "pk_attr": "id",
                "table_description": "A member signed in at one mini-program, on one device. Nothing WeChat told about the login is kept.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="IdempotentRequest",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("scope", fields.CharField(max_length=40)),
                ("key", fields.CharField(max_length=64)),
                ("request_hash", fields.CharField(max_length=64)),
                ("state", fields.CharField(max_length=8)),
                ("owner", fields.UUIDField()),
                ("lease_until", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("status", fields.IntField(null=True)),
                ("body_sealed", fields.TextField(null=True, unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "idempotent_request",
                "app": "scrm",
                "unique_together": (("scope", "key"),),
                "constraints": [
                    CheckConstraint(check="state IN ('running', 'done')", name="idempotent_request_state_known"),
                    CheckConstraint(
                        check="(state = 'done') = (status IS NOT NULL AND body_sealed IS NOT NULL)",
                        name="idempotent_request_done_answered",
                    ),
                ],
                "indexes": [Index(fields=["created_at"], name="idempotent_request_created_idx")],
                "pk_attr": "id",
                "table_description": "A write under an Idempotency-Key: who works on it until when, or the answer it got.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
    ]
