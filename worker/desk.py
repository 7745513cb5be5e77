"""Looking after the service desk: every few seconds, what the clock does to conversations."""

import structlog

from kit.clock import Clock
from kit.tasks import repeat
from scrm.conversations.watching import sweep

log = structlog.get_logger(__name__)

# How late an alarm, or an assignment after somebody has gone, may come, seconds.
PAUSE_SECONDS = 2.0


async def keep_desk(clock: Clock, pause: float = PAUSE_SECONDS) -> None:
    """Sweep for ever; any number of workers may."""

    async def look() -> None:
        swept = await sweep(clock.now())
        if swept.requeued or swept.overdue or swept.broken:
            log.info("service desk", requeued=swept.requeued, overdue=swept.overdue, broken=swept.broken)

    await repeat(look, pause, "service desk not swept")
