"""Workers are killed in the middle of a tag batch, putting and undoing: everybody once, nobody left out."""

import pytest
from tortoise.context import TortoiseContext

from kit.clock import SystemClock
from kit.ids import key_of
from scrm.db import fetch
from scrm.people import tagging
from scrm.people.search import Wanted
from scrm.tags import batches, service
from simulator.server import SimulatorServer
from tests.e2e.processes import Fensi, Process, open_shop, until
from tests.factories import SEALER, SOMEBODY, make_staff, value

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
PEOPLE = 8_000
# A killed worker's lease lasts 15 s.
WAIT = 90.0


async def crowd(account: int) -> int:
    """Make the fans of an account, each somebody else; returns its brand."""
    await fetch(
        """
        WITH people AS (INSERT INTO member (created_at) SELECT $2 FROM generate_series(1, $3) RETURNING id)
        INSERT INTO fan (account_id, openid, member_id, following, created_at)
        SELECT $1, 'openid-' || id, id, true, $2 FROM people
        """,
        account,
        SystemClock().now(),
        PEOPLE,
    )
    return int(await value("SELECT brand_id FROM account WHERE id = $1", account))


async def handled(batch: int) -> int:
    """Return how many people of the batch are done or undone."""
    one = await batches.one(batch)
    return one.done + one.undone


async def killed_in_the_middle(worker: Process, batch: int) -> int:
    """Kill a worker as soon as it has done some more people; returns how many are done then."""
    before = await handled(batch)

    async def further() -> bool:
        assert worker.alive, worker.log
        return await handled(batch) > before

    await until(further, WAIT, "the batch goes on")
    await worker.kill()
    return await handled(batch)


async def test_a_batch_survives_its_workers(db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer) -> None:
    brand, now = await crowd((await open_shop(wechat)).id), SystemClock().now()
    await make_staff(SOMEBODY)
    tag = await service.define(brand_id=brand, name="老客", now=now)
    had = [row["id"] for row in await fetch("SELECT id FROM member ORDER BY id LIMIT 50")]
    for person in had:
        await service.put(brand_id=brand, tag_id=tag, member_id=person, source="staff", staff_id=SOMEBODY, now=now)
    batch = await tagging.begin(
        SEALER,
        key=key_of("test", "batch"),
        brand_id=brand,
        tag_id=tag,
        action="put",
        wanted=Wanted(brands=[brand]),
        staff_id=SOMEBODY,
        now=now,
    )
    assert (batch.total, batch.state) == (PEOPLE, "running")

    async def ended(state: str) -> bool:
        return (await batches.one(batch.id)).state == state

    for _ in range(2):
        done = await killed_in_the_middle(await fensi.work(worker_port="0"), batch.id)
        assert 0 < done < PEOPLE, "it was to be killed in the middle"
    worker = await fensi.work(worker_port="0")
    await until(lambda: ended("done"), WAIT, "the batch is done")
    made = await batches.one(batch.id)
    assert (made.done, made.changed) == (PEOPLE, PEOPLE - len(had))
    # Everybody has it, and was told of once.
    assert await value("SELECT count(*) FROM member_tag WHERE tag_id = $1", tag) == PEOPLE
    assert await told("tag.put") == {1: PEOPLE}

    await batches.undo(batch_id=batch.id, now=SystemClock().now())
    undone = await killed_in_the_middle(worker, batch.id) - PEOPLE
    assert 0 < undone < PEOPLE - len(had), "it was to be killed in the middle"
    worker = await fensi.work(worker_port="0")
    await until(lambda: ended("undone"), WAIT, "the batch is undone")
    assert (await batches.one(batch.id)).undone == PEOPLE - len(had)
    rows = await fetch("SELECT member_id FROM member_tag WHERE tag_id = $1 ORDER BY member_id", tag)
    assert [row["member_id"] for row in rows] == had
    assert await told("tag.taken") == {1: PEOPLE - len(had)}

    async def quiet() -> bool:
        return not await fetch("SELECT 1 FROM pgqueuer WHERE entrypoint = $1", batches.JOB)

    await until(quiet, WAIT, "the jobs are struck off")


async def told(kind: str) -> dict[int, int]:
    """Return how many members the timeline says it of once, twice, and so on."""
    rows = await fetch(
        """
        SELECT times, count(*) AS members FROM (
            SELECT count(*) AS times FROM event WHERE kind = $1 GROUP BY member_id
        ) t GROUP BY times
        """,
        kind,
    )
    return {row["times"]: row["members"] for row in rows}
