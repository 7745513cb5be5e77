"""Lints that fence the traps of the ORM; docs/subsystems/database.md tells what each of them cost."""

import ast
from collections.abc import Iterator

from tests.contracts.lint import Rule, Source, dotted, keywords


def _model_fields(source: Source) -> Iterator[ast.Call]:
    """Yield calls like `fields.CharField(…)`; pydantic's `Field(…)` is none of them."""
    for call in source.calls:
        name = dotted(call.func).rpartition(".")[2]
        if name.endswith(("Field", "FieldInstance")) and name != "Field":
            yield call


def _save_without_fields(source: Source) -> Iterator[int]:
    for call in source.calls:
        is_save = isinstance(call.func, ast.Attribute) and call.func.attr == "save"
        if is_save and not _saves_picture(call) and not _names_fields(call):
            yield call.lineno


def _saves_picture(call: ast.Call) -> bool:
    """Whether a format is said, as pictures are saved here: save(out, "PNG") or save(out, format="PNG")."""
    second = call.args[1] if len(call.args) > 1 else None
    return "format" in keywords(call) or (isinstance(second, ast.Constant) and isinstance(second.value, str))


def _names_fields(call: ast.Call) -> bool:
    named = [one.value for one in call.keywords if one.arg in {"update_fields", None}]
    return bool(named) and not any(isinstance(one, ast.Constant) and one.value is None for one in named)


def _upsert(source: Source) -> Iterator[int]:
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr in {"update_or_create", "get_or_create"}:
            yield node.lineno


def _db_index(source: Source) -> Iterator[int]:
    yield from (call.lineno for call in _model_fields(source) if keywords(call) & {"db_index", "index"})


def _enum_field(source: Source) -> Iterator[int]:
    for call in _model_fields(source):
        if "Enum" in dotted(call.func):
            yield call.lineno


def _python_default(source: Source) -> Iterator[int]:
    for call in _model_fields(source):
        if "default" in keywords(call) and "db_default" not in keywords(call):
            yield call.lineno


def _lock_kind(source: Source) -> Iterator[int]:
    for call in source.calls:
        if dotted(call.func).endswith("select_for_update") and not keywords(call) & {"no_key", "**"}:
            yield call.lineno


def _own_transaction(source: Source) -> Iterator[int]:
    forbidden = {"in_transaction", "atomic", "_in_transaction"}
    for node in source.nodes:
        match node:
            case (
                ast.ImportFrom(module="tortoise.transactions")
                | ast.Import(names=[ast.alias(name="tortoise.transactions")])
            ):
                yield node.lineno
            case ast.Attribute() if node.attr in forbidden or dotted(node).endswith("connections.get"):
                yield node.lineno
            case ast.Attribute() if dotted(node) in {"asyncpg.connect", "asyncpg.create_pool"}:
                yield node.lineno
            # asyncpg's connection.transaction(); `db.transaction()` is the house's own.
            case ast.Call(func=ast.Attribute(attr="transaction") as func) if dotted(func.value) not in {
                "db",
                "scrm.db",
            }:
                yield node.lineno


RULES = [
    Rule("save-fields", "save-fields", ".save() writes every column: name update_fields", _save_without_fields),
    Rule(
        "upsert",
        "upsert",
        "opens transactions of its own, and an update writes every column: one INSERT … ON CONFLICT",
        _upsert,
    ),
    Rule(
        "db-index",
        "db-index",
        "an index on an added field is never created: name it in Meta.indexes",
        _db_index,
        where=("scrm/",),
    ),
    Rule(
        "enum-field",
        "enum-field",
        "migrations would import the enum: use CharField and a named CheckConstraint",
        _enum_field,
        where=("scrm/",),
    ),
    Rule(
        "python-default",
        "python-default",
        "a Python default is no column default: use db_default",
        _python_default,
        where=("scrm/",),
    ),
    Rule("lock-kind", "lock-kind", "say which lock: select_for_update(no_key=True or False)", _lock_kind),
    Rule(
        "own-transaction",
        "own-transaction",
        "only scrm/db.py (and the migrations' runner) opens connections and transactions",
        _own_transaction,
        exempt=("scrm/db.py", "scrm/migrate.py"),
    ),
]
