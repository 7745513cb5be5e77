"""Reading the knowledge base for staff: pages of entries, one entry, its versions, the categories, the synonyms."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scrm import db
from scrm.assistant.content import Content
from scrm.assistant.knowledge import content_of
from scrm.errors import NotFound

MOST = 200  # rows of a page


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry in a list; `title` and `category` are the newest version's. `published` is what fans see, or None."""

    id: int
    kind: str
    status: str
    external_id: str | None
    title: str
    category: str
    newest: int
    published: int | None
    author: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version of an entry, with all it says."""

    number: int
    content: Content
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry as its editor opens it: its newest version, and the one that fans see if it is another."""

    row: EntryRow
    newest: VersionView
    published: VersionView | None


@dataclass(frozen=True, slots=True)
class SynonymsView:
    """A brand's synonyms; `number` is what `knowledge.set_synonyms` expects."""

    groups: list[list[str]]
    number: int


_ROWS = """
SELECT e.id, e.kind, e.status, e.external_id, v.title, v.category, e.newest, e.published, v.author, e.created_at,
       e.updated_at
FROM knowledge_entry e JOIN knowledge_version v ON v.entry_id = e.id AND v.number = e.newest
WHERE e.brand_id = $1
"""


async def entries(
    brand_id: int,
    *,
    status: str | None = None,
    kind: str | None = None,
    category: str | None = None,
    text: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[EntryRow]:
    """Return a page of a brand's entries, the newest first; the next page is `before` the last one's id.

    Filters that are None do not filter; `text` is looked for in titles, bodies and names from files. Without
    `status` archived ones are left out.
    """
    rows = await db.fetch(
        _ROWS
        + """
        AND CASE WHEN $2::text IS NULL THEN e.status <> 'archived' ELSE e.status = $2 END
        AND ($3::text IS NULL OR e.kind = $3) AND ($4::text IS NULL OR v.category = $4)
        AND ($5::text IS NULL OR v.title ILIKE $5 OR v.body ILIKE $5 OR e.external_id ILIKE $5)
        AND ($6::bigint IS NULL OR e.id < $6)
        ORDER BY e.id DESC LIMIT $7
        """,
        brand_id,
        status,
        kind,
        category,
        _pattern(text),
        before,
        max(1, min(limit, MOST)),
    )
    return [EntryRow(**row) for row in rows]


def _pattern(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    meant = text.strip().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{meant}%"


async def brand_of_entry(entry_id: int) -> int | None:
    """Return whose entry it is; None when there is none."""
    rows = await db.fetch("SELECT brand_id FROM knowledge_entry WHERE id = $1", entry_id)
    return rows[0]["brand_id"] if rows else None


async def entry(brand_id: int, entry_id: int) -> EntryView:
    """Return one entry of a brand. Raises NotFound, also for another brand's."""
    rows = await db.fetch(_ROWS + "AND e.id = $2", brand_id, entry_id)
    if not rows:
        raise NotFound("没有这条知识", field="entry_id")
    row = EntryRow(**rows[0])
    newest = await version(brand_id, entry_id, row.newest)
    if row.published in {None, row.newest}:
        return EntryView(row, newest, newest if row.published else None)
    return EntryView(row, newest, await version(brand_id, entry_id, row.published or 0))


_VERSIONS = """
SELECT v.number, v.title, v.body, v.alternatives, v.category, v.valid_from, v.valid_until, v.author, v.created_at
FROM knowledge_version v JOIN knowledge_entry e ON e.id = v.entry_id
WHERE e.brand_id = $1 AND e.id = $2
"""


async def version(brand_id: int, entry_id: int, number: int) -> VersionView:
    """Return one version. Raises NotFound."""
    rows = await db.fetch(_VERSIONS + "AND v.number = $3", brand_id, entry_id, number)
    if not rows:
        raise NotFound("没有这个版本", field="version")
    return _version(rows[0])


async def versions(
    brand_id: int, entry_id: int, *, before: int | None = None, limit: int = 50
) -> Sequence[VersionView]:
    """Return an entry's versions, the newest first; the next page is `before` the last one's number."""
    rows = await db.fetch(
        _VERSIONS + "AND ($3::int IS NULL OR v.number < $3) ORDER BY v.number DESC LIMIT $4",
        brand_id,
        entry_id,
        before,
        max(1, min(limit, MOST)),
    )
    return [_version(row) for row in rows]


async def categories(brand_id: int) -> dict[str, int]:
    """Return how many entries that are not archived each category has, by name."""
    rows = await db.fetch(
        """
        SELECT v.category, count(*) AS count
        FROM knowledge_entry e JOIN knowledge_version v ON v.entry_id = e.id AND v.number = e.newest
        WHERE e.brand_id = $1 AND e.status <> 'archived' GROUP BY v.category ORDER BY v.category
        """,
        brand_id,
    )
    return {row["category"]: row["count"] for row in rows}


async def synonyms(brand_id: int) -> SynonymsView:
    """Return a brand's synonyms."""
    rows = await db.fetch("SELECT synonyms, synonyms_revision FROM knowledge_base WHERE brand_id = $1", brand_id)
    return SynonymsView(json.loads(rows[0]["synonyms"]), rows[0]["synonyms_revision"]) if rows else SynonymsView([], 0)


async def brands_with_knowledge() -> set[int]:
    """Return the brands that have something published: the others need not be searched."""
    rows = await db.fetch("SELECT DISTINCT brand_id FROM knowledge_entry WHERE status = 'published'")
    return {row["brand_id"] for row in rows}


def _version(row: Any) -> VersionView:
    return VersionView(row["number"], content_of(row), row["author"], row["created_at"])
