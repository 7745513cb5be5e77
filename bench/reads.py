"""Reads of the members' API beside bare aiohttp + asyncpg that give the same answers from the same tables.

Both sides verify the same tokens and run on two processes with ten connections each. What ours does besides is what
is measured: an ended session, limits, request ids, typed answers. Sampled answers are compared, letter by letter.
"""

import gc
import json
import random
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median

import psutil  # type: ignore[import-untyped]  # publishes no types

import scrm.points.happenings  # noqa: F401  # registers the events that rules look at
from app.settings import Settings, sealer
from bench.callback import run, settings_of
from bench.database import fresh_database
from bench.load import Outcome, load
from bench.report import verdict
from bench.servers import Server, free_port, serving
from kit.clock import SystemClock
from kit.ids import key_of
from scrm import db
from scrm.access.tokens import REFRESH, Tokens
from scrm.accounts.models import Account
from scrm.accounts.service import add
from scrm.gifts import catalogue
from scrm.gifts.catalogue import GiftTerms
from scrm.gifts.service import redeem
from scrm.members.service import ENSURE_FANS
from scrm.points import ledger
from scrm.points.rulebook import install_preset

APPID = "wxbenchreads00001"
MEMBERS = 2000
LINES = 30  # of each member's statement
GIFTS = 20
REQUESTS = 1500  # a second or less: what else the machine does then hits both sides alike
PATHS = {"me": "/me", "statement": "/points/statement", "gifts": "/gifts"}


# What came of a load, and the processor seconds that its server took for it.
Played = tuple[Outcome, float]


@dataclass(slots=True)
class Pair:
    """One operation at both sides, and what came of it round by round."""

    path: str
    ours: list[Played] = field(default_factory=list)
    bare: list[Played] = field(default_factory=list)

    @property
    def latest(self) -> str:
        """What the last round came to."""
        return f"{self.ours[-1][0].rate:,.0f} and {self.bare[-1][0].rate:,.0f}/s"

    @property
    def ratio(self) -> float:
        """The median of the rounds' own ratios."""
        return median(one.rate / other.rate for (one, _), (other, _) in zip(self.ours, self.bare, strict=True))


async def prepare(settings: Settings, url: str) -> list[int]:
    """Make a brand with a mall and members with a past, signed in; return their fans, whose sessions have their ids."""
    now = SystemClock().now()
    async with db.database(url, pool=4):
        account_id = await add(
            sealer(settings), kind="miniprogram", name="读", appid=APPID, secret="0" * 32, token="t" * 8,
            aes_key=None, mode="plain", now=now,
        )  # fmt: skip
        brand_id = int((await Account.get(id=account_id)).brand_id)
        since = now - timedelta(days=1)
        await install_preset(brand_id, "zippo", since, since=since)
        async with db.connection() as raw:
            await raw.execute(ENSURE_FANS, [account_id] * MEMBERS, [f"reader{n:05}" for n in range(MEMBERS)], now)
            fans = await raw.fetch("SELECT id, member_id FROM fan ORDER BY id")
            await raw.execute(
                """
                INSERT INTO member_session (id, fan_id, refresh_hash, created_at, expires_at)
                SELECT id, id, '', $1, $2 FROM fan
                """,
                now,
                now + REFRESH,
            )
        for n in range(LINES):
            when = now - timedelta(hours=n)
            origin = ledger.Origin("每日签到", "小程序", when, key_of("event", n), "zippo.checkin", 1, when.date())
            asset = ledger.GROWTH if n % 5 == 4 else ledger.POINTS
            async with db.transaction() as tx:
                await ledger.award_many(
                    tx.connection,
                    [ledger.Award(key_of("b", n, f["id"]), f["member_id"], asset, n + 1, origin, now) for f in fans],
                )
        made = []
        for n in range(GIFTS):
            terms = GiftTerms(name=f"积分商品 {n}", price=10 + 60 * n, per_person=1 + n % 2)
            made.append(await catalogue.create_gift(brand_id=brand_id, kind="virtual", terms=terms, now=now))
        codes = [f"code-{n}" for n in range(MEMBERS)]
        await catalogue.load_codes(sealer(settings), gift_id=made[0], codes=codes, now=now)
        for fan in fans[::4]:
            await redeem(
                key=key_of("bench", fan["id"]), gift_id=made[0], member_id=fan["member_id"], account_id=account_id,
                fan_id=fan["id"], now=now,
            )  # fmt: skip
        await db.fetch("ANALYZE")
    return [fan["id"] for fan in fans]


def requests_of(path: str, fans: list[int], tokens: Tokens, count: int) -> list[bytes]:
    """Return requests of random members, each from an address of its own, so that nobody is asked to wait."""
    now, chance = SystemClock().now(), random.Random(count)
    headers = [
        b"Authorization: Bearer %b\r\nX-Forwarded-For: 10.%d.%d.1\r\n\r\n"
        % (tokens.access(fan, fan, now).encode(), fan // 250, fan % 250)
        for fan in fans
    ]
    head = f"GET /api/mp/{APPID}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    return [head + headers[chance.randrange(len(fans))] for _ in range(count)]


def play(requests: list[bytes], side: Server) -> Played:
    """Load one side."""
    before = busy(side)
    gc.collect()
    gc.disable()  # a pause of the generator would be counted as a pause of the server
    try:
        outcome = run(load(requests, side.port))
    finally:
        gc.enable()
    return outcome, busy(side) - before


def busy(side: Server) -> float:
    """Return the processor seconds that a server's processes have taken so far; PostgreSQL's are not among them."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in side.workers())


def main(*, quick: bool) -> None:
    """Run the benchmark and print its numbers and its verdicts."""
    rounds = 7 if quick else 21
    with tempfile.TemporaryDirectory(prefix="fensi-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        url = stack.enter_context(fresh_database(folder))
        settings = Settings(var=folder, database_url=url)
        fans = run(prepare(settings, url))
        key = sealer(settings).key("member tokens")
        begin = partial(_begin, stack, folder)
        ours = begin("fensi", ["app", "serve", "--workers", "2", "--port"], [], settings_of(folder, url))
        bare = begin("bare", ["bench.peers.reads"], [url, key.hex()], {}, processes=2)
        pairs = {word: Pair(path) for word, path in PATHS.items()}
        for number in range(rounds + 1):
            for pair in pairs.values():
                requests = requests_of(pair.path, fans, Tokens(key), REQUESTS)
                # Whoever begins may profit or suffer from it, so they take turns.
                sides = (ours, bare) if number % 2 else (bare, ours)
                outcomes = {side.port: play(requests, side) for side in sides}
                compare(outcomes[ours.port][0], outcomes[bare.port][0])
                if number:  # the first round warms pools and plans
                    pair.ours.append(outcomes[ours.port])
                    pair.bare.append(outcomes[bare.port])
            if number:
                rates = [
                    f"{word} {p.ours[-1][0].rate:,.0f} and {p.bare[-1][0].rate:,.0f}/s" for word, p in pairs.items()
                ]
                print(f"round {number}: {'  '.join(rates)}", flush=True)
    report(pairs)


def _begin(
    stack: ExitStack, folder: Path, name: str, before: list[str], after: list[str], environment: dict[str, str],
    processes: int = 1,
) -> Server:  # fmt: skip
    port = free_port()
    return stack.enter_context(
        serving(
            [*before, str(port), *after],
            port=port,
            log=folder / f"{name}.log",
            processes=processes,
            environment=environment,
        )
    )


def compare(ours: Outcome, bare: Outcome) -> None:
    """Both sides were asked the same in the same order; what was sampled is the same."""
    assert len(ours.answers) >= 10
    assert {n: json.loads(body) for n, body in ours.answers.items()} == {
        n: json.loads(body) for n, body in bare.answers.items()
    }


def report(pairs: dict[str, Pair]) -> None:
    """Print medians, then the verdicts."""
    for word, pair in pairs.items():
        for side, played in (("fensi", pair.ours), ("bare", pair.bare)):
            outcomes = [outcome for outcome, _ in played]
            print(
                f"{word:10} {side:6} {median(one.rate for one in outcomes):>8,.0f}/s  "
                f"p50 {median(one.percentile_ms(50) for one in outcomes):.1f} ms  "
                f"p99 {median(one.percentile_ms(99) for one in outcomes):.1f} ms  "
                f"processor {median(seconds for _, seconds in played) / REQUESTS * 1e6:,.0f} µs a read"
            )
    for word, pair in pairs.items():
        print(verdict(f"reads-{word}", pair.ratio, 0.6))
