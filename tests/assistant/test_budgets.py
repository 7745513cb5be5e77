"""Budgets: reserved at the most, settled at what it was, never gone over together; a day is Shanghai's."""

import asyncio
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise.context import TortoiseContext

from scrm import db as scrm_db
from scrm.assistant.budgets import OverBudget, Usage, forget_calls, reserve, settle, used
from scrm.assistant.settings import Budgets, set_settings, settings_of
from scrm.errors import Invalid
from scrm.members.service import link_unionid
from tests.conftest import START
from tests.factories import make_account, make_fan, value

TODAY = date(2026, 3, 9)
WIDE = Budgets()


async def call(brand: int, member: int, budgets: Budgets = WIDE, *, tokens: int = 100, cost: int = 5_000) -> int:
    return await reserve(
        brand_id=brand, member_id=member, purpose="answers", tokens=tokens, cost_micro=cost, budgets=budgets, now=START
    )


async def test_reserved_at_the_most_and_settled_once(db: TortoiseContext) -> None:
    reserved = await call(1, 7)
    assert await used(1, TODAY) == await used(1, TODAY, member_id=7) == Usage(1, 100, 5_000)
    assert await settle(reserved, tokens=40, cost_micro=2_000)
    assert not await settle(reserved, tokens=1, cost_micro=1)
    assert await used(1, TODAY) == await used(1, TODAY, member_id=7) == Usage(1, 40, 2_000)
    # It may cost more than was thought, and that counts as well.
    assert await settle(await call(1, 7), tokens=500, cost_micro=9_000)
    assert await used(1, TODAY) == Usage(2, 540, 11_000)


@pytest.mark.parametrize(
    ("budgets", "whose"),
    [
        (Budgets(member_calls=2), "member"),
        (Budgets(member_tokens=299), "member"),
        (Budgets(calls=2), "brand"),
        (Budgets(tokens=299), "brand"),
        (Budgets(fen=0), "brand"),
    ],
)
async def test_whose_budget_it_was(db: TortoiseContext, budgets: Budgets, whose: str) -> None:
    fine = 0 if budgets.fen == 0 else 2
    for _ in range(fine):
        await call(1, 7, budgets)
    with pytest.raises(OverBudget) as caught:
        await call(1, 7, budgets)
    assert caught.value.whose == whose
    assert await used(1, TODAY) == await used(1, TODAY, member_id=7) == Usage(fine, 100 * fine, 5_000 * fine)


async def test_a_refused_person_costs_the_brand_nothing_and_others_go_on(db: TortoiseContext) -> None:
    one_each = Budgets(member_calls=1)
    await call(1, 7, one_each)
    with pytest.raises(OverBudget):
        await call(1, 7, one_each)
    await call(1, 8, one_each)
    await call(2, 7, one_each)
    assert await used(1, TODAY) == Usage(2, 200, 10_000)


async def test_one_person_of_two_fans_has_one_budget(db: TortoiseContext) -> None:
    fans = [await make_fan(await make_account()), await make_fan(await make_account(kind="miniprogram"))]
    for fan in fans:
        await link_unionid(fan_id=fan.id, unionid="u-7", now=START)
    await call(1, fans[0].member_id, Budgets(member_calls=1))
    with pytest.raises(OverBudget):
        await call(1, fans[1].member_id, Budgets(member_calls=1))


async def test_the_day_is_shanghais(db: TortoiseContext) -> None:
    limits = Budgets(member_calls=1)
    late, next_day = START + timedelta(hours=11, minutes=59), START + timedelta(hours=12)
    for moment in (late, next_day):
        await reserve(brand_id=1, member_id=7, purpose="answers", tokens=1, cost_micro=1, budgets=limits, now=moment)
    assert (await used(1, TODAY)).calls == (await used(1, TODAY + timedelta(days=1))).calls == 1


async def test_a_hundred_at_once_never_go_over(db: TortoiseContext) -> None:
    limits = Budgets(calls=20, member_calls=6)

    async def attempt(member: int) -> str:
        try:
            reserved = await call(1, member, limits)
        except OverBudget as over:
            return over.whose
        await settle(reserved, tokens=60, cost_micro=1_000)
        return "done"

    ended = Counter(await asyncio.gather(*[attempt(1 + n % 5) for n in range(100)]))
    assert ended["done"] == 20
    assert ended["done"] + ended["member"] + ended["brand"] == 100
    assert await used(1, TODAY) == Usage(20, 1_200, 20_000)
    each = [await used(1, TODAY, member_id=member) for member in range(1, 6)]
    assert sum(one.calls for one in each) == 20
    assert max(one.calls for one in each) <= 6


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 200), st.integers(0, 200), st.booleans()), max_size=12),
    st.integers(0, 600),
    st.integers(0, 600),
)
async def test_sums_are_those_of_the_calls_and_within_limits(
    db: TortoiseContext, calls: list[tuple[int, int, int, bool]], brand_tokens: int, member_tokens: int
) -> None:
    brand = int(await value("SELECT coalesce(max(brand_id), 100) + 1 FROM assistant_usage"))
    limits = Budgets(tokens=brand_tokens, member_tokens=member_tokens)
    counted: Counter[int] = Counter()
    for member, most, real, settled in calls:
        try:
            reserved = await call(brand, member, limits, tokens=most)
        except OverBudget:
            assert counted.total() + most > brand_tokens or counted[member] + most > member_tokens
            continue
        cost = min(real, most) if settled else most
        if settled:
            await settle(reserved, tokens=cost, cost_micro=0)
        counted[member] += cost
    assert (await used(brand, TODAY)).tokens == counted.total() <= brand_tokens
    for member in (1, 2, 3):
        assert (await used(brand, TODAY, member_id=member)).tokens == counted[member] <= member_tokens


async def test_single_calls_are_forgotten_and_sums_stay(db: TortoiseContext) -> None:
    await call(1, 7)
    assert await forget_calls(before=START) == 0
    assert await forget_calls(before=START + timedelta(seconds=1)) == 1
    assert await used(1, TODAY) == Usage(1, 100, 5_000)


async def test_settings_name_the_field_that_is_wrong_and_keep_nothing(db: TortoiseContext) -> None:
    await make_account()
    (row,) = await scrm_db.fetch("SELECT id FROM brand")
    good = await set_settings(brand_id=row["id"], data={"name": "小青", "budgets": {"fen": 5}}, now=START)
    assert await settings_of(row["id"]) == good
    assert (good.name, good.budgets.fen, good.budgets.calls) == ("小青", 5, 5_000)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"budgets": {"fen": -1}}, "budgets.fen"),
        ({"stores": [{"name": ""}]}, "stores.0.name"),
        ({"unknown": 1}, "unknown"),
        ({"banned": "word"}, "banned"),
    ]
    for data, field in wrong:
        with pytest.raises(Invalid) as caught:
            await set_settings(brand_id=row["id"], data=data, now=START)
        assert caught.value.field == field
    assert await settings_of(row["id"]) == good
