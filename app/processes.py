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
    # When it is started again; None unless it is dead.
    due: float | None = None


# Tells a child whose it is, so that it ends when its supervisor was killed and could not tell it to.
SUPERVISOR = "FENSI_SUPERVISOR"


def orphaned() -> bool:
    """Tell whether this process is a child whose supervisor is gone."""
    supervisor = os.environ.get(SUPERVISOR)
    return supervisor is not None and os.getppid() != int(supervisor)


# What dies this soon after its start, this often in a row, and never lived longer, will not get better by trying again.
QUICK_SECONDS, QUICK_DEATHS = 5.0, 3
# What has lived may only miss something, such as its database: it is tried again after 1, 2, 4 … up to so many seconds.
LONGEST_PAUSE = 10.0


class Processes:
    """Keeps children running until SIGINT or SIGTERM; a kill -9 of one costs a restart, nothing else."""

    def __init__(
        self, children: Sequence[Child], stop_seconds: float = 15, quick_seconds: float = QUICK_SECONDS
    ) -> None:
        self._children = list(children)
        self._stop_seconds = stop_seconds
        self._quick_seconds = quick_seconds
        # The programs of which a process, whichever, has lived: several children may be alike.
        self._proven: set[tuple[str, ...]] = set()
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
                    if not self._look_after(child):
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

    def _look_after(self, child: Child) -> bool:
        """Start a dead child again, at once or when it is due; False when that has no prospect."""
        now = time.monotonic()
        if self._alive(child):
            if now - child.started >= self._quick_seconds:
                self._proven.add(tuple(child.arguments))
            return True
        if self._stopping:
            return True
        if child.due is None:
            child.quick_deaths = child.quick_deaths + 1 if now - child.started < self._quick_seconds else 0
            if child.quick_deaths >= QUICK_DEATHS and tuple(child.arguments) not in self._proven:
                print(f"{child.name}: keeps dying, giving up", file=sys.stderr)
                return False
            child.due = now + _pause(child.quick_deaths)
            print(f"{child.name}: ended, starting it again", file=sys.stderr)
        if now >= child.due:
            child.due = None
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


def _pause(quick_deaths: int) -> float:
    """Return the seconds until what has died so often in a row is started again."""
    more = quick_deaths - QUICK_DEATHS
    return 0.0 if more < 0 else min(2.0 ** min(more, 8), LONGEST_PAUSE)
