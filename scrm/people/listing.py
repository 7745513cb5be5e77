"""The list of members: one row per person, by member number, newest first, and how many there are."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kit.seal import Sealer
from scrm import db
from scrm.members import names, profiles
from scrm.members.profiles import Profile
from scrm.people.search import HOMES, Wanted, where
from scrm.points.levels import Level, standing

EXPORT_PAGE = 500


@dataclass(frozen=True, slots=True)
class FanRow:
    """A fan in a list; `id` is what staff call the user id (用户 ID)."""

    id: int
    account_id: int
    account: str
    kind: str
    brand_id: int
    following: bool


@dataclass(frozen=True, slots=True)
class LevelRow:
    """The level at a brand."""

    brand_id: int
    name: str


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag in a list."""

    id: int
    brand_id: int
    name: str
    category: str


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person as the list shows them (mission A032); `id` is the member number. Times are UTC.

    `called` is the nickname or what stands for one, `points` what may be spent, `owed` what later earnings repay;
    `seen_at` is the latest event of their own doing.
    """

    id: int
    called: str
    profile: Profile
    fans: list[FanRow]
    growth: int
    points: int
    owed: int
    levels: list[LevelRow]
    tags: list[TagRow]
    joined_at: datetime
    seen_at: datetime | None


async def page(
    sealer: Sealer, wanted: Wanted, *, now: datetime, before: int | None = None, limit: int = 20
) -> list[PersonRow]:
    """Return a page of people; `before` is the last member number seen. Raises Invalid naming a field of the filter."""
    condition, values = where(sealer, wanted, now)
    last, most = f"${len(values) + 1}", f"${len(values) + 2}"
    rows = await db.fetch(
        f"""
        SELECT m.id FROM member m WHERE {condition} AND ({last}::bigint IS NULL OR m.id < {last})
        ORDER BY m.id DESC LIMIT {most}
        """,  # noqa: S608  # conditions written in search.py, values are arguments
        *values,
        before,
        limit,
    )
    return await people(sealer, [row["id"] for row in rows], brands=wanted.brands, now=now)


async def count(sealer: Sealer, wanted: Wanted, *, now: datetime) -> int:
    """Return how many people a filter means."""
    condition, values = where(sealer, wanted, now)
    rows = await db.fetch(f"SELECT count(*) AS n FROM member m WHERE {condition}", *values)  # noqa: S608  # as above
    found: int = rows[0]["n"]
    return found


async def every(sealer: Sealer, wanted: Wanted, *, now: datetime) -> AsyncIterator[list[PersonRow]]:
    """Yield all people of a filter in pages, for exports; nothing is held open between two pages."""
    before = None
    while found := await page(sealer, wanted, now=now, before=before, limit=EXPORT_PAGE):
        yield found
        before = found[-1].id


_ROWS = f"""
SELECT m.id, m.created_at AS joined_at, m.erased_at IS NOT NULL AS erased,
       (SELECT json_agg(json_build_object(
            'id', f.id, 'account_id', a.id, 'account', a.name, 'kind', a.kind, 'brand_id', a.brand_id,
            'following', f.following) ORDER BY f.id)
        FROM {HOMES} h JOIN fan f ON f.member_id = h.id JOIN account a ON a.id = f.account_id
        WHERE $2::bigint[] IS NULL OR a.brand_id = ANY($2)) AS fans,
       (SELECT json_agg(json_build_object(
            'asset', b.asset, 'debt', b.debt, 'balance', b.balance - coalesce((
                SELECT sum(l.remaining) FROM ledger_lot l
                WHERE l.holder_id = b.holder_id AND l.asset = b.asset AND l.remaining > 0 AND l.expires_at <= $3
            ), 0)))
        FROM {HOMES} h JOIN ledger_balance b ON b.holder_id = h.id) AS held,
       (SELECT json_agg(DISTINCT jsonb_build_object(
            'id', t.id, 'brand_id', t.brand_id, 'name', t.name, 'category', t.category))
        FROM {HOMES} h JOIN member_tag mt ON mt.member_id = h.id JOIN tag t ON t.id = mt.tag_id
        WHERE $2::bigint[] IS NULL OR t.brand_id = ANY($2)) AS tags,
       (SELECT max(seen.at) FROM {HOMES} h CROSS JOIN LATERAL (
            -- Index order, newest first: what is nobody's own doing is skipped.
            SELECT e.occurred_at AS at FROM event e
            WHERE e.member_id = h.id AND e.fan_id IS NOT NULL AND e.occurred_at <= $3
              AND e.kind NOT LIKE 'conversation.%' AND e.kind <> 'gift.shipped'
            ORDER BY e.occurred_at DESC LIMIT 1
       ) seen) AS seen_at
FROM member m WHERE m.id = ANY($1::bigint[]) ORDER BY m.id DESC
"""  # noqa: S608  # our own text


async def people(sealer: Sealer, ids: Sequence[int], *, brands: Sequence[int] | None, now: datetime) -> list[PersonRow]:
    """Return these people (roots), the newest first, with what belongs to these brands (None: to any)."""
    if not ids:
        return []
    allowed = None if brands is None else list(brands)
    rows = await db.fetch(_ROWS, list(ids), allowed, now)
    known = await profiles.of_many(sealer, [row["id"] for row in rows])
    schemes = await schemes_of(allowed)
    return [_row(row, known[row["id"]], schemes) for row in rows]


async def schemes_of(brands: Sequence[int] | None) -> dict[int, list[Level]]:
    """Return the levels of these brands (None: all), the lowest first."""
    found: dict[int, list[Level]] = {}
    for row in await db.fetch(
        """
        SELECT brand_id, rank, name, threshold FROM level WHERE $1::bigint[] IS NULL OR brand_id = ANY($1)
        ORDER BY brand_id, rank
        """,
        None if brands is None else list(brands),
    ):
        found.setdefault(row["brand_id"], []).append(Level(row["rank"], row["name"], row["threshold"], ()))
    return found


def _row(row: Any, profile: Profile, schemes: dict[int, list[Level]]) -> PersonRow:
    fans = [FanRow(**one) for one in json.loads(row["fans"] or "[]")]
    held = json.loads(row["held"] or "[]")

    def total(asset: str, what: str) -> int:
        return sum(one[what] for one in held if one["asset"] == asset)

    growth, points = total("growth", "balance") - total("growth", "debt"), total("points", "balance")
    owed = total("points", "debt")
    tags = sorted((TagRow(**one) for one in json.loads(row["tags"] or "[]")), key=lambda one: (one.category, one.name))
    own = sorted({fan.brand_id for fan in fans} & schemes.keys())
    return PersonRow(
        id=row["id"],
        called=names.called(profile, row["id"], erased=row["erased"]),
        profile=profile,
        fans=fans,
        growth=growth,
        points=max(0, points - owed),
        owed=max(0, owed - points),
        levels=[LevelRow(brand, standing(growth, schemes[brand]).level.name) for brand in own],
        tags=tags,
        joined_at=row["joined_at"],
        seen_at=row["seen_at"],
    )


@dataclass(frozen=True, slots=True)
class LevelChoice:
    """A level that a list can be filtered by; `id` changes when the brand's levels are written anew."""

    id: int
    brand_id: int
    name: str


async def level_choices(brands: Sequence[int] | None) -> list[LevelChoice]:
    """Return the levels of these brands (None: all), brand by brand, the lowest first."""
    rows = await db.fetch(
        """
        SELECT id, brand_id, name FROM level WHERE $1::bigint[] IS NULL OR brand_id = ANY($1) ORDER BY brand_id, rank
        """,
        None if brands is None else list(brands),
    )
    return [LevelChoice(**dict(row)) for row in rows]
