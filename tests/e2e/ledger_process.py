"""A process of test_ledger_crash.py: moves points until it is killed, saying on stdout what it knows to be done.

`spend` works through the same list of spends from its start, so a repetition meets what earlier lives have done.
`mature` pays what is due in small batches.
"""

import asyncio
import sys
from datetime import UTC, datetime

from kit.ids import key_of
from scrm import db
from scrm.points import ledger, maturing
from scrm.points.postings import POINTS, Origin

# Not from tests.conftest: what that imports takes longer than all these processes do.
START = datetime(2026, 3, 9, 4, 0, tzinfo=UTC)
ORIGIN = Origin("兑换", "小程序", START)


async def spend(members: list[int], spends: int) -> None:
    """Spend 1 of each member in turn, four at a time."""
    numbers = iter(range(spends))

    async def caller() -> None:
        for n in numbers:
            member = members[n % len(members)]
            await ledger.spend(
                key=key_of("storm", n), holder_id=member, asset=POINTS, amount=1, origin=ORIGIN, now=START
            )
            print(n, flush=True)  # noqa: T201  # how it tells its parent

    await asyncio.gather(*(caller() for _ in range(4)))


async def mature() -> None:
    """Pay what is due until nothing is left."""
    while count := await maturing.mature_due(now=START, limit=25):
        print(count, flush=True)  # noqa: T201  # how it tells its parent


async def main(url: str, what: str, members: list[int], spends: int) -> None:
    """Do one or the other on a database."""
    async with db.database(url, pool=4):
        await (mature() if what == "mature" else spend(members, spends))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], [int(part) for part in sys.argv[3].split(",")], int(sys.argv[4])))
