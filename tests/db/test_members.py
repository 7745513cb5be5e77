"""People: following in any order, and finding out that two members are one, whichever came first."""

import asyncio
import json
from itertools import permutations
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm.db import Connection, Transaction, credentials, fetch, transaction
from scrm.errors import Invalid, NotFound
from scrm.events import queries as timeline
from scrm.members import queries
from scrm.members.queries import FanView
from scrm.members.service import ENSURE_FANS, link_unionid
from tests.conftest import START
from tests.factories import FOLLOW, TEXT, UNFOLLOW, again, at, happens, make_account, make_fan, value

ANY_ORDER = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@ANY_ORDER
@given(data=st.data())
async def test_follows_and_unfollows_in_any_order_and_number_end_the_same(
    tx_db: Transaction, data: st.DataObject
) -> None:
    """Each second has its own event; the platform repeats and reorders them as it likes."""
    kinds = data.draw(st.lists(st.sampled_from([FOLLOW, UNFOLLOW]), min_size=1, max_size=6))
    arrivals = data.draw(st.permutations([n for n in range(len(kinds)) for _ in range(data.draw(st.integers(1, 3)))]))
    fan = await make_fan(await make_account())
    for n in arrivals:
        await happens(fan, kinds[n], at(n), key=key_of(fan.id, n))
    now = await again(fan)
    assert now.following is (kinds[-1] == FOLLOW)
    assert now.follow_count == kinds.count(FOLLOW)
    assert now.member_id == fan.member_id
    assert len(await timeline.timeline(fan.member_id)) == len(kinds)


async def test_at_the_same_second_the_later_arrival_counts(tx_db: Transaction) -> None:
    """The platform's time has whole seconds, so nothing better is known."""
    account = await make_account()
    for order, following in [((FOLLOW, UNFOLLOW), False), ((UNFOLLOW, FOLLOW), True)]:
        fan = await make_fan(account)
        for kind in order:
            await happens(fan, kind, at(0))
        assert (await again(fan)).following is following


async def test_a_fan_is_one_openid_at_one_account(tx_db: Transaction) -> None:
    one, other = await make_account(), await make_account()
    first = await make_fan(one, "o-same")
    assert await make_fan(one, "o-same") == first
    assert (await make_fan(other, "o-same")).member_id != first.member_id
    assert await queries.fan_of(one, "o-nobody") is None
    assert await queries.fan(0) is None


async def test_many_processes_make_a_fan_once_and_no_member_too_many(db: TortoiseContext) -> None:
    account = await make_account()

    async def ensure(n: int) -> None:
        openids = [f"o{i % 20}" for i in range(n, n + 20)]
        async with transaction() as tx:
            await tx.connection.execute(ENSURE_FANS, [account] * 20, openids, START)

    await asyncio.gather(*(ensure(n) for n in range(10)))
    assert await value("SELECT count(*) FROM fan") == 20
    assert await value("SELECT count(*) FROM member") == 20
    assert await value("SELECT count(DISTINCT member_id) FROM fan") == 20


async def link(fan: FanView, unionid: str, seconds: float = 0) -> int:
    return await link_unionid(fan_id=fan.id, unionid=unionid, now=at(seconds))


async def merges() -> list[dict[str, Any]]:
    rows = await fetch(
        "SELECT kept_id, absorbed_id, evidence, moved, merged_at, split_at FROM member_merge ORDER BY id"
    )
    return [{**dict(row), "evidence": json.loads(row["evidence"]), "moved": json.loads(row["moved"])} for row in rows]


async def check_members() -> None:
    """Every pointer leads to a root in one step, and a unionid to one person."""
    assert (
        await value(
            "SELECT count(*) FROM member m JOIN member r ON r.id = m.merged_into_id WHERE r.merged_into_id IS NOT NULL"
        )
        == 0
    )
    assert await value("SELECT count(*) FROM member WHERE merged_into_id = id") == 0


@pytest.mark.parametrize("order", list(permutations(range(2))))
async def test_two_openids_with_one_unionid_are_one_member_whichever_came_first(
    tx_db: Transaction, order: tuple[int, ...]
) -> None:
    account, app = await make_account(), await make_account(kind="miniprogram")
    fans = [await make_fan(account), await make_fan(app)]
    for n, fan in enumerate(fans):
        await happens(fan, TEXT, at(n))
    persons = [await link(fans[n], "u") for n in order]
    older = fans[0].member_id
    assert persons == [fans[order[0]].member_id, older]
    assert [(await again(fan)).person_id for fan in fans] == [older, older]
    # The home stays, so that a split needs only the pointer.
    assert [(await again(fan)).member_id for fan in fans] == [fan.member_id for fan in fans]
    story = [event for event in await timeline.timeline(older) if event["kind"] == TEXT]
    assert [event["fan_id"] for event in story] == [fans[1].id, fans[0].id]
    assert await merges() == [
        {
            "kept_id": older,
            "absorbed_id": fans[1].member_id,
            "evidence": {
                "kind": "unionid",
                "fan_id": fans[order[1]].id,
                "one": fans[order[0]].member_id,
                "other": fans[order[1]].member_id,
            },
            "moved": [fans[1].member_id],
            "merged_at": START,
            "split_at": None,
        }
    ]


async def test_saying_it_again_changes_nothing(tx_db: Transaction) -> None:
    account = await make_account()
    one, other = await make_fan(account), await make_fan(account)
    for n in range(3):
        assert await link(one, "u", n) == one.member_id
        assert await link(other, "u", n) == one.member_id
    assert len(await merges()) == 1
    assert await value("SELECT count(*) FROM identity") == 1


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_chains_of_three_end_in_one_person_one_step_away(tx_db: Transaction, order: tuple[int, ...]) -> None:
    """Two pairs that share a fan, learned in any order; each merge tells whose pointer it moved."""
    account = await make_account()
    a, b, c, d = [await make_fan(account) for _ in range(4)]
    links = [(a, b, "u1"), (c, d, "u2"), (b, c, "u3")]
    for n in order:
        left, right, unionid = links[n]
        await link(left, unionid)
        await link(right, unionid)
    assert {(await again(fan)).person_id for fan in (a, b, c, d)} == {a.member_id}
    await check_members()
    history = await merges()
    assert len(history) == 3
    # The moves of all merges, undone from the last to the first, give back four separate members.
    pointers = {fan.member_id: a.member_id for fan in (b, c, d)}
    for merge in reversed(history):
        assert {pointers[member] for member in merge["moved"]} == {merge["kept_id"]}
        assert merge["absorbed_id"] in merge["moved"]
        for member in merge["moved"]:
            pointers[member] = merge["absorbed_id"]
        del pointers[merge["absorbed_id"]]
    assert pointers == {}


async def test_the_same_pair_linked_ten_times_at_once_is_merged_once(db: TortoiseContext) -> None:
    account = await make_account()
    fans = [await make_fan(account) for _ in range(2)]
    async with asyncio.timeout(20):
        await asyncio.gather(*(link(fans[n % 2], "u") for n in range(10)))
    assert {(await again(fan)).person_id for fan in fans} == {fans[0].member_id}
    assert len(await merges()) == 1
    await check_members()


async def test_crossing_merges_at_once_end_in_one_person(db: TortoiseContext) -> None:
    """Ten fans in a ring of shared unionids: every merge meets its neighbours' at work."""
    account = await make_account()
    fans = [await make_fan(account) for _ in range(10)]
    async with asyncio.timeout(20):
        await asyncio.gather(
            *(link(fans[(n + side) % 10], f"u{n}") for n in range(10) for side in (0, 1)),
        )
    assert {(await again(fan)).person_id for fan in fans} == {fans[0].member_id}
    # Nine make them one; the tenth closes the ring and holds should one of the others be withdrawn.
    assert sorted(len(merge["moved"]) > 0 for merge in await merges()) == [False] + [True] * 9
    await check_members()


async def somebody_waits_for(holder: Connection) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))"
    while await value(waiting, holder.get_server_pid()) == 0:  # noqa: ASYNC110  # a lock tells nobody
        await asyncio.sleep(0.01)


async def test_who_finds_a_root_merged_waits_for_the_next_one_empty_handed(
    db: TortoiseContext, database_url: str
) -> None:
    """Holding on to the others' roots meanwhile was a circle with whoever held the older one and wanted theirs."""
    account = await make_account()
    a, b, c = [await make_fan(account) for _ in range(3)]
    await link(b, "u")
    older, merging = [await asyncpg.connect(**credentials(database_url)) for _ in range(2)]
    try:
        async with asyncio.timeout(20), older.transaction():
            await older.execute("SELECT FROM member WHERE id = $1 FOR NO KEY UPDATE", a.member_id)
            async with merging.transaction():
                await merging.execute("UPDATE member SET merged_into_id = $1 WHERE id = $2", a.member_id, b.member_id)
                linking = asyncio.ensure_future(link(c, "u"))
                await somebody_waits_for(merging)
            await somebody_waits_for(older)
            # b and c are free for the one that holds a.
            for home in (b, c):
                await older.execute("SELECT FROM member WHERE id = $1 FOR NO KEY UPDATE NOWAIT", home.member_id)
            assert not linking.done()
        assert await linking == a.member_id
    finally:
        await older.close()
        await merging.close()
    assert {(await again(fan)).person_id for fan in (a, b, c)} == {a.member_id}


async def test_an_unknown_fan_and_an_unusable_unionid_are_refused(tx_db: Transaction) -> None:
    with pytest.raises(NotFound):
        await link_unionid(fan_id=0, unionid="u", now=START)
    fan = await make_fan(await make_account())
    for wrong in ("", "u" * 65):
        with pytest.raises(Invalid) as caught:
            await link(fan, wrong)
        assert caught.value.field == "unionid"
    assert await value("SELECT count(*) FROM identity") == 0
