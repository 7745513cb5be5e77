"""What staff do with the knowledge base: write, publish, go back, archive, restore, and keep the synonyms.

Every command takes the brand's row first, so edits of one brand happen one after the other and never deadlock.
What changes what fans may be told raises the brand's revision: indexes follow it (scrm.assistant.retrieval).
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from scrm.assistant.content import AUTHOR, Content, check, check_synonyms, storable
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid, NotFound


@command
async def create(
    tx: Transaction, *, brand_id: int, kind: str, content: Content, author: str, key: UUID, now: datetime
) -> int:
    """Create a draft with its version 1 and return its id; with a `key` that was used, only that one's id.

    `kind` is article or qa, `author` says who, such as `staff:12`. Raises NotFound, Invalid naming the field.
    """
    raw, content = tx.connection, check(kind, content)
    check_author(author)
    await lock(raw, brand_id)
    there = await raw.fetchrow("SELECT id, brand_id FROM knowledge_entry WHERE key = $1", key)
    if there is not None:
        if there["brand_id"] != brand_id:
            raise Conflict("这个编号已经用过", field="key")
        return int(there["id"])
    entry_id: int = await raw.fetchval(
        """
        INSERT INTO knowledge_entry (brand_id, kind, key, status, newest, created_at, updated_at)
        VALUES ($1, $2, $3, 'draft', 1, $4, $4) RETURNING id
        """,
        brand_id,
        kind,
        key,
        now,
    )
    await write(raw, [(entry_id, 1, content)], author, now)
    return entry_id


@command
async def edit(
    tx: Transaction, *, brand_id: int, entry_id: int, content: Content, expected: int, author: str, now: datetime
) -> int:
    """Write the next version and return its number; fans see it when it is published.

    `expected` is the newest version the author has seen: Conflict when somebody has written another since.
    Saying what the newest version already says writes nothing. Raises NotFound, Invalid naming the field.
    """
    raw = tx.connection
    await lock(raw, brand_id)
    entry = await _entry(raw, brand_id, entry_id)
    content = check(entry["kind"], content)
    check_author(author)
    newest: int = entry["newest"]
    if await _content(raw, entry_id, newest) == content:
        return newest
    if expected != newest:
        raise Conflict(f"这一条已被修改，最新是第 {newest} 版，请刷新后再保存", code="stale_version", field="expected")
    await write(raw, [(entry_id, newest + 1, content)], author, now)
    return newest + 1


@command
async def publish(tx: Transaction, *, brand_id: int, entry_id: int, version: int, now: datetime) -> None:
    """Let fans see a version from now on; an older one is a rollback. Twice changes nothing.

    Raises NotFound for an entry or version that is not there, Conflict for an archived entry: restore it first.
    """
    raw = tx.connection
    await lock(raw, brand_id)
    entry = await _entry(raw, brand_id, entry_id)
    if entry["status"] == "archived":
        raise Conflict("已归档的内容不能发布，请先恢复", code="archived", field="entry_id")
    if not 1 <= version <= entry["newest"]:
        raise NotFound("没有这个版本", field="version")
    if entry["published"] != version:
        await raw.execute(
            "UPDATE knowledge_entry SET status = 'published', published = $2, updated_at = $3 WHERE id = $1",
            entry_id,
            version,
            now,
        )
        await changed(raw, brand_id)


@command
async def archive(tx: Transaction, *, brand_id: int, entry_id: int, now: datetime) -> None:
    """Take an entry away from fans and out of the way; its versions stay. Twice changes nothing. Raises NotFound."""
    await _put_away(tx.connection, brand_id, entry_id, "archived", ("draft", "published"), now)


@command
async def restore(tx: Transaction, *, brand_id: int, entry_id: int, now: datetime) -> None:
    """Bring an archived entry back as a draft; one that is not archived stays as it is. Raises NotFound."""
    await _put_away(tx.connection, brand_id, entry_id, "draft", ("archived",), now)


@command
async def withdraw(tx: Transaction, *, brand_id: int, entry_id: int, now: datetime) -> None:
    """Make a published entry a draft again, unseen by fans; any other stays as it is. Raises NotFound."""
    await _put_away(tx.connection, brand_id, entry_id, "draft", ("published",), now)


@command
async def set_synonyms(
    tx: Transaction, *, brand_id: int, groups: Sequence[Sequence[str]], expected: int | None = None
) -> int:
    """Replace the brand's synonyms, groups of words that mean the same, and return how often they were changed.

    `expected` is the number the author has seen: Conflict when they were changed since; None overwrites. Saying what
    is there already writes nothing. Raises NotFound, Invalid naming `groups[3]`.
    """
    raw, checked = tx.connection, check_synonyms(groups)
    base = await lock(raw, brand_id)
    number: int = base["synonyms_revision"]
    if json.loads(base["synonyms"]) == checked:
        return number
    if expected not in {None, number}:
        raise Conflict("同义词已被修改，请刷新后再保存", code="stale_version", field="expected")
    await raw.execute(
        "UPDATE knowledge_base SET synonyms = $2, synonyms_revision = $3 WHERE brand_id = $1",
        brand_id,
        json.dumps(checked, ensure_ascii=False),
        number + 1,
    )
    await changed(raw, brand_id)
    return number + 1


async def lock(raw: Connection, brand_id: int) -> Any:
    """Take the brand's row, made when it is not there, until the transaction ends. Raises NotFound."""
    await raw.execute(
        """
        INSERT INTO knowledge_base (brand_id, revision, synonyms, synonyms_revision)
        SELECT id, 0, '[]', 0 FROM brand WHERE id = $1
        ON CONFLICT (brand_id) DO NOTHING
        """,
        brand_id,
    )
    base = await raw.fetchrow("SELECT * FROM knowledge_base WHERE brand_id = $1 FOR NO KEY UPDATE", brand_id)
    if base is None:
        raise NotFound("没有这个品牌", field="brand_id")
    return base


async def changed(raw: Connection, brand_id: int) -> None:
    """Say that what fans may be told has changed: every process makes its index anew."""
    await raw.execute("UPDATE knowledge_base SET revision = revision + 1 WHERE brand_id = $1", brand_id)


async def _put_away(
    raw: Connection, brand_id: int, entry_id: int, status: str, before: Sequence[str], now: datetime
) -> None:
    await lock(raw, brand_id)
    entry = await _entry(raw, brand_id, entry_id)
    if entry["status"] not in before:
        return
    await raw.execute(
        "UPDATE knowledge_entry SET status = $2, published = NULL, updated_at = $3 WHERE id = $1",
        entry_id,
        status,
        now,
    )
    if entry["status"] == "published":
        await changed(raw, brand_id)


async def _entry(raw: Connection, brand_id: int, entry_id: int) -> Any:
    entry = await raw.fetchrow("SELECT * FROM knowledge_entry WHERE id = $1 AND brand_id = $2", entry_id, brand_id)
    if entry is None:
        raise NotFound("没有这条知识", field="entry_id")
    return entry


async def _content(raw: Connection, entry_id: int, number: int) -> Content:
    row = await raw.fetchrow("SELECT * FROM knowledge_version WHERE entry_id = $1 AND number = $2", entry_id, number)
    return content_of(row)


def content_of(row: Any) -> Content:
    """Return what a row of `knowledge_version` says."""
    return Content(
        row["title"],
        row["body"],
        tuple(json.loads(row["alternatives"])),
        row["category"],
        row["valid_from"],
        row["valid_until"],
    )


async def write(raw: Connection, versions: Sequence[tuple[int, int, Content]], author: str, now: datetime) -> None:
    """Write versions, each (entry, number, content), as the newest of their entries."""
    await raw.executemany(
        """
        INSERT INTO knowledge_version (entry_id, number, title, body, alternatives, category, valid_from, valid_until,
                                       author, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        [
            (
                entry_id,
                number,
                content.title,
                content.body,
                json.dumps(content.alternatives, ensure_ascii=False),
                content.category,
                content.valid_from,
                content.valid_until,
                author,
                now,
            )
            for entry_id, number, content in versions
        ],
    )
    await raw.execute(
        """
        UPDATE knowledge_entry e SET newest = i.number, updated_at = $3
        FROM unnest($1::bigint[], $2::int[]) AS i (id, number) WHERE e.id = i.id
        """,
        [entry_id for entry_id, _, _ in versions],
        [number for _, number, _ in versions],
        now,
    )


def check_author(author: str) -> None:
    """Raise Invalid when nobody can be called so."""
    if not 1 <= len(author) <= AUTHOR or not storable(author):
        raise Invalid(f"作者的长度为 1 到 {AUTHOR} 个字符", field="author")
