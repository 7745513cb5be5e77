"""Tables of the timeline, and of what was redacted there.

`event` is partitioned by month of `occurred_at`; a unique index cannot span partitions, so `event_key` holds
the key of every event ever appended. The migration writes the partitioned table by hand.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class EventKey(Model):
    """The unique key of an event: inserting it decides whether the event is new."""

    # It stays as long as the event, which is for ever: a trigger refuses to change, delete or truncate it.
    key: UUID = fields.UUIDField(primary_key=True)

    class Meta:
        table = "event_key"


class Event(Model):
    """One happening. Append-only: a trigger refuses to update or delete a row.

    Nor is it, or one of its partitions, truncated. The one exception is the payload of somebody who is erased, see
    `EventRedaction`.
    """

    id: int = fields.BigIntField(primary_key=True)
    key: UUID = fields.UUIDField()
    kind = fields.CharField(64)
    occurred_at: datetime = fields.DatetimeField()
    recorded_at: datetime = fields.DatetimeField()
    # The home member (see scrm.members.models); the person is found through merged_into.
    member_id: int | None = fields.BigIntField(null=True)
    account_id: int | None = fields.BigIntField(null=True)
    fan_id: int | None = fields.BigIntField(null=True)
    payload = fields.JSONField[dict[str, Any]]()

    class Meta:
        table = "event"
        indexes = [Index(fields=("member_id", "occurred_at"), name="event_member_idx")]


class EventRedaction(Model):
    """On record: in this transaction the payloads of a member's events were emptied, and nothing else.

    The trigger of `event` lets an update pass only if such a row of the same transaction names the member, the payload
    becomes {} and all else stays. Another trigger writes `xact`, and a third keeps these rows as they are.
    """

    id: int = fields.BigIntField(primary_key=True)
    member_id: int = fields.BigIntField()
    # PostgreSQL's own number of the transaction, 64 bits wide: it does not come again.
    xact: int = fields.BigIntField()
    redacted_at: datetime = fields.DatetimeField()

    class Meta:
        table = "event_redaction"
        indexes = [Index(fields=("xact", "member_id"), name="event_redaction_xact_idx")]
