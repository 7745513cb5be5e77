"""What a check-in earns. The rules decide it, as a consequence of the event; here one only looks.

This is the one seam between check-in and the rules: nothing else of this noun knows that rules exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from scrm.db import Connection
from scrm.points import happenings, ledger, levels, rulebook

# Registered with the rules as its consequence (scrm.points.happenings).
EVENT = "checkin.done"
assert EVENT in happenings.TITLES  # noqa: S101  # the import is what registers it
ASSETS = (ledger.POINTS, ledger.GROWTH)


@dataclass(frozen=True, slots=True)
class Reward:
    """An amount (> 0) of an asset of the ledger, points before growth in every list."""

    asset: str
    amount: int


async def earned(raw: Connection, event_key: UUID) -> list[Reward]:
    """Return what the ledger booked for a check-in, whatever rule decided it."""
    rows = await raw.fetch(
        """
        SELECT asset, sum(amount)::bigint AS amount FROM ledger_entry
        WHERE event_key = $1 AND kind = 'award' GROUP BY asset ORDER BY asset DESC
        """,
        event_key,
    )
    return [Reward(row["asset"], row["amount"]) for row in rows]


async def held(raw: Connection, member_id: int, now: datetime) -> dict[str, int]:
    """Return what the person has now of points and growth, less what they owe."""
    return {asset: (await ledger.holding(raw, member_id, asset, now)).spendable for asset in ASSETS}


async def level_reached(raw: Connection, member_id: int, account_id: int, rewards: Sequence[Reward]) -> str | None:
    """Return the level of the account's brand to which these rewards, booked just now, lifted the person, or None."""
    grown = sum(reward.amount for reward in rewards if reward.asset == ledger.GROWTH)
    if not grown:
        return None
    scheme = await levels.of_brand(raw, await _brand_of(raw, account_id))
    if not scheme:
        return None
    (growth,) = (await levels.growth_of(raw, [member_id])).values()
    now = levels.standing(growth, scheme).level
    return now.name if levels.standing(growth - grown, scheme).level != now else None


async def expected(raw: Connection, account_id: int, moment: datetime) -> Sequence[Reward]:
    """Return what the rules of the account's brand give for a check-in at this moment, caps not considered."""
    brand_id = await _brand_of(raw, account_id)
    sums: dict[str, int] = {}
    for versions in (await rulebook.listening(raw, [brand_id], {EVENT})).values():
        rule = rulebook.in_force(versions, moment)
        for asset, amount in (rule.worth if rule is not None and rule.enabled else {}).items():
            sums[asset] = sums.get(asset, 0) + amount
    return [Reward(asset, sums[asset]) for asset in sorted(sums, reverse=True)]


async def _brand_of(raw: Connection, account_id: int) -> int:
    found: int = await raw.fetchval("SELECT brand_id FROM account WHERE id = $1", account_id)
    return found
