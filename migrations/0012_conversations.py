"""Conversations: their changes and messages, and the service desk with its seats and shifts."""

from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from tortoise.fields.base import OnDelete
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint

# CreateModel emits no check constraints.
CHECKS = [
    "ALTER TABLE conversation ADD CONSTRAINT conversation_state_known CHECK (state IN ('bot', 'waiting', 'staff', 'closed'))",
    "ALTER TABLE conversation ADD CONSTRAINT conversation_desk_known CHECK (desk IN ('ours', 'wechat'))",
    "ALTER TABLE conversation ADD CONSTRAINT conversation_owned CHECK ((state <> 'staff' OR desk <> 'ours' OR staff_id IS NOT NULL) AND (state NOT IN ('bot', 'waiting') OR staff_id IS NULL))",
    "ALTER TABLE conversation ADD CONSTRAINT conversation_waits CHECK ((state = 'waiting') <= (waiting_since IS NOT NULL))",
    "ALTER TABLE conversation ADD CONSTRAINT conversation_closed CHECK ((state = 'closed') = (closed_at IS NOT NULL))",
    "ALTER TABLE conversation ADD CONSTRAINT conversation_rating_sensible CHECK (rating BETWEEN 1 AND 5)",
    "ALTER TABLE conversation_message ADD CONSTRAINT conversation_message_kind_known CHECK (kind IN ('staff', 'handoff', 'closing'))",
    "ALTER TABLE desk ADD CONSTRAINT desk_numbers_positive CHECK (first_response_seconds > 0 AND promise_minutes > 0 AND unsure_minutes > 0 AND rating_minutes > 0 AND idle_minutes > 0)",
    "ALTER TABLE seat ADD CONSTRAINT seat_capacity_not_negative CHECK (capacity >= 0)",
    "ALTER TABLE shift ADD CONSTRAINT shift_dated CHECK ((pattern IN ('date', 'off')) = (day IS NOT NULL))",
    "ALTER TABLE shift ADD CONSTRAINT shift_minutes_ordered CHECK (starts >= 0 AND starts < 1440 AND ends > starts AND ends <= 2880)",
    "ALTER TABLE special_day ADD CONSTRAINT special_day_kind_known CHECK (kind IN ('workday', 'restday', 'closed'))",
    "CREATE UNIQUE INDEX conversation_open_fan_idx ON conversation (fan_id) WHERE state <> 'closed'",
    "CREATE INDEX conversation_live_idx ON conversation (brand_id, last_at, id) WHERE state <> 'closed'",
]
DROP_CHECKS = [
    "ALTER TABLE conversation DROP CONSTRAINT conversation_state_known",
    "ALTER TABLE conversation DROP CONSTRAINT conversation_desk_known",
    "ALTER TABLE conversation DROP CONSTRAINT conversation_owned",
    "ALTER TABLE conversation DROP CONSTRAINT conversation_waits",
    "ALTER TABLE conversation DROP CONSTRAINT conversation_closed",
    "ALTER TABLE conversation DROP CONSTRAINT conversation_rating_sensible",
    "ALTER TABLE conversation_message DROP CONSTRAINT conversation_message_kind_known",
    "ALTER TABLE desk DROP CONSTRAINT desk_numbers_positive",
    "ALTER TABLE seat DROP CONSTRAINT seat_capacity_not_negative",
    "ALTER TABLE shift DROP CONSTRAINT shift_dated",
    "ALTER TABLE shift DROP CONSTRAINT shift_minutes_ordered",
    "ALTER TABLE special_day DROP CONSTRAINT special_day_kind_known",
    "DROP INDEX conversation_open_fan_idx",
    "DROP INDEX conversation_live_idx",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0011_assistant")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Conversation",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
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
                (
                    "account",
                    fields.ForeignKeyField(
                        "scrm.Account",
                        source_field="account_id",
                        db_constraint=True,
                        to_field="id",
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
                ("member_id", fields.BigIntField()),
                ("state", fields.CharField(max_length=8)),
                ("desk", fields.CharField(db_default="ours", max_length=8)),
                ("kf_account", fields.CharField(db_default="", max_length=64)),
                ("skill", fields.CharField(db_default="", max_length=32)),
                ("staff_id", fields.BigIntField(null=True)),
                ("reason", fields.CharField(db_default="", max_length=16)),
                ("asked_by", fields.UUIDField(null=True)),
                ("opened_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("heard_since", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("asked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("priority", fields.SmallIntField(db_default=0)),
                ("waiting_since", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("assigned_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("first_response_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("snoozed_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("answer_due_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("alarmed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("promised_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("promise_risked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("promise_broken_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("closed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("close_reason", fields.CharField(db_default="", max_length=16)),
                ("closed_by", fields.BigIntField(null=True)),
                ("summary", fields.CharField(db_default="", max_length=500)),
                ("rating", fields.SmallIntField(null=True)),
                ("rated_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("heard", fields.IntField(db_default=0)),
                ("last_fan_message_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("last_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("last_from", fields.CharField(db_default="", max_length=8)),
                ("last_line", fields.CharField(db_default="", max_length=80)),
            ],
            options={
                "table": "conversation",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="state IN ('bot', 'waiting', 'staff', 'closed')", name="conversation_state_known"
                    ),
                    CheckConstraint(check="desk IN ('ours', 'wechat')", name="conversation_desk_known"),
                    CheckConstraint(
                        check="(state <> 'staff' OR desk <> 'ours' OR staff_id IS NOT NULL) AND (state NOT IN ('bot', 'waiting') OR staff_id IS NULL)",
                        name="conversation_owned",
                    ),
                    CheckConstraint(
                        check="(state = 'waiting') <= (waiting_since IS NOT NULL)", name="conversation_waits"
                    ),
                    CheckConstraint(check="(state = 'closed') = (closed_at IS NOT NULL)", name="conversation_closed"),
                    CheckConstraint(check="rating BETWEEN 1 AND 5", name="conversation_rating_sensible"),
                ],
                "indexes": [
                    PartialIndex(
                        fields=["brand_id", "priority", "waiting_since", "id"],
                        name="conversation_waiting_idx",
                        condition={"state": "waiting"},
                    ),
                    PartialIndex(
                        fields=["staff_id", "last_at"], name="conversation_owner_idx", condition={"state": "staff"}
                    ),
                    Index(fields=["fan_id", "id"], name="conversation_fan_idx"),
                    Index(fields=["brand_id", "asked_at"], name="conversation_asked_idx"),
                ],
                "pk_attr": "id",
                "table_description": "A conversation 会话 with one fan; at most one of a fan is open. A closed one is never opened again.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ConversationChange",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "conversation",
                    fields.ForeignKeyField(
                        "scrm.Conversation",
                        source_field="conversation_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("fan_id", fields.BigIntField()),
                ("at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("kind", fields.CharField(max_length=24)),
                ("actor", fields.CharField(max_length=8)),
                ("staff_id", fields.BigIntField(null=True)),
                ("to_staff_id", fields.BigIntField(null=True)),
                ("skill", fields.CharField(db_default="", max_length=32)),
                ("reason", fields.CharField(db_default="", max_length=32)),
                ("text", fields.CharField(db_default="", max_length=2000)),
                ("key", fields.UUIDField(null=True, unique=True)),
            ],
            options={
                "table": "conversation_change",
                "app": "scrm",
                "indexes": [
                    Index(fields=["conversation_id", "id"], name="conversation_change_order_idx"),
                    Index(fields=["fan_id", "at", "id"], name="conversation_change_fan_idx"),
                ],
                "pk_attr": "id",
                "table_description": "One change to a conversation with its reason and who made it, or an internal note. Never changed or deleted.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ConversationMessage",
            fields=[
                ("key", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                (
                    "conversation",
                    fields.ForeignKeyField(
                        "scrm.Conversation",
                        source_field="conversation_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("kind", fields.CharField(max_length=8)),
                ("staff_id", fields.BigIntField(null=True)),
                ("said_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "conversation_message",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="kind IN ('staff', 'handoff', 'closing')", name="conversation_message_kind_known"
                    )
                ],
                "indexes": [Index(fields=["conversation_id", "said_at"], name="conversation_message_order_idx")],
                "pk_attr": "key",
                "table_description": "That a message of the outbox belongs to a conversation, and who says it; `key` is its decision's.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ConversationRead",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "conversation",
                    fields.ForeignKeyField(
                        "scrm.Conversation",
                        source_field="conversation_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("staff_id", fields.BigIntField()),
                ("seen", fields.IntField()),
            ],
            options={
                "table": "conversation_read",
                "app": "scrm",
                "unique_together": (("conversation_id", "staff_id"),),
                "pk_attr": "id",
                "table_description": "How many of the fan's messages one of the staff has seen.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Desk",
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
                ("first_response_seconds", fields.IntField()),
                ("promise_minutes", fields.IntField()),
                ("unsure_minutes", fields.IntField()),
                ("rating_minutes", fields.IntField()),
                ("idle_minutes", fields.IntField()),
            ],
            options={
                "table": "desk",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="first_response_seconds > 0 AND promise_minutes > 0 AND unsure_minutes > 0 AND rating_minutes > 0 AND idle_minutes > 0",
                        name="desk_numbers_positive",
                    )
                ],
                "pk_attr": "id",
                "table_description": "What a brand has set for its service; without a row the defaults of scrm.conversations.desk hold.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Seat",
            fields=[
                ("staff_id", fields.BigIntField(generated=False, primary_key=True, unique=True, db_index=True)),
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
                ("capacity", fields.SmallIntField()),
                ("skills", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("present_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("last_assigned_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "seat",
                "app": "scrm",
                "constraints": [CheckConstraint(check="capacity >= 0", name="seat_capacity_not_negative")],
                "indexes": [Index(fields=["brand_id", "staff_id"], name="seat_brand_idx")],
                "pk_attr": "staff_id",
                "table_description": "A seat 坐席: one of the staff who answers fans. `present_until` is the lease that their browser renews.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Shift",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
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
                ("staff_id", fields.BigIntField()),
                ("pattern", fields.CharField(max_length=10)),
                ("day", fields.DateField(null=True)),
                ("starts", fields.SmallIntField()),
                ("ends", fields.SmallIntField()),
                ("breaks", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
            ],
            options={
                "table": "shift",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(check="(pattern IN ('date', 'off')) = (day IS NOT NULL)", name="shift_dated"),
                    CheckConstraint(
                        check="starts >= 0 AND starts < 1440 AND ends > starts AND ends <= 2880",
                        name="shift_minutes_ordered",
                    ),
                ],
                "indexes": [Index(fields=["brand_id", "staff_id"], name="shift_brand_idx")],
                "pk_attr": "id",
                "table_description": "When somebody serves: days that fit a pattern, or one date; see scrm.conversations.shifts.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Skill",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
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
                ("name", fields.CharField(max_length=32)),
                ("title", fields.CharField(max_length=32)),
            ],
            options={
                "table": "skill",
                "app": "scrm",
                "unique_together": (("brand_id", "name"),),
                "pk_attr": "id",
                "table_description": "What a conversation may need somebody for: a queue, such as 售后. `name` is its stable code.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SpecialDay",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
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
                ("day", fields.DateField()),
                ("kind", fields.CharField(max_length=8)),
                ("note", fields.CharField(db_default="", max_length=64)),
            ],
            options={
                "table": "special_day",
                "app": "scrm",
                "unique_together": (("brand_id", "day"),),
                "constraints": [
                    CheckConstraint(check="kind IN ('workday', 'restday', 'closed')", name="special_day_kind_known")
                ],
                "pk_attr": "id",
                "table_description": "A day on which a brand departs from the public calendar: worked, rested, or closed altogether.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="WeChatDesk",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "account",
                    fields.OneToOneField(
                        "scrm.Account",
                        source_field="account_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
            ],
            options={
                "table": "wechat_desk",
                "app": "scrm",
                "pk_attr": "id",
                "table_description": "An account whose fans are served by WeChat's own customer service instead of our seats.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
    ]
