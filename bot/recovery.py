"""What a process that died leaves: pushes to take over, and answers that no request carried; both by the door out."""

import asyncio
from datetime import timedelta
from typing import cast

import structlog

from bot.directory import Directory
from bot.engine import Engine, read_answer
from bot.isolation import LEASE
from bot.late import TakenOver, send_unheard
from bot.messages import parse_message
from kit.clock import Clock
from kit.faults import describe
from kit.tasks import Tasks
from scrm.errors import Unavailable
from scrm.outreach.gate import Purpose
from scrm.pushes import repetitions
from scrm.pushes import service as pushes

log = structlog.get_logger(__name__)

# After this many workers died on it, a push is given up: it may well be what kills them.
ATTEMPTS = 5
# The platform still repeats a push for this long, and a repetition gives a better answer than we can: in time.
PATIENCE = timedelta(seconds=10)
# An owed answer that could not be sent is tried again after this, as long as its push is kept.
AGAIN = timedelta(minutes=5)


async def resume_abandoned(
    directory: Directory, engine: Engine, clock: Clock, tasks: Tasks, limit: int = 50
) -> list[asyncio.Task[None]]:
    """Start to work on pushes that nobody does any more; returns what was started."""
    now = clock.now()
    abandoned = await pushes.take_over(now=now - PATIENCE, lease_until=now + LEASE, limit=limit)
    # All at once and on their own: a slow one must hold up neither the others nor the next look.
    return [tasks.spawn(_resume(push, directory, engine, clock), "resume") for push in abandoned]


async def send_owed(clock: Clock, limit: int = 50) -> int:
    """Send answers that were stored too late for their requests, whose processes died since; returns how many went."""
    sent = 0
    for one in await repetitions.owed(now=clock.now(), limit=limit):
        try:
            if one.fan_id is not None and (reply := read_answer(one.answer)) is not None:
                purpose = cast("Purpose", one.purpose)
                await send_unheard(one.key, one.fan_id, reply, purpose=purpose, now=clock.now())
                sent += 1
        except TakenOver:
            pass  # a request has carried it
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # one that cannot be sent keeps nobody else from theirs
            log.error("owed answer failed", push=one.key.hex[:16], error=describe(error))
            await repetitions.put_off(key=one.key, due_at=clock.now() + AGAIN)
            continue
        await repetitions.seen_to(key=one.key)
    return sent


async def _resume(push: pushes.Abandoned, directory: Directory, engine: Engine, clock: Clock) -> None:
    served = directory.get(push.account_id)
    if push.attempts > ATTEMPTS:
        reason = "account_gone" if served is None else "too_many_attempts"
        await pushes.finish(
            key=push.key,
            fan_id=push.fan_id,
            attempts=push.attempts,
            state="failed",
            answer=None,
            reason=reason,
            now=clock.now(),
        )
        log.warning("abandoned push given up", account=push.account_id, reason=reason)
        return
    if served is None:
        return  # disabled, or not loaded yet: the lease runs out and it is looked at again
    try:
        await engine.resume(served, parse_message(push.fields), push)
    except Exception as error:  # noqa: BLE001  # its lease runs out again and it is tried again
        log.error("abandoned push failed", account=push.account_id, error=describe(error))
