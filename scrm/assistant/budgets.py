"""Budgets: what the model may cost a person and a brand on a natural day, kept before the money is spent.

A call is reserved at the most it can cost, in one transaction that counts it for the brand and for the person, and
settled at what it did cost. Calls that race each other take the brand's row in turn, so together they never go over.
One that nobody settles, because its process died or its answer never came, stays charged in full.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from kit.chat import MICRO
from kit.clock import natural_day
from scrm import db
from scrm.assistant.settings import Budgets
from scrm.db import Connection, Transaction, command

Purpose = Literal["answers", "interests"]
BRAND = 0  # in place of a person: the brand altogether
NO_LIMIT = 2**62


class OverBudget(Exception):  # noqa: N818  # an answer, not a defect
    """The call would go over; `whose` budget: member or brand."""

    def __init__(self, whose: str) -> None:
        super().__init__(whose)
        self.whose = whose


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used on a day, open reservations at their most; `cost_micro` in millionths of a fen."""

    calls: int = 0
    tokens: int = 0
    cost_micro: int = 0


_COUNT = """
INSERT INTO assistant_usage AS u (brand_id, member_id, purpose, day, calls, tokens, cost_micro)
VALUES ($1, $2, $3, $4, 1, $5, $6)
ON CONFLICT (brand_id, day, member_id, purpose) DO UPDATE
SET calls = u.calls + 1, tokens = u.tokens + $5, cost_micro = u.cost_micro + $6
RETURNING calls, tokens, cost_micro
"""


@command
async def reserve(
    tx: Transaction,
    *,
    brand_id: int,
    member_id: int,
    purpose: Purpose,
    tokens: int,
    cost_micro: int,
    budgets: Budgets,
    now: datetime,
) -> int:
    """Reserve a call that costs at most so much; returns its id for `settle`. Raises OverBudget: nothing is counted.

    `member_id` may be any member of the person; interests are charged to the brand alone.
    """
    raw, day = tx.connection, natural_day(now)
    person = BRAND
    if purpose == "answers":
        person = await raw.fetchval("SELECT coalesce(merged_into_id, id) FROM member WHERE id = $1", member_id)
        person = person or member_id
    calls = budgets.interests if purpose == "interests" else budgets.calls
    await _count(raw, brand_id, BRAND, purpose, day, tokens, cost_micro, (calls, budgets.tokens, budgets.fen * MICRO))
    if person != BRAND:
        limits = budgets.member_calls, budgets.member_tokens, NO_LIMIT
        await _count(raw, brand_id, person, purpose, day, tokens, cost_micro, limits)
    call_id: int = await raw.fetchval(
        """
        INSERT INTO assistant_call (brand_id, member_id, purpose, day, tokens, cost_micro, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
        """,
        brand_id,
        person,
        purpose,
        day,
        tokens,
        cost_micro,
        now,
    )
    return call_id


async def _count(
    raw: Connection,
    brand_id: int,
    member_id: int,
    purpose: Purpose,
    day: date,
    tokens: int,
    cost_micro: int,
    limits: tuple[int, int, int],
) -> None:
    # Counted first and judged after, under the row's lock: raising takes it back.
    after = await raw.fetchrow(_COUNT, brand_id, member_id, purpose, day, tokens, cost_micro)
    if any(value > limit for value, limit in zip(after, limits, strict=True)):
        raise OverBudget("brand" if member_id == BRAND else "member")


_SETTLE = """
WITH before AS (
    SELECT id, brand_id, member_id, purpose, day, tokens, cost_micro FROM assistant_call
    WHERE id = $1 AND NOT settled FOR UPDATE
), done AS (
    UPDATE assistant_call c SET settled = true, tokens = $2, cost_micro = $3 FROM before b WHERE c.id = b.id
)
SELECT * FROM before
"""
_CORRECT = """
UPDATE assistant_usage SET tokens = greatest(0, tokens + $5), cost_micro = greatest(0, cost_micro + $6)
WHERE brand_id = $1 AND member_id = $2 AND purpose = $3 AND day = $4
"""


@command
async def settle(tx: Transaction, call_id: int, *, tokens: int, cost_micro: int) -> bool:
    """Put what a call did cost in place of what it was reserved at; False when that was done before."""
    before = await tx.connection.fetchrow(_SETTLE, call_id, tokens, cost_micro)
    if before is None:
        return False
    for member_id in dict.fromkeys((BRAND, before["member_id"])):  # the brand first, as `reserve` does
        await tx.connection.execute(
            _CORRECT,
            before["brand_id"],
            member_id,
            before["purpose"],
            before["day"],
            tokens - before["tokens"],
            cost_micro - before["cost_micro"],
        )
    return True


async def used(brand_id: int, day: date, *, member_id: int = BRAND, purpose: Purpose = "answers") -> Usage:
    """Return what a brand, or one person, has used on a day in Shanghai."""
    rows = await db.fetch(
        """
        SELECT calls, tokens, cost_micro FROM assistant_usage
        WHERE brand_id = $1 AND day = $2 AND member_id = $3 AND purpose = $4
        """,
        brand_id,
        day,
        member_id,
        purpose,
    )
    return Usage(**dict(rows[0])) if rows else Usage()


@command
async def forget_calls(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete single calls older than a moment, at most `limit`; the days' sums stay. Call it until it returns 0."""
    rows = await tx.connection.fetch(
        "DELETE FROM assistant_call WHERE id IN (SELECT id FROM assistant_call WHERE created_at < $1 LIMIT $2) "
        "RETURNING id",
        before,
        limit,
    )
    return len(rows)
