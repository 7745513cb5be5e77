"""Awards a second through the ledger's group commit, beside one raw transaction each; and whether history costs.

The raw side does what nobody could do with less: an entry, its two postings, its lot and the balance, in a
transaction of its own. It knows no debts, no expiry and no merged people; the ledger's side looks after all three.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import uvloop

from bench.database import fresh_database
from bench.report import verdict
from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db
from scrm.db import fetch
from scrm.group_commit import GroupCommit
from scrm.points import ledger
from scrm.points.awards import Award
from scrm.points.postings import POINTS, Origin
from scrm.points.queries import statement

MEMBERS = 10_000
CALLERS = 512  # requests under way at the same time, on both sides
POOL = 10  # the server's own
AWARDS = 24_000
RAW = 8_000
NOW = datetime(2026, 3, 9, 4, 0, tzinfo=UTC)
ORIGIN = Origin("每日签到", "小程序", NOW, key_of("event"), "checkin", 1, NOW.date())
FEW, MANY = 10, 100_000

_serial = count(1)


def main(*, quick: bool) -> None:
    """Run the benchmark and print its numbers and its verdicts."""
    with (
        tempfile.TemporaryDirectory(prefix="fensi-bench-") as folder,
        fresh_database(Path(folder)) as url,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(measure(url, rounds=3 if quick else 5, share=4 if quick else 1))


async def measure(url: str, *, rounds: int, share: int) -> None:
    """Play both sides in turn, then the two histories, and print."""
    async with db.database(url, pool=POOL), asyncpg.create_pool(**db.credentials(url), max_size=POOL) as pool:
        await fetch("INSERT INTO member (created_at) SELECT $1 FROM generate_series(1, $2)", NOW, 2 * MEMBERS)
        group = GroupCommit(ledger.award_many, Tasks().spawn)
        ours, raw = [], []
        given = {"ours": 0, "raw": 0}
        for number in range(rounds + 1):
            sides = {
                "ours": await rate(group.submit, AWARDS // share, 1),
                "raw": await rate(partial(in_a_transaction, pool), RAW // share, MEMBERS + 1),
            }
            given["ours"] += AWARDS // share
            given["raw"] += RAW // share
            await check(given)
            if number:  # the first round warms plans and tables
                ours.append(sides["ours"])
                raw.append(sides["raw"])
                print(f"round {number}: ledger {sides['ours']:,.0f}/s  raw {sides['raw']:,.0f}/s", flush=True)
        flat = await flatness(rounds=rounds, times=200 // share)
    ratio = median(one / other for one, other in zip(ours, raw, strict=True))
    print(f"ledger: {median(ours):,.0f} awards/s in groups, {median(raw):,.0f}/s one raw transaction each, sums exact")
    print(verdict("ledger", ratio, 2))
    print(verdict("ledger-flat", flat, 1.3, limit=True))


async def rate(give: Callable[[Award], Awaitable[object]], awards: int, first: int) -> float:
    """Give that many awards of 1 to random people from `first` on, many callers at a time; returns awards a second."""
    choose = random.Random(awards)
    work = iter(
        [
            Award(key_of("bench", next(_serial)), first + choose.randrange(MEMBERS), POINTS, 1, ORIGIN, NOW)
            for _ in range(awards)
        ]
    )

    async def caller() -> None:
        for award in work:
            assert await give(award) is True

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return awards / (time.perf_counter() - began)


async def in_a_transaction(pool: Any, award: Award) -> bool:
    """Give an award the plain way."""
    origin = award.origin
    async with pool.acquire() as raw, raw.transaction():
        entry = await raw.fetchval(
            """
            INSERT INTO ledger_entry (key, kind, asset, holder_id, amount, description, platform, event_key, rule,
                                      rule_version, day, occurred_at, recorded_at)
            VALUES ($1, 'award', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT (key) DO NOTHING RETURNING id
            """,
            award.key,
            award.asset,
            award.holder_id,
            award.amount,
            origin.description,
            origin.platform,
            origin.event_key,
            origin.rule,
            origin.rule_version,
            origin.day,
            origin.occurred_at,
            award.now,
        )
        if entry is None:
            return False
        await raw.execute(
            """
            WITH lot AS (
                INSERT INTO ledger_lot (entry_id, holder_id, asset, amount, remaining, earned_at)
                VALUES ($1, $2, $3, $4, $4, $5)
            )
            INSERT INTO ledger_posting (entry_id, asset, account, holder_id, amount)
            VALUES ($1, $3, 'expense', NULL, -$4::bigint), ($1, $3, 'holder', $2, $4)
            """,
            entry,
            award.holder_id,
            award.asset,
            award.amount,
            origin.occurred_at,
        )
        await raw.execute(
            """
            INSERT INTO ledger_balance (holder_id, asset, balance) VALUES ($1, $2, $3)
            ON CONFLICT (holder_id, asset) DO UPDATE SET balance = ledger_balance.balance + excluded.balance
            """,
            award.holder_id,
            award.asset,
            award.amount,
        )
    return True


async def check(given: dict[str, int]) -> None:
    """Every award is there once: in the entries, in the postings, in the lots and in the balances of its side."""
    row = (
        await fetch(
            """
            SELECT (SELECT sum(balance) FROM ledger_balance WHERE holder_id <= $1) AS ours,
                   (SELECT sum(balance) FROM ledger_balance WHERE holder_id > $1) AS raw,
                   (SELECT sum(remaining) FROM ledger_lot) AS lots,
                   (SELECT sum(amount) FROM ledger_entry) AS entries,
                   (SELECT sum(amount) FROM ledger_posting WHERE account = 'holder') AS holders,
                   (SELECT sum(amount) FROM ledger_posting) AS postings
            """,
            MEMBERS,
        )
    )[0]
    total = sum(given.values())
    assert dict(row) == given | {"lots": total, "entries": total, "holders": total, "postings": 0}, dict(row)


async def flatness(*, rounds: int, times: int) -> float:
    """Return what an award and a spend cost a member with many movements, as a multiple of one with few."""
    few, many = await member_with(FEW), await member_with(MANY)
    await fetch("ANALYZE")
    for member in (few, many):
        await award_and_spend(member, 20)
    pairs = []
    for _ in range(rounds):
        # Turn by turn in small portions, so that a slow moment of the machine hits both.
        spent = {few: 0.0, many: 0.0}
        for _ in range(10):
            for member in (few, many):
                spent[member] += await award_and_spend(member, times // 10)
        pairs.append((spent[few] / times, spent[many] / times))
    page = {member: await first_page(member) for member in (few, many)}
    print(
        f"award + spend: {median(one for one, _ in pairs) * 1e3:.2f} ms after {FEW} movements, "
        f"{median(other for _, other in pairs) * 1e3:.2f} ms after {MANY:,}; "
        f"a page of the statement: {page[few] * 1e3:.2f} and {page[many] * 1e3:.2f} ms"
    )
    return median(other / one for one, other in pairs)


async def member_with(movements: int) -> int:
    """Make a member with that many awards, none of it spent, half of it with an expiry far away."""
    member: int = (await fetch("INSERT INTO member (created_at) VALUES ($1) RETURNING id", NOW))[0]["id"]
    async with db.transaction() as tx:
        for start in range(0, movements, 5000):
            awards = [
                Award(
                    key_of(member, n), member, POINTS, 1, ORIGIN, NOW,
                    NOW + timedelta(days=1000) if n % 2 else None,
                )
                for n in range(start, min(start + 5000, movements))
            ]  # fmt: skip
            await ledger.award_many(tx.connection, awards)
    return member


async def award_and_spend(member: int, times: int) -> float:
    """Award and spend in turn, one after the other; returns the seconds it took."""
    began = time.perf_counter()
    for _ in range(times):
        what: dict[str, Any] = {"holder_id": member, "asset": POINTS, "amount": 1, "origin": ORIGIN, "now": NOW}
        await ledger.award(key=key_of("bench", next(_serial)), **what)
        await ledger.spend(key=key_of("bench", next(_serial)), **what)
    return time.perf_counter() - began


async def first_page(member: int) -> float:
    """Return the seconds that the first page of a statement takes, the median of twenty."""
    taken = []
    for _ in range(20):
        began = time.perf_counter()
        assert len(await statement(member, POINTS, limit=FEW)) == FEW
        taken.append(time.perf_counter() - began)
    return median(taken)
