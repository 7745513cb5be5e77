"""Child processes: started together, restarted when they die, stopped together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Child:
    """A program to keep running."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    # Drop what it prints; what it complains of on standard error stays.
    quiet: bool = False
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    quick_deaths: int = 0


# Tells a child whose it is, so that it ends when its supervisor was killed and could not tell it to.
SUPERVISOR = "FENSI_SUPERVISOR"


def orphaned() -> bool:
    """Tell whether this process is a child whose supervisor is gone."""
    supervisor = os.environ.get(SUPERVISOR)
    return supervisor is not None and os.getppid() != int(supervisor)


# A child that dies this soon after its start, this often in a row, will not get better by trying again.
QUICK_SECONDS, QUICK_DEATHS = 5.0, 3


class Processes:
    """Keeps children running until SIGINT or SIGTERM; a kill -9 of one costs a restart, nothing else."""

    def __init__(self, children: Sequence[Child], stop_seconds: float = 15) -> None:
        self._children = list(children)
        self._stop_seconds = stop_seconds
        self._stopping = False

    def run(self, ready: Callable[[], None] | None = None) -> int:
        """Start all, call `ready`, and watch; returns 0 after a wanted stop, 1 when a child would not live."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        for child in self._children:
            self._start(child)
        try:
            if ready is not None:
                ready()
            while not self._stopping:
                time.sleep(0.1)
                for child in self._children:
                    if not self._alive(child) and not self._restart(child):
                        return 1
            return 0
        finally:
            self._stop()

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _start(self, child: Child) -> None:
        child.started = time.monotonic()
        # A session of its own, so that Ctrl-C reaches only us and we stop the children in order.
        child.process = subprocess.Popen(  # noqa: S603  # our own programs with our own arguments
            [sys.executable, "-m", *child.arguments],
            env={**os.environ, **child.environment, SUPERVISOR: str(os.getpid())},
            start_new_session=True,
            stdout=subprocess.DEVNULL if child.quiet else None,
        )

    def _alive(self, child: Child) -> bool:
        return child.process is not None and child.process.poll() is None

    def _restart(self, child: Child) -> bool:
        if self._stopping:
            return True
        quick = time.monotonic() - child.started < QUICK_SECONDS
        child.quick_deaths = child.quick_deaths + 1 if quick else 0
        if child.quick_deaths >= QUICK_DEATHS:
            print(f"{child.name}: keeps dying, giving up", file=sys.stderr)
            return False
        print(f"{child.name}: ended, starting it again", file=sys.stderr)
        self._start(child)
        return True

    def _stop(self) -> None:
        # In reverse: what was started last leans on what was started first.
        for child in reversed(self._children):
            if self._alive(child) and child.process is not None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._stop_seconds
        for child in reversed(self._children):
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
