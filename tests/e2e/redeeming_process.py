"""A process of test_redeeming_killed.py: half of the fans redeem a gift each, until it is done or killed.

Writes a line for every answer a fan got, as soon as they have it.
"""

import asyncio
import sys

from kit.clock import SystemClock
from kit.ids import key_of
from scrm import db
from scrm.errors import DomainError, Unavailable
from scrm.gifts.service import redeem

PHONES = 8  # at once


async def main(url: str, gift_id: int, share: int) -> None:
    """Redeem for the fans whose id is odd or even, each under a key of their own."""
    async with db.database(url, pool=PHONES):
        fans = list(await db.fetch("SELECT id, member_id, account_id FROM fan WHERE id % 2 = $1 ORDER BY id", share))

        async def phone() -> None:
            while fans:
                fan = fans.pop()
                try:
                    await redeem(
                        key=key_of("tap", fan["id"]),
                        gift_id=gift_id,
                        member_id=fan["member_id"],
                        account_id=fan["account_id"],
                        fan_id=fan["id"],
                        now=SystemClock().now(),
                    )
                    sys.stdout.write(f"{fan['id']} done\n")
                except Unavailable:
                    fans.append(fan)
                except DomainError as error:
                    sys.stdout.write(f"{fan['id']} {error.code}\n")
                sys.stdout.flush()

        await asyncio.gather(*[phone() for _ in range(PHONES)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
