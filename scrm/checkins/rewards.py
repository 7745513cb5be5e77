"""What a check-in earns. This is the one seam to the rules: whoever decides the numbers takes these two functions' place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kit.clock import natural_day
from kit.ids import key_of
from scrm.db import Connection
from scrm.events.kinds import Appended
from scrm.points import ledger


@dataclass(frozen=True, slots=True)
class Reward:
    """An amount (> 0) of an asset of the ledger."""

    asset: str
    amount: int


# Mission A064 and A071: growth 3 and points 1 per natural day.
PRESET = (Reward(ledger.POINTS, 1), Reward(ledger.GROWTH, 3))
RULE = "checkin"


async def pay(raw: Connection, done: Appended, platform: str, now: datetime) -> None:
    """Book what a check-in earns, in its own transaction, under the key of its event; paying again changes nothing."""
    assert done.member_id is not None  # noqa: S101  # a check-in is always somebody's
    origin = ledger.Origin(
        "每日签到", platform, done.occurred_at, done.key, RULE, day=natural_day(done.occurred_at)
    )
    await ledger.award_many(
        raw,
        [
            ledger.Award(key_of(RULE, done.key, reward.asset), done.member_id, reward.asset, reward.amount, origin, now)
            for reward in PRESET
        ],
    )


async def next_reward(_raw: Connection, _member_id: int, _account_id: int, _now: datetime) -> Sequence[Reward]:
    """Return what the person's next check-in will earn, tomorrow or today."""
    return PRESET
