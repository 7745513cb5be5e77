"""Tables of the timeline.

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

    key: UUID = fields.UUIDField(primary_key=True)

    class Meta:
        table = "event_key"


class Event(Model):
    """One happening. Append-only: no code updates or deletes a row, and a trigger refuses to."""

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
