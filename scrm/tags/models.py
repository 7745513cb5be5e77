"""Tables of tags: a brand's words, and whom they stand on."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Tag(Model):
    """A tag 标签 of a brand. Archived, it is offered no more; whoever has it keeps it."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    name = fields.CharField(32)
    # A heading it stands under, such as 兴趣; empty for none.
    category = fields.CharField(32, db_default="")
    created_at = fields.DatetimeField()
    archived_at: datetime | None = fields.DatetimeField(null=True)

    brand_id: int

    class Meta:
        table = "tag"
        unique_together = (("brand_id", "name"),)


class MemberTag(Model):
    """A tag on a member; who put it there and when. Taking it off removes the row, the timeline remembers both."""

    id: int = fields.BigIntField(primary_key=True)
    tag: fields.ForeignKeyRelation[Tag] = fields.ForeignKeyField("scrm.Tag", on_delete=OnDelete.RESTRICT)
    # The home member it was put on; a merged person shows the tags of all homes.
    member: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Member", on_delete=OnDelete.RESTRICT)
    source = fields.CharField(8)
    staff: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Staff", on_delete=OnDelete.RESTRICT, null=True
    )
    put_at: datetime = fields.DatetimeField()

    tag_id: int
    member_id: int
    staff_id: int | None

    class Meta:
        table = "member_tag"
        unique_together = (("tag_id", "member_id"),)
        indexes = [Index(fields=("member_id",), name="member_tag_member_idx")]
        constraints = [
            CheckConstraint(check="source IN ('staff', 'import', 'rule')", name="member_tag_source_known"),
            CheckConstraint(check="source <> 'staff' OR staff_id IS NOT NULL", name="member_tag_staff_named"),
        ]


class TagBatch(Model):
    """A tag put on, or taken off, many people at once by one of the staff; it can be undone as a whole.

    running → done → undoing → undone. The counters are raised in the transactions that do the rows.
    """

    id: int = fields.BigIntField(primary_key=True)
    # The business key of the request: asked again, it is the same batch.
    key: UUID = fields.UUIDField(unique=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    tag: fields.ForeignKeyRelation[Tag] = fields.ForeignKeyField("scrm.Tag", on_delete=OnDelete.RESTRICT)
    action = fields.CharField(4)
    staff_id: int = fields.BigIntField()
    state = fields.CharField(8)
    total = fields.IntField(db_default=0)
    done = fields.IntField(db_default=0)
    changed = fields.IntField(db_default=0)
    undone = fields.IntField(db_default=0)
    created_at: datetime = fields.DatetimeField()
    finished_at: datetime | None = fields.DatetimeField(null=True)

    brand_id: int
    tag_id: int

    class Meta:
        table = "tag_batch"
        indexes = [Index(fields=("brand_id", "id"), name="tag_batch_brand_idx")]
        constraints = [
            CheckConstraint(check="action IN ('put', 'take')", name="tag_batch_action_known"),
            CheckConstraint(check="state IN ('running', 'done', 'undoing', 'undone')", name="tag_batch_state_known"),
        ]


class TagBatchMember(Model):
    """One person of a batch, and what came of it; `mark_id` is the `member_tag` row that was put."""

    id: int = fields.BigIntField(primary_key=True)
    batch: fields.ForeignKeyRelation[TagBatch] = fields.ForeignKeyField("scrm.TagBatch", on_delete=OnDelete.RESTRICT)
    person_id: int = fields.BigIntField()
    outcome = fields.CharField(10)
    mark_id: int | None = fields.BigIntField(null=True)

    batch_id: int

    class Meta:
        table = "tag_batch_member"
        unique_together = (("batch_id", "person_id"),)
        indexes = [Index(fields=("batch_id", "outcome", "person_id"), name="tag_batch_member_left_idx")]
        constraints = [
            CheckConstraint(
                check="outcome IN ('pending', 'changed', 'unchanged', 'undone')", name="tag_batch_member_outcome_known"
            )
        ]
