"""The servers of a benchmark: started as programs of their own, waited for, weighed and stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


class ServerError(Exception):
    """A server did not start; the message holds the end of what it said."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    pids: tuple[int, ...]

    def workers(self) -> list[int]:
        """Return the processes that answer: the started ones, or their children where those do the work."""
        table = [line.split() for line in _ps("-Ao", "pid=,ppid=")]
        children = [int(pid) for pid, parent in table if int(parent) in self.pids]
        return sorted(children) or list(self.pids)

    def memory_mb(self) -> list[float]:
        """Return the resident memory of each of these, in MB (10⁶ bytes would say less than what `ps` shows)."""
        return [int(_ps("-o", "rss=", "-p", str(pid))[0]) / 1024 for pid in self.workers()]


def free_port() -> int:
    """Return a port that the system says is free. Servers here share ports, so a taken one would go unnoticed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(
    arguments: Sequence[str],
    *,
    port: int,
    log: Path,
    processes: int = 1,
    environment: Mapping[str, str] | None = None,
    root: Path = ROOT,
) -> Iterator[Server]:
    """Run `python -m *arguments` of the checkout `root`, `processes` times; give it once the port is open.

    Raises ServerError when it is not open within 30 seconds.
    """
    with log.open("wb") as file:
        started = [
            subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=root,
                env={**os.environ, **(environment or {})},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            for _ in range(processes)
        ]
    try:
        _wait_until_open(port, started, log)
        yield Server(port, tuple(process.pid for process in started))
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_open(port: int, started: Sequence["subprocess.Popen[bytes]"], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in started):
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(0.5)  # the other process of the pair is as good as there
                return
        time.sleep(0.1)
    raise ServerError(f"did not start:\n{log.read_text()[-2000:]}")


def _ps(*arguments: str) -> list[str]:
    said = subprocess.run(["ps", *arguments], capture_output=True, text=True, check=True)  # noqa: S607  # on every PATH
    return said.stdout.splitlines()
