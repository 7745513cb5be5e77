"""A process of test_sweep_killed.py: does what the clock does to conversations, in small batches, until all is done.

Writes a line after every batch; the moment is given, so every process sweeps the same one.
"""

import asyncio
import sys
from datetime import datetime

from scrm import db
from scrm.conversations import watching
from scrm.conversations.assigning import assign_waiting, requeue_absent, wake_due

BATCH = 7


async def main(url: str, now: datetime) -> None:
    """Sweep until there is nothing left to do."""
    async with db.database(url, pool=3):
        while True:
            did = [
                await wake_due(now=now, limit=BATCH),
                await requeue_absent(now=now, limit=BATCH),
                await watching.alarm_overdue(now=now, limit=BATCH),
                await watching.risk_promises(now=now, limit=BATCH),
                await watching.break_promises(now=now, limit=BATCH),
                await watching.close_all_idle(now, 24 * 60, limit=BATCH),
                await assign_waiting(now),
            ]
            sys.stdout.write(f"{sum(did)}\n")
            sys.stdout.flush()
            if not any(did):
                return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], datetime.fromisoformat(sys.argv[2])))
