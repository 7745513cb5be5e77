"""Promised awards: paid when due, once, by however many workers; lowered by what happens before or after."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tortoise.context import TortoiseContext

from kit.clock import ManualClock
from kit.ids import key_of
from scrm.db import Transaction, connection, transaction
from scrm.errors import Invalid
from scrm.points import ledger, maturing
from scrm.points.postings import GROWTH, POINTS, Origin
from scrm.points.queries import coming, holding, statement
from tests.conftest import START
from tests.factories import value
from tests.points.books import audit, make_members, origin
from worker import schedules
from worker.schedules import Services

DUE = START + timedelta(days=15)
ORDER = "order:17"


async def promise(
    member: int,
    amount: int,
    name: object = "",
    *,
    asset: str = POINTS,
    subject: str = ORDER,
    due_at: datetime = DUE,
    days: int | None = None,
) -> UUID:
    key = key_of(subject, asset, member, name)
    given = Origin("购买奖励", "天猫", START, key_of("event", subject), "purchase", 3, START.date())
    async with connection() as raw:
        await maturing.promise(raw, maturing.Promise(key, member, asset, amount, given, subject, due_at, START, days))
    return key


async def reduce(key: UUID, to: int, now: datetime) -> int:
    async with connection() as raw:
        return await maturing.reduce(raw, key=key, to=to, reason="returned", origin=origin(now, "退货扣回"), now=now)


async def cancel(now: datetime, subject: str = ORDER) -> int:
    async with connection() as raw:
        return await maturing.cancel(raw, subject=subject, reason="returned", origin=origin(now, "退货扣回"), now=now)


async def has(member: int, now: datetime = DUE, asset: str = POINTS) -> tuple[int, int]:
    async with connection() as raw:
        held = await holding(raw, member, asset, now)
    return held.balance, held.debt


async def test_a_promise_is_paid_when_due_and_once(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    key = await promise(ann, 12, days=30)
    await promise(ann, 99)
    (soon,) = await coming(ann, POINTS)
    assert (soon.amount, soon.due_at, soon.description) == (12, DUE, "购买奖励")
    assert await maturing.mature_due(now=DUE - timedelta(microseconds=1)) == 0
    late = DUE + timedelta(hours=7)
    assert await maturing.mature_due(now=late) == 1
    assert await maturing.mature_due(now=late) == 0
    assert await coming(ann, POINTS) == []
    (line,) = await statement(ann, POINTS)
    # Earned when it was due and not when a worker came to it: the same whenever it is replayed.
    assert (line.amount, line.occurred_at, line.rule, line.event_key) == (12, DUE, "purchase", key_of("event", ORDER))
    assert await value("SELECT expires_at FROM ledger_lot") == DUE + timedelta(days=30)
    async with connection() as raw:
        (known,) = await maturing.of_subject(raw, ORDER)
    assert (known.key, known.amount, known.state, known.rule) == (key, 12, "paid", "purchase")
    await audit()


async def test_a_return_before_the_payment_lowers_or_cancels_it(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    part, whole = await promise(ann, 12, "part"), await promise(ann, 8, "whole")
    assert await reduce(part, 7, START) == 5
    assert await reduce(part, 7, START) == 0
    assert await reduce(part, 9, START) == 0  # an older return that comes later
    assert await reduce(whole, 0, START) == 8
    assert await reduce(key_of("never promised"), 0, START) == 0
    assert await maturing.mature_due(now=DUE) == 1
    assert await has(ann) == (7, 0)
    assert [line.amount for line in await statement(ann, POINTS)] == [7]
    await audit()


async def test_a_return_after_the_payment_claws_back_and_owes_what_was_spent(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    key = await promise(ann, 12)
    await maturing.mature_due(now=DUE)
    await ledger.spend(key=key_of("gift"), holder_id=ann, asset=POINTS, amount=10, origin=origin(), now=DUE)
    assert await reduce(key, 9, DUE) == 3
    assert await has(ann) == (0, 1)
    assert await reduce(key, 9, DUE) == 0
    assert await reduce(key, 0, DUE) == 9
    assert await has(ann) == (0, 10)
    assert await reduce(key, 0, DUE) == 0
    await audit()


async def test_a_return_takes_from_its_own_order_first(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    older = await promise(ann, 5, subject="order:16", due_at=START)
    await promise(ann, 5)
    assert await maturing.mature_due(now=DUE) == 2
    async with connection() as raw:
        assert await maturing.cancel(raw, subject=ORDER, reason="returned", origin=origin(DUE), now=DUE) == 5
    left = await value(
        "SELECT l.remaining FROM ledger_lot l JOIN ledger_entry e ON e.id = entry_id WHERE key = $1", older
    )
    assert left == 5
    await audit()


async def test_a_subject_is_cancelled_whole_whatever_was_paid_already(tx_db: Transaction) -> None:
    ann, bob = await make_members(2)
    await promise(ann, 5, asset=GROWTH, due_at=START)
    await promise(bob, 3)
    await promise(ann, 4, subject="order:18")
    assert await maturing.mature_due(now=START) == 1
    assert await cancel(START) == 8
    assert await cancel(START) == 0
    assert await maturing.mature_due(now=DUE) == 1
    assert (await has(ann), await has(ann, asset=GROWTH), await has(bob)) == ((4, 0), (0, 0), (0, 0))
    assert await value("SELECT array_agg(state || ':' || reason ORDER BY id) FROM pending_award") == [
        "paid:returned", "cancelled:returned", "paid:",
    ]  # fmt: skip
    await audit()


async def test_bad_promises_name_their_field(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    bad: dict[str, Any] = {"amount": 0, "subject": "", "asset": "gold"}
    for field, wrong in bad.items():
        with pytest.raises(Invalid) as refused:
            await promise(ann, **{"amount": 1, field: wrong})
        assert refused.value.field == field
    with pytest.raises(Invalid) as refused:
        await reduce(key_of("any"), -1, START)
    assert refused.value.field == "to"


async def test_many_workers_and_returns_at_once_pay_each_promise_once(db: TortoiseContext) -> None:
    """Returns race with the payment: whoever is first, what stands at the end is the same."""
    people = await make_members(5)
    keys = [await promise(people[n % 5], 10, n, subject=f"order:{n}", due_at=START) for n in range(200)]

    async def work() -> int:
        paid = 0
        while count := await maturing.mature_due(now=START, limit=20):
            paid += count
        return paid

    async def give_back(key: UUID) -> int:
        async with transaction():
            return await reduce(key, 4, START)

    lowered = asyncio.gather(*(give_back(key) for key in keys[::4]))
    await asyncio.gather(*(work() for _ in range(4)))
    assert await lowered == [6] * 50
    await work()
    assert [sum(sums) for sums in zip(*[await has(member, START) for member in people], strict=True)] == [1700, 0]
    assert await value("SELECT count(*) FROM pending_award WHERE state = 'paid'") == 200
    await audit()


async def test_the_worker_pays_and_expires_by_itself(tx_db: Transaction) -> None:
    """More than a batch of each; the jobs go on until nothing is left."""
    people = await make_members(2)
    for n in range(1100):
        await promise(people[n % 2], 1, n, due_at=START, days=1)
    clock = ManualClock(START)
    await schedules.registry.jobs["points.mature"].work({}, Services(clock))
    assert [await has(member, START) for member in people] == [(550, 0)] * 2
    clock.advance(days=1)
    await schedules.registry.jobs["points.expire"].work({}, Services(clock))
    assert await value("SELECT sum(balance) FROM ledger_balance") == 0
    assert set(schedules.registry.schedules) >= {("* * * * *", "points.mature"), ("10 * * * *", "points.expire")}
    await audit()
