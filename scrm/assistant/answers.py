"""The record of answers: what the fan was told and why, enough to explain it, to repeat it and to say it only once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from scrm import db
from scrm.db import Transaction, command
from scrm.members.person import hold, refuse_erased

Outcome = Literal["self_service", "knowledge", "menu", "answered", "doubt", "failed", "over_budget"]
# Of these the fan learns nothing.
AT_A_LOSS = ("doubt", "failed", "over_budget")
# A second time at a loss within this is a reason to offer a person by ourselves.
SOON = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Record:
    """One answer. `said` went to the fan, `written` is what the model wrote; `cost_micro` in millionths of a fen."""

    key: UUID
    brand_id: int
    account_id: int
    fan_id: int
    member_id: int
    outcome: Outcome
    said: str
    answered_at: datetime
    ai: bool = False
    reason: str = ""
    detail: str = ""
    written: str = ""
    passages: Sequence[Mapping[str, Any]] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    choices: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_micro: int = 0
    took_ms: int = 0


_COLUMNS = tuple(Record.__dataclass_fields__)
_JSON = {"passages", "tools", "choices"}
# What a model wrote may be quoted there, at any length.
_MOST = {"reason": 32, "detail": 256, "model": 64}
_KEEP = (
    f"INSERT INTO assistant_answer ({', '.join(_COLUMNS)}) VALUES ("  # noqa: S608  # our own names
    + ", ".join(f"${n}::jsonb" if name in _JSON else f"${n}" for n, name in enumerate(_COLUMNS, 1))
    + ") ON CONFLICT (key) DO NOTHING"
)


@command
async def keep(tx: Transaction, record: Record) -> Record:
    """Keep a record, and return the one that counts: of two for the same push the first.

    Raises Conflict `account_deleted` when the fan has left while the answer was being thought of.
    """
    await hold(tx.connection, record.member_id, record.fan_id)
    await refuse_erased(tx.connection, record.member_id)
    values = [_column(getattr(record, name), name) for name in _COLUMNS]
    await tx.connection.execute(_KEEP, *values)
    kept = await find(record.key)
    assert kept is not None  # noqa: S101  # written just now, or before
    return kept


def _column(value: Any, name: str) -> Any:
    if name in _JSON:
        return json.dumps(list(value), ensure_ascii=False)
    # PostgreSQL holds no NUL; a model may well write one.
    return value.replace("\x00", "")[: _MOST.get(name)] if isinstance(value, str) else value


async def find(key: UUID) -> Record | None:
    """Return why the bot answered a push as it did; None when the assistant had nothing to do with it."""
    rows = await db.fetch(f"SELECT {', '.join(_COLUMNS)} FROM assistant_answer WHERE key = $1", key)  # noqa: S608  # same
    if not rows:
        return None
    row = dict(rows[0])
    return Record(**{name: json.loads(value) if name in _JSON else value for name, value in row.items()})
