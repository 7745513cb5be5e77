"""Tables of the knowledge base: entries with their versions, synonyms, and what its index is made from."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class KnowledgeEntry(Model):
    """An article, or a question with its answer. What it says stands in versions; fans see the published one."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    kind = fields.CharField(8)
    # Made once: the creator's key, or the key of (brand, external_id) for what came from a file.
    key: UUID = fields.UUIDField(unique=True)
    # The name by which a file knows it again; null for what was written in the console.
    external_id = fields.CharField(128, null=True)
    status = fields.CharField(10)
    newest = fields.IntField()  # the number of the newest version
    published: int | None = fields.IntField(null=True)  # the number of the version that fans see
    created_at: datetime = fields.DatetimeField()
    updated_at: datetime = fields.DatetimeField()

    brand_id: int

    class Meta:
        table = "knowledge_entry"
        unique_together = (("brand_id", "external_id"),)
        indexes = [Index(fields=("brand_id", "status", "id"), name="knowledge_entry_brand_idx")]
        constraints = [
            CheckConstraint(check="kind IN ('article', 'qa')", name="knowledge_entry_kind_known"),
            CheckConstraint(check="status IN ('draft', 'published', 'archived')", name="knowledge_entry_status_known"),
            CheckConstraint(
                check="(status = 'published') = (published IS NOT NULL)", name="knowledge_entry_published_says_what"
            ),
            CheckConstraint(check="published <= newest", name="knowledge_entry_published_exists"),
        ]


class KnowledgeVersion(Model):
    """What an entry said from one edit to the next; never changed."""

    id: int = fields.BigIntField(primary_key=True)
    entry: fields.ForeignKeyRelation[KnowledgeEntry] = fields.ForeignKeyField(
        "scrm.KnowledgeEntry", on_delete=OnDelete.RESTRICT
    )
    number = fields.IntField()
    title = fields.CharField(200)  # of a qa: the question
    body = fields.TextField()  # Markdown; of a qa: the answer as it is sent
    alternatives: list[str] = fields.JSONField[list[str]]()  # other ways to ask
    category = fields.CharField(64)
    # Fans see it from one moment until before the other; null: no limit.
    valid_from: datetime | None = fields.DatetimeField(null=True)
    valid_until: datetime | None = fields.DatetimeField(null=True)
    author = fields.CharField(64)
    created_at: datetime = fields.DatetimeField()

    entry_id: int

    class Meta:
        table = "knowledge_version"
        unique_together = (("entry_id", "number"),)
        constraints = [CheckConstraint(check="valid_from < valid_until", name="knowledge_version_validity_ordered")]


class KnowledgeBase(Model):
    """A brand's synonyms, and a number that grows with every change its index has to follow."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.OneToOneRelation[Any] = fields.OneToOneField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    revision: int = fields.BigIntField()
    synonyms: list[list[str]] = fields.JSONField[list[list[str]]]()
    synonyms_revision = fields.IntField()  # counts the changes of the synonyms, for who edits them

    brand_id: int

    class Meta:
        table = "knowledge_base"


class KnowledgeVector(Model):
    """The embedding of a published text, kept by what the text says: the same text is never embedded twice."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    model = fields.CharField(64)
    digest: UUID = fields.UUIDField()
    vector: bytes = fields.BinaryField()  # 32-bit floats, little-endian, of length one

    brand_id: int

    class Meta:
        table = "knowledge_vector"
        unique_together = (("brand_id", "model", "digest"),)
