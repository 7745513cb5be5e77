"""Reading tags: a brand's words, and those of members."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from scrm import db


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag; `people` counts persons, however many of their homes have it."""

    id: int
    name: str
    category: str
    archived: bool
    people: int


@dataclass(frozen=True, slots=True)
class Worn:
    """A tag on a person."""

    tag_id: int
    name: str
    category: str


async def of_brand(brand_id: int) -> list[TagView]:
    """Return a brand's tags with how many people have each, by category and name."""
    rows = await db.fetch(
        """
        SELECT t.id, t.name, t.category, t.archived_at IS NOT NULL AS archived,
               count(DISTINCT coalesce(m.merged_into_id, m.id)) AS people
        FROM tag t LEFT JOIN member_tag mt ON mt.tag_id = t.id LEFT JOIN member m ON m.id = mt.member_id
        WHERE t.brand_id = $1 GROUP BY t.id ORDER BY t.category, t.name
        """,
        brand_id,
    )
    return [TagView(**dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class BrandTag:
    """A tag of some brand, with how many people have it."""

    id: int
    brand_id: int
    name: str
    category: str
    archived: bool
    people: int
    created_at: datetime


async def of_brands(brands: Sequence[int] | None) -> list[BrandTag]:
    """Return the tags of these brands (None: all), brand by brand, by category and name."""
    rows = await db.fetch(
        """
        SELECT t.id, t.brand_id, t.name, t.category, t.archived_at IS NOT NULL AS archived,
               coalesce(c.people, 0) AS people, t.created_at
        FROM tag t
        LEFT JOIN (
            SELECT mt.tag_id, count(DISTINCT coalesce(m.merged_into_id, m.id)) AS people
            FROM member_tag mt JOIN member m ON m.id = mt.member_id GROUP BY mt.tag_id
        ) c ON c.tag_id = t.id
        WHERE $1::bigint[] IS NULL OR t.brand_id = ANY($1)
        ORDER BY t.brand_id, t.archived_at IS NOT NULL, t.category, t.name
        """,
        None if brands is None else list(brands),
    )
    return [BrandTag(**dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Word:
    """A tag of some brand."""

    id: int
    brand_id: int
    name: str
    category: str
    archived: bool


async def words(brands: Sequence[int] | None) -> list[Word]:
    """Return the tags of these brands (None: all) without counting anybody; archived ones at the end."""
    rows = await db.fetch(
        """
        SELECT id, brand_id, name, category, archived_at IS NOT NULL AS archived FROM tag
        WHERE $1::bigint[] IS NULL OR brand_id = ANY($1) ORDER BY brand_id, archived_at IS NOT NULL, category, name
        """,
        None if brands is None else list(brands),
    )
    return [Word(**dict(row)) for row in rows]


async def of_people(brand_id: int, person_ids: Sequence[int]) -> dict[int, list[Worn]]:
    """Return the brand's tags of persons (roots, see scrm.members.models), by category and name; none: no entry."""
    rows = await db.fetch(
        """
        SELECT DISTINCT coalesce(m.merged_into_id, m.id) AS person, t.id, t.name, t.category
        FROM member_tag mt JOIN tag t ON t.id = mt.tag_id JOIN member m ON m.id = mt.member_id
        WHERE t.brand_id = $1 AND (m.id = ANY($2::bigint[]) OR m.merged_into_id = ANY($2::bigint[]))
        ORDER BY t.category, t.name
        """,
        brand_id,
        list(person_ids),
    )
    worn: dict[int, list[Worn]] = defaultdict(list)
    for row in rows:
        worn[row["person"]].append(Worn(row["id"], row["name"], row["category"]))
    return dict(worn)
