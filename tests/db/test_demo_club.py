"""The demo's club is made once, by real commands: what the people with a phone have is what the rules say."""

from datetime import UTC, datetime

import pytest

from app import demo_club, demo_data
from scrm import db as scrm_db
from scrm.access import service as access
from scrm.access.tokens import Tokens
from scrm.gifts import queries as gifts
from scrm.members.queries import FanView, fan_of
from scrm.points import queries as points
from scrm.points.ledger import GROWTH, POINTS
from tests.factories import SEALER

NOW = datetime(2026, 11, 18, 4, 0, tzinfo=UTC)


async def _person(demo: demo_data.Demo, n: int) -> FanView:
    found = await fan_of(demo.miniprogram.id, demo_club.openid_of(n))
    assert found is not None
    return found


async def _has(fan: FanView, asset: str) -> tuple[int, int]:
    """Return what may be spent, and what is owed."""
    async with scrm_db.connection() as raw:
        held = await points.holding(raw, fan.person_id, asset, NOW)
    return held.spendable, held.debt


@pytest.mark.usefixtures("db")
async def test_the_club_is_made_once_and_adds_up() -> None:
    demo, _ = await demo_data.ensure(SEALER, NOW)
    assert await demo_club.ensure(demo, SEALER, NOW)
    assert not await demo_club.ensure(demo, SEALER, NOW)

    offers = await gifts.mall(demo.miniprogram.brand_id, now=NOW)
    assert [(offer.gift.name, offer.gift.price, offer.gift.stock) for offer in offers] == [
        ("门店试饮券", 1, 200),
        ("青屿四季明信片", 2, 300),
        ("手作青瓷杯", 60, 35),
        ("明前龙井 50 克罐装", 88, 50),
        ("周末茶会席位", 30, 24),
        ("錾银盖碗", 500, 3),
    ]
    for offer in offers:
        assert (demo_data.ASSETS.parent.parent / offer.gift.picture.lstrip("/")).is_file()

    ming, zhen, wang = [await _person(demo, n) for n in (1, 2, 3)]
    # 880 元 and three check-ins: today's is the one that makes 小明 铜牌.
    assert (await _has(ming, POINTS), await _has(ming, GROWTH)) == ((91, 0), (97, 0))
    assert [line.amount for line in await points.coming(ming.person_id, POINTS)] == [19]
    assert (await _has(zhen, POINTS), await _has(zhen, GROWTH)) == ((542, 0), (554, 0))
    # Returned after the points were spent.
    assert await _has(wang, POINTS) == (0, 60)
    assert [one.state for one in await gifts.redemptions(wang.person_id)] == ["placed"]

    # Whoever signs in with the phone is the person with that past.
    tokens = Tokens(SEALER.key("member tokens"))
    openid, unionid = demo_club.openid_of(1), demo_club.unionid_of(1)
    await access.sign_in(tokens, SEALER, account_id=demo.miniprogram.id, openid=openid, unionid=unionid, now=NOW)
    assert (await _person(demo, 1)).person_id == ming.person_id
