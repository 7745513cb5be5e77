"""For tests: a simulator with short timing, running while a block runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from simulator.callbacks import Timing
from simulator.server import SimulatorServer
from simulator.world import World


@asynccontextmanager
async def running(
    world: World | None = None,
    *,
    attempt_timeout: float = 5.0,
    retry_pause: float | None = None,
    request_timeout: float = 10.0,
    state: Path | None = None,
    pages: Path | None = None,
) -> AsyncIterator[SimulatorServer]:
    """Run a simulator on a free port; its `url`, `world`, `wechat` and `fan()` are what tests use."""
    timing = Timing(attempt_timeout=attempt_timeout, retry_pause=retry_pause, request_timeout=request_timeout)
    async with SimulatorServer(world, state=state, pages=pages, timing=timing) as server:
        yield server
