"""Two members check in on the same day and turn out to be one: the day pays once, until they are two again."""

import asyncio

from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm.checkins.doubles import settle_merge, settle_split
from scrm.checkins.service import set_policy
from scrm.db import fetch, transaction
from scrm.members.queries import FanView
from scrm.points import ledger
from tests.checkins.club import DAY, TODAY, Club, check_in, clock, has, make_up, open_club, split
from tests.conftest import START
from tests.factories import at, value
from tests.points.books import audit


async def merged(club: Club, one: FanView, other: FanView) -> int:
    """Merge two fans' members, which settles by itself; return how many doubles that made."""
    before = await doubled()
    await club.link(one, other)
    return await doubled() - before


async def doubled() -> int:
    return int(await value("SELECT count(*) FROM checkin WHERE doubles_id IS NOT NULL"))


async def parted(one: FanView, other: FanView) -> int:
    await split(other)
    return await settle_split(kept=one.member_id, absorbed=other.member_id, now=at(200))


async def spend(fan: FanView, amount: int, word: str, now: int = 50) -> None:
    await ledger.spend(
        key=key_of("test", word),
        holder_id=fan.member_id,
        asset=ledger.POINTS,
        amount=amount,
        origin=ledger.Origin("兑换", "小程序", at(now)),
        now=at(now),
    )


async def state() -> tuple[object, ...]:
    """All that counts: what everybody has and owes, and every lot."""
    balances = await fetch("SELECT holder_id, asset, balance, debt FROM ledger_balance ORDER BY 1, 2")
    lots = await fetch("SELECT id, remaining, expires_at FROM ledger_lot ORDER BY id")
    doubles = await fetch("SELECT id, doubles_id FROM checkin ORDER BY id")
    return tuple(tuple(map(tuple, rows)) for rows in (balances, lots, doubles))


async def test_a_doubled_day_is_paid_once_and_a_split_restores_both(db: TortoiseContext) -> None:
    club = await open_club()
    one, other = await club.two()
    await check_in(one, clock(TODAY - DAY))
    for fan, seconds in ((other, 0), (one, 1)):
        await check_in(fan, at(seconds))
    await check_in(other, clock(TODAY - 3 * DAY))
    before = await state()
    assert await merged(club, one, other) == 1
    # Three days between them. The earlier of the doubled day stays, though it is the absorbed member's.
    assert await has(one) == (3, 9)
    taken = await fetch("SELECT holder_id, asset, amount FROM ledger_entry WHERE kind = 'clawback' ORDER BY id")
    assert [tuple(row) for row in taken] == [(one.member_id, "points", -1), (one.member_id, "growth", -3)]
    assert await settle_merge(kept=one.member_id, absorbed=other.member_id, now=at(101)) == 0
    again = await check_in(other, at(120))
    assert (again.fresh, again.streak) == (False, 2)
    assert await parted(one, other) == 1
    assert await state() == before
    assert (await has(one), await has(other)) == ((2, 6), (2, 6))
    assert await settle_split(kept=one.member_id, absorbed=other.member_id, now=at(201)) == 0
    await audit()


async def test_merged_split_and_merged_again_is_booked_each_time(db: TortoiseContext) -> None:
    club = await open_club()
    one, other = await club.two()
    for fan in (one, other):
        await check_in(fan)
    before = await state()
    for _ in range(3):
        assert await merged(club, one, other) == 1
        assert await has(one) == (1, 3)
        assert await parted(one, other) == 1
        assert await state() == before
    await audit()


async def test_what_was_spent_already_becomes_a_debt_that_a_split_forgives(db: TortoiseContext) -> None:
    club = await open_club()
    one, other = await club.two()
    for fan in (one, other):
        await check_in(fan)
        await spend(fan, 1, f"spent by {fan.id}")
    before = await state()
    assert await merged(club, one, other) == 1
    assert await has(one) == (-1, 3)
    assert await parted(one, other) == 1
    assert await state() == before
    await audit()


async def test_a_debt_that_was_repaid_meanwhile_comes_back_as_points(db: TortoiseContext) -> None:
    club = await open_club()
    one, other = await club.two()
    for fan in (one, other):
        await check_in(fan)
        await spend(fan, 1, f"spent by {fan.id}")
    await merged(club, one, other)
    tomorrow = START + DAY
    await check_in(other, tomorrow)
    assert await has(one, tomorrow) == (0, 6)
    await parted(one, other)
    assert (await has(one, tomorrow), await has(other, tomorrow)) == ((0, 3), (1, 6))
    await audit()


async def test_another_homes_points_that_paid_for_it_come_back_to_that_home(db: TortoiseContext) -> None:
    club = await open_club()
    one, other = await club.two()
    for days in (5, 0):
        await check_in(one, START - days * DAY)
    await check_in(other, at(1))
    await spend(other, 1, "spent")
    before = await state()
    assert await merged(club, one, other) == 1
    assert await has(one) == (1, 6)
    await parted(one, other)
    assert await state() == before
    await audit()


async def test_a_day_made_up_on_one_side_is_no_award_to_take_back(db: TortoiseContext) -> None:
    club = await open_club()
    await set_policy(brand_id=club.brand_id, cards_per_month=3)
    one, other = await club.two()
    await check_in(other, clock(TODAY - DAY))
    await make_up(one, TODAY - DAY)
    assert await merged(club, one, other) == 1
    assert await has(one) == (1, 3)
    assert await value("SELECT kind FROM checkin WHERE doubles_id IS NOT NULL") == "made_up"
    assert await value("SELECT count(*) FROM ledger_entry WHERE kind = 'clawback'") == 0


async def test_three_become_one_and_part_again_from_the_last(db: TortoiseContext) -> None:
    club = await open_club()
    one, other = await club.two()
    third, _ = await club.two()
    for fan in (one, other, third):
        await check_in(fan)
    assert await merged(club, one, other) == 1
    two = await state()
    assert await merged(club, one, third) == 1
    assert await has(one) == (1, 3)
    assert await parted(one, third) == 1
    assert await state() == two
    assert (await has(one), await has(third)) == ((1, 3), (1, 3))
    assert await parted(one, other) == 1
    assert await has(other) == (1, 3)
    await audit()


async def test_settling_twice_at_once_takes_once(db: TortoiseContext) -> None:
    club = await open_club()
    one, other = await club.two()
    for fan in (one, other):
        await check_in(fan)
    # The pointer alone, as if nobody had listened.
    async with transaction() as tx:
        move = "UPDATE member SET merged_into_id = $1 WHERE id = $2"
        await tx.connection.execute(move, one.member_id, other.member_id)
    found = await asyncio.gather(
        *[settle_merge(kept=one.member_id, absorbed=other.member_id, now=at(100)) for _ in range(5)]
    )
    assert sorted(found) == [0, 0, 0, 0, 1]
    assert await has(one) == (1, 3)
    await audit()
