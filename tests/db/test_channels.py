"""Channels: whom a code touched, however often and in whatever order the platform tells it."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.ids import key_of
from scrm.channels import service
from scrm.channels.models import Channel
from scrm.channels.queries import counts
from scrm.db import Transaction, fetch
from scrm.errors import Conflict, Invalid
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from tests.conftest import START
from tests.factories import FOLLOW, SCAN, UNFOLLOW, at, happens, make_account, make_fan


async def touched(account_id: int) -> dict[str, tuple[int, int, int]]:
    return {row.scene: (row.touched, row.followed, row.net) for row in await counts(account_id)}


async def first_and_last(fan: FanView) -> tuple[str | None, str | None]:
    (row,) = await fetch(
        "SELECT a.scene AS first, z.scene AS last FROM fan f LEFT JOIN channel a ON a.id = f.first_channel_id "
        "LEFT JOIN channel z ON z.id = f.last_channel_id WHERE f.id = $1",
        fan.id,
    )
    return row["first"], row["last"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
async def test_scans_repeated_and_out_of_order_count_once_and_keep_first_and_last(
    tx_db: Transaction, data: st.DataObject
) -> None:
    account = await make_account()
    fan = await make_fan(account)
    steps = data.draw(
        st.lists(
            st.tuples(st.sampled_from([FOLLOW, SCAN, UNFOLLOW]), st.sampled_from(["", "a", "b", "c"])),
            min_size=1,
            max_size=6,
        )
    )
    arrivals = data.draw(st.permutations([n for n in range(len(steps)) for _ in range(data.draw(st.integers(1, 3)))]))
    for n in arrivals:
        kind, scene = steps[n]
        await happens(fan, kind, at(n), {"scene": scene} if scene else {}, key=key_of(fan.id, n))

    touches = [scene for kind, scene in steps if scene and kind != UNFOLLOW]
    follows = {scene for kind, scene in steps if scene and kind == FOLLOW}
    changes = [kind for kind, _ in steps if kind != SCAN]
    following = bool(changes) and changes[-1] == FOLLOW
    assert await touched(account) == {
        scene: (1, int(scene in follows), int(scene in follows and following)) for scene in set(touches)
    }
    assert await first_and_last(fan) == ((touches[0], touches[-1]) if touches else (None, None))


async def test_a_person_with_two_openids_counts_once(tx_db: Transaction) -> None:
    account = await make_account()
    one, other, stranger = [await make_fan(account) for _ in range(3)]
    for fan in (one, other, stranger):
        await happens(fan, FOLLOW, at(0), {"scene": "shop"})
    assert await touched(account) == {"shop": (3, 3, 3)}
    for fan in (one, other):
        await link_unionid(fan_id=fan.id, unionid="u", now=START)
    assert await touched(account) == {"shop": (2, 2, 2)}
    await happens(one, UNFOLLOW, at(1))
    assert await touched(account) == {"shop": (2, 2, 2)}  # still following with the other openid
    await happens(other, UNFOLLOW, at(1))
    assert await touched(account) == {"shop": (2, 2, 1)}


async def test_who_left_shows_in_the_net_and_counts_again_on_return(tx_db: Transaction) -> None:
    account = await make_account()
    fan = await make_fan(account)
    await happens(fan, FOLLOW, at(0), {"scene": "shop"})
    await happens(fan, UNFOLLOW, at(1))
    assert await touched(account) == {"shop": (1, 1, 0)}
    await happens(fan, FOLLOW, at(2))
    assert await touched(account) == {"shop": (1, 1, 1)}
    await happens(fan, SCAN, at(3), {"scene": "fair"})
    assert await touched(account) == {"shop": (1, 1, 1), "fair": (1, 0, 0)}
    assert await first_and_last(fan) == ("shop", "fair")


async def test_the_same_scene_of_two_accounts_is_two_channels(tx_db: Transaction) -> None:
    one, other = await make_account(), await make_account()
    for account in (one, other):
        await happens(await make_fan(account), SCAN, at(0), {"scene": "1"})
    assert await touched(one) == await touched(other) == {"1": (1, 0, 0)}


async def test_a_code_made_elsewhere_becomes_a_channel_named_by_its_scene(tx_db: Transaction) -> None:
    account = await make_account()
    await happens(await make_fan(account), SCAN, at(0), {"scene": "x" * 64})
    await happens(await make_fan(account), SCAN, at(0), {"scene": "x" * 65})  # no code can have it
    (channel,) = await Channel.filter(account_id=account)
    assert (channel.scene, channel.name, channel.cost_fen) == ("x" * 64, "x" * 64, 0)


async def test_a_channel_is_created_once_and_remembers_its_code(tx_db: Transaction) -> None:
    account = await make_account()
    made = await service.create(account_id=account, scene="shop", name="门店", cost_fen=12_000, now=START)
    await service.record_code(channel_id=made.id, ticket="gQ", url="http://weixin.qq.com/q/x")
    (channel,) = await Channel.filter(account_id=account).values("scene", "name", "cost_fen", "ticket", "url")
    assert channel == {
        "scene": "shop",
        "name": "门店",
        "cost_fen": 12_000,
        "ticket": "gQ",
        "url": "http://weixin.qq.com/q/x",
    }
    with pytest.raises(Conflict) as caught:
        await service.create(account_id=account, scene="shop", name="另一个", now=START)
    assert caught.value.field == "scene"
    assert await touched(account) == {"shop": (0, 0, 0)}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"scene": ""}, "scene"), ({"scene": "x" * 65}, "scene"), ({"name": " "}, "name"), ({"cost_fen": -1}, "cost_fen")],
)
async def test_what_is_wrong_with_a_channel_is_named(tx_db: Transaction, wrong: dict[str, Any], field: str) -> None:
    account = await make_account()
    given_: dict[str, Any] = {"scene": "shop", "name": "门店", "cost_fen": 0} | wrong
    with pytest.raises(Invalid) as caught:
        await service.create(account_id=account, now=START, **given_)
    assert caught.value.field == field
    assert await Channel.all().count() == 0
