"""Reading accounts as staff see them: without secrets, with what tells whether they work."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from scrm.db import Connection, fetch
from scrm.errors import NotFound

WINDOW = timedelta(hours=24)
GROWTH_WORD = "成长值"


@dataclass(frozen=True, slots=True)
class AccountHealth:
    """An account and its last 24 hours: pushes, those that failed, those that made no sense."""

    id: int
    brand_id: int
    brand: str
    kind: str
    name: str
    appid: str
    mode: str
    verified: bool
    enabled: bool
    last_push_at: datetime | None
    pushes: int
    failed: int
    malformed: int


async def health(*, brands: list[int] | None, now: datetime) -> list[AccountHealth]:
    """Return the accounts of these brands (None: all) with their last 24 hours."""
    rows = await fetch(
        """
        WITH pushed AS (
            SELECT account_id, max(received_at) AS last, count(*) AS pushes,
                   count(*) FILTER (WHERE state = 'failed') AS failed
            FROM push WHERE received_at > $2 AND received_at <= $3 GROUP BY account_id
        ), nonsense AS (
            SELECT account_id, count(*) AS malformed FROM malformed_push WHERE received_at > $2 GROUP BY account_id
        )
        SELECT a.id, a.brand_id, b.name AS brand, a.kind, a.name, a.appid, a.mode, a.verified, a.enabled,
               p.last AS last_push_at, coalesce(p.pushes, 0) AS pushes, coalesce(p.failed, 0) AS failed,
               coalesce(n.malformed, 0) AS malformed
        FROM account a JOIN brand b ON b.id = a.brand_id LEFT JOIN pushed p ON p.account_id = a.id
        LEFT JOIN nonsense n ON n.account_id = a.id
        WHERE $1::bigint[] IS NULL OR a.brand_id = ANY($1)
        ORDER BY a.brand_id, a.id
        """,
        brands,
        now - WINDOW,
        now,
    )
    return [AccountHealth(**dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour from `at` on: the pushes that came, and those among them that failed."""

    at: datetime
    pushes: int
    failed: int


async def pushes_by_hour(*, brands: list[int] | None, now: datetime) -> list[Hour]:
    """Return the last 24 hours of these brands' accounts (None: all), the oldest first; the last one is not over."""
    rows = await fetch(
        """
        SELECT h.at, count(p.key) AS pushes, count(p.key) FILTER (WHERE p.state = 'failed') AS failed
        FROM generate_series(date_trunc('hour', $2::timestamptz), $3::timestamptz, interval '1 hour') AS h(at)
        LEFT JOIN (
            SELECT p.key, p.state, date_trunc('hour', p.received_at) AS hour FROM push p
            JOIN account a ON a.id = p.account_id AND ($1::bigint[] IS NULL OR a.brand_id = ANY($1))
            WHERE p.received_at >= date_trunc('hour', $2::timestamptz) AND p.received_at <= $3
        ) AS p ON p.hour = h.at
        GROUP BY h.at ORDER BY h.at
        """,
        brands,
        now - WINDOW + timedelta(hours=1),
        now,
    )
    return [Hour(**dict(row)) for row in rows]


async def growth_word(raw: Connection, brand_id: int) -> str:
    """Return what a brand calls growth 成长值. Raises NotFound for a brand that there is not."""
    word: str | None = await raw.fetchval("SELECT growth_word FROM brand WHERE id = $1", brand_id)
    if word is None:
        raise NotFound("没有这个品牌")
    return word


async def growth_word_of(brands: list[int] | None) -> str:
    """Return the word for growth that all of these brands (None: all there are) have, else the usual one."""
    rows = await fetch(
        "SELECT DISTINCT growth_word FROM brand WHERE $1::bigint[] IS NULL OR id = ANY($1)",
        brands,
    )
    return rows[0]["growth_word"] if len(rows) == 1 else GROWTH_WORD
