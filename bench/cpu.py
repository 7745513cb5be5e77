"""What a push costs in processor time: `python -m bench.cpu [--against CHECKOUT] [--rounds N] [--quick]`.

Where the machine is shared, throughput says more about the neighbours than about the code; the time that the
processes themselves have used says it much better. Two checkouts are measured side by side, leg by leg, each with a
PostgreSQL of its own.
"""

import argparse
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from app.settings import Settings
from bench.callback import BARE, PLAIN, SAFE, Side, prepare, run, settings_of
from bench.database import fresh_database
from bench.load import load
from bench.pushes import ANSWER, Writer
from bench.servers import ROOT, free_port, serving
from scrm import db

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time, of user and system, that processes have used; what has ended does not count."""
    used = 0
    for pid in pids:
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        used += int(after_name[11]) + int(after_name[12])
    return used / TICKS


def children_of(parent: int) -> list[int]:
    """Return the processes that `parent` started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(after_name[1]) == parent:
            found.append(int(stat.parent.name))
    return found


async def postmaster_of(url: str) -> int:
    """Return the process id of the PostgreSQL server behind `url`, which runs on this machine."""
    async with db.database(url, pool=1):
        first_line = "split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int"
        return int((await db.fetch(f"SELECT {first_line} AS pid"))[0]["pid"])


class Measured:
    """The server of one checkout with its own database, and what its pushes have cost: microseconds by group."""

    def __init__(self, stack: ExitStack, name: str, root: Path) -> None:
        self.name = name
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fensi-cpu-")))
        url = stack.enter_context(fresh_database(folder))
        safe_id, plain_id = run(prepare(Settings(var=folder, database_url=url), url))
        port = free_port()
        self.server = stack.enter_context(
            serving(
                ["app", "serve", "--workers", "2", "--port", str(port)],
                port=port,
                log=folder / "fensi.log",
                environment=settings_of(folder, url),
                root=root,
            )
        )
        self.postmaster = run(postmaster_of(url))
        self.legs = [
            Side(f"{name} safe", self.server, f"/wechat/{safe_id}", SAFE, True, ANSWER),
            Side(f"{name} plain", self.server, f"/wechat/{plain_id}", PLAIN, False, ANSWER),
        ]


def measure(side: Side, writer: Writer, count: int, postmaster: int | None) -> dict[str, float]:
    """Load a side with `count` new pushes; return microseconds of processor time per push by group, and the rate."""
    requests = [push.request for push in writer.write(count, path=side.path, safe=side.safe)]

    def used_so_far() -> dict[str, float]:
        # Asked again each time: connections, and with them PostgreSQL's processes, come as they are needed.
        backends = children_of(postmaster) if postmaster else []
        return {"server": cpu_seconds(side.server.workers()), "postgresql": cpu_seconds(backends)}

    before = used_so_far()
    outcome = run(load(requests, side.server.port))
    used = {name: seconds - before[name] for name, seconds in used_so_far().items()}
    used["generator"] = outcome.generator_busy * outcome.seconds
    return {name: seconds / count * 1e6 for name, seconds in used.items()} | {"answers per second": outcome.rate}


def main() -> None:
    """Measure this checkout, and another one beside it."""
    parser = argparse.ArgumentParser(prog="bench.cpu", description="processor time per push, by group of processes")
    parser.add_argument("--against", metavar="CHECKOUT", type=Path, help="another checkout to measure side by side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a quarter of the load")
    given = parser.parse_args()
    share = 4 if given.quick else 1
    writer = Writer()
    used: dict[str, list[dict[str, float]]] = defaultdict(list)
    with ExitStack() as stack:
        ours = [Measured(stack, "this", ROOT)]
        if given.against:
            ours.append(Measured(stack, "other", given.against.resolve()))
        port = free_port()
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "bare.log"
        bare = stack.enter_context(serving(["bench.peers.bare", str(port)], port=port, log=log, processes=2))
        legs: list[tuple[Side, int | None]] = [(Side("a constant", bare, "/wechat/1", BARE // 3, True, None), None)]
        legs += [(leg, one.postmaster) for number in range(2) for one in ours for leg in [one.legs[number]]]
        for side, postmaster in legs:
            measure(side, writer, 4000, postmaster)
        for _ in range(given.rounds):
            for side, postmaster in legs:
                used[side.name].append(measure(side, writer, side.requests // share, postmaster))
    for name, rounds in used.items():
        groups = "  ".join(f"{group} {median(each[group] for each in rounds):7.1f}" for group in rounds[0])
        print(f"{name:12} µs per push: {groups}")


if __name__ == "__main__":
    main()
