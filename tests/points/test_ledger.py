"""The ledger's promises one by one, and what happens when many ask at the same time."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db
from scrm.db import Transaction, connection, fetch, transaction
from scrm.errors import Conflict, Invalid, NotFound
from scrm.group_commit import GroupCommit
from scrm.points import ledger
from scrm.points.awards import Award
from scrm.points.ledger import GROWTH, POINTS, NotEnough, Origin
from scrm.points.queries import holding, statement
from tests.conftest import START
from tests.factories import at, value
from tests.points.books import audit, make_members, merge, origin, split


async def earn(holder_id: int, amount: int, *name: object, days: int | None = None, asset: str = POINTS) -> bool:
    return await ledger.award(
        key=key_of("award", holder_id, *name),
        holder_id=holder_id,
        asset=asset,
        amount=amount,
        origin=origin(),
        now=START,
        expires_at=None if days is None else START + timedelta(days=days),
    )


async def spend(holder_id: int, amount: int, name: object = 0, *, days: int = 0, asset: str = POINTS) -> bool:
    now = START + timedelta(days=days)
    return await ledger.spend(
        key=key_of("spend", name),
        holder_id=holder_id,
        asset=asset,
        amount=amount,
        origin=Origin("兑换积分商品:手机壳:id:104406", "小程序", now),
        now=now,
    )


async def claw_back(holder_id: int, amount: int, name: object = 0, **more: Any) -> bool:
    what: dict[str, Any] = {"asset": POINTS, "origin": origin(description="退货扣回"), "now": START} | more
    return await ledger.claw_back(key=key_of("clawback", name), holder_id=holder_id, amount=amount, **what)


async def undo(name: object = 0, *, days: int = 0) -> bool:
    now = START + timedelta(days=days)
    return await ledger.undo_spend(spend_key=key_of("spend", name), origin=origin(now, "取消兑换"), now=now)


async def has(member: int, asset: str = POINTS, *, days: int = 0) -> tuple[int, int]:
    async with connection() as raw:
        held = await holding(raw, member, asset, START + timedelta(days=days))
    return held.balance, held.debt


async def lots(member: int) -> list[int]:
    rows = await fetch("SELECT remaining FROM ledger_lot WHERE holder_id = $1 ORDER BY earned_at, id", member)
    return [row["remaining"] for row in rows]


async def test_a_key_counts_once_whatever_comes_with_it_again(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    assert await earn(ann, 5) is True
    assert await earn(ann, 7) is False
    assert await spend(ann, 2) is True
    assert await spend(ann, 3) is False
    assert await claw_back(ann, 1) is True
    assert await claw_back(ann, 1) is False
    assert await undo() is True
    assert await undo() is False
    assert await has(ann) == (4, 0)
    await audit()


async def test_a_key_of_another_kind_of_movement_is_refused_and_not_taken_for_done(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    await earn(ann, 5, 1)
    with pytest.raises(Conflict) as refused:
        await ledger.spend(
            key=key_of("award", ann, 1), holder_id=ann, asset=POINTS, amount=1, origin=origin(), now=START
        )
    assert refused.value.field == "key"
    assert await has(ann) == (5, 0)


@pytest.mark.parametrize(
    ("asset", "amount", "field"),
    [(POINTS, 0, "amount"), (POINTS, -1, "amount"), (POINTS, 10**12 + 1, "amount"), ("gold", 1, "asset")],
)
async def test_bad_input_names_its_field_and_changes_nothing(
    tx_db: Transaction, asset: str, amount: int, field: str
) -> None:
    (ann,) = await make_members(1)
    for movement in (
        earn(ann, amount, asset=asset),
        spend(ann, amount, asset=asset),
        claw_back(ann, amount, asset=asset),
    ):
        with pytest.raises(Invalid) as refused:
            await movement
        assert refused.value.field == field
    assert await value("SELECT count(*) FROM ledger_entry") == 0


async def test_a_spend_takes_the_oldest_first_and_its_undoing_fills_the_same_lots(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    for n, amount in enumerate([3, 4, 5]):
        await earn(ann, amount, n)
    await spend(ann, 5)
    assert await lots(ann) == [0, 2, 5]
    await undo()
    assert await lots(ann) == [3, 4, 5]
    with pytest.raises(NotFound) as refused:
        await undo("no such spend")
    assert refused.value.field == "spend"
    await audit()


async def test_a_spend_of_many_small_lots_takes_each_of_them_once(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    # Booked in another order than earned: what counts is when they were earned.
    awards = [Award(key_of(n), ann, POINTS, 1, origin(at(n)), START) for n in reversed(range(500))]
    await ledger.award_many(tx_db.connection, awards)
    await spend(ann, 400)
    assert await lots(ann) == [0] * 400 + [1] * 100
    await claw_back(ann, 60, award_key=key_of(450))
    assert await lots(ann) == [0] * 460 + [1] * 40
    await audit()


async def test_more_than_there_is_cannot_be_spent(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    await earn(ann, 5)
    with pytest.raises(NotEnough) as refused:
        await spend(ann, 6)
    assert (refused.value.status, refused.value.code, refused.value.title) == (409, "not_enough", "积分不足")
    assert await has(ann) == (5, 0)
    # The refused key is still free.
    assert await spend(ann, 5) is True


async def test_buy_redeem_return_leaves_a_debt_that_later_earnings_repay(tx_db: Transaction) -> None:
    """Mission F34: never silently forgiven, and shown as such."""
    (ann,) = await make_members(1)
    await earn(ann, 10, "order")
    await spend(ann, 8, "gift")
    await claw_back(ann, 10, "return", award_key=key_of("award", ann, "order"))
    assert await has(ann) == (0, 8)
    await earn(ann, 5, "later")
    assert await has(ann) == (0, 3)
    assert await lots(ann) == [0]
    await earn(ann, 7, "much later")
    assert await has(ann) == (4, 0)
    lines = await statement(ann, POINTS)
    assert [(line.amount, line.owed, line.kind) for line in lines] == [
        (7, 3, "award"),
        (5, 5, "award"),
        (-10, -8, "clawback"),
        (-8, 0, "spend"),
        (10, 0, "award"),
    ]
    await audit()


async def test_a_gift_given_back_repays_the_debt_at_once(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    await earn(ann, 10, "order")
    await spend(ann, 8, "gift")
    await claw_back(ann, 5, "part return")
    assert await has(ann) == (0, 3)
    await undo("gift")
    assert await has(ann) == (5, 0)
    await audit()


async def test_a_clawback_takes_from_its_own_award_first(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    for n in range(3):
        await earn(ann, 10, n)
    await claw_back(ann, 14, award_key=key_of("award", ann, 1))
    assert await lots(ann) == [6, 0, 10]


async def test_what_expired_is_not_there_swept_or_not(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    await earn(ann, 10, "long")
    await earn(ann, 5, "short", days=2)
    await earn(ann, 6, "as short", days=2)
    assert await has(ann, days=1) == (21, 0)
    assert await has(ann, days=2) == (10, 0)
    with pytest.raises(NotEnough):
        await spend(ann, 11, days=2)
    assert await ledger.expire_due(now=START + timedelta(days=2)) == 1
    assert await ledger.expire_due(now=START + timedelta(days=2)) == 0
    line = (await statement(ann, POINTS))[0]
    assert (line.amount, line.description, line.platform, line.occurred_at) == (
        -11, "积分过期", "系统", START + timedelta(days=2),
    )  # fmt: skip
    await audit()


async def test_an_undone_spend_keeps_the_old_expiry(tx_db: Transaction) -> None:
    """Given back before the expiry it expires as before; given back after it, it is gone at once and repays nothing."""
    ann, bob = await make_members(2)
    for member in (ann, bob):
        await earn(member, 10, days=5)
        await spend(member, 4, member)
    await undo(ann, days=3)
    assert await has(ann, days=4) == (10, 0)
    assert await has(ann, days=5) == (0, 0)
    await claw_back(bob, 8)
    assert await has(bob) == (0, 2)
    await undo(bob, days=5)
    assert await has(bob, days=5) == (0, 2)
    assert [(line.kind, line.amount) for line in await statement(bob, POINTS)] == [
        ("expire", -4), ("undo", 4), ("clawback", -8), ("spend", -4), ("award", 10),
    ]  # fmt: skip
    await audit()


async def test_a_lot_that_expired_and_is_filled_again_expires_again(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    await earn(ann, 10, days=5)
    await spend(ann, 3, "one")
    await spend(ann, 2, "other")
    assert await ledger.expire_due(now=START + timedelta(days=5)) == 1
    for name in ("one", "other"):
        assert await undo(name, days=6) is True
        assert await has(ann, days=6) == (0, 0)
    amounts = [(line.kind, line.amount) for line in await statement(ann, POINTS)]
    assert amounts[:5] == [("expire", -2), ("undo", 2), ("expire", -3), ("undo", 3), ("expire", -5)]
    await audit()


async def test_an_undone_clawback_forgives_its_debt_and_stands_for_what_was_repaid(tx_db: Transaction) -> None:
    (ann,) = await make_members(1)
    await earn(ann, 4)
    await claw_back(ann, 10, "first")
    await claw_back(ann, 5, "second")
    await earn(ann, 3, "repays")
    assert await has(ann) == (0, 8)
    # Of the first's debt of 6 all is forgiven, and the 4 it took back pay what is owed for the second.
    assert await undo_claw_back(tx_db, "first") is True
    assert await undo_claw_back(tx_db, "first") is False
    assert await has(ann) == (2, 0)
    assert await undo_claw_back(tx_db, "second") is True
    assert await has(ann) == (7, 0)
    assert await lots(ann) == [2, 5]
    with pytest.raises(NotFound) as refused:
        await undo_claw_back(tx_db, "third")
    assert refused.value.field == "claw_back_key"
    await audit()


async def test_what_stands_for_a_repaid_debt_repays_that_of_another_home(tx_db: Transaction) -> None:
    ann, bob = await make_members(2)
    await claw_back(ann, 6, "first")
    await earn(ann, 6)
    await claw_back(bob, 4, "second")
    await merge(ann, [bob])
    assert await has(ann) == (0, 4)
    assert await undo_claw_back(tx_db, "first", days=9) is True
    assert await has(ann) == (2, 0)
    # As old as the clawback it stands for.
    assert await value("SELECT earned_at FROM ledger_lot") == START
    await audit()


async def undo_claw_back(tx: Transaction, name: object, *, days: int = 0) -> bool:
    return await ledger.undo_claw_back(
        tx.connection,
        claw_back_key=key_of("clawback", name),
        origin=origin(description="判定撤销"),
        now=START + timedelta(days=days),
    )


async def test_a_person_is_all_homes_and_a_split_takes_them_apart(tx_db: Transaction) -> None:
    """Spending and repaying go over all homes; what each has and owes stays its own."""
    ann, bob = await make_members(2)
    await earn(ann, 10)
    await claw_back(bob, 4)
    await merge(ann, [bob])
    for member in (ann, bob):
        assert await has(member) == (10, 4)
    with pytest.raises(NotEnough):
        await spend(bob, 7)
    await spend(bob, 6)
    await earn(ann, 5, "later")
    assert await has(bob) == (5, 0)
    whole = await statement(bob, POINTS)
    assert [line.amount for line in whole] == [5, -6, -4, 10]
    assert await statement(ann, POINTS) == whole
    await split(bob)
    assert (await has(ann), await has(bob)) == ((5, 0), (0, 0))
    assert [line.amount for line in await statement(ann, POINTS)] == [1, -6, 10]
    assert [line.amount for line in await statement(bob, POINTS)] == [4, -4]
    # Undone after the split, it goes back to where it came from.
    await undo()
    assert (await has(ann), await has(bob)) == ((11, 0), (0, 0))
    await audit()


async def test_one_event_gives_to_two_people_in_one_transaction(db: TortoiseContext) -> None:
    """Mission A097: replies and their passive rewards, crosswise and at once, never wait in a circle."""
    people = await make_members(4)

    async def reply(n: int, one: int, other: int) -> None:
        async with transaction() as tx:
            awards = [
                Award(key_of(n, who, asset), who, asset, 1, origin(), START)
                for who in (one, other)
                for asset in (GROWTH, POINTS)
            ]
            assert await ledger.award_many(tx.connection, awards) == [True] * 4

    pairs = [(people[n % 4], people[(n + 1 + n % 3) % 4]) for n in range(60)]
    # Plain transactions, which nobody runs again after a deadlock.
    await asyncio.gather(*(reply(n, one, other) for n, (one, other) in enumerate(pairs)))
    for member in people:
        expected = sum(member in pair for pair in pairs)
        assert (await has(member), await has(member, GROWTH)) == ((expected, 0), (expected, 0))
    await audit()


async def test_a_batch_gives_each_key_once_and_repays_those_who_owe(db: TortoiseContext) -> None:
    ann, bob = await make_members(2)
    await claw_back(bob, 5)
    awards = [Award(key_of(n // 2), (ann, bob)[n // 2 % 2], POINTS, 1 + n % 2, origin(), START) for n in range(40)]
    async with transaction() as tx:
        assert await ledger.award_many(tx.connection, awards) == [True, False] * 20
        assert await ledger.award_many(tx.connection, awards) == [False] * 40
        assert await ledger.award_many(tx.connection, []) == []
    assert (await has(ann), await has(bob)) == ((10, 0), (5, 0))
    await audit()


async def test_fifty_spends_of_the_same_last_points(db: TortoiseContext) -> None:
    (ann,) = await make_members(1)
    await earn(ann, 30)
    outcomes = await asyncio.gather(*(spend(ann, 7, n) for n in range(50)), return_exceptions=True)
    assert [outcome for outcome in outcomes if not isinstance(outcome, NotEnough)] == [True] * 4
    assert await has(ann) == (2, 0)
    await audit()


async def test_the_same_spend_asked_for_fifty_times_at_once(db: TortoiseContext) -> None:
    (ann,) = await make_members(1)
    await earn(ann, 30)
    outcomes = await asyncio.gather(*(spend(ann, 7) for _ in range(50)))
    assert sorted(outcomes) == [False] * 49 + [True]
    assert await has(ann) == (23, 0)


async def test_awards_in_groups_clawbacks_and_merges_all_at_once(database_url: str) -> None:
    """Two pools, as two processes have; group commits on both, the same keys on both, while people are merged."""
    async with db.database(database_url, pool=4):
        people = await make_members(6)

    async def process(number: int) -> int:
        async with db.database(database_url, pool=4):
            group = GroupCommit(ledger.award_many, Tasks().spawn, limit=16)
            awards = [
                Award(key_of("a", n), people[n % 6], (POINTS, GROWTH)[n % 2], 3, origin(), START) for n in range(240)
            ]
            given = asyncio.gather(*(group.submit(award) for award in awards))
            taken = asyncio.gather(*(claw_back(people[n % 6], 2, (number, n)) for n in range(120)))
            merged = asyncio.gather(
                *(merge_in_order(people[n], people[n + 1]) for n in (0, 2, 4)) if number == 0 else ()
            )
            results = await asyncio.gather(given, taken, merged)
            assert results[1] == [True] * 120
            return sum(results[0])

    async def merge_in_order(kept: int, absorbed: int) -> None:
        async with transaction() as tx:
            await tx.connection.execute(
                "SELECT FROM member WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", [kept, absorbed]
            )
            await tx.connection.execute("UPDATE member SET merged_into_id = $1 WHERE id = $2", kept, absorbed)

    # Each process has a context of its own, as its database has.
    counts = await asyncio.gather(*(asyncio.create_task(process(number)) for number in (0, 1)))
    assert sum(counts) == 240
    async with db.database(database_url, pool=1):
        await audit()
        points = [await has(people[n]) for n in (0, 2, 4)]
        assert sum(balance - debt for balance, debt in points) == 120 * 3 - 2 * 120 * 2
        growth = [await has(people[n], GROWTH) for n in (0, 2, 4)]
        assert growth == [(120, 0)] * 3


async def test_a_sweep_leaves_to_a_command_what_it_has_locked(db: TortoiseContext) -> None:
    tasks = Tasks()
    ann, bob = await make_members(2)
    for member in (ann, bob):
        await earn(member, 5, days=1)
    later = START + timedelta(days=1)
    async with transaction() as tx:
        await tx.connection.execute("SELECT FROM ledger_balance WHERE holder_id = $1 FOR NO KEY UPDATE", ann)
        assert await tasks.spawn(ledger.expire_due(now=later), "sweep") == 1
    assert await ledger.expire_due(now=later) == 1
    assert (await lots(ann), await lots(bob)) == ([0], [0])
    await audit()
