"""Importing a file: its good rows are written in one transaction, the others are reported by line.

A row is known again by its name, so importing a file twice changes nothing, and a changed row is a new version.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from kit.ids import key_of
from scrm.assistant.content import Content
from scrm.assistant.files import Row, read
from scrm.assistant.knowledge import changed, check_author, content_of, lock, write
from scrm.db import Connection, Transaction, command

Outcome = Literal["created", "updated", "unchanged", "rejected"]


@dataclass(frozen=True, slots=True)
class Line:
    """What became of the row that begins at `line`; `reason` only for a rejected one."""

    line: int
    outcome: Outcome
    title: str = ""
    entry_id: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What an import did, row by row in the file's order."""

    lines: tuple[Line, ...]

    def count(self, outcome: Outcome) -> int:
        """Return how many rows ended like this."""
        return sum(line.outcome == outcome for line in self.lines)


async def import_file(
    *, brand_id: int, data: bytes, form: str, author: str, now: datetime, publish: bool = False
) -> Report:
    """Write the entries of a Markdown (`md`) or `csv` file; rows that are wrong are left out and reported.

    With `publish` fans see what the file says; without, new and changed rows wait as drafts. An archived entry stays
    archived. Raises Invalid naming `file` or `format` when the file cannot be read as a whole, NotFound.
    """
    check_author(author)
    return await _store(brand_id=brand_id, rows=read(data, form), author=author, now=now, visible=publish)


@command
async def _store(
    tx: Transaction, *, brand_id: int, rows: Sequence[Row], author: str, now: datetime, visible: bool
) -> Report:
    raw = tx.connection
    await lock(raw, brand_id)
    known = await _known(raw, brand_id, [row.external_id for row in rows if row.content])
    ids = await _make(raw, brand_id, [row for row in rows if row.content and row.external_id not in known], now)
    lines: list[Line] = []
    versions: list[tuple[int, int, Content]] = []
    shown: list[tuple[int, int]] = []
    for row in rows:
        if row.content is None:
            lines.append(Line(row.line, "rejected", row.title, reason=row.reason))
            continue
        entry = known.get(row.external_id)
        if entry is not None and entry["kind"] != row.kind:
            lines.append(Line(row.line, "rejected", row.content.title, reason="id: 这个编号已经用于另一种内容"))
            continue
        entry_id: int = entry["id"] if entry is not None else ids[row.external_id]
        number: int = entry["newest"] if entry is not None else 0
        outcome: Outcome = "unchanged" if entry is not None else "created"
        content = row.content if entry is None else _over(content_of(entry), row.content, row.says)
        if entry is None or content_of(entry) != content:
            number += 1
            versions.append((entry_id, number, content))
            outcome = "updated" if entry is not None else "created"
        if visible and (entry is None or (entry["status"] != "archived" and entry["published"] != number)):
            shown.append((entry_id, number))
            outcome = "updated" if outcome == "unchanged" else outcome
        lines.append(Line(row.line, outcome, row.content.title, entry_id))
    await write(raw, versions, author, now)
    if shown:
        await _show(raw, shown, now)
        await changed(raw, brand_id)
    return Report(tuple(lines))


def _over(old: Content, new: Content, says: Collection[str]) -> Content:
    """Return what the file says, and for what it has no place what was there."""
    return replace(old, **{name: getattr(new, name) for name in says})


async def _known(raw: Connection, brand_id: int, names: Sequence[str]) -> dict[str, Any]:
    rows = await raw.fetch(
        """
        SELECT e.id, e.external_id, e.kind, e.status, e.newest, e.published,
               v.title, v.body, v.alternatives, v.category, v.valid_from, v.valid_until
        FROM knowledge_entry e JOIN knowledge_version v ON v.entry_id = e.id AND v.number = e.newest
        WHERE e.brand_id = $1 AND e.external_id = ANY($2::text[])
        """,
        brand_id,
        names,
    )
    return {row["external_id"]: row for row in rows}


async def _make(raw: Connection, brand_id: int, rows: Sequence[Row], now: datetime) -> dict[str, int]:
    """Make the entries of new rows, without their first version yet; returns their ids by name."""
    made = await raw.fetch(
        """
        INSERT INTO knowledge_entry (brand_id, kind, key, external_id, status, newest, created_at, updated_at)
        SELECT $1, kind, key, external_id, 'draft', 1, $5, $5
        FROM unnest($2::text[], $3::uuid[], $4::text[]) WITH ORDINALITY AS i (kind, key, external_id, place)
        ORDER BY place
        RETURNING id, external_id
        """,
        brand_id,
        [row.kind for row in rows],
        [key_of("knowledge.imported", brand_id, row.external_id) for row in rows],
        [row.external_id for row in rows],
        now,
    )
    return {row["external_id"]: row["id"] for row in made}


async def _show(raw: Connection, shown: Sequence[tuple[int, int]], now: datetime) -> None:
    await raw.execute(
        """
        UPDATE knowledge_entry e SET status = 'published', published = i.number, updated_at = $3
        FROM unnest($1::bigint[], $2::int[]) AS i (id, number) WHERE e.id = i.id
        """,
        [entry_id for entry_id, _ in shown],
        [number for _, number in shown],
        now,
    )
