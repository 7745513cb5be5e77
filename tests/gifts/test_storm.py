"""Many people and the last gifts: exactly as many succeed as there are, and nobody else loses a point."""

import asyncio
from collections import Counter
from collections.abc import Awaitable

from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm.db import database, fetch, transaction
from scrm.errors import DomainError
from scrm.gifts import catalogue, movements, service
from scrm.members.queries import FanView
from scrm.members.service import ENSURE_FANS, link_unionid
from scrm.points import ledger
from tests.conftest import START
from tests.factories import SEALER, value
from tests.gifts.shop import Shop, live_at, open_shop, points, stock
from tests.points.books import audit

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


async def outcome(attempt: Awaitable[object]) -> str:
    try:
        await attempt
    except DomainError as error:
        return error.code
    return "done"


async def insisting(shop: Shop, fan: FanView, gift: int, word: str) -> str:
    """Redeem as a phone does that is told to try again."""
    said = ""
    for _ in range(20):
        said = await outcome(shop.redeem(fan, gift, word))
        if said not in {"busy", "database_away"}:
            break
    return said


async def crowd(shop: Shop, count: int, worth: int) -> list[FanView]:
    """Make so many fans with so many points, in a few statements."""
    openids = [f"storm{n:05}" for n in range(count)]
    async with transaction() as tx:
        await tx.connection.execute(ENSURE_FANS, [shop.account_id] * count, openids, START)
    rows = await fetch(
        "SELECT id, openid, member_id FROM fan WHERE account_id = $1 AND openid LIKE 'storm%' ORDER BY openid",
        shop.account_id,
    )
    fans = [
        FanView(row["id"], shop.account_id, row["openid"], row["member_id"], row["member_id"], False, 0) for row in rows
    ]
    origin = ledger.Origin("活动奖励", "小程序", START)
    async with transaction() as tx:
        await ledger.award_many(
            tx.connection,
            [
                ledger.Award(key_of("earned", fan.id), fan.member_id, ledger.POINTS, worth, origin, START)
                for fan in fans
            ],
        )
    return fans


async def test_500_members_redeem_the_last_20_from_two_processes(db: TortoiseContext, database_url: str) -> None:
    shop = await open_shop()
    fans, gift = await crowd(shop, 500, worth=12), await shop.gift("virtual", stock=20, price=10, per_person=1)

    async def process(mine: list[FanView]) -> list[str]:
        async with database(database_url, pool=10):
            # Everybody taps twice, as people do.
            return await asyncio.gather(*[insisting(shop, fan, gift, f"tap-{fan.id}") for fan in [*mine, *mine]])

    taps = await asyncio.gather(process(fans[::2]), process(fans[1::2]))
    assert Counter([*taps[0], *taps[1]]) == {"done": 40, "sold_out": 960}
    assert await stock(gift) == 0
    rows = await fetch(
        "SELECT r.member_id, c.id FROM redemption r JOIN gift_code c ON c.redemption_id = r.id AND c.state = 'given'"
    )
    winners = {row["member_id"] for row in rows}
    assert (len(rows), len(winners), len({row["id"] for row in rows})) == (20, 20, 20)
    left = {row["holder_id"]: row["balance"] for row in await fetch("SELECT holder_id, balance FROM ledger_balance")}
    assert left == {fan.member_id: 2 if fan.member_id in winners else 12 for fan in fans}
    assert await value("SELECT count(*) FROM event WHERE kind = 'gift.redeemed'") == 20
    assert await value(DEADLOCKS) == 0
    await audit()


async def test_redeeming_cancelling_and_showing_at_once_keeps_stock_and_codes_together(db: TortoiseContext) -> None:
    shop = await open_shop()
    fans, gift = await crowd(shop, 40, worth=30), await shop.gift("virtual", stock=15, price=10)

    async def restless(fan: FanView, n: int) -> None:
        """Redeem up to three times; look at the first, take the second back."""
        for turn in range(3):
            key = f"{fan.id}-{turn}"
            said = await outcome(shop.redeem(fan, gift, key))
            assert said in {"done", "sold_out"}
            if said == "sold_out":
                continue
            made = await value("SELECT id FROM redemption WHERE key = $1", key_of("test", key))
            if turn == 0:
                await service.show_code(SEALER, redemption_id=made, by_member=fan.member_id, now=START)
            elif turn == 1 or n % 2:
                await service.cancel(redemption_id=made, by_member=fan.member_id, now=START)

    await asyncio.gather(*[restless(fan, n) for n, fan in enumerate(fans)])
    states = {
        row["state"]: row["n"] for row in await fetch("SELECT state, count(*) AS n FROM gift_code GROUP BY state")
    }
    assert sum(states.values()) == 15
    assert await stock(gift) == states.get("free", 0)
    held = await value("SELECT count(*) FROM redemption WHERE state <> 'cancelled'")
    assert held == states.get("given", 0) + states.get("shown", 0)
    assert await value("SELECT coalesce(sum(balance), 0)::int FROM ledger_balance") == 40 * 30 - held * 10
    assert await value(DEADLOCKS) == 0
    await audit()


async def test_one_person_with_two_phones_gets_no_more_than_their_limit(db: TortoiseContext) -> None:
    shop = await open_shop()
    one, other = await shop.member(100), await shop.member(100)
    for fan in (one, other):
        await link_unionid(fan_id=fan.id, unionid="u", now=START)
    gift = await shop.gift("virtual", stock=30, price=10, per_person=2)
    taps = [outcome(shop.redeem([one, other][n % 2], gift, n)) for n in range(20)]
    assert Counter(await asyncio.gather(*taps)) == {"done": 2, "limit_reached": 18}
    assert (await points(one), await stock(gift)) == (180, 28)
    assert await value(DEADLOCKS) == 0
    await audit()


async def test_points_for_one_are_not_spent_on_two_different_gifts(db: TortoiseContext) -> None:
    shop = await open_shop()
    fan = await shop.member(10)
    gifts = [await shop.gift("virtual", price=10) for _ in range(6)]
    taps = [outcome(shop.redeem(fan, gift, gift)) for gift in gifts]
    assert Counter(await asyncio.gather(*taps)) == {"done": 1, "not_enough": 5}
    assert await points(fan) == 0
    assert sum([await stock(gift) for gift in gifts]) == 29
    await audit()


async def test_merging_while_redeeming_ends_with_one_person_within_the_limit(db: TortoiseContext) -> None:
    shop = await open_shop()
    one, other = await shop.member(100), await shop.member(100)
    gift = await shop.gift("virtual", stock=30, price=10, per_person=1)
    await link_unionid(fan_id=one.id, unionid="u", now=START)
    said = await asyncio.gather(
        outcome(shop.redeem(one, gift, "1")),
        outcome(link_unionid(fan_id=other.id, unionid="u", now=START)),
        outcome(shop.redeem(other, gift, "2")),
        outcome(shop.redeem(one, gift, "3")),
    )
    # Each had their own before they became one; or the second came after it. Never a third.
    done = Counter(said)["done"] - 1
    assert done in {1, 2}
    assert (await points(one), await stock(gift)) == (200 - 10 * done, 30 - done)
    assert await value(DEADLOCKS) == 0
    await audit()


async def test_stock_comes_and_goes_while_people_redeem(db: TortoiseContext) -> None:
    shop = await open_shop()
    fans, gift = await crowd(shop, 40, worth=10), await shop.gift("physical", stock=10, price=10)
    homes = [await live_at(fan) for fan in fans]

    async def counting(n: int) -> str:
        amount = 2 if n % 2 else -1
        return await outcome(catalogue.stock_up(gift_id=gift, amount=amount, reason=f"盘点{n}", now=START))

    async def redeeming(fan: FanView, address_id: int) -> str:
        return await outcome(shop.redeem(fan, gift, fan.id, address_id=address_id))

    redeemed, counted = await asyncio.gather(
        asyncio.gather(*[redeeming(fan, home) for fan, home in zip(fans, homes, strict=True)]),
        asyncio.gather(*[counting(n) for n in range(20)]),
    )
    assert set(redeemed) <= {"done", "sold_out"}
    assert set(counted) <= {"done", "conflict"}  # there was nothing left to take at that moment
    moved = await movements.of_gift(gift, limit=100)
    assert len(moved) == 1 + counted.count("done")
    left = sum(one.amount for one in moved) - redeemed.count("done")
    assert (await stock(gift), left >= 0) == (left, True)
    assert await value("SELECT count(*) FROM redemption WHERE gift_id = $1", gift) == redeemed.count("done")
    assert await value(DEADLOCKS) == 0
    await audit()
