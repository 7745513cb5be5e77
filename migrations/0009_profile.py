"""What members say of themselves, whom they invited, and how they are forgotten."""

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
    "ALTER TABLE member_profile ADD CONSTRAINT member_profile_gender_known CHECK (gender IN ('male', 'female', 'other'))",
    "ALTER TABLE referral ADD CONSTRAINT referral_state_known CHECK (state IN ('counts', 'void', 'fraud'))",
]
DROP_CHECKS = [
    "ALTER TABLE member_profile DROP CONSTRAINT member_profile_gender_known",
    "ALTER TABLE referral DROP CONSTRAINT referral_state_known",
]

# The one door through which the append-only timeline is changed: see scrm.events.models.EventRedaction.
REDACTION = [
    """
    CREATE FUNCTION fensi_number_of_xact() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.xact := pg_current_xact_id()::text::bigint;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER event_redaction_here BEFORE INSERT ON event_redaction
        FOR EACH ROW EXECUTE FUNCTION fensi_number_of_xact()
    """,
    """
    CREATE TRIGGER event_redaction_append_only BEFORE UPDATE OR DELETE ON event_redaction
        FOR EACH ROW EXECUTE FUNCTION fensi_refuse_change()
    """,
    """
    CREATE FUNCTION fensi_only_redaction() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND NEW.payload = '{}'::jsonb AND to_jsonb(NEW) - 'payload' = to_jsonb(OLD) - 'payload'
           AND EXISTS (
               SELECT FROM event_redaction r
               WHERE r.xact = pg_current_xact_id()::text::bigint AND r.member_id = OLD.member_id
           )
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'the timeline is append-only' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    "DROP TRIGGER event_append_only ON event",
    """
    CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON event
        FOR EACH ROW EXECUTE FUNCTION fensi_only_redaction()
    """,
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0008_staff")]

    initial = False

    operations = [
        ops.CreateModel(
            name="ErasedIdentity",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("fingerprint", fields.CharField(unique=True, max_length=64)),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "erased_identity",
                "app": "scrm",
                "indexes": [Index(fields=["expires_at"], name="erased_identity_expires_idx")],
                "pk_attr": "id",
                "table_description": "The keyed fingerprint of an openid or unionid that was erased; forgotten itself after a while.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="EventRedaction",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("member_id", fields.BigIntField()),
                ("xact", fields.BigIntField()),
                ("redacted_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "event_redaction",
                "app": "scrm",
                "indexes": [Index(fields=["xact", "member_id"], name="event_redaction_xact_idx")],
                "pk_attr": "id",
                "table_description": "On record: in this transaction the payloads of a member's events were emptied, and nothing else.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Invitation",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "member",
                    fields.OneToOneField(
                        "scrm.Member",
                        source_field="member_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("code", fields.CharField(unique=True, max_length=16)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "invitation",
                "app": "scrm",
                "pk_attr": "id",
                "table_description": "The code with which a member invites; it stays the same, since friends keep links for long.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="MemberProfile",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "member",
                    fields.OneToOneField(
                        "scrm.Member",
                        source_field="member_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("nickname", fields.CharField(null=True, max_length=32)),
                ("name_sealed", fields.TextField(null=True, unique=False)),
                ("phone_sealed", fields.TextField(null=True, unique=False)),
                ("gender", fields.CharField(null=True, max_length=8)),
                ("birthday", fields.DateField(null=True)),
                ("province", fields.CharField(null=True, max_length=32)),
                ("city", fields.CharField(null=True, max_length=32)),
                ("avatar", fields.CharField(null=True, max_length=500)),
                ("said_at", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("revision", fields.IntField(db_default=0)),
            ],
            options={
                "table": "member_profile",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(check="gender IN ('male', 'female', 'other')", name="member_profile_gender_known")
                ],
                "pk_attr": "id",
                "table_description": "What a member says of themselves, at the home where they said it; a person's profile is put together from all.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Referral",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "invitee",
                    fields.OneToOneField(
                        "scrm.Member",
                        source_field="invitee_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="came_by",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                (
                    "inviter",
                    fields.ForeignKeyField(
                        "scrm.Member",
                        source_field="inviter_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="invited",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
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
                ("event_key", fields.UUIDField(unique=True)),
                ("state", fields.CharField(max_length=8)),
                ("voidings", fields.IntField(db_default=0)),
                ("came_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "referral",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(check="state IN ('counts', 'void', 'fraud')", name="referral_state_known")
                ],
                "indexes": [Index(fields=["inviter_id", "id"], name="referral_inviter_idx")],
                "pk_attr": "id",
                "table_description": "A new member who came through a member's code. Both are home members; one row per new member ever.",
            },
            bases=["Model"],
        ),
        ops.AlterModelOptions(
            name="Event",
            options={
                "table": "event",
                "app": "scrm",
                "indexes": [Index(fields=["member_id", "occurred_at"], name="event_member_idx")],
                "pk_attr": "id",
                "table_description": "One happening. Append-only: a trigger refuses to update or delete a row.",
            },
        ),
        ops.AlterModelOptions(
            name="Identity",
            options={
                "table": "identity",
                "app": "scrm",
                "unique_together": (("kind", "subject"),),
                "constraints": [CheckConstraint(check="kind IN ('unionid', 'phone')", name="identity_kind_known")],
                "indexes": [Index(fields=["member_id"], name="identity_member_idx")],
                "pk_attr": "id",
                "table_description": "What else identifies a member besides openids: a unionid, or the keyed fingerprint of a phone number.",
            },
        ),
        ops.AddField(
            model_name="Member",
            name="erased_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddIndex(
            model_name="MemberMerge",
            index=Index(fields=["evidence"], name="member_merge_evidence_idx"),
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
        ops.RunSQL(REDACTION, ops.RunSQL.noop),
    ]
