"""A tag for many people at once: rows claimed in small transactions, with progress, and undone as a whole.

A batch is begun by `open_batch` in the transaction of whoever chose the people (scrm.people.tagging). A job works
through it; killed anywhere, or run twice at once, each person's row is done once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg

from kit.ids import key_of
from scrm import db
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, NotFound
from scrm.events import service as events
from scrm.events.kinds import Appended, Kind
from scrm.jobs import enqueue
from scrm.tags.service import PUT, TAKEN

JOB = "tags.batch"
Action = Literal["put", "take"]
CHUNK = 200  # people in one transaction


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch and how far it is: `done` of `total` people looked at, `changed` of them really."""

    id: int
    brand_id: int
    tag_id: int
    tag: str
    action: str
    staff_id: int
    state: str
    total: int
    done: int
    changed: int
    undone: int
    created_at: datetime
    finished_at: datetime | None


_VIEW = """
SELECT b.id, b.brand_id, b.tag_id, t.name AS tag, b.action, b.staff_id, b.state, b.total, b.done, b.changed, b.undone,
       b.created_at, b.finished_at
FROM tag_batch b JOIN tag t ON t.id = b.tag_id
"""


async def open_batch(
    raw: Connection, *, key: UUID, brand_id: int, tag_id: int, action: Action, staff_id: int, now: datetime
) -> int | None:
    """Make an empty batch in the caller's transaction; None when this key has one already.

    Raises NotFound for a tag that is not the brand's, Conflict when an archived one is to be put.
    """
    tag = await raw.fetchrow(
        "SELECT archived_at FROM tag WHERE id = $1 AND brand_id = $2 FOR KEY SHARE", tag_id, brand_id
    )
    if tag is None:
        raise NotFound("没有这个标签", field="tag_id")
    if action == "put" and tag["archived_at"] is not None:
        raise Conflict("标签已停用", code="tag_archived", field="tag_id")
    made: int | None = await raw.fetchval(
        """
        INSERT INTO tag_batch (key, brand_id, tag_id, action, staff_id, state, created_at)
        VALUES ($1, $2, $3, $4, $5, 'running', $6) ON CONFLICT (key) DO NOTHING RETURNING id
        """,
        key,
        brand_id,
        tag_id,
        action,
        staff_id,
        now,
    )
    return made


async def start(tx: Transaction, batch_id: int) -> int:
    """Count the people that were put into a batch and wake a worker; returns how many there are."""
    total: int = await tx.connection.fetchval(
        """
        UPDATE tag_batch SET total = (SELECT count(*) FROM tag_batch_member WHERE batch_id = $1)
        WHERE id = $1 RETURNING total
        """,
        batch_id,
    )
    await enqueue(tx, JOB, {"batch": batch_id}, dedupe=f"{JOB}:{batch_id}")
    return total


@command
async def undo(tx: Transaction, *, batch_id: int, now: datetime) -> bool:
    """Let a worker take back what a batch changed; False when that was asked before.

    What was changed again since stays as it is. Raises NotFound, Conflict while the batch is still running.
    """
    raw = tx.connection
    state = await raw.fetchval("SELECT state FROM tag_batch WHERE id = $1 FOR NO KEY UPDATE", batch_id)
    if state is None:
        raise NotFound("没有这次批量操作")
    if state == "running":
        raise Conflict("还没有做完，做完后才能撤销", code="batch_running")
    if state != "done":
        return False
    await raw.execute("UPDATE tag_batch SET state = 'undoing' WHERE id = $1", batch_id)
    await enqueue(tx, JOB, {"batch": batch_id}, dedupe=f"{JOB}:{batch_id}:undo")
    return True


@command
async def work_some(tx: Transaction, *, batch_id: int, now: datetime, limit: int = CHUNK) -> int:
    """Do the next people of a batch, or undo them; returns how many. Call it until it returns 0."""
    raw = tx.connection
    batch = await raw.fetchrow(_VIEW + "WHERE b.id = $1", batch_id)
    if batch is None or batch["state"] not in {"running", "undoing"}:
        return 0
    undoing = batch["state"] == "undoing"
    rows = await raw.fetch(
        """
        SELECT id, person_id, mark_id FROM tag_batch_member WHERE batch_id = $1 AND outcome = $2
        ORDER BY person_id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
        """,
        batch_id,
        "changed" if undoing else "pending",
        limit,
    )
    if not rows:
        await _finish(raw, batch_id, undoing, now)
        return 0
    homes = await _hold_all(raw, [row["person_id"] for row in rows])
    if (batch["action"] == "put") != undoing:
        changed = await _put(raw, batch, homes, now)
    else:
        marks = [row["mark_id"] for row in rows] if undoing else None
        changed = await _take(raw, batch, homes, marks, now)
    await _record(raw, batch_id, [row["person_id"] for row in rows], changed, undoing)
    return len(rows)


@command
async def go_on(tx: Transaction, *, batch_id: int) -> None:
    """Let another job go on with a batch where this one stops; asked twice at the same place it is one job."""
    place = await tx.connection.fetchval("SELECT done + undone FROM tag_batch WHERE id = $1", batch_id)
    await enqueue(tx, JOB, {"batch": batch_id}, dedupe=f"{JOB}:{batch_id}:at:{place}")


async def _finish(raw: Connection, batch_id: int, undoing: bool, now: datetime) -> None:
    # Rows another worker has in its hands are not finished yet: that one will come here itself.
    await raw.execute(
        """
        UPDATE tag_batch SET state = $3, finished_at = $4
        WHERE id = $1 AND state = $2
          AND NOT EXISTS (SELECT FROM tag_batch_member WHERE batch_id = $1 AND outcome = $5)
        """,
        batch_id,
        "undoing" if undoing else "running",
        "undone" if undoing else "done",
        now,
        "changed" if undoing else "pending",
    )


async def _hold_all(raw: Connection, asked: Sequence[int]) -> dict[int, list[int]]:
    """Lock these people in the order of their ids, and return their homes by the ids asked; none of the erased."""
    while True:
        rows = await raw.fetch(
            """
            SELECT m.id AS asked, r.id AS root FROM member m JOIN member r ON r.id = coalesce(m.merged_into_id, m.id)
            WHERE m.id = ANY($1::bigint[]) AND r.erased_at IS NULL
            """,
            list(asked),
        )
        roots = sorted({row["root"] for row in rows})
        locked = await raw.fetch(
            "SELECT id, merged_into_id FROM member WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", roots
        )
        # Merged while we waited: look again.
        if all(row["merged_into_id"] is None for row in locked):
            break
    of_root: dict[int, list[int]] = {}
    for row in await raw.fetch(
        """
        SELECT id, coalesce(merged_into_id, id) AS root FROM member
        WHERE id = ANY($1::bigint[]) OR merged_into_id = ANY($1::bigint[]) ORDER BY id
        """,
        roots,
    ):
        of_root.setdefault(row["root"], []).append(row["id"])
    return {row["asked"]: of_root[row["root"]] for row in rows}


async def _put(raw: Connection, batch: asyncpg.Record, homes: dict[int, list[int]], now: datetime) -> dict[int, int]:
    """Put the tag on whoever lacks it, at their oldest home; returns the new row's id by person."""
    every = sorted({home for own in homes.values() for home in own})
    have = {
        row["member_id"]
        for row in await raw.fetch(
            "SELECT member_id FROM member_tag WHERE tag_id = $1 AND member_id = ANY($2::bigint[])",
            batch["tag_id"],
            every,
        )
    }
    # Two ids that have become one person since are that person once.
    lacking = {own[0]: asked for asked, own in sorted(homes.items(), reverse=True) if not have & set(own)}
    made = await raw.fetch(
        """
        INSERT INTO member_tag (tag_id, member_id, source, staff_id, put_at)
        SELECT $1, i, 'staff', $3, $4 FROM unnest($2::bigint[]) AS i RETURNING id, member_id
        """,
        batch["tag_id"],
        sorted(lacking),
        batch["staff_id"],
        now,
    )
    for row in made:
        await _say(raw, PUT, row["id"], row["member_id"], batch, now)
    return {lacking[row["member_id"]]: row["id"] for row in made}


async def _take(
    raw: Connection,
    batch: asyncpg.Record,
    homes: dict[int, list[int]],
    marks: Sequence[int] | None,
    now: datetime,
) -> dict[int, int]:
    """Take the tag off, of `marks` only those rows; returns the (last) row that went by person."""
    owner = {home: asked for asked, own in homes.items() for home in own}
    gone = await raw.fetch(
        """
        DELETE FROM member_tag
        WHERE tag_id = $1 AND member_id = ANY($2::bigint[]) AND ($3::bigint[] IS NULL OR id = ANY($3))
        RETURNING id, member_id
        """,
        batch["tag_id"],
        sorted(owner),
        marks,
    )
    for row in gone:
        await _say(raw, TAKEN, row["id"], row["member_id"], batch, now)
    return {owner[row["member_id"]]: row["id"] for row in gone}


async def _say(raw: Connection, kind: Kind, row: int, member_id: int, batch: asyncpg.Record, now: datetime) -> None:
    payload = {"tag": batch["tag_id"], "name": batch["tag"], "source": "staff", "staff": batch["staff_id"]}
    payload["batch"] = batch["id"]
    await events.add(raw, Appended(key_of(kind.name, row), kind.name, now, member_id, None, None, payload, now))


async def _record(
    raw: Connection, batch_id: int, people: Sequence[int], changed: dict[int, int], undoing: bool
) -> None:
    await raw.execute(
        """
        UPDATE tag_batch_member r SET outcome = i.outcome, mark_id = coalesce(i.mark_id, r.mark_id)
        FROM unnest($2::bigint[], $3::text[], $4::bigint[]) AS i (person_id, outcome, mark_id)
        WHERE r.batch_id = $1 AND r.person_id = i.person_id
        """,
        batch_id,
        list(people),
        ["undone" if undoing else "changed" if one in changed else "unchanged" for one in people],
        [changed.get(one) for one in people],
    )
    await raw.execute(
        "UPDATE tag_batch SET undone = undone + $2, done = done + $3, changed = changed + $4 WHERE id = $1",
        batch_id,
        len(changed) if undoing else 0,
        0 if undoing else len(people),
        0 if undoing else len(changed),
    )


async def one(batch_id: int) -> BatchView:
    """Return a batch. Raises NotFound."""
    rows = await db.fetch(_VIEW + "WHERE b.id = $1", batch_id)
    if not rows:
        raise NotFound("没有这次批量操作")
    return BatchView(**dict(rows[0]))


async def by_key(raw: Connection, key: UUID) -> BatchView:
    """Return the batch of a request that was made before."""
    row = await raw.fetchrow(_VIEW + "WHERE b.key = $1", key)
    if row is None:
        raise NotFound("没有这次批量操作")
    return BatchView(**dict(row))


async def latest(brands: Sequence[int] | None, *, before: int | None = None, limit: int = 20) -> list[BatchView]:
    """Return the batches of these brands (None: all), newest first; `before` is the last id seen."""
    rows = await db.fetch(
        _VIEW
        + """
        WHERE ($1::bigint[] IS NULL OR b.brand_id = ANY($1)) AND ($2::bigint IS NULL OR b.id < $2)
        ORDER BY b.id DESC LIMIT $3
        """,
        None if brands is None else list(brands),
        before,
        limit,
    )
    return [BatchView(**dict(row)) for row in rows]
