"""Staff: roles, people and their brands, sessions, failed sign-ins, the audit trail."""

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
    "ALTER TABLE staff ADD CONSTRAINT staff_status_known CHECK (status IN ('active', 'disabled'))",
    "ALTER TABLE staff ADD CONSTRAINT staff_capacity_sane CHECK (capacity BETWEEN 0 AND 100)",
    "ALTER TABLE staff_session ADD CONSTRAINT staff_session_why_known CHECK (revoked_why IN ('', 'signed_out', 'revoked', 'password', 'disabled', 'replaced'))",
    "ALTER TABLE staff_session ADD CONSTRAINT staff_session_why_said CHECK ((revoked_at IS NULL) = (revoked_why = ''))",
]
DROP_CHECKS = [
    "ALTER TABLE staff DROP CONSTRAINT staff_status_known",
    "ALTER TABLE staff DROP CONSTRAINT staff_capacity_sane",
    "ALTER TABLE staff_session DROP CONSTRAINT staff_session_why_known",
    "ALTER TABLE staff_session DROP CONSTRAINT staff_session_why_said",
]
# The trail is append-only for everybody who speaks SQL here, this code included.
APPEND_ONLY = [
    """CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit is append-only'; END $$""",
    "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()",
]
NOT_APPEND_ONLY = [
    "DROP TRIGGER audit_append_only ON audit",
    "DROP FUNCTION audit_is_append_only()",
]
# Their permissions stand in scrm/staff/permissions.py, so that a new one needs no migration.
ROLES = [
    "INSERT INTO role (code, name, permissions, created_at) VALUES ('admin', '管理员', '[]', now()), ('supervisor', '客服主管', '[]', now()), ('agent', '客服', '[]', now()), ('operator', '运营', '[]', now()), ('viewer', '只读', '[]', now())",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0007_tags")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Audit",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("staff_id", fields.BigIntField(null=True)),
                ("staff_name", fields.CharField(max_length=64)),
                ("address", fields.CharField(db_default="", max_length=45)),
                ("action", fields.CharField(max_length=48)),
                ("subject", fields.CharField(max_length=64)),
                ("subject_name", fields.CharField(db_default="", max_length=64)),
                ("brand_id", fields.BigIntField(null=True)),
                (
                    "before",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                (
                    "after",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
            ],
            options={
                "table": "audit",
                "app": "scrm",
                "indexes": [
                    Index(fields=["brand_id", "id"], name="audit_brand_idx"),
                    Index(fields=["staff_id", "id"], name="audit_staff_idx"),
                    Index(fields=["subject", "id"], name="audit_subject_idx"),
                ],
                "pk_attr": "id",
                "table_description": "Who changed what, when, from where. Append-only: a trigger refuses anything else.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Role",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("code", fields.CharField(null=True, unique=True, max_length=16)),
                ("name", fields.CharField(max_length=32)),
                (
                    "brand",
                    fields.ForeignKeyField(
                        "scrm.Brand",
                        source_field="brand_id",
                        null=True,
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                (
                    "permissions",
                    fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "role",
                "app": "scrm",
                "unique_together": (("brand_id", "name"),),
                "pk_attr": "id",
                "table_description": "A role 角色. A built-in one has a code, and its permissions stand in `permissions.py`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SignInFailure",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("subject", fields.CharField(unique=True, max_length=64)),
                ("failures", fields.IntField(db_default=0)),
                ("failed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("locked_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "sign_in_failure",
                "app": "scrm",
                "indexes": [Index(fields=["failed_at"], name="sign_in_failure_failed_idx")],
                "pk_attr": "id",
                "table_description": "Sign-ins that failed, per login name (known or not) and per address: what the next one has to wait for.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Staff",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("login", fields.CharField(unique=True, max_length=32)),
                ("name", fields.CharField(max_length=32)),
                ("password_hash", fields.CharField(max_length=160)),
                ("must_change", fields.BooleanField(db_default=True)),
                ("status", fields.CharField(db_default="active", max_length=8)),
                (
                    "role",
                    fields.ForeignKeyField(
                        "scrm.Role",
                        source_field="role_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("all_brands", fields.BooleanField(db_default=False)),
                ("skills", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("capacity", fields.SmallIntField(db_default=5)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("signed_in_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "staff",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(check="status IN ('active', 'disabled')", name="staff_status_known"),
                    CheckConstraint(check="capacity BETWEEN 0 AND 100", name="staff_capacity_sane"),
                ],
                "indexes": [Index(fields=["role_id"], name="staff_role_idx")],
                "pk_attr": "id",
                "table_description": "A member of staff 员工. Never deleted: what they did keeps their name.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="StaffBrand",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "staff",
                    fields.ForeignKeyField(
                        "scrm.Staff",
                        source_field="staff_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                (
                    "brand",
                    fields.ForeignKeyField(
                        "scrm.Brand",
                        source_field="brand_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
            ],
            options={
                "table": "staff_brand",
                "app": "scrm",
                "unique_together": (("staff_id", "brand_id"),),
                "pk_attr": "id",
                "table_description": "A brand that a member of staff works for.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="StaffSession",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "staff",
                    fields.ForeignKeyField(
                        "scrm.Staff",
                        source_field="staff_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("token_hash", fields.CharField(unique=True, max_length=64)),
                ("address", fields.CharField(max_length=45)),
                ("agent", fields.CharField(max_length=200)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("seen_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("revoked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("revoked_why", fields.CharField(db_default="", max_length=12)),
            ],
            options={
                "table": "staff_session",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="revoked_why IN ('', 'signed_out', 'revoked', 'password', 'disabled', 'replaced')",
                        name="staff_session_why_known",
                    ),
                    CheckConstraint(check="(revoked_at IS NULL) = (revoked_why = '')", name="staff_session_why_said"),
                ],
                "indexes": [
                    Index(fields=["staff_id"], name="staff_session_staff_idx"),
                    Index(fields=["expires_at"], name="staff_session_expires_idx"),
                ],
                "pk_attr": "id",
                "table_description": "Somebody signed in at one browser.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
        ops.RunSQL(APPEND_ONLY, NOT_APPEND_ONLY),
        ops.RunSQL(ROLES, ops.RunSQL.noop),
    ]
