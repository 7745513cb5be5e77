"""The timeline: appended once, with its consequences, and read as one person's story."""

import asyncio
from uuid import UUID

import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm.db import Transaction, command
from scrm.errors import Conflict
from scrm.events import kinds, queries
from scrm.events.kinds import Appended
from scrm.members.service import link_unionid
from tests.factories import FOLLOW, TEXT, again, at, happens, make_account, make_fan, value

KEY = key_of("test", "timeline")


async def _fails(_raw: object, _events: object) -> None:
    raise Conflict("the consequence failed")


kinds.register("test.failing", "失败", _fails)


async def counts() -> tuple[int, int]:
    return await value("SELECT count(*) FROM event"), await value("SELECT count(*) FROM event_key")


async def test_the_same_key_twice_changes_nothing(tx_db: Transaction) -> None:
    fan = await make_fan(await make_account())
    assert await happens(fan, FOLLOW, at(0), key=KEY) is True
    assert await happens(fan, FOLLOW, at(60), {"scene": "other"}, key=KEY) is False
    assert await counts() == (1, 1)
    assert (await again(fan)).follow_count == 1
    (event,) = await queries.timeline(fan.member_id)
    assert (event["kind"], event["occurred_at"], event["payload"]) == (FOLLOW, at(0), {})


async def test_the_same_key_at_once_has_one_winner(db: TortoiseContext) -> None:
    fan = await make_fan(await make_account())
    said = await asyncio.gather(*(happens(fan, FOLLOW, at(n), key=KEY) for n in range(10)))
    assert sorted(said) == [False] * 9 + [True]
    assert await counts() == (1, 1)
    assert (await again(fan)).follow_count == 1


async def test_consequences_are_part_of_the_transaction(db: TortoiseContext) -> None:
    fan = await make_fan(await make_account())
    with pytest.raises(Conflict):
        await happens(fan, "test.failing", key=KEY)
    assert await counts() == (0, 0)

    @command
    async def fails_later(_tx: Transaction) -> None:
        assert await happens(fan, FOLLOW, key=KEY) is True
        raise Conflict

    with pytest.raises(Conflict):
        await fails_later()
    assert await counts() == (0, 0)
    assert (await again(fan)).following is False
    # What was rolled back never happened: the same key is new again.
    assert await happens(fan, FOLLOW, key=KEY) is True
    assert (await again(fan)).following is True


async def test_an_unregistered_kind_is_refused_before_anything_is_written(tx_db: Transaction) -> None:
    fan = await make_fan(await make_account())
    with pytest.raises(ValueError, match=r"event kind 'test\.never' is not registered"):
        await happens(fan, "test.never")
    assert await counts() == (0, 0)


def test_a_kind_is_registered_once() -> None:
    with pytest.raises(ValueError, match=r"event kind 'test\.failing' is registered already"):
        kinds.register("test.failing", "失败")


def test_keys_of_different_parts_differ() -> None:
    assert key_of("a", "bc") != key_of("ab", "c")
    assert key_of("a", 1) == key_of("a", "1") == UUID(bytes=key_of("a", 1).bytes)


async def test_a_persons_timeline_is_read_through_every_member_merged_into_them(tx_db: Transaction) -> None:
    account = await make_account()
    fans = [await make_fan(account) for _ in range(4)]
    for n, fan in enumerate(fans * 3):
        await happens(fan, TEXT, at(n), {"n": n})
    stranger = fans.pop()
    for fan in fans:
        person = await link_unionid(fan_id=fan.id, unionid="u", now=at(100))
    assert person == fans[0].member_id
    *mergers, first, second = [event["kind"] for event in (await queries.timeline(person))[:4]]
    assert (mergers, first, second) == (["member.merged"] * 2, TEXT, TEXT)
    story = [event for event in await queries.timeline(person) if event["kind"] == TEXT]
    assert [event["payload"]["n"] for event in story] == [10, 9, 8, 6, 5, 4, 2, 1, 0]
    assert {event["fan_id"] for event in story} == {fan.id for fan in fans}
    assert [event["payload"]["n"] for event in await queries.timeline(stranger.member_id)] == [11, 7, 3]


async def test_pages_neither_repeat_nor_skip_events_of_the_same_moment(tx_db: Transaction) -> None:
    fan = await make_fan(await make_account())
    for n in range(7):
        await happens(fan, TEXT, at(n // 3), {"n": n})
    seen: list[int] = []
    before = None
    while page := await queries.timeline(fan.member_id, before=before, limit=2):
        seen += [event["payload"]["n"] for event in page]
        before = (page[-1]["occurred_at"], page[-1]["id"])
    assert seen == [6, 5, 4, 3, 2, 1, 0]


async def test_consequences_see_their_events_in_one_order(tx_db: Transaction) -> None:
    from scrm.events.service import run_consequences

    seen: list[tuple[int | None, float]] = []

    async def remember(_raw: object, events: object) -> None:
        assert isinstance(events, list)
        seen.extend((event.fan_id, (event.occurred_at - at(0)).total_seconds()) for event in events)

    kinds.register("test.order", "顺序", remember)
    events = [
        Appended(key_of(n), "test.order", at(n % 3), 1, 1, fan_id, {}, at(3))
        for n, fan_id in enumerate([5, 3, None, 5, 3])
    ]
    await run_consequences(tx_db.connection, events)
    assert seen == [(None, 2.0), (3, 1.0), (3, 1.0), (5, 0.0), (5, 0.0)]
