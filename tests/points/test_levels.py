"""Levels: a pure function of growth, the history of changes, and what may not be a level."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrm import db
from scrm.db import Transaction, fetch
from scrm.errors import Invalid
from scrm.members.service import link_unionid
from scrm.points import levels
from scrm.points.ledger import GROWTH
from scrm.points.levels import Level, standing
from tests.conftest import START
from tests.factories import make_fan, value
from tests.gifts.shop import earn
from tests.points.books import make_members, merge, split
from tests.points.house import House, level, mature, open_house, shanghai

NOON = shanghai("2026-03-09 12:00")
FOUR = levels.check(
    [
        {"name": "注册会员", "threshold": 0, "benefits": ["签到"]},
        {"name": "铜牌", "threshold": 100},
        {"name": "银牌", "threshold": 500},
        {"name": "金牌", "threshold": 2000},
    ]
)


@pytest.fixture
async def zippo(tx_db: Transaction) -> House:
    return await open_house("zippo")


@pytest.mark.parametrize(
    ("growth", "name", "missing"),
    [
        (-50, "注册会员", 150),
        (0, "注册会员", 100),
        (99, "注册会员", 1),
        (100, "铜牌", 400),
        (499, "铜牌", 1),
        (500, "银牌", 1500),
        (1999, "银牌", 1),
        (2000, "金牌", 0),
        (10**9, "金牌", 0),
    ],
)
def test_the_level_of_a_growth_value_and_how_far_the_next_is(growth: int, name: str, missing: int) -> None:
    stands = standing(growth, FOUR)
    assert (stands.level.name, stands.missing) == (name, missing)


def test_without_levels_nobody_stands_anywhere() -> None:
    with pytest.raises(ValueError, match="levels"):
        standing(5, [])


@given(st.sets(st.integers(1, 10_000), max_size=6), st.integers(-100, 12_000), st.integers(-100, 12_000))
def test_more_growth_is_never_a_lower_level(thresholds: set[int], one: int, other: int) -> None:
    scheme = [Level(n, str(n), threshold, ()) for n, threshold in enumerate([0, *sorted(thresholds)])]
    low, high = standing(min(one, other), scheme), standing(max(one, other), scheme)
    assert low.level.rank <= high.level.rank
    assert high.level.threshold <= max(high.growth, 0)
    assert high.next is None or high.growth < high.next.threshold


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([], "levels"),
        ([{"name": "A", "threshold": 1}], "levels[0].threshold"),
        ([{"name": "A", "threshold": 0}, {"name": "B", "threshold": 0}], "levels[1].threshold"),
        ([{"name": "A", "threshold": 0}, {"name": "B", "threshold": True}], "levels[1].threshold"),
        ([{"name": "A", "threshold": 0}, {"name": "A", "threshold": 5}], "levels[1].name"),
        ([{"name": "", "threshold": 0}], "levels[0].name"),
        ([{"name": "A", "threshold": 0, "benefits": "all"}], "levels[0].benefits"),
    ],
)
def test_what_is_no_table_of_levels(rows: list[dict[str, Any]], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        levels.check(rows)
    assert refused.value.field == field


async def test_a_level_goes_up_when_growth_matures(tx_db: Transaction, zippo: House) -> None:
    (ann,) = await make_members(1)
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 50000 * 10})
    assert (await level(zippo, ann), await levels.history(tx_db.connection, ann, zippo.brand)) == ("注册会员", [])
    due = NOON + timedelta(days=15)
    await mature(due)
    (change,) = await levels.history(tx_db.connection, ann, zippo.brand)
    assert (change.name, change.rank, change.growth, change.changed_at) == ("银牌", 2, 500, due)
    (event,) = await fetch("SELECT * FROM event WHERE kind = 'member.level_changed'")
    assert (event["member_id"], event["occurred_at"], event["account_id"]) == (ann, due, None)


async def test_what_does_not_change_the_level_leaves_no_trace(tx_db: Transaction, zippo: House) -> None:
    (ann,) = await make_members(1)
    await zippo.happens("product.authenticated", ann, NOON, {"code": "1"})
    assert await levels.history(tx_db.connection, ann, zippo.brand) == []
    assert await levels.settle(tx_db.connection, [ann], NOON) == 0


async def test_new_thresholds_move_everybody(tx_db: Transaction, zippo: House) -> None:
    people = await make_members(5)
    for n, one in enumerate(people):
        for code in range(n):
            await zippo.happens("product.authenticated", one, NOON, {"code": f"{n}-{code}"})
    assert [await level(zippo, one) for one in people] == ["注册会员", "注册会员", "铜牌", "铜牌", "铜牌"]
    rows = [{"name": "新人", "threshold": 0}, {"name": "熟客", "threshold": 150, "benefits": ["包邮"]}]
    assert [one.benefits for one in await levels.define(brand_id=zippo.brand, given=rows)] == [(), ("包邮",)]
    after: int | None = 0
    while after is not None:
        after = await levels.settle_some(after=after, now=NOON, limit=2)
    assert [await level(zippo, one) for one in people] == ["新人", "新人", "新人", "熟客", "熟客"]
    names = [[one.name for one in await levels.history(tx_db.connection, each, zippo.brand)] for each in people]
    # Rank 1 was 铜牌 and is 熟客: who stays at it has not changed level.
    assert names == [[], [], ["铜牌", "新人"], ["铜牌"], ["铜牌"]]


async def test_merged_homes_have_one_level_and_split_ones_their_own(tx_db: Transaction, zippo: House) -> None:
    one, other = await make_members(2)
    for n, member in enumerate([one, other]):
        await zippo.happens("product.authenticated", member, NOON, {"code": str(n)})
    await merge(one, [other])
    await levels.settle(tx_db.connection, [other], NOON)
    assert (await level(zippo, one), await level(zippo, other)) == ("铜牌", "铜牌")
    await split(other)
    await levels.settle(tx_db.connection, [one, other], NOON)
    assert (await level(zippo, one), await level(zippo, other)) == ("注册会员", "注册会员")
    assert [change.name for change in await levels.history(tx_db.connection, one, zippo.brand)] == ["铜牌", "注册会员"]
    assert await value("SELECT count(*) FROM member_level WHERE member_id = $1", other) == 0


async def test_growth_is_the_persons_and_levels_are_where_they_are_known(tx_db: Transaction) -> None:
    """Two brands in one installation: whom only the one knows gets no level, and no event, at the other."""
    here, there = await open_house("zippo"), await open_house("zippo")
    fan = await make_fan(here.mini)
    await earn(fan, 100_000, asset=GROWTH)
    async with db.connection() as raw:
        assert await levels.settle(raw, [fan.member_id], START) == 1
        assert await levels.settle(raw, [fan.member_id], START) == 0
    kept = "SELECT array_agg(DISTINCT brand_id ORDER BY brand_id) FROM member_level"
    assert await value(kept) == [here.brand]
    assert await value("SELECT array_agg((payload->>'brand')::int) FROM event WHERE kind = $1", levels.CHANGED) == [
        here.brand
    ]
    # Known there too, by the same unionid: the one growth counts at both.
    foreign = await make_fan(there.mini)
    for each in (fan, foreign):
        await link_unionid(fan_id=each.id, unionid="u", now=START)
    async with db.connection() as raw:
        await levels.settle(raw, [fan.member_id], START)
    assert await value(kept) == sorted([here.brand, there.brand])
