"""Where a person stands, in one round trip: the same as the ledger and the levels say one by one."""

import asyncio
from datetime import timedelta

from scrm import db
from scrm.db import Transaction
from scrm.points import levels, summary
from scrm.points.ledger import GROWTH, POINTS, holding
from tests.conftest import START
from tests.gifts.shop import Shop, earn
from tests.points.books import audit, merge
from tests.points.house import House, open_house

DAY = timedelta(days=1)


async def check(house: House, member: int, after: timedelta) -> summary.Summary:
    """Compare with what the parts say, and return it."""
    now = START + after
    async with db.connection() as raw:
        seen: list[object] = []
        with raw.query_logger(seen.append):
            found = await summary.of(raw, member, house.brand, now)
        await asyncio.sleep(0)  # what is logged arrives with the next turn of the loop
        assert len(seen) == 1, "one round trip"
        assert found.points == await holding(raw, member, POINTS, now)
        assert found.growth == await holding(raw, member, GROWTH, now)
        assert found.levels == await levels.of_brand(raw, house.brand)
    return found


async def test_all_homes_are_summed_and_what_expired_is_not(tx_db: Transaction) -> None:
    house = await open_house("zippo")
    shop = Shop(house.mini, house.brand)
    one, other, stranger = await shop.member(10), await shop.member(7, expires_at=START + DAY), await shop.member(99)
    await earn(other, 1000, asset=GROWTH)
    await merge(one.member_id, [other.member_id])
    for member in (one.member_id, other.member_id):
        for after, points in ((0 * DAY, 17), (DAY, 10)):
            found = await check(house, member, after)
            assert (found.points.balance, found.growth.balance) == (points, 1000)
            assert found.standing is not None
            assert found.standing == levels.standing(1000, found.levels)
    assert (await check(house, stranger.member_id, DAY)).points.balance == 99
    await audit()


async def test_nobody_has_nothing_and_a_brand_without_levels_has_no_standing(tx_db: Transaction) -> None:
    house = await open_house()
    found = await check(house, 10**9, DAY)
    assert (found.points.spendable, found.growth.balance, found.levels, found.standing) == (0, 0, [], None)
