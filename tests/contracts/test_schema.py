"""The models, the migrations, their SQL on record and the migrated database all say the same.

Both sides are brought into one form (a dictionary of plain words) and compared whole, so that a column, default,
index or constraint that only one side has is told by name. The exceptions stand in `by_hand`, with reasons.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tortoise.context import TortoiseContext
from tortoise.fields.base import OnDelete
from tortoise.fields.relational import ForeignKeyFieldInstance
from tortoise.indexes import Index
from tortoise.models import Model

from scrm.db import fetch
from scrm.migrate import SNAPSHOTS, drift, sql_of
from tests.factories import make_account

MIGRATIONS = sorted(
    path.stem for path in (Path(__file__).parents[2] / "migrations").glob("*.py") if path.stem != "__init__"
)

# Tables no model of ours declares: tortoise's record of migrations, and the queue, whose schema is PgQueuer's own.
NOT_OURS = r"^(tortoise_migrations|pgqueuer.*|event_default|event_\d{4}_\d{2})$"

# As PostgreSQL's format_type() spells what tortoise's SQL_TYPE says.
TYPES = {
    "BIGINT": "bigint",
    "INT": "integer",
    "SMALLINT": "smallint",
    "BOOL": "boolean",
    "TEXT": "text",
    "TIMESTAMPTZ": "timestamp with time zone",
    "DATE": "date",
    "JSONB": "jsonb",
    "UUID": "uuid",
    "BYTEA": "bytea",
}
ON_DELETE = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}

Schema = dict[str, dict[str, Any]]

# Conditions other than equality, which tortoise's PartialIndex cannot say.
PARTIAL = {
    "ledger_lot": {
        "ledger_lot_fifo_idx": "btree (holder_id, asset, earned_at, id) WHERE remaining > 0",
        "ledger_lot_expiring_idx": (
            "btree (holder_id, asset, expires_at) WHERE remaining > 0 AND expires_at IS NOT NULL"
        ),
        "ledger_lot_expiry_idx": "btree (expires_at) WHERE remaining > 0 AND expires_at IS NOT NULL",
    },
    "conversation": {
        "conversation_open_fan_idx": "btree (fan_id) WHERE state <> closed",
        "conversation_live_idx": "btree (brand_id, last_at, id) WHERE state <> closed",
    },
    "fan": {
        "fan_lookup_idx": "btree (account_id, lookup_due_at) WHERE lookup_due_at IS NOT NULL",
    },
    "award_explanation": {
        "award_explanation_less_idx": "btree (id) WHERE given >= 0 AND given < planned OR asset =",
        "award_explanation_back_idx": "btree (id) WHERE given < 0",
    },
    "ledger_posting": {
        "ledger_posting_statement_idx": "btree (holder_id, asset, entry_id) WHERE holder_id IS NOT NULL",
    },
}


def by_hand(declared: Schema) -> Schema:
    """Apply what migrations do by hand because tortoise cannot say it."""
    # The partition key has to be part of the primary key of a partitioned table.
    declared["event"]["keys"] = {"PRIMARY KEY (id, occurred_at)"}
    # A relation's name and its column would differ.
    declared["conversation"]["references"]["closed_by"] = "staff ON DELETE RESTRICT"
    # Indexes that leave out what is spent, or what belongs to no holder.
    for table, indexes in PARTIAL.items():
        declared[table]["indexes"] |= indexes
    # Two rows for "no channel" would both be the general welcome: null counts as a value here.
    declared["welcome"]["keys"] = {
        "PRIMARY KEY (id)",
        "UNIQUE NULLS NOT DISTINCT (account_id, channel_id, audience)",
    }
    return declared


def column(model: type[Model], name: str) -> str:
    """Return the column of a field; a relation's is the one that holds its id."""
    field = model._meta.fields_map[name]
    if isinstance(field, ForeignKeyFieldInstance):
        return str(field.source_field)
    return model._meta.fields_db_projection[name]


def words(value: object) -> str:
    """Return a default as SQL writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)


def index_of(model: type[Model], index: Index) -> str:
    """Return an index in the words of pg_get_indexdef, from USING on."""
    method = (index.INDEX_TYPE or "btree").strip().lower()
    columns = ", ".join(column(model, name) for name in index.fields)
    return f"{method} ({columns})" + index.extra.replace("'", "")


def declared(models: dict[str, type[Model]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for model in models.values():
        meta = model._meta
        columns = {}
        keys = {f"PRIMARY KEY ({column(model, meta.pk_attr)})"}
        references = {}
        for name, own in meta.fields_map.items():
            if name not in meta.fields_db_projection:
                continue
            field: Any = own
            sql_type = str(field.get_for_dialect("postgres", "SQL_TYPE"))
            varchar = re.fullmatch(r"VARCHAR\((\d+)\)", sql_type)
            columns[column(model, name)] = (
                f"character varying({varchar[1]})" if varchar else TYPES[sql_type],
                "null" if field.null else "not null",
                "identity" if field.generated else words(field.db_default) if field.has_db_default() else None,
            )
            if field.unique and not field.pk:
                keys.add(f"UNIQUE ({column(model, name)})")
            if (relation := field.reference) is not None:
                if relation.unique and not field.pk:
                    keys.add(f"UNIQUE ({column(model, name)})")
                on_delete = relation.on_delete.value if isinstance(relation.on_delete, OnDelete) else relation.on_delete
                references[column(model, name)] = f"{relation.related_model._meta.db_table} ON DELETE {on_delete}"
        keys |= {f"UNIQUE ({', '.join(column(model, name) for name in group)})" for group in meta.unique_together}
        yield (
            meta.db_table,
            {
                "columns": columns,
                "keys": keys,
                "references": references,
                "indexes": {index.name: index_of(model, index) for index in meta.indexes if isinstance(index, Index)},
                "checks": {check.name: set(re.findall(r"'[^']*'|\d+", check.check)) for check in meta.constraints},
            },
        )


async def migrated() -> Schema:
    schema: Schema = {}
    tables = await fetch(
        "SELECT oid, relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    for table in tables:
        if re.match(NOT_OURS, table["relname"]):
            continue
        columns = await fetch(
            """
            SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull, attidentity::text,
                   pg_get_expr(adbin, adrelid) AS default
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
            """,
            table["oid"],
        )
        constraints = await fetch(
            """
            SELECT conname, contype::text, confdeltype::text, confrelid::regclass::text AS target, convalidated,
                   pg_get_constraintdef(oid) AS definition
            FROM pg_constraint WHERE conrelid = $1 AND contype <> 'n'
            """,
            table["oid"],
        )
        indexes = await fetch(
            """
            SELECT c.relname, pg_get_indexdef(i.indexrelid) AS definition, i.indisvalid
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE i.indrelid = $1 AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
            """,
            table["oid"],
        )
        assert all(row["convalidated"] for row in constraints)
        assert all(row["indisvalid"] for row in indexes)
        schema[table["relname"]] = {
            "columns": {row["attname"]: await _column(row) for row in columns},
            "keys": {row["definition"] for row in constraints if row["contype"] in "pu"},
            "references": {
                re.findall(r"\((\w+)\)", row["definition"])[
                    0
                ]: f"{row['target']} ON DELETE {ON_DELETE[row['confdeltype']]}"
                for row in constraints
                if row["contype"] == "f"
            },
            "indexes": {row["relname"]: _index(row["definition"]) for row in indexes},
            "checks": {
                row["conname"]: set(re.findall(r"'[^']*'|\d+", row["definition"]))
                for row in constraints
                if row["contype"] == "c"
            },
        }
    return schema


async def _column(row: Any) -> tuple[str, str, str | None]:
    default = row["default"] and re.sub(r"::[\w ]+$", "", row["default"])
    generated = row["attidentity"] in {"a", "d"} or (default or "").startswith("nextval(")
    return row["type"], "not null" if row["attnotnull"] else "null", "identity" if generated else default


def _index(definition: str) -> str:
    text = definition.partition(" USING ")[2]
    # PostgreSQL writes a condition with its casts: WHERE ((state)::text = 'running'::text)
    head, where, condition = text.partition(" WHERE ")
    return head + where + re.sub(r"::\w+|[()']", "", condition).strip()


def test_no_model_has_changed_without_a_migration() -> None:
    assert drift() == []


async def test_the_migrated_schema_is_the_declared_one(db: TortoiseContext) -> None:
    assert db.apps is not None
    ours = by_hand(dict(declared(db.apps["scrm"])))
    theirs = await migrated()
    assert set(theirs) == set(ours)
    for table in ours:
        assert theirs[table] == ours[table], table


async def test_the_comparison_sees_a_difference(db: TortoiseContext) -> None:
    """The test above would be worth nothing if both sides were empty or blind."""
    before = await migrated()
    for statement, part in [
        ("ALTER TABLE fan ADD COLUMN extra int", "columns"),
        ("ALTER TABLE fan ALTER COLUMN follow_count DROP DEFAULT", "columns"),
        ("ALTER TABLE fan ALTER COLUMN openid TYPE varchar(65)", "columns"),
        ("ALTER TABLE fan ALTER COLUMN following DROP NOT NULL", "columns"),
        ("DROP INDEX fan_member_idx", "indexes"),
        ("ALTER TABLE fan DROP CONSTRAINT fan_account_id_fkey", "references"),
        ("ALTER TABLE fan ADD UNIQUE (openid)", "keys"),
        ("ALTER TABLE fan ADD CHECK (follow_count > 7)", "checks"),
    ]:
        await fetch(statement)
        after = await migrated()
        assert [name for name in after["fan"] if after["fan"][name] != before["fan"][name]] == [part]
        before = after


async def test_the_constraints_hold(db: TortoiseContext) -> None:
    """A CHECK that is there by name could still allow anything; one is tried."""
    account = await make_account()
    with pytest.raises(Exception, match="account_kind_known"):
        await fetch("UPDATE account SET kind = 'group' WHERE id = $1", account)


@pytest.mark.parametrize("name", MIGRATIONS)
async def test_the_sql_of_a_migration_is_on_record(name: str) -> None:
    assert (SNAPSHOTS / f"{name}.sql").read_text() == await sql_of(name)


def test_nothing_else_is_on_record() -> None:
    assert sorted(path.stem for path in SNAPSHOTS.glob("*")) == MIGRATIONS
