"""What fans may be told, read from the database: a brand's revision, its published passages, its synonyms."""

import json
from collections.abc import Sequence
from typing import Any

from scrm.assistant.index import Text
from scrm.assistant.knowledge import content_of
from scrm.assistant.passages import split
from scrm.db import Connection

_PUBLISHED = """
SELECT e.id AS entry_id, e.kind, v.id AS version_id, v.title, v.body, v.alternatives, v.category, v.valid_from,
       v.valid_until
FROM knowledge_entry e JOIN knowledge_version v ON v.entry_id = e.id AND v.number = e.published
WHERE e.brand_id = $1 AND e.status = 'published'
ORDER BY e.id
"""


async def revision(raw: Connection, brand_id: int) -> int:
    """Return the number that grows with every change of what a brand's fans may be told; 0 when there is nothing."""
    number: int | None = await raw.fetchval("SELECT revision FROM knowledge_base WHERE brand_id = $1", brand_id)
    return number or 0


async def published(raw: Connection, brand_id: int) -> Sequence[Any]:
    """Return the rows of what is published; `passages` makes something of them."""
    rows: list[Any] = await raw.fetch(_PUBLISHED, brand_id)
    return rows


def passages(rows: Sequence[Any]) -> list[Text]:
    """Return the passages of published rows, in the order in which entries were made and as they are read.

    For thousands of entries this takes a while: where others wait for the event loop, do it in a thread.
    """
    texts = []
    for row in rows:
        content = content_of(row)
        texts += [
            Text(
                row["entry_id"],
                row["version_id"],
                row["kind"],
                content.title,
                content.alternatives,
                part.anchor,
                part.text,
                content.valid_from,
                content.valid_until,
            )
            for part in split(row["kind"], content.body)
        ]
    return texts


async def synonyms(raw: Connection, brand_id: int) -> list[list[str]]:
    """Return a brand's groups of words that mean the same."""
    groups: list[list[str]] = json.loads(
        await raw.fetchval("SELECT synonyms FROM knowledge_base WHERE brand_id = $1", brand_id) or "[]"
    )
    return groups


async def still_published(raw: Connection, version_ids: list[int]) -> set[int]:
    """Return those of the versions that fans see at this moment."""
    rows = await raw.fetch(
        """
        SELECT v.id FROM knowledge_version v JOIN knowledge_entry e ON e.id = v.entry_id
        WHERE v.id = ANY($1::bigint[]) AND e.status = 'published' AND e.published = v.number
        """,
        version_ids,
    )
    return {row["id"] for row in rows}
