"""Merging and splitting: which members are one person follows from evidence, and is undone when that is withdrawn.

A merge is an edge between two homes with its evidence; a person is what the standing edges connect. Nothing of
history moves in either direction, only `merged_into` (decision 0003), so ledgers, check-ins and identities are back
where they were after a split, and what came meanwhile goes by its own fan.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from kit.ids import key_of
from scrm.db import Connection, Transaction, command, transaction
from scrm.errors import NotFound
from scrm.events import kinds
from scrm.events.kinds import Appended
from scrm.events.service import add
from scrm.members.person import hold

# The payloads name the homes of each person that there are now: {"kept": …, "absorbed": …}.
MERGED = kinds.register("member.merged", "合并为同一位会员")
SPLIT = kinds.register("member.split", "拆分为不同会员")


_MOVE = """
-- In the order of ids: somebody may be waiting for several of them.
WITH homes AS MATERIALIZED (
    SELECT id FROM member WHERE id = $2 OR merged_into_id = $2 ORDER BY id FOR NO KEY UPDATE
)
UPDATE member m SET merged_into_id = $1 FROM homes WHERE m.id = homes.id RETURNING m.id
"""


async def merge(raw: Connection, one: int, other: int, evidence: dict[str, Any], now: datetime) -> int:
    """Make two homes one person, the older member being kept; return the person's member id.

    Part of the caller's transaction. Every new evidence is an edge, also between homes that are one person already;
    what was judged wrong, by a split, does not merge again.
    """
    ids = await _hold_roots(raw, one, other)
    evidence = {**evidence, "one": one, "other": other}
    said = await raw.fetch("SELECT split_at FROM member_merge WHERE evidence = $1::jsonb", json.dumps(evidence))
    if len(ids) == 1:
        if one != other and not said:
            # One person already, on other evidence: this holds them together should that be withdrawn.
            await _record(raw, ids[0], ids[0], evidence, [], now)
        return ids[0]
    if any(row["split_at"] is not None for row in said):
        own: int = await raw.fetchval("SELECT coalesce(merged_into_id, id) FROM member WHERE id = $1", other)
        return own
    kept, absorbed = ids
    moved = await raw.fetch(_MOVE, kept, absorbed)
    merge_id = await _record(raw, kept, absorbed, evidence, sorted(row["id"] for row in moved), now)
    await _tell(raw, MERGED, merge_id, kept, absorbed, now)
    return kept


class _MergedMeanwhileError(Exception):
    """Takes back the savepoint, and with it the locks."""


async def _hold_roots(raw: Connection, one: int, other: int) -> list[int]:
    """Lock the persons of two homes, smallest id first, and return them; one where they are one person already.

    A root found merged while its lock was waited for is let go before its own root is looked for: that one is older,
    and whoever held on to the younger would wait for it against the order.
    """
    while True:
        rows = await raw.fetch("SELECT coalesce(merged_into_id, id) AS id FROM member WHERE id IN ($1, $2)", one, other)
        ids = sorted({int(row["id"]) for row in rows})
        with suppress(_MergedMeanwhileError):
            async with transaction() as attempt:
                locked = await attempt.connection.fetch(
                    "SELECT merged_into_id FROM member WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", ids
                )
                if any(row["merged_into_id"] is not None for row in locked):
                    raise _MergedMeanwhileError
            return ids


async def _record(
    raw: Connection, kept: int, absorbed: int, evidence: dict[str, Any], moved: list[int], now: datetime
) -> int:
    made: int = await raw.fetchval(
        """
        INSERT INTO member_merge (kept_id, absorbed_id, evidence, moved, merged_at)
        VALUES ($1, $2, $3::jsonb, $4::jsonb, $5) RETURNING id
        """,
        kept,
        absorbed,
        json.dumps(evidence),
        json.dumps(moved),
        now,
    )
    return made


@command
async def split(tx: Transaction, *, merge_id: int, now: datetime) -> tuple[int, int]:
    """Withdraw a merge; returns the persons that its two homes belong to now.

    Other evidence may still hold them together: then they stay one, and the ids are equal. Doing it again
    changes nothing. Raises NotFound.
    """
    raw = tx.connection
    row = await raw.fetchrow("SELECT kept_id, absorbed_id, evidence FROM member_merge WHERE id = $1", merge_id)
    if row is None:
        raise NotFound("没有这次合并", field="merge")
    evidence = json.loads(row["evidence"])
    homes = await hold(raw, evidence["one"])
    fresh = await raw.fetchval(
        "UPDATE member_merge SET split_at = $2 WHERE id = $1 AND split_at IS NULL RETURNING id", merge_id, now
    )
    if fresh is not None:
        edges = await raw.fetch(
            """
            SELECT evidence FROM member_merge
            WHERE split_at IS NULL AND (evidence->>'one')::bigint = ANY($1::bigint[])
            """,
            homes,
        )
        for person in _connected(homes, [json.loads(edge["evidence"]) for edge in edges]):
            await raw.execute(
                "UPDATE member SET merged_into_id = nullif($2::bigint, id) WHERE id = ANY($1::bigint[])",
                person,
                person[0],
            )
    persons = await raw.fetch(
        "SELECT id, coalesce(merged_into_id, id) AS person FROM member WHERE id = ANY($1::bigint[])",
        [evidence["one"], evidence["other"]],
    )
    now_are = {found["id"]: found["person"] for found in persons}
    one, other = now_are[evidence["one"]], now_are[evidence["other"]]
    if fresh is not None and one != other:
        await _tell(raw, SPLIT, merge_id, one, other, now)
    return one, other


def _connected(homes: Iterable[int], edges: Iterable[dict[str, Any]]) -> list[list[int]]:
    """Return the homes in groups that the edges connect, each group oldest first."""
    group = {home: {home} for home in homes}
    for edge in edges:
        together = group[edge["one"]] | group[edge["other"]]
        for home in together:
            group[home] = together
    return [sorted(members) for members in {min(each): each for each in group.values()}.values()]


async def _tell(raw: Connection, kind: kinds.Kind, merge_id: int, kept: int, absorbed: int, now: datetime) -> None:
    key = key_of(kind.name, merge_id)
    payload = {"merge": merge_id, "kept": kept, "absorbed": absorbed}
    await add(raw, Appended(key, kind.name, now, kept, None, None, payload, now))
