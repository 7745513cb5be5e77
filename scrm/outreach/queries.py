"""Reading the outbox as a whole: how long messages wait, and which accounts wait for somebody to act."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from scrm.db import fetch

# A worker tries such an account about twice a minute; what is older tells of no trouble, but that no worker runs.
FRESH = timedelta(minutes=5)


async def oldest_pending(now: datetime, *, without: Collection[int] = ()) -> float:
    """Return for how many seconds the oldest due message waits; 0.0 when none does.

    Those of disabled accounts wait for these to be enabled, and are left out, as are those of the accounts `without`.
    """
    rows = await fetch(
        """
        SELECT min(due_at) AS at FROM outbox
        WHERE state = 'pending' AND due_at <= $1 AND account_id <> ALL($2::bigint[])
          AND account_id NOT IN (SELECT id FROM account WHERE NOT enabled)
        """,
        now,
        list(without),
    )
    return (now - rows[0]["at"]).total_seconds() if rows[0]["at"] else 0.0


@dataclass(frozen=True, slots=True)
class Disabled:
    """A disabled account, and how many messages wait for it to be enabled."""

    account_id: int
    name: str
    waiting: int


async def disabled() -> list[Disabled]:
    """Return the disabled accounts."""
    rows = await fetch(
        """
        SELECT a.id AS account_id, a.name,
               (SELECT count(*) FROM outbox o WHERE o.account_id = a.id AND o.state = 'pending') AS waiting
        FROM account a WHERE NOT a.enabled ORDER BY a.id
        """
    )
    return [Disabled(**dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Stuck:
    """So many messages of an account wait; with `code` the platform refused the latest try."""

    account_id: int
    code: int
    waiting: int


async def stuck(codes: Collection[int], *, now: datetime) -> dict[int, Stuck]:
    """Return the accounts whose latest tries the platform refused with one of these errcodes, by id."""
    rows = await fetch(
        """
        SELECT account_id, (array_agg(code ORDER BY due_at DESC) FILTER (WHERE code = ANY($2::int[])))[1] AS code,
               count(*) FILTER (WHERE due_at <= $1 OR attempts > 0) AS waiting
        FROM outbox WHERE state = 'pending'
        GROUP BY account_id HAVING max(due_at) FILTER (WHERE code = ANY($2::int[])) > $1 - $3::interval
        """,
        now,
        list(codes),
        FRESH,
    )
    return {row["account_id"]: Stuck(**dict(row)) for row in rows}
