"""The audit trail: who changed what, written in the same transaction as the change, and never changed itself."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from scrm.db import Connection, Transaction, command, fetch

T = TypeVar("T")

# Values under these names are personal; only their ends are kept.
_PERSONAL = frozenset({"phone", "mobile", "openid", "unionid", "email", "address", "detail", "id_number", "real_name"})
_SECRET = frozenset({"password", "password_hash", "secret", "token", "aes_key", "code"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, as the trail names them."""

    staff_id: int | None
    name: str
    address: str = ""


COMMAND_LINE = Actor(None, "命令行")


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done to what; `subject` is such as "staff:12", `brand_id` None what concerns the house."""

    action: str
    subject: str
    subject_name: str = ""
    brand_id: int | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def masked(value: Any, name: str = "") -> Any:
    """Return a value as the trail keeps it: personal data by its ends, secrets not at all."""
    if name in _SECRET and value is not None:
        return "***"
    if isinstance(value, Mapping):
        return {str(key): masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [masked(inner, name) for inner in value]
    if name in _PERSONAL and value is not None:
        text = str(value)
        return f"{text[:3]}****{text[-4:]}" if len(text) >= 11 else f"{text[:1]}***"
    return value


async def record(raw: Connection, actor: Actor, entry: Entry, now: datetime) -> None:
    """Write a line of the trail in the caller's transaction. Of two states only what differs is kept.

    Where nothing differs nothing was changed, and there is no line.
    """
    # Before masking: two secrets look alike behind it.
    if entry.before is not None and entry.before == entry.after:
        return
    before, after = masked(entry.before), masked(entry.after)
    if before is not None and after is not None:
        same = {name for name in before if name in after and before[name] == after[name]}
        before = {name: value for name, value in before.items() if name not in same}
        after = {name: value for name, value in after.items() if name not in same}
    await raw.execute(
        """
        INSERT INTO audit (at, staff_id, staff_name, address, action, subject, subject_name, brand_id, before, after)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10::jsonb)
        """,
        now,
        actor.staff_id,
        actor.name[:64],
        actor.address,
        entry.action,
        entry.subject,
        entry.subject_name[:64],
        entry.brand_id,
        _json(before),
        _json(after),
    )


async def brand_of(raw: Connection, staff_id: int) -> int | None:
    """Return whose matter somebody's own doings are: the brand of whoever works for one only, else the house's."""
    found: int | None = await raw.fetchval(
        """
        SELECT min(b.brand_id) FROM staff_brand b JOIN staff s ON s.id = b.staff_id
        WHERE b.staff_id = $1 AND NOT s.all_brands HAVING count(*) = 1
        """,
        staff_id,
    )
    return found


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


@command
async def along(
    tx: Transaction, actor: Actor, change: Callable[[], Awaitable[T]], entry: Callable[[T], Entry | None], now: datetime
) -> T:
    """Do a change of another noun and write its line, both or neither; returns what `change` returns.

    For commands that know no staff, such as those of `replies`: `entry` makes the line from the outcome, None where
    nothing has changed.
    """
    outcome = await change()
    if (line := entry(outcome)) is not None:
        await record(tx.connection, actor, line, now)
    return outcome


@command
async def write(tx: Transaction, actor: Actor, entry: Entry, now: datetime) -> None:
    """Write a line about what was only read, such as an export."""
    await record(tx.connection, actor, entry, now)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the trail."""

    id: int
    at: datetime
    staff_id: int | None
    staff_name: str
    address: str
    action: str
    subject: str
    subject_name: str
    brand_id: int | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


async def lines(
    *,
    brands: list[int] | None,
    staff_id: int | None = None,
    action: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Line]:
    """Return lines, newest first, of these brands (None: all, and the house's own); `before` is the last id seen.

    `action` is a whole word such as "staff.added", or a group such as "staff."; `until` is not included.
    """
    rows = await fetch(
        """
        SELECT id, at, staff_id, staff_name, address, action, subject, subject_name, brand_id, before, after
        FROM audit
        WHERE ($1::bigint[] IS NULL OR brand_id = ANY($1)) AND ($2::bigint IS NULL OR staff_id = $2)
          AND ($3::text IS NULL OR action = $3 OR (right($3, 1) = '.' AND starts_with(action, $3)))
          AND ($4::text IS NULL OR subject = $4)
          AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
          AND ($7::bigint IS NULL OR id < $7)
        ORDER BY id DESC LIMIT $8
        """,
        brands,
        staff_id,
        action,
        subject,
        since,
        until,
        before,
        limit,
    )
    return [Line(**{**dict(row), "before": _loaded(row["before"]), "after": _loaded(row["after"])}) for row in rows]


def _loaded(text: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found
