"""Tables of channels and the fans they touched."""

from datetime import datetime
from typing import Any

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.models import Model


class Channel(Model):
    """A channel 渠道: the scene of a parameterised QR code of one account, and what it cost."""

    id: int = fields.BigIntField(primary_key=True)
    account: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Account", on_delete=OnDelete.RESTRICT)
    scene = fields.CharField(64)
    name = fields.CharField(64)
    cost_fen: int = fields.BigIntField(db_default=0)
    # What the platform gave for it; empty until the code was created there.
    ticket = fields.TextField(db_default="")
    url = fields.TextField(db_default="")
    created_at = fields.DatetimeField()

    account_id: int

    class Meta:
        table = "channel"
        unique_together = (("account_id", "scene"),)


class ChannelTouch(Model):
    """One fan and one channel: however often the code is scanned, one row."""

    id: int = fields.BigIntField(primary_key=True)
    channel: fields.ForeignKeyRelation[Channel] = fields.ForeignKeyField("scrm.Channel", on_delete=OnDelete.RESTRICT)
    fan: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Fan", on_delete=OnDelete.RESTRICT)
    first_at = fields.DatetimeField()
    last_at = fields.DatetimeField()
    # When the fan followed through this very code; null when they only scanned it while following already.
    followed_at: datetime | None = fields.DatetimeField(null=True)

    channel_id: int
    fan_id: int

    class Meta:
        table = "channel_touch"
        unique_together = (("channel_id", "fan_id"),)
        indexes = [Index(fields=("fan_id",), name="channel_touch_fan_idx")]
