"""Tables of automatic replies."""

from typing import Any

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class ReplyRule(Model):
    """What the account answers to a word or a menu key. Lower `priority` is tried first."""

    id: int = fields.BigIntField(primary_key=True)
    account: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Account", on_delete=OnDelete.CASCADE)
    match = fields.CharField(10)
    pattern = fields.CharField(256)
    # A reply as data: {"type": "text", "content": …}; see scrm.replies.content.
    reply = fields.JSONField[dict[str, Any]]()
    priority = fields.IntField(db_default=100)
    enabled = fields.BooleanField(db_default=True)
    # Counts the changes: whoever changes says what they saw.
    version = fields.IntField(db_default=1)
    created_at = fields.DatetimeField()

    account_id: int

    class Meta:
        table = "reply_rule"
        unique_together = (("account_id", "match", "pattern"),)
        indexes = [Index(fields=("account_id", "priority"), name="reply_rule_order_idx")]
        constraints = [
            CheckConstraint(check="match IN ('exact', 'contains', 'regex', 'click')", name="reply_rule_match_known")
        ]


class Welcome(Model):
    """What a new follower is told: the most specific row of (channel, new or returning) wins."""

    id: int = fields.BigIntField(primary_key=True)
    account: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Account", on_delete=OnDelete.CASCADE)
    channel: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Channel", null=True, on_delete=OnDelete.CASCADE
    )
    audience = fields.CharField(10)
    reply = fields.JSONField[dict[str, Any]]()
    created_at = fields.DatetimeField()

    account_id: int
    channel_id: int | None

    class Meta:
        table = "welcome"
        unique_together = (("account_id", "channel_id", "audience"),)
        constraints = [CheckConstraint(check="audience IN ('any', 'new', 'returning')", name="welcome_audience_known")]
