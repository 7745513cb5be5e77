"""Tags for many: everybody once, whoever works, with progress; undone as a whole; begun once per key."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from tortoise.context import TortoiseContext

from kit.clock import ManualClock
from kit.ids import key_of
from scrm.db import Transaction, fetch
from scrm.errors import Conflict, NotFound
from scrm.members import erasing
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from scrm.people import tagging
from scrm.people.search import Wanted
from scrm.tags import batches, service
from scrm.tags.batches import BatchView
from tests.conftest import START
from tests.factories import SEALER, SOMEBODY, at, make_account, make_fan, make_staff, value
from worker import schedules
from worker.schedules import Services

KEY = key_of("test", "batch")


async def brand_of(account: int) -> int:
    return int(await value("SELECT brand_id FROM account WHERE id = $1", account))


async def begin(brand: int, tag: int, *, key: UUID = KEY, action: Any = "put", **wanted: Any) -> BatchView:
    await make_staff(SOMEBODY)
    asked = Wanted(brands=[brand], **wanted)
    return await tagging.begin(
        SEALER, key=key, brand_id=brand, tag_id=tag, action=action, wanted=asked, staff_id=SOMEBODY, now=START
    )


async def work(batch: BatchView, limit: int = 3) -> BatchView:
    while await batches.work_some(batch_id=batch.id, now=at(60), limit=limit):
        pass
    return await batches.one(batch.id)


async def wearing(tag: int) -> list[int]:
    rows = await fetch("SELECT member_id FROM member_tag WHERE tag_id = $1 ORDER BY member_id", tag)
    return [row["member_id"] for row in rows]


async def told(kind: str) -> int:
    return int(await value("SELECT count(*) FROM event WHERE kind = $1", kind))


async def some(account: int, n: int) -> list[FanView]:
    return [await make_fan(account) for _ in range(n)]


async def test_everybody_of_the_filter_gets_it_once_and_undoing_spares_who_had_it(tx_db: Transaction) -> None:
    account = await make_account()
    brand, fans = await brand_of(account), await some(account, 8)
    await link_unionid(fan_id=fans[0].id, unionid="u", now=START)
    await link_unionid(fan_id=fans[7].id, unionid="u", now=START)
    tag = await service.define(brand_id=brand, name="老客", now=START)
    more: dict[str, Any] = {"brand_id": brand, "tag_id": tag, "now": START}
    await service.put(member_id=fans[7].member_id, source="rule", staff_id=None, **more)
    made = await begin(brand, tag)
    assert (made.state, made.total, made.done) == ("running", 7, 0)
    with pytest.raises(Conflict, match="还没有做完"):
        await batches.undo(batch_id=made.id, now=at(30))
    assert await batches.work_some(batch_id=made.id, now=at(60), limit=3) == 3
    assert (await batches.one(made.id)).done == 3
    done = await work(made)
    assert (done.state, done.done, done.changed, done.finished_at) == ("done", 7, 6, at(60))
    assert await wearing(tag) == sorted([*(fan.member_id for fan in fans[1:7]), fans[7].member_id])
    assert await told("tag.put") == 7
    # Somebody takes it off and puts it on again meanwhile: that is no longer what the batch did.
    person = fans[3].member_id
    await service.take(member_id=person, staff_id=SOMEBODY, **more)
    await service.put(member_id=person, source="staff", staff_id=SOMEBODY, **more)
    assert [await batches.undo(batch_id=made.id, now=at(90)) for _ in range(2)] == [True, False]
    undone = await work(made)
    assert (undone.state, undone.undone) == ("undone", 5)
    assert await wearing(tag) == sorted([person, fans[7].member_id])


async def test_a_selection_is_taken_off_and_put_back(tx_db: Transaction) -> None:
    account = await make_account()
    brand, fans = await brand_of(account), await some(account, 4)
    tag = await service.define(brand_id=brand, name="老客", now=START)
    await work(await begin(brand, tag))
    chosen = [fan.member_id for fan in fans[:2]]
    taken = await work(await begin(brand, tag, key=key_of("test", "take"), action="take", people=chosen))
    assert (taken.total, taken.changed, await wearing(tag)) == (2, 2, [fan.member_id for fan in fans[2:]])
    await batches.undo(batch_id=taken.id, now=at(90))
    assert ((await work(taken)).undone, await wearing(tag)) == (2, [fan.member_id for fan in fans])


async def test_a_key_begins_one_batch_and_refusals_none(tx_db: Transaction) -> None:
    account = await make_account()
    brand, _ = await brand_of(account), await some(account, 2)
    tag = await service.define(brand_id=brand, name="老客", now=START)
    first = await begin(brand, tag)
    await make_fan(account)
    assert await begin(brand, tag) == first
    await service.archive(brand_id=brand, tag_id=tag, now=START)
    with pytest.raises(Conflict, match="标签已停用"):
        await begin(brand, tag, key=key_of("test", "late"))
    with pytest.raises(NotFound):
        await begin(brand, tag + 1, key=key_of("test", "none"))
    assert await value("SELECT count(*) FROM tag_batch") == 1
    assert await value("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", batches.JOB) == 1


async def test_whoever_was_erased_or_merged_since_is_no_trouble(tx_db: Transaction) -> None:
    account = await make_account()
    brand, fans = await brand_of(account), await some(account, 3)
    tag = await service.define(brand_id=brand, name="老客", now=START)
    made = await begin(brand, tag)
    person = await erasing.hold_whole(tx_db.connection, fans[0].member_id)
    await erasing.erase(tx_db.connection, SEALER, person, START)
    for fan in fans[1:]:
        await link_unionid(fan_id=fan.id, unionid="u", now=START)
    done = await work(made, limit=10)
    assert (done.state, done.total, done.changed, await wearing(tag)) == ("done", 3, 1, [fans[1].member_id])


async def test_workers_share_a_batch_and_do_nobody_twice(db: TortoiseContext) -> None:
    account = await make_account()
    brand, fans = await brand_of(account), await some(account, 60)
    tag = await service.define(brand_id=brand, name="老客", now=START)
    made = await begin(brand, tag)
    await asyncio.gather(*(work(made, limit=7) for _ in range(4)))
    done = await work(made)
    assert (done.state, done.done, done.changed) == ("done", 60, 60)
    assert (await wearing(tag), await told("tag.put")) == ([fan.member_id for fan in fans], 60)
    await batches.undo(batch_id=made.id, now=at(90))
    await asyncio.gather(*(work(made, limit=7) for _ in range(4)))
    assert ((await work(made)).state, await wearing(tag), await told("tag.taken")) == ("undone", [], 60)


async def test_a_long_batch_is_handed_from_job_to_job(tx_db: Transaction) -> None:
    account, chunk = await make_account(), batches.CHUNK
    brand = await brand_of(account)
    await fetch(
        """
        WITH people AS (INSERT INTO member (created_at) SELECT $2 FROM generate_series(1, $3) RETURNING id)
        INSERT INTO fan (account_id, openid, member_id, following, created_at)
        SELECT $1, 'openid-' || id, id, true, $2 FROM people
        """,
        account,
        START,
        2 * chunk + 1,
    )
    made = await begin(brand, await service.define(brand_id=brand, name="老客", now=START))
    job = schedules.registry.jobs[batches.JOB]
    seen = []
    for _ in range(4):
        await job.work({"batch": made.id}, Services(ManualClock(at(60)), slice_seconds=0))
        now = await batches.one(made.id)
        queued = await value("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", batches.JOB)
        seen.append((now.state, now.done, queued))
    # The first was queued by the batch itself; whoever finds nothing more to do asks nobody.
    assert seen == [
        ("running", chunk, 2),
        ("running", 2 * chunk, 3),
        ("running", 2 * chunk + 1, 4),
        ("done", 2 * chunk + 1, 4),
    ]
    # Cut off between asking for the next and its own end, a job asks again for the same one.
    for _ in range(2):
        await batches.go_on(batch_id=made.id)
    assert await value("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", batches.JOB) == 4
