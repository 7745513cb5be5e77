"""Reading staff: one, a page of them, by what one may see."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scrm.db import fetch
from scrm.staff.permissions import granted


@dataclass(frozen=True, slots=True)
class StaffView:
    """A member of staff. `brands` None: all; `sessions`: how many browsers they are signed in at."""

    id: int
    login: str
    name: str
    status: str
    must_change: bool
    role_id: int
    role_code: str | None
    role: str
    permissions: frozenset[str]
    brands: frozenset[int] | None
    skills: tuple[str, ...]
    capacity: int
    version: int
    created_at: datetime
    signed_in_at: datetime | None
    sessions: int


_SELECT = """
SELECT p.id, p.login, p.name, p.status, p.must_change, p.all_brands, p.skills, p.capacity, p.version,
       p.created_at, p.signed_in_at, r.id AS role_id, r.code AS role_code, r.name AS role, r.permissions,
       ARRAY(SELECT brand_id FROM staff_brand b WHERE b.staff_id = p.id) AS brands,
       (SELECT count(*) FROM staff_session s
        WHERE s.staff_id = p.id AND s.revoked_at IS NULL AND s.expires_at > $1 AND s.seen_at > $2) AS sessions
FROM staff p JOIN role r ON r.id = p.role_id
"""
# Whoever works for other brands too, or for all, is not the business of those who manage only some.
_WITHIN = """
($3::bigint[] IS NULL OR (NOT p.all_brands AND NOT EXISTS (
    SELECT FROM staff_brand b WHERE b.staff_id = p.id AND b.brand_id <> ALL($3))))
"""
_LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _view(row: Any) -> StaffView:
    return StaffView(
        id=row["id"],
        login=row["login"],
        name=row["name"],
        status=row["status"],
        must_change=row["must_change"],
        role_id=row["role_id"],
        role_code=row["role_code"],
        role=row["role"],
        permissions=granted(row["role_code"], json.loads(row["permissions"])),
        brands=None if row["all_brands"] else frozenset(row["brands"]),
        skills=tuple(json.loads(row["skills"])),
        capacity=row["capacity"],
        version=row["version"],
        created_at=row["created_at"],
        signed_in_at=row["signed_in_at"],
        sessions=row["sessions"],
    )


async def staff_by_id(staff_id: int) -> StaffView | None:
    """Return somebody by id, whoever asks; `sessions` counts all that were not ended."""
    rows = await fetch(_SELECT + "WHERE p.id = $3", _LONG_AGO, _LONG_AGO, staff_id)
    return _view(rows[0]) if rows else None


async def staff_by_login(login: str) -> StaffView | None:
    """Return somebody by login name, whoever asks."""
    rows = await fetch(_SELECT + "WHERE p.login = $3", _LONG_AGO, _LONG_AGO, login.strip().lower())
    return _view(rows[0]) if rows else None


async def staff_list(
    *,
    brands: list[int] | None,
    now: datetime,
    idle_since: datetime,
    text: str = "",
    status: str | None = None,
    role_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[StaffView]:
    """Return staff, newest first, who work for none but these brands (None: everybody).

    `text` is part of the name or the login name; `before` is the last id seen.
    """
    rows = await fetch(
        f"""{_SELECT} WHERE {_WITHIN}
          AND ($4 = '' OR p.name ILIKE '%' || $4 || '%' OR p.login ILIKE '%' || $4 || '%')
          AND ($5::text IS NULL OR p.status = $5) AND ($6::bigint IS NULL OR p.role_id = $6)
          AND ($7::bigint IS NULL OR p.id < $7)
        ORDER BY p.id DESC LIMIT $8
        """,  # constants of this module
        now,
        idle_since,
        brands,
        text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_"),
        status,
        role_id,
        before,
        limit,
    )
    return [_view(row) for row in rows]


async def names(staff_ids: Collection[int]) -> dict[int, str]:
    """Return how these are called; who is not there is left out."""
    rows = await fetch("SELECT id, name FROM staff WHERE id = ANY($1::bigint[])", list(staff_ids))
    return {row["id"]: row["name"] for row in rows}
