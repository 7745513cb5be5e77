"""kill -9 in the middle of spending and of maturing: nothing is lost, nothing happens twice."""

import asyncio
import random
import sys
from collections.abc import Sequence

import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm.db import transaction
from scrm.points import ledger, maturing
from scrm.points.awards import Award
from scrm.points.postings import POINTS
from tests.conftest import START
from tests.e2e.processes import ROOT
from tests.factories import value
from tests.points.books import audit, make_members, origin
from tests.points.test_maturing import promise

pytestmark = pytest.mark.e2e

SPENDS, PROMISES, LIVES = 400, 1500, 3


async def live(url: str, what: str, members: Sequence[int], *, lines: int | None) -> list[int]:
    """Run a process until it has said so many lines, then kill it; without `lines` until it ends. Returns them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.e2e.ledger_process", url, what, ",".join(map(str, members)), str(SPENDS),
        stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    said = []
    async with asyncio.timeout(60):
        while line := await process.stdout.readline():
            said.append(int(line))
            if len(said) == lines:
                process.kill()
                break
        # What it said before it died is true as well.
        said += [int(line) for line in (await process.stdout.read()).splitlines(keepends=True) if line.endswith(b"\n")]
        assert await process.wait() == (0 if lines is None else -9)
    return said


async def test_spends_survive_the_death_of_their_process(db: TortoiseContext, database_url: str) -> None:
    members = await make_members(3)
    async with transaction() as tx:
        awards = [Award(key_of("start", who), who, POINTS, SPENDS, origin(), START) for who in members]
        await ledger.award_many(tx.connection, awards)
    chance = random.Random(7)
    done: set[int] = set()
    for _ in range(LIVES):
        # Two at once, working on the same list.
        both = (live(database_url, "spend", members, lines=chance.randint(10, SPENDS // 2)) for _ in range(2))
        for said in await asyncio.gather(*both):
            done.update(said)
        booked = {key_of("storm", n) for n in done}
        assert await value("SELECT count(*) FROM ledger_entry WHERE key = ANY($1::uuid[])", list(booked)) == len(done)
        await audit()
    assert len(done) < SPENDS
    assert sorted(await live(database_url, "spend", members, lines=None)) == list(range(SPENDS))
    assert await value("SELECT count(*) FROM ledger_entry WHERE kind = 'spend'") == SPENDS
    assert await value("SELECT sum(balance) FROM ledger_balance") == (len(members) - 1) * SPENDS
    await audit()


async def test_maturing_survives_the_death_of_its_workers(db: TortoiseContext, database_url: str) -> None:
    members = await make_members(3)
    async with transaction():
        for n in range(PROMISES):
            await promise(members[n % 3], 2, n, subject=f"order:{n}", due_at=START)
    for _ in range(LIVES):
        await asyncio.gather(*(live(database_url, "mature", members, lines=3) for _ in range(2)))
        await audit()
    left = await value("SELECT count(*) FROM pending_award WHERE state = 'pending'")
    assert 0 < left < PROMISES
    assert sum(await live(database_url, "mature", members, lines=None)) == left
    assert await maturing.mature_due(now=START) == 0
    assert await value("SELECT sum(balance) FROM ledger_balance") == PROMISES * 2
    await audit()
