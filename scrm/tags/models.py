"""Tables of tags: a brand's words, and whom they stand on."""

from datetime import datetime
from typing import Any

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
