"""Child processes: restarted when they die, given up when they will not live, stopped in order whatever they do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.repository import ROOT

# The parent: keeps the children that its arguments name until it is told to stop.
PARENT = """
import sys
from app.processes import Child, Processes
children = [Child(name, ["child", name, sys.argv[1]], {"CHILD": name}) for name in sys.argv[2:]]
sys.exit(Processes(children, stop_seconds=1, quick_seconds=1).run(lambda: print("ready", flush=True)))
"""
# A child writes down what happens to it; its name says what it is like.
CHILD = """
import os, signal, sys, time
name, folder = sys.argv[1:]
assert os.environ["CHILD"] == name
def note(what):
    with open(os.path.join(folder, "log"), "a") as log:
        log.write(f"{name} {what} {os.getpid()}\\n")
def end(*_):
    note("asked")
    if not name.startswith("stubborn"):
        note("ended")
        sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("began")
if name.startswith("short") or (name == "needy" and not os.path.exists(os.path.join(folder, "database"))):
    sys.exit(3)
while True:
    time.sleep(0.05)
"""


class Family:
    """A parent with children, and what they wrote."""

    def __init__(self, folder: Path, *names: str) -> None:
        self._log = folder / "log"
        self._log.touch()
        (folder / "child.py").write_text(CHILD)
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(folder), *names],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def log(self) -> list[tuple[str, str, int]]:
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return [(name, what, int(pid)) for name, what, pid in lines]

    def wait_for(self, name: str, what: str, times: int = 1) -> int:
        """Wait until something was written down so often; return the last one's process id."""
        give_up_at = time.monotonic() + 20
        while time.monotonic() < give_up_at:
            found = [pid for who, did, pid in self.log if (who, did) == (name, what)]
            if len(found) >= times:
                return found[-1]
            time.sleep(0.02)
        raise AssertionError(f"{name} never {what} {times} times: {self.log}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        for _, what, pid in self.log:
            if what == "began":
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


@pytest.fixture
def families(tmp_path: Path) -> Iterator[list[Family]]:
    started: list[Family] = []
    yield started
    for family in started:
        family.kill()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_children_are_stopped_the_last_one_first(tmp_path: Path, families: list[Family], number: int) -> None:
    family = Family(tmp_path, "one", "two")
    families.append(family)
    pids = [family.wait_for(name, "began") for name in ("one", "two")]
    assert family.process.stdout is not None
    assert family.process.stdout.readline() == "ready\n"
    assert family.stop(number) == 0
    assert not any(alive(pid) for pid in pids)
    assert {(name, what) for name, what, _ in family.log} == {
        (name, what) for name in ("one", "two") for what in ("began", "asked", "ended")
    }


def test_a_killed_child_is_started_again(tmp_path: Path, families: list[Family]) -> None:
    family = Family(tmp_path, "one", "two")
    families.append(family)
    first, other = family.wait_for("one", "began"), family.wait_for("two", "began")
    os.kill(first, signal.SIGKILL)
    again = family.wait_for("one", "began", times=2)
    assert again != first
    assert alive(other)
    assert family.stop() == 0
    assert "one: ended, starting it again" in family.process.communicate()[1]


def test_a_child_that_will_not_live_is_given_up_and_takes_all_down(tmp_path: Path, families: list[Family]) -> None:
    family = Family(tmp_path, "one", "short")
    families.append(family)
    assert family.process.wait(20) == 1
    assert [who for who, what, _ in family.log if what == "began"].count("short") == 3
    assert "short: keeps dying, giving up" in family.process.communicate()[1]
    assert not alive(family.wait_for("one", "began"))


def test_a_child_that_has_lived_waits_for_what_it_misses(tmp_path: Path, families: list[Family]) -> None:
    """A server that is killed while its database is away must come back with it, and its siblings stay."""
    (tmp_path / "database").touch()
    family = Family(tmp_path, "one", "needy")
    families.append(family)
    other, pid = family.wait_for("one", "began"), family.wait_for("needy", "began")
    time.sleep(1.5)
    (tmp_path / "database").unlink()
    os.kill(pid, signal.SIGKILL)
    family.wait_for("needy", "began", times=6)
    (tmp_path / "database").touch()
    last = family.wait_for("needy", "began", times=7)
    time.sleep(0.5)
    assert alive(last)
    assert alive(other)
    assert family.stop() == 0


def test_a_stubborn_child_is_killed_in_the_end(tmp_path: Path, families: list[Family]) -> None:
    family = Family(tmp_path, "stubborn", "one")
    families.append(family)
    pid = family.wait_for("stubborn", "began")
    family.wait_for("one", "began")
    began = time.monotonic()
    assert family.stop() == 0
    assert 0.9 < time.monotonic() - began < 10
    assert not alive(pid)
    assert [(who, what) for who, what, _ in family.log][-3:].count(("one", "ended")) == 1
