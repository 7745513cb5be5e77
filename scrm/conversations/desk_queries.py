"""Reading what a brand has set for its service, for the pages where staff change it."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from scrm import db
from scrm.conversations.desk import DeskSettings, Hours, hours_of, settings_of


async def settings(brand_id: int) -> DeskSettings:
    """Return a brand's settings, or the defaults."""
    async with db.connection() as raw:
        return await settings_of(raw, brand_id)


async def hours(brand_id: int) -> Hours:
    """Return a brand's shifts and special days."""
    async with db.connection() as raw:
        return await hours_of(raw, brand_id)


async def skills(brand_id: int) -> list[dict[str, Any]]:
    """Return a brand's skills: name, title, and the staff who have them."""
    rows = await db.fetch(
        """
        SELECT k.name, k.title,
               coalesce(jsonb_agg(s.staff_id ORDER BY s.staff_id) FILTER (WHERE s.staff_id IS NOT NULL), '[]') AS staff
        FROM skill k LEFT JOIN seat s ON s.brand_id = k.brand_id AND s.skills ? k.name
        WHERE k.brand_id = $1 GROUP BY k.id ORDER BY k.name
        """,
        brand_id,
    )
    return [{**dict(row), "staff": json.loads(row["staff"])} for row in rows]


async def special_days(brand_id: int, since: date) -> list[dict[str, Any]]:
    """Return a brand's special days from a day on: day, kind, note."""
    rows = await db.fetch(
        "SELECT day, kind, note FROM special_day WHERE brand_id = $1 AND day >= $2 ORDER BY day", brand_id, since
    )
    return [dict(row) for row in rows]


async def choices(brands: Sequence[int] | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the official accounts (id, brand_id, name) and the skills (name, title) of these brands (None: all)."""
    given = None if brands is None else list(brands)
    accounts = await db.fetch(
        """
        SELECT id, brand_id, name FROM account
        WHERE ($1::bigint[] IS NULL OR brand_id = ANY($1)) AND kind <> 'miniprogram' ORDER BY id
        """,
        given,
    )
    named = await db.fetch(
        """
        SELECT name, min(title) AS title FROM skill WHERE $1::bigint[] IS NULL OR brand_id = ANY($1)
        GROUP BY name ORDER BY name
        """,
        given,
    )
    return [dict(row) for row in accounts], [dict(row) for row in named]


async def names(staff: Sequence[int]) -> dict[int, str]:
    """Return the names of staff by their ids."""
    rows = await db.fetch("SELECT id, name FROM staff WHERE id = ANY($1::bigint[])", list(staff))
    return {row["id"]: row["name"] for row in rows}
