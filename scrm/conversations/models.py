"""Tables of conversations, of every change to them, and of which outbox messages belong to them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Conversation(Model):
    """A conversation 会话 with one fan; at most one of a fan is open. A closed one is never opened again.

    What was said stands on the timeline and in the outbox. The last line, and how many messages the fan wrote, are
    read from there whenever something is said, so that a list of a thousand is one cheap query.
    """

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    account: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Account", on_delete=OnDelete.RESTRICT)
    fan: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Fan", on_delete=OnDelete.RESTRICT)
    # The home member (see scrm.members.models).
    member_id: int = fields.BigIntField()
    # bot: the bot answers · waiting: a person was asked for · staff: somebody has it · closed
    state = fields.CharField(8)
    # Who serves it: our own seats, or WeChat's customer service (`kf_account` is then its owner).
    desk = fields.CharField(8, db_default="ours")
    kf_account = fields.CharField(64, db_default="")
    skill = fields.CharField(32, db_default="")
    staff: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Staff", on_delete=OnDelete.RESTRICT, null=True
    )
    # Why a person was asked for: asked, unsure, rule, pulled, wechat.
    reason = fields.CharField(16, db_default="")
    # The push that asked for a person: it alone is answered with the handoff message.
    asked_by: UUID | None = fields.UUIDField(null=True)

    opened_at: datetime = fields.DatetimeField()
    # Messages of the fan from here on are counted.
    heard_since: datetime = fields.DatetimeField()
    asked_at: datetime | None = fields.DatetimeField(null=True)
    # 1 for what comes back because its owner is gone: before the others, among themselves by waiting_since.
    priority = fields.SmallIntField(db_default=0)
    waiting_since: datetime | None = fields.DatetimeField(null=True)
    assigned_at: datetime | None = fields.DatetimeField(null=True)
    first_response_at: datetime | None = fields.DatetimeField(null=True)
    snoozed_until: datetime | None = fields.DatetimeField(null=True)
    # When the fan's oldest unanswered message has to be answered; alarmed once when that has passed.
    answer_due_at: datetime | None = fields.DatetimeField(null=True)
    alarmed_at: datetime | None = fields.DatetimeField(null=True)
    # Asked for outside service hours: what the fan was told, and whether it was broken.
    promised_until: datetime | None = fields.DatetimeField(null=True)
    promise_risked_at: datetime | None = fields.DatetimeField(null=True)
    promise_broken_at: datetime | None = fields.DatetimeField(null=True)

    closed_at: datetime | None = fields.DatetimeField(null=True)
    close_reason = fields.CharField(16, db_default="")
    # By hand besides: references staff, like `staff`.
    closed_by: int | None = fields.BigIntField(null=True)
    summary = fields.CharField(500, db_default="")
    rating: int | None = fields.SmallIntField(null=True)
    rated_at: datetime | None = fields.DatetimeField(null=True)

    heard = fields.IntField(db_default=0)
    last_fan_message_at: datetime | None = fields.DatetimeField(null=True)
    last_at: datetime = fields.DatetimeField()
    last_from = fields.CharField(8, db_default="")
    last_line = fields.CharField(80, db_default="")

    brand_id: int
    account_id: int
    fan_id: int
    staff_id: int | None

    class Meta:
        table = "conversation"
        # By hand besides, of what is not closed: conversation_open_fan_idx, unique on (fan_id), and
        # conversation_live_idx on (brand_id, last_at, id).
        indexes = [
            PartialIndex(
                fields=("brand_id", "priority", "waiting_since", "id"),
                name="conversation_waiting_idx",
                condition={"state": "waiting"},
            ),
            PartialIndex(fields=("staff_id", "last_at"), name="conversation_owner_idx", condition={"state": "staff"}),
            Index(fields=("fan_id", "id"), name="conversation_fan_idx"),
            Index(fields=("brand_id", "asked_at"), name="conversation_asked_idx"),
        ]
        constraints = [
            CheckConstraint(check="state IN ('bot', 'waiting', 'staff', 'closed')", name="conversation_state_known"),
            CheckConstraint(check="desk IN ('ours', 'wechat')", name="conversation_desk_known"),
            CheckConstraint(
                check="(state <> 'staff' OR desk <> 'ours' OR staff_id IS NOT NULL) "
                "AND (state NOT IN ('bot', 'waiting') OR staff_id IS NULL)",
                name="conversation_owned",
            ),
            CheckConstraint(check="(state = 'waiting') <= (waiting_since IS NOT NULL)", name="conversation_waits"),
            CheckConstraint(check="(state = 'closed') = (closed_at IS NOT NULL)", name="conversation_closed"),
            CheckConstraint(check="rating BETWEEN 1 AND 5", name="conversation_rating_sensible"),
        ]


class ConversationChange(Model):
    """One change to a conversation with its reason and who made it, or an internal note. Never changed or deleted."""

    id: int = fields.BigIntField(primary_key=True)
    conversation: fields.ForeignKeyRelation[Conversation] = fields.ForeignKeyField(
        "scrm.Conversation", on_delete=OnDelete.RESTRICT
    )
    fan_id: int = fields.BigIntField()
    at: datetime = fields.DatetimeField()
    # See scrm.conversations.changes.KINDS.
    kind = fields.CharField(24)
    # fan, staff, bot, clock or wechat
    actor = fields.CharField(8)
    staff: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Staff", on_delete=OnDelete.RESTRICT, null=True
    )
    to_staff: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Staff", on_delete=OnDelete.RESTRICT, null=True, related_name=False
    )
    skill = fields.CharField(32, db_default="")
    reason = fields.CharField(32, db_default="")
    text = fields.CharField(2000, db_default="")
    # The command that made it, where it may be repeated.
    key: UUID | None = fields.UUIDField(null=True, unique=True)

    conversation_id: int
    staff_id: int | None
    to_staff_id: int | None

    class Meta:
        table = "conversation_change"
        indexes = [
            Index(fields=("conversation_id", "id"), name="conversation_change_order_idx"),
            Index(fields=("fan_id", "at", "id"), name="conversation_change_fan_idx"),
        ]


class ConversationMessage(Model):
    """That a message of the outbox belongs to a conversation, and who says it; `key` is its decision's."""

    key: UUID = fields.UUIDField(primary_key=True)
    conversation: fields.ForeignKeyRelation[Conversation] = fields.ForeignKeyField(
        "scrm.Conversation", on_delete=OnDelete.RESTRICT
    )
    # staff, handoff or closing
    kind = fields.CharField(8)
    staff: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Staff", on_delete=OnDelete.RESTRICT, null=True
    )
    said_at: datetime = fields.DatetimeField()

    conversation_id: int
    staff_id: int | None

    class Meta:
        table = "conversation_message"
        indexes = [Index(fields=("conversation_id", "said_at"), name="conversation_message_order_idx")]
        constraints = [
            CheckConstraint(check="kind IN ('staff', 'handoff', 'closing')", name="conversation_message_kind_known")
        ]


class ConversationRead(Model):
    """How many of the fan's messages one of the staff has seen."""

    id: int = fields.BigIntField(primary_key=True)
    conversation: fields.ForeignKeyRelation[Conversation] = fields.ForeignKeyField(
        "scrm.Conversation", on_delete=OnDelete.CASCADE
    )
    staff: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Staff", on_delete=OnDelete.RESTRICT)
    seen = fields.IntField()

    conversation_id: int
    staff_id: int

    class Meta:
        table = "conversation_read"
        unique_together = (("conversation_id", "staff_id"),)
