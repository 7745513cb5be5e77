"""What the tests with real processes stand on: a simulated WeChat, an installation, and its logs when one fails."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from simulator.server import SimulatorServer
from simulator.testing import running
from simulator.world import World
from tests.e2e.processes import Fensi

SHOWN = 6000  # characters of each log


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Iterator[None]:
    """Show the logs of a failed test's processes."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's Result, untyped in a generator hook
    fensi = item.funcargs.get("fensi")
    if report.when == "call" and report.failed and isinstance(fensi, Fensi):
        for process in fensi.processes:
            report.sections.append((f"fensi {process.name}", process.log[-SHOWN:]))


@pytest.fixture
async def wechat() -> AsyncIterator[SimulatorServer]:
    """A simulated WeChat that repeats an unanswered push sooner than the real one."""
    async with running(World(), retry_pause=2.0) as server:
        yield server


@pytest.fixture
async def fensi(tmp_path: Path, database_url: str, wechat: SimulatorServer) -> AsyncIterator[Fensi]:
    """An installation on this test's own database."""
    installed = Fensi(tmp_path, database_url, wechat.url)
    try:
        yield installed
    finally:
        await installed.remove()
