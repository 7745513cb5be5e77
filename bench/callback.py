"""B1: the whole callback, durable before the reply, beside a constant, wechatpy + Flask and WeRoBot.

What is measured and how is told in docs/subsystems/performance.md.
"""

import asyncio
import gc
import os
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import uvloop

from app.settings import Settings, sealer
from bench.database import fresh_database
from bench.load import CONNECTIONS, Outcome, load
from bench.pushes import ACCOUNT, ANSWER, FANS, QUESTION, Writer, check, openid_of
from bench.report import verdict
from bench.servers import Server, free_port, serving
from kit.clock import SystemClock
from scrm import db
from scrm.accounts.service import add
from scrm.members.service import ENSURE_FANS
from scrm.replies.service import set_rule

T = TypeVar("T")

GUNICORN = ["gunicorn", "--workers", "2", "--log-level", "warning", "--bind"]
# Requests per leg: a few seconds of each server.
SAFE, PLAIN, BARE, WECHATPY, WEROBOT = 24_000, 32_000, 60_000, 5_000, 8_000
MESSAGES_FOR_MEMORY = 100_000
# With a connection for each push under way, CONNECTIONS of them leave our servers waiting for the disk a third of their
# time; with so many more the servers are what limits, as they are for the constant with either number.
CROWD = 256


@dataclass(slots=True)
class Side:
    """One of the servers compared, the load it gets, and what came of it, round by round."""

    name: str
    server: Server
    path: str
    requests: int
    safe: bool
    text: str | None
    """What it must answer; None for the constant."""
    stored_at: int | None = None
    connections: int = CONNECTIONS
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Answers per second, by round."""
        return [outcome.rate for outcome in self.outcomes]


class Stage:
    """The servers of one run, and the load they get."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.url = stack.enter_context(fresh_database(folder))
        self.folder = folder
        self.writer = Writer()
        self.accepted: dict[int, int] = {}
        self._stack = stack
        settings = Settings(var=folder, database_url=self.url)
        self.safe_id, self.plain_id = run(prepare(settings, self.url))

        ours = self._serve(
            "fensi", lambda port: ["app", "serve", "--workers", "2", "--port", str(port)], settings_of(folder, self.url)
        )
        bare = self._serve("bare", lambda port: ["bench.peers.bare", str(port)], processes=2)
        flask = ["--worker-class", "gthread", "--threads", "8", "bench.peers.wechatpy_echo:app"]
        wechatpy = self._serve("wechatpy", lambda port: [*GUNICORN, f"127.0.0.1:{port}", *flask])
        werobot = self._serve("werobot", lambda port: [*GUNICORN, f"127.0.0.1:{port}", "bench.peers.werobot_echo:app"])

        safe, plain = f"/wechat/{self.safe_id}", f"/wechat/{self.plain_id}"
        self.sides = {
            "bare-safe": Side("a constant, safe-mode requests", bare, safe, BARE, True, None),
            "safe": Side("fensi, safe mode", ours, safe, SAFE, True, ANSWER, self.safe_id),
            "bare-plain": Side("a constant, plain requests", bare, plain, BARE, False, None),
            "plain": Side("fensi, plain mode", ours, plain, PLAIN, False, ANSWER, self.plain_id),
            "wechatpy": Side("wechatpy + Flask, safe mode", wechatpy, safe, WECHATPY, True, QUESTION),
            "werobot": Side("WeRoBot, safe mode", werobot, safe, WEROBOT, True, QUESTION),
        }
        for name in ("bare-safe", "safe", "bare-plain", "plain"):
            few = self.sides[name]
            crowd = replace(few, name=f"{few.name}, {CROWD} conn.", connections=CROWD, outcomes=[])
            self.sides[f"{name}-{CROWD}"] = crowd
        self.ours = ours

    def _serve(
        self,
        name: str,
        arguments: Callable[[int], list[str]],
        environment: dict[str, str] | None = None,
        processes: int = 1,
    ) -> Server:
        port = free_port()
        log = self.folder / f"{name}.log"
        return self._stack.enter_context(
            serving(arguments(port), port=port, log=log, processes=processes, environment=environment)
        )

    def play(self, side: Side, count: int) -> Outcome:
        """Load one side with `count` requests it has never seen, and check its answers and its rows."""
        # The constant does not look at its requests, so a few serve for all.
        distinct = count if side.text is not None else count // 10
        pushes = self.writer.write(distinct, path=side.path, safe=side.safe)
        requests = [push.request for push in pushes] * (count // distinct)
        gc.collect()
        gc.disable()  # a pause of the generator would be counted as a pause of the server
        try:
            outcome = run(load(requests, side.server.port, connections=side.connections))
        finally:
            gc.enable()
        if side.text is not None:
            for number, body in outcome.answers.items():
                check(pushes[number], body, safe=side.safe, text=side.text)
        if side.stored_at is not None:
            self.accepted[side.stored_at] = self.accepted.get(side.stored_at, 0) + count
            rows = run(stored(self.url, side.stored_at))
            assert rows == (self.accepted[side.stored_at],) * 2, f"{rows} rows for {self.accepted} accepted pushes"
        return outcome


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on uvloop, as the servers do."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def settings_of(folder: Path, url: str) -> dict[str, str]:
    """Return the environment of our server: production's defaults, with logs as a production would keep them."""
    return {"FENSI_VAR": str(folder), "FENSI_DATABASE_URL": url, "FENSI_LOG_LEVEL": "warning"}


async def prepare(settings: Settings, url: str) -> tuple[int, int]:
    """Make two accounts, safe and plain, with rules and known fans; return their ids."""
    now, seal, ids = SystemClock().now(), sealer(settings), []
    async with db.database(url, pool=2):
        for mode in ("safe", "plain"):
            account_id = await add(
                seal,
                kind="service",
                name=mode,
                appid=ACCOUNT.appid if mode == "safe" else f"{ACCOUNT.appid[:-1]}8",
                secret="0" * 32,
                token=ACCOUNT.token,
                aes_key=ACCOUNT.aes_key if mode == "safe" else None,
                mode=mode,
                verified=True,
                brand="bench",
                now=now,
            )
            ids.append(account_id)
            for number in range(20):  # words nobody writes, and then the one that is asked
                reply = {"type": "text", "content": f"回答 {number}"}
                await set_rule(account_id=account_id, match="exact", pattern=f"问题{number}", reply=reply, now=now)
            reply = {"type": "text", "content": ANSWER}
            await set_rule(account_id=account_id, match="contains", pattern="营业时间", reply=reply, now=now)
            async with db.connection() as raw:
                await raw.execute(ENSURE_FANS, [account_id] * FANS, [openid_of(n) for n in range(FANS)], now)
    return ids[0], ids[1]


async def stored(url: str, account_id: int) -> tuple[int, int]:
    """Return how many events, and how many answered pushes, an account has."""
    async with db.database(url, pool=2):
        row = (
            await db.fetch(
                """
                SELECT (SELECT count(*) FROM event WHERE account_id = $1) AS events,
                       (SELECT count(*) FROM push WHERE account_id = $1 AND state = 'answered') AS answered
                """,
                account_id,
            )
        )[0]
        return row["events"], row["answered"]


def main(*, quick: bool) -> None:
    """Run the benchmark and print its numbers and its verdicts."""
    rounds, share = (3, 4) if quick else (5, 1)
    with tempfile.TemporaryDirectory(prefix="fensi-bench-") as folder, ExitStack() as stack:
        stage = Stage(stack, Path(folder))
        print(run(described(stage.url)))
        before = stage.ours.memory_mb()
        for side in stage.sides.values():  # warm caches, pools, plans and gunicorn's threads
            stage.play(side, max(1000, side.requests // share // 10))
        warm, pushed = stage.ours.memory_mb(), sum(stage.accepted.values())
        for number in range(1, rounds + 1):
            for side in stage.sides.values():
                side.outcomes.append(stage.play(side, side.requests // share))
            rates = "  ".join(f"{name} {side.rates[-1]:,.0f}/s" for name, side in stage.sides.items())
            print(f"round {number}: {rates}", flush=True)
        while not quick and sum(stage.accepted.values()) < pushed + MESSAGES_FOR_MEMORY:
            stage.play(stage.sides["safe"], SAFE)
        after, pushed = stage.ours.memory_mb(), sum(stage.accepted.values()) - pushed
    report(stage.sides, before, warm, after, pushed)


async def described(url: str) -> str:
    """Say what the numbers depend on."""
    async with db.database(url, pool=2):
        names = ("server_version", "fsync", "synchronous_commit")
        shown = {name: (await db.fetch(f"SHOW {name}"))[0][0] for name in names}
    assert shown["fsync"] == shown["synchronous_commit"] == "on", "a push must be durable before its reply"
    return (
        f"{os.cpu_count()} cores, PostgreSQL {shown['server_version']} with fsync and synchronous_commit on, "
        f"{CONNECTIONS} connections kept alive where not said otherwise, 2 processes each side"
    )


def report(
    sides: dict[str, Side], before: Sequence[float], warm: Sequence[float], after: Sequence[float], pushed: int
) -> None:
    """Print raw numbers, then the verdicts; ratios are medians of each round's own ratio."""
    for side in sides.values():
        latencies = [(outcome.percentile_ms(50), outcome.percentile_ms(99)) for outcome in side.outcomes]
        print(
            f"{side.name:46} {median(side.rates):>9,.0f}/s ({min(side.rates):,.0f} to {max(side.rates):,.0f})  "
            f"p50 {median(p50 for p50, _ in latencies):.1f} ms  p99 {median(p99 for _, p99 in latencies):.1f} ms  "
            f"generator busy {median(outcome.generator_busy for outcome in side.outcomes):.0%}"
        )

    def ratio(one: str, other: str) -> float:
        return median(a / b for a, b in zip(sides[one].rates, sides[other].rates, strict=True))

    shown = [" and ".join(f"{mb:.0f}" for mb in each) for each in (before, warm, after)]
    print(f"memory per process, MB: {shown[0]} started, {shown[1]} warm, {shown[2]} after {pushed:,} messages more")
    p99 = median(outcome.percentile_ms(99) for outcome in sides["safe"].outcomes)
    print(verdict("callback-safe", ratio("safe", "bare-safe"), 0.25))
    print(verdict("callback-plain", ratio("plain", "bare-plain"), 0.40))
    for name, goal in ("safe", 0.25), ("plain", 0.40):
        print(verdict(f"callback-{name}-{CROWD}", ratio(f"{name}-{CROWD}", f"bare-{name}-{CROWD}"), goal))
    print(verdict("callback-vs-wechatpy", ratio("safe", "wechatpy"), 4))
    print(verdict("callback-vs-werobot", ratio("safe", "werobot"), 2.5))
    print("of the next, lower is better:")
    print(verdict("callback-p99-ms", p99, 50, limit=True))
    print(verdict("callback-rss-mb", max(after), 120, limit=True))
