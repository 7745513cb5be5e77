"""The knowledge base: entries, their versions, synonyms, and the vectors of what is published."""

from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint

# CreateModel emits no check constraints. Versions are never changed, whoever tries.
CHECKS = [
    "ALTER TABLE knowledge_entry ADD CONSTRAINT knowledge_entry_kind_known CHECK (kind IN ('article', 'qa'))",
    "ALTER TABLE knowledge_entry ADD CONSTRAINT knowledge_entry_status_known CHECK (status IN ('draft', 'published', 'archived'))",
    "ALTER TABLE knowledge_entry ADD CONSTRAINT knowledge_entry_published_says_what CHECK ((status = 'published') = (published IS NOT NULL))",
    "ALTER TABLE knowledge_entry ADD CONSTRAINT knowledge_entry_published_exists CHECK (published <= newest)",
    "ALTER TABLE knowledge_version ADD CONSTRAINT knowledge_version_validity_ordered CHECK (valid_from < valid_until)",
    """
    CREATE FUNCTION fensi_keep_knowledge_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a version of an entry never changes' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER knowledge_version_kept BEFORE UPDATE OR DELETE ON knowledge_version
        FOR EACH ROW EXECUTE FUNCTION fensi_keep_knowledge_version()
    """,
]
DROP_CHECKS = [
    "DROP TRIGGER knowledge_version_kept ON knowledge_version",
    "DROP FUNCTION fensi_keep_knowledge_version",
    "ALTER TABLE knowledge_entry DROP CONSTRAINT knowledge_entry_kind_known",
    "ALTER TABLE knowledge_entry DROP CONSTRAINT knowledge_entry_status_known",
    "ALTER TABLE knowledge_entry DROP CONSTRAINT knowledge_entry_published_says_what",
    "ALTER TABLE knowledge_entry DROP CONSTRAINT knowledge_entry_published_exists",
    "ALTER TABLE knowledge_version DROP CONSTRAINT knowledge_version_validity_ordered",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0009_profile")]

    initial = False

    operations = [
        ops.CreateModel(
            name="KnowledgeBase",
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
                ("revision", fields.BigIntField()),
                ("synonyms", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("synonyms_revision", fields.IntField()),
            ],
            options={
                "table": "knowledge_base",
                "app": "scrm",
                "pk_attr": "id",
                "table_description": "A brand's synonyms, and a number that grows with every change its index has to follow.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="KnowledgeEntry",
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
                ("kind", fields.CharField(max_length=8)),
                ("key", fields.UUIDField(unique=True)),
                ("external_id", fields.CharField(null=True, max_length=128)),
                ("status", fields.CharField(max_length=10)),
                ("newest", fields.IntField()),
                ("published", fields.IntField(null=True)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("updated_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "knowledge_entry",
                "app": "scrm",
                "unique_together": (("brand_id", "external_id"),),
                "constraints": [
                    CheckConstraint(check="kind IN ('article', 'qa')", name="knowledge_entry_kind_known"),
                    CheckConstraint(
                        check="status IN ('draft', 'published', 'archived')", name="knowledge_entry_status_known"
                    ),
                    CheckConstraint(
                        check="(status = 'published') = (published IS NOT NULL)",
                        name="knowledge_entry_published_says_what",
                    ),
                    CheckConstraint(check="published <= newest", name="knowledge_entry_published_exists"),
                ],
                "indexes": [Index(fields=["brand_id", "status", "id"], name="knowledge_entry_brand_idx")],
                "pk_attr": "id",
                "table_description": "An article, or a question with its answer. What it says stands in versions; fans see the published one.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="KnowledgeVector",
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
                ("model", fields.CharField(max_length=64)),
                ("digest", fields.UUIDField()),
                ("vector", fields.BinaryField()),
            ],
            options={
                "table": "knowledge_vector",
                "app": "scrm",
                "unique_together": (("brand_id", "model", "digest"),),
                "pk_attr": "id",
                "table_description": "The embedding of a published text, kept by what the text says: the same text is never embedded twice.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="KnowledgeVersion",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "entry",
                    fields.ForeignKeyField(
                        "scrm.KnowledgeEntry",
                        source_field="entry_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("number", fields.IntField()),
                ("title", fields.CharField(max_length=200)),
                ("body", fields.TextField(unique=False)),
                (
                    "alternatives",
                    fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("category", fields.CharField(max_length=64)),
                ("valid_from", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("valid_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("author", fields.CharField(max_length=64)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "knowledge_version",
                "app": "scrm",
                "unique_together": (("entry_id", "number"),),
                "constraints": [
                    CheckConstraint(check="valid_from < valid_until", name="knowledge_version_validity_ordered")
                ],
                "pk_attr": "id",
                "table_description": "What an entry said from one edit to the next; never changed.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
    ]
