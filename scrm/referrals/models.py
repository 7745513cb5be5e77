"""Tables of invitations: members' codes, and who came through them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Invitation(Model):
    """The code with which a member invites; it stays the same, since friends keep links for long."""

    id: int = fields.BigIntField(primary_key=True)
    member: fields.OneToOneRelation[Any] = fields.OneToOneField("scrm.Member", on_delete=OnDelete.RESTRICT)
    code = fields.CharField(16, unique=True)
    created_at: datetime = fields.DatetimeField()

    member_id: int

    class Meta:
        table = "invitation"


class Referral(Model):
    """A new member who came through a member's code. Both are home members; one row per new member ever."""

    id: int = fields.BigIntField(primary_key=True)
    invitee: fields.OneToOneRelation[Any] = fields.OneToOneField(
        "scrm.Member", on_delete=OnDelete.RESTRICT, related_name="came_by"
    )
    inviter: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField(
        "scrm.Member", on_delete=OnDelete.RESTRICT, related_name="invited"
    )
    # The fan as whom they came: whether somebody was known before is asked of this account's brand.
    fan: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Fan", on_delete=OnDelete.RESTRICT)
    # The event member.referred, under which the ledger booked what both earned.
    event_key: UUID = fields.UUIDField(unique=True)
    # counts · void: a merge showed that they were known before, or invited themselves · fraud: for good
    state = fields.CharField(8)
    # How often it was found void: merged, split and merged again must be booked each time.
    voidings = fields.IntField(db_default=0)
    came_at: datetime = fields.DatetimeField()

    invitee_id: int
    inviter_id: int
    fan_id: int

    class Meta:
        table = "referral"
        indexes = [Index(fields=("inviter_id", "id"), name="referral_inviter_idx")]
        constraints = [CheckConstraint(check="state IN ('counts', 'void', 'fraud')", name="referral_state_known")]
