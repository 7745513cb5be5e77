"""Levels 等级: a pure function of growth, and the history of when a person's level went up or down."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kit.ids import key_of
from scrm.db import Connection, Transaction, command
from scrm.errors import Invalid
from scrm.events import kinds
from scrm.events import service as events
from scrm.points.postings import GROWTH

CHANGED = kinds.register("member.level_changed", "等级变动").name


@dataclass(frozen=True, slots=True)
class Level:
    """A level: reached at `threshold` growth, with what it is worth to the member."""

    rank: int
    name: str
    threshold: int
    benefits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands: their growth (below zero while they owe), level, and how far the next one is."""

    growth: int
    level: Level
    next: Level | None

    @property
    def missing(self) -> int:
        """Growth that the next level still asks for; 0 at the highest."""
        return 0 if self.next is None else self.next.threshold - self.growth


def standing(growth: int, levels: Sequence[Level]) -> Standing:
    """Return the level of a growth value: the highest whose threshold it reaches (mission A063).

    `levels` are all of a brand's, the lowest first, which anybody has. Raises ValueError when there are none.
    """
    if not levels:
        raise ValueError("levels: a brand without levels has no standings")
    reached = max((n for n, level in enumerate(levels) if level.threshold <= growth), default=0)
    return Standing(growth, levels[reached], levels[reached + 1] if reached + 1 < len(levels) else None)


def check(given: Sequence[dict[str, Any]]) -> list[Level]:
    """Return levels from data, the lowest first; raises Invalid naming the field.

    The first threshold is 0 and each is above the one before; names differ.
    """
    levels: list[Level] = []
    for n, row in enumerate(given):
        name, threshold, benefits = row.get("name"), row.get("threshold"), row.get("benefits", [])
        if not isinstance(name, str) or not 0 < len(name) <= 32 or name in {level.name for level in levels}:
            raise Invalid("等级名称不能为空或重复，最长 32 个字符", field=f"levels[{n}].name")
        lowest = levels[-1].threshold + 1 if levels else 0
        if not isinstance(threshold, int) or isinstance(threshold, bool) or threshold < lowest or (n == 0 < threshold):
            raise Invalid("门槛从 0 开始，逐级升高", field=f"levels[{n}].threshold")
        if not isinstance(benefits, list) or not all(isinstance(one, str) for one in benefits):
            raise Invalid("权益是文字的列表", field=f"levels[{n}].benefits")
        levels.append(Level(n, name, threshold, tuple(benefits)))
    if not levels:
        raise Invalid("至少要有一个等级", field="levels")
    return levels


@command
async def define(tx: Transaction, *, brand_id: int, given: Sequence[dict[str, Any]]) -> list[Level]:
    """Write a brand's levels in place of those it had; `settle_some` then moves everybody. Raises Invalid."""
    levels = check(given)
    await tx.connection.execute("SELECT FROM brand WHERE id = $1 FOR NO KEY UPDATE", brand_id)
    await tx.connection.execute("DELETE FROM level WHERE brand_id = $1", brand_id)
    await tx.connection.executemany(
        "INSERT INTO level (brand_id, rank, name, threshold, benefits) VALUES ($1, $2, $3, $4, $5::jsonb)",
        [(brand_id, one.rank, one.name, one.threshold, json.dumps(one.benefits, ensure_ascii=False)) for one in levels],
    )
    return levels


async def of_brand(raw: Connection, brand_id: int) -> list[Level]:
    """Return a brand's levels, the lowest first."""
    return (await _levels(raw)).get(brand_id, [])


async def _levels(raw: Connection) -> dict[int, list[Level]]:
    levels: dict[int, list[Level]] = {}
    for row in await raw.fetch("SELECT brand_id, rank, name, threshold, benefits FROM level ORDER BY brand_id, rank"):
        level = Level(row["rank"], row["name"], row["threshold"], tuple(json.loads(row["benefits"])))
        levels.setdefault(row["brand_id"], []).append(level)
    return levels


_GROWTH = """
WITH person AS (SELECT DISTINCT coalesce(merged_into_id, id) AS id FROM member WHERE id = ANY($1::bigint[]))
SELECT p.id, coalesce(sum(b.balance - b.debt), 0)::bigint AS growth
FROM person p
CROSS JOIN LATERAL (
    SELECT p.id AS home UNION ALL SELECT m.id FROM member m WHERE m.merged_into_id = p.id
) h
LEFT JOIN ledger_balance b ON b.holder_id = h.home AND b.asset = $2
GROUP BY p.id ORDER BY p.id
"""


async def growth_of(raw: Connection, member_ids: Iterable[int]) -> dict[int, int]:
    """Return growth less what is owed, by person, of the persons that these members are."""
    return {row["id"]: row["growth"] for row in await raw.fetch(_GROWTH, list(member_ids), GROWTH)}


_LATEST = """
SELECT DISTINCT ON (member_id, brand_id) member_id, brand_id, rank, name FROM member_level
WHERE member_id = ANY($1::bigint[]) ORDER BY member_id, brand_id, id DESC
"""


async def settle(raw: Connection, member_ids: Iterable[int], now: datetime) -> int:
    """Record the level of everybody whose growth has just changed, with an event when it changed; returns how many.

    Part of the transaction that moved the growth, under whose locks it counts.
    """
    wanted = set(member_ids)
    schemes = await _levels(raw) if wanted else {}
    if not schemes:
        return 0
    growth = await growth_of(raw, wanted)
    latest = {(row["member_id"], row["brand_id"]): row["rank"] for row in await raw.fetch(_LATEST, list(growth))}
    changed = 0
    for person, value in growth.items():
        for brand, scheme in schemes.items():
            before, after = latest.get((person, brand), 0), standing(value, scheme).level
            if before != after.rank:
                changed += await _change(raw, person, brand, before, after, value, now)
    return changed


_RECORD = """
-- Growth is the person's, levels are each brand's: whom only another brand's accounts know has no level here.
INSERT INTO member_level (brand_id, member_id, rank, name, growth, changed_at)
SELECT $1, $2, $3, $4, $5, $6
WHERE EXISTS (
    SELECT FROM member m JOIN fan f ON f.member_id = m.id JOIN account a ON a.id = f.account_id
    WHERE (m.id = $2 OR m.merged_into_id = $2) AND a.brand_id = $1
) OR NOT EXISTS (
    SELECT FROM member m JOIN fan f ON f.member_id = m.id WHERE m.id = $2 OR m.merged_into_id = $2
)
RETURNING id
"""


async def _change(
    raw: Connection, person: int, brand: int, before: int, after: Level, growth: int, now: datetime
) -> bool:
    made = await raw.fetchval(
        _RECORD,
        brand,
        person,
        after.rank,
        after.name,
        growth,
        now,
    )
    if made is None:
        return False
    payload = {"brand": brand, "from": before, "to": after.rank, "level": after.name, "growth": growth}
    return await events.add(raw, kinds.Appended(key_of("level", made), CHANGED, now, person, None, None, payload, now))


@command
async def settle_some(tx: Transaction, *, after: int, now: datetime, limit: int = 1000) -> int | None:
    """Settle the next `limit` holders of growth after that id, for when thresholds changed; returns the last one's id.

    Call it again with what it returns until that is None.
    """
    rows = await tx.connection.fetch(
        """
        SELECT holder_id FROM ledger_balance WHERE asset = $1 AND holder_id > $2
        ORDER BY holder_id LIMIT $3 FOR NO KEY UPDATE
        """,
        GROWTH,
        after,
        limit,
    )
    await settle(tx.connection, [row["holder_id"] for row in rows], now)
    return rows[-1]["holder_id"] if rows else None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a person's level history."""

    rank: int
    name: str
    growth: int
    changed_at: datetime


async def history(raw: Connection, member_id: int, brand_id: int) -> list[Change]:
    """Return how a person's level went up and down at a brand, the oldest first."""
    rows = await raw.fetch(
        """
        SELECT l.rank, l.name, l.growth, l.changed_at
        FROM member m JOIN member_level l ON l.member_id = coalesce(m.merged_into_id, m.id)
        WHERE m.id = $1 AND l.brand_id = $2 ORDER BY l.id
        """,
        member_id,
        brand_id,
    )
    return [Change(**dict(row)) for row in rows]
