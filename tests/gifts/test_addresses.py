"""Addresses: sealed at rest, masked when shown, each person's own."""

import pytest

from scrm.db import Transaction, fetch, transaction
from scrm.errors import Conflict, Invalid, NotFound
from scrm.gifts import addresses, service
from scrm.gifts.addresses import Address, MaskedAddress
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from tests.conftest import START
from tests.factories import SEALER, value
from tests.gifts.shop import HOME, Shop, live_at, open_shop

WORK = Address("欧阳", "0571-88886666", "浙江省杭州市", "文三路1号")


@pytest.fixture
async def shop(tx_db: Transaction) -> Shop:
    return await open_shop()


async def test_the_database_holds_no_word_of_it_and_lists_are_masked(shop: Shop) -> None:
    fan = await shop.member()
    first, second = await live_at(fan), await live_at(fan, WORK)
    assert await addresses.every(SEALER, fan.member_id) == [
        MaskedAddress("张**", "138****5678", "浙江省杭州市上城区", "湖滨***", first, True),
        MaskedAddress("欧*", "057****6666", "浙江省杭州市", "文三***", second, False),
    ]
    assert await addresses.one(SEALER, fan.member_id, second) == WORK
    text = " ".join(row["row"] for row in await fetch("SELECT row_to_json(a)::text AS row FROM member_address a"))
    assert not [word for word in ("张", "138", "杭州", "湖滨", "欧阳") if word in text]
    assert "张小明" not in repr(HOME)


async def test_one_is_the_default_whatever_is_removed(shop: Shop) -> None:
    fan = await shop.member()
    first, second, third = await live_at(fan), await live_at(fan, WORK, default=True), await live_at(fan)

    async def defaults() -> list[int | None]:
        return [one.id for one in await addresses.every(SEALER, fan.member_id) if one.is_default]

    assert await defaults() == [second]
    await addresses.set_default(member_id=fan.member_id, address_id=first)
    assert await defaults() == [first]
    await addresses.remove(member_id=fan.member_id, address_id=second)
    assert await defaults() == [first]
    await addresses.remove(member_id=fan.member_id, address_id=first)
    assert await defaults() == [third]
    await addresses.remove(member_id=fan.member_id, address_id=third)
    assert await defaults() == []


async def test_another_members_address_is_not_there(shop: Shop) -> None:
    fan, stranger = await shop.member(), await shop.member()
    mine = await live_at(fan)
    for attempt in (
        addresses.one(SEALER, stranger.member_id, mine),
        addresses.change(SEALER, member_id=stranger.member_id, address_id=mine, address=WORK),
        addresses.set_default(member_id=stranger.member_id, address_id=mine),
        addresses.remove(member_id=stranger.member_id, address_id=mine),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await addresses.one(SEALER, fan.member_id, mine) == HOME
    for one in (fan, stranger):
        await link_unionid(fan_id=one.id, unionid="u", now=START)
    assert await addresses.one(SEALER, stranger.member_id, mine) == HOME


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("name", Address(" ", "13812345678", "浙江", "路1号")),
        ("phone", Address("张", "1381234567a", "浙江", "路1号")),
        ("phone", Address("张", "110", "浙江", "路1号")),
        ("region", Address("张", "13812345678", "", "路1号")),
        ("detail", Address("张", "13812345678", "浙江", "路" * 129)),
    ],
)
async def test_what_is_wrong_is_named(shop: Shop, field: str, address: Address) -> None:
    fan = await shop.member()
    with pytest.raises(Invalid) as caught:
        await live_at(fan, address)
    assert caught.value.field == field


async def test_there_is_an_end_to_them(shop: Shop) -> None:
    fan = await shop.member()
    for _ in range(addresses.MOST):
        await live_at(fan)
    with pytest.raises(Conflict) as caught:
        await live_at(fan)
    assert caught.value.code == "too_many_addresses"


async def test_whoever_leaves_takes_their_addresses_along(shop: Shop) -> None:
    """What is still to be sent has to be cancelled or sent first; a parcel on its way needs no address of ours."""
    fan, gift = await shop.member(30), await shop.gift()
    home = await live_at(fan)
    made = [(await shop.redeem(fan, gift, n, address_id=home)).id for n in range(3)]
    await service.ship(redemption_id=made[0], company="顺丰", number="SF1", now=START)
    await service.complete(redemption_id=made[0], now=START)
    await service.ship(redemption_id=made[1], company="顺丰", number="SF2", now=START)
    kept = "SELECT array_agg(address_sealed IS NOT NULL ORDER BY id) FROM redemption"
    with pytest.raises(Conflict) as caught:
        await forget(fan)
    assert caught.value.code == "open_redemptions"
    assert (await value(kept), len(await addresses.every(SEALER, fan.member_id))) == ([True, True, True], 1)
    await service.cancel(redemption_id=made[2], now=START, reason="搬家到湖滨路1号")
    await forget(fan)
    assert (await value(kept), await addresses.every(SEALER, fan.member_id)) == ([False, False, False], [])
    assert await value("SELECT string_agg(shipping_number || cancel_reason, '') FROM redemption") == ""


async def forget(fan: FanView) -> None:
    async with transaction() as tx:
        await addresses.forget(tx.connection, [fan.member_id])
