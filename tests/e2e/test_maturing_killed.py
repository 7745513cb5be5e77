"""Workers die while thousands of promised awards are due: each is paid exactly once, by whoever is left."""

import asyncio
import random
from functools import partial

import pytest
from tortoise.context import TortoiseContext

from kit.clock import SystemClock
from scrm import db as scrm_db
from scrm.db import transaction
from scrm.jobs import enqueue
from tests.e2e.processes import Fensi, until
from tests.factories import value
from tests.points.books import audit, make_members

pytestmark = pytest.mark.e2e
MEMBERS, LIVES, EACH = 50, 5, 5_000
NEVER = 10**9

# Whoever would pay more than so many waits at a gate, in the middle of a transaction, until those who wait are killed.
_GATE = """
CREATE TABLE gate (most int);
INSERT INTO gate VALUES (0);
CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM pending_award WHERE state <> 'pending') >= (SELECT most FROM gate) THEN
        PERFORM pg_advisory_xact_lock_shared(41);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER wait_at_gate BEFORE UPDATE ON pending_award FOR EACH STATEMENT EXECUTE FUNCTION wait_at_gate();
"""

_PROMISE = """
INSERT INTO pending_award (key, asset, holder_id, amount, description, platform, event_key, rule, rule_version, day,
                           subject, state, due_at, created_at)
SELECT gen_random_uuid(), CASE n % 2 WHEN 0 THEN 'points' ELSE 'growth' END, m.ids[1 + n % cardinality(m.ids)],
       1 + n % 7, '购买商品', '天猫', gen_random_uuid(), 'zippo.purchase', 1, m.now::date, 'order:' || n,
       'pending', m.now - make_interval(secs => n % 1000), m.now
FROM generate_series(1, $3::int) AS n CROSS JOIN (SELECT $1::bigint[] AS ids, $2::timestamptz AS now) m
"""


async def settled() -> int:
    return int(await value("SELECT count(*) FROM pending_award WHERE state <> 'pending'"))


async def at_least(wanted: int) -> bool:
    return await settled() >= wanted


async def test_each_promise_is_paid_once_however_often_workers_die(db: TortoiseContext, fensi: Fensi) -> None:
    chance, members = random.Random(41), await make_members(MEMBERS)
    async with transaction() as tx:
        await tx.connection.execute(_GATE)

    async def promise(count: int) -> None:
        """Make promises that are due, and ask for the job as the schedule does once a minute."""
        async with transaction() as tx:
            await tx.connection.execute(_PROMISE, members, SystemClock().now(), count)
            assert await enqueue(tx, "points.mature", {})

    for life in range(1, LIVES + 1):
        await promise(EACH)
        enough = await settled() + chance.randint(1, 2000)
        await scrm_db.fetch("UPDATE gate SET most = $1", enough)
        async with transaction() as tx:
            await tx.connection.execute("SELECT pg_advisory_xact_lock(41)")
            workers = await asyncio.gather(*(fensi.work(worker_port="0") for _ in range(2)))
            await until(partial(at_least, enough), what="some are paid")
            await asyncio.gather(*(worker.kill() for worker in workers))
        assert await settled() < life * EACH, "they were to be killed in the middle"
        await audit()
    await promise(1)
    await scrm_db.fetch("UPDATE gate SET most = $1", NEVER)
    await fensi.work(worker_port="0")
    every = LIVES * EACH + 1
    await until(partial(at_least, every), 60, "all are paid")

    assert await value("SELECT count(*) FROM pending_award WHERE state = 'paid'") == every
    assert await value("SELECT count(*) FROM ledger_entry WHERE kind = 'award'") == every
    assert await value("SELECT count(*) FROM ledger_entry") == every
    promised = await scrm_db.fetch(
        "SELECT holder_id, asset, sum(amount)::bigint AS amount FROM pending_award GROUP BY holder_id, asset"
    )
    rows = await scrm_db.fetch("SELECT holder_id, asset, balance, debt FROM ledger_balance")
    assert {(row["holder_id"], row["asset"]): (row["balance"], row["debt"]) for row in rows} == {
        (row["holder_id"], row["asset"]): (row["amount"], 0) for row in promised
    }
    await audit()
