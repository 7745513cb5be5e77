"""Splitting: a merge is withdrawn by its evidence, and what other evidence holds together stays together."""

import json
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scrm.db import Transaction, fetch, transaction
from scrm.errors import NotFound
from scrm.events import queries as timeline
from scrm.members.merging import _connected, merge, split
from scrm.members.phones import bind_phone
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from tests.factories import SEALER, TEXT, again, at, happens, make_account, make_fan, value

ANY_ORDER = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


async def fans_of_one(count: int) -> list[FanView]:
    """Make fans that one unionid has made one person; the edges all lead to the first."""
    account = await make_account()
    fans = [await make_fan(account) for _ in range(count)]
    for fan in fans:
        await link_unionid(fan_id=fan.id, unionid="u", now=at(1))
    return fans


async def merge_of(fan: FanView) -> int:
    return int(await value(f"SELECT id FROM member_merge WHERE absorbed_id = {fan.member_id}"))  # noqa: S608  # a number


async def persons(fans: list[FanView]) -> list[int]:
    return [(await again(fan)).person_id for fan in fans]


async def test_a_split_puts_both_back_where_they_were(tx_db: Transaction) -> None:
    one, other = await fans_of_one(2)
    await happens(other, TEXT, at(2))
    assert await split(merge_id=await merge_of(other), now=at(3)) == (one.member_id, other.member_id)
    assert await persons([one, other]) == [one.member_id, other.member_id]
    # What came while they were one goes by the fan it came from.
    assert [event["kind"] for event in await timeline.timeline(other.member_id)] == [TEXT]
    assert [event["kind"] for event in await timeline.timeline(one.member_id)] == ["member.split", "member.merged"]


async def test_splitting_twice_changes_nothing(tx_db: Transaction) -> None:
    one, other = await fans_of_one(2)
    merge_id = await merge_of(other)
    for _ in range(2):
        assert await split(merge_id=merge_id, now=at(3)) == (one.member_id, other.member_id)
    assert await value("SELECT count(*) FROM event WHERE kind = 'member.split'") == 1


async def test_evidence_that_was_judged_wrong_does_not_merge_again(tx_db: Transaction) -> None:
    one, other = await fans_of_one(2)
    await split(merge_id=await merge_of(other), now=at(3))
    assert await link_unionid(fan_id=other.id, unionid="u", now=at(4)) == other.member_id
    assert await persons([one, other]) == [one.member_id, other.member_id]
    assert await value("SELECT count(*) FROM member_merge") == 1


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
async def test_four_are_parted_in_any_order(tx_db: Transaction, order: tuple[int, ...]) -> None:
    fans = await fans_of_one(4)
    together = {0, 1, 2, 3}
    for n in order:
        await split(merge_id=await merge_of(fans[n]), now=at(3))
        together.discard(n)
        expected = [fans[0].member_id if k in together else fan.member_id for k, fan in enumerate(fans)]
        assert await persons(fans) == expected


async def test_an_unknown_merge_is_not_found(tx_db: Transaction) -> None:
    with pytest.raises(NotFound):
        await split(merge_id=999, now=at(1))


async def test_two_evidences_hold_together_until_both_are_withdrawn(tx_db: Transaction) -> None:
    one, other = await fans_of_one(2)
    for fan in (one, other, other):
        await bind_phone(SEALER, fan_id=fan.id, number="+8613800008000", now=at(2))
    rows = await fetch("SELECT id, evidence->>'kind' AS kind, moved::text FROM member_merge ORDER BY id")
    assert [(row["kind"], row["moved"]) for row in rows] == [("unionid", f"[{other.member_id}]"), ("phone", "[]")]
    assert await value("SELECT count(*) FROM event WHERE kind = 'member.merged'") == 1
    by_unionid, by_phone = [row["id"] for row in rows]
    assert await split(merge_id=by_unionid, now=at(3)) == (one.member_id, one.member_id)
    assert await persons([one, other]) == [one.member_id] * 2
    assert await split(merge_id=by_phone, now=at(4)) == (one.member_id, other.member_id)
    assert await persons([one, other]) == [one.member_id, other.member_id]
    assert await value("SELECT count(*) FROM event WHERE kind = 'member.split'") == 1


@ANY_ORDER
@given(data=st.data())
async def test_a_person_is_what_the_standing_evidence_connects(tx_db: Transaction, data: st.DataObject) -> None:
    """Evidence between five homes is said and withdrawn in any order; some of it again, some after it was withdrawn."""
    account = await make_account()
    homes = [(await make_fan(account)).member_id for _ in range(5)]
    home = st.sampled_from(homes)
    stands: dict[tuple[int, int, int], bool] = {}
    for _ in range(data.draw(st.integers(1, 14))):
        said = data.draw(st.tuples(home, home, st.integers(0, 1)))
        one, other, word = said
        if len(stands) > 0 and data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(sorted(stands)))
            evidence = json.dumps({"word": gone[2], "one": gone[0], "other": gone[1]})
            merge_id = (await fetch("SELECT id FROM member_merge WHERE evidence = $1::jsonb", evidence))[0]["id"]
            await split(merge_id=merge_id, now=at(2))
            stands[gone] = False
        else:
            async with transaction() as tx:
                await merge(tx.connection, one, other, {"word": word}, at(1))
            if one != other:
                stands.setdefault(said, True)
        groups = _connected(homes, [{"one": a, "other": b} for (a, b, _), holds in stands.items() if holds])
        expected = {each: group[0] for group in groups for each in group}
        rows = await fetch("SELECT id, coalesce(merged_into_id, id) AS person FROM member WHERE id = ANY($1)", homes)
        assert {row["id"]: row["person"] for row in rows} == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12))
def test_what_edges_connect_is_one_and_nothing_else(pairs: list[tuple[int, int]]) -> None:
    groups = _connected(range(8), [{"one": one, "other": other} for one, other in pairs])
    assert sorted(home for group in groups for home in group) == list(range(8))
    of = {home: n for n, group in enumerate(groups) for home in group}
    # The slow way: paint each home with the smallest it can reach.
    paint = list(range(8))
    for _ in range(8):
        for one, other in pairs:
            paint[one] = paint[other] = min(paint[one], paint[other])
    assert all((paint[a] == paint[b]) == (of[a] == of[b]) for a in range(8) for b in range(8))
    assert all(group == sorted(group) for group in groups)
