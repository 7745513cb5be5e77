"""Tags: one per person however often it is put, each brand's own, and both ways on the timeline."""

import asyncio

import pytest
from tortoise.context import TortoiseContext

from scrm.access.leaving import delete_account
from scrm.db import Transaction, command, fetch
from scrm.errors import Conflict, Invalid, NotFound
from scrm.members import merging
from scrm.members.queries import FanView
from scrm.tags import queries, service
from scrm.tags.queries import TagView, Worn
from tests.conftest import START
from tests.factories import SEALER, SOMEBODY, again, at, make_account, make_fan, make_staff, value


async def _brand(account_id: int) -> int:
    found: int = await value("SELECT brand_id FROM account WHERE id = $1", account_id)
    return found


async def _put(brand_id: int, tag_id: int, fan: FanView, seconds: float = 0) -> bool:
    await make_staff(SOMEBODY)
    return await service.put(
        brand_id=brand_id, tag_id=tag_id, member_id=fan.member_id, source="staff", staff_id=SOMEBODY, now=at(seconds)
    )


async def _take(brand_id: int, tag_id: int, fan: FanView, seconds: float = 0) -> bool:
    return await service.take(
        brand_id=brand_id, tag_id=tag_id, member_id=fan.member_id, staff_id=SOMEBODY, now=at(seconds)
    )


async def _story(fan: FanView) -> list[tuple[str, str]]:
    rows = await fetch(
        "SELECT kind, payload->>'name' AS name FROM event WHERE member_id = $1 AND kind LIKE 'tag.%' ORDER BY id",
        fan.member_id,
    )
    return [(row["kind"], row["name"]) for row in rows]


async def test_putting_and_taking_change_something_once_and_are_told(tx_db: Transaction) -> None:
    account = await make_account()
    brand, fan = await _brand(account), await make_fan(account)
    tag = await service.define(brand_id=brand, name=" 露营  爱好者 ", category="兴趣", now=START)
    assert [await _put(brand, tag, fan), await _put(brand, tag, fan, 1)] == [True, False]
    assert await queries.of_people(brand, [fan.member_id]) == {fan.member_id: [Worn(tag, "露营 爱好者", "兴趣")]}
    assert [await _take(brand, tag, fan, 2), await _take(brand, tag, fan, 3)] == [True, False]
    assert await _put(brand, tag, fan, 4) is True
    assert await _story(fan) == [
        ("tag.put", "露营 爱好者"),
        ("tag.taken", "露营 爱好者"),
        ("tag.put", "露营 爱好者"),
    ]
    assert await queries.of_brand(brand) == [TagView(tag, "露营 爱好者", "兴趣", False, 1)]


async def test_nobody_who_has_left_gets_a_tag(tx_db: Transaction) -> None:
    account = await make_account()
    brand, fan = await _brand(account), await make_fan(account)
    tag = await service.define(brand_id=brand, name="老客", now=START)
    await delete_account(SEALER, member_id=fan.member_id, now=at(1))
    with pytest.raises(Conflict) as refused:
        await _put(brand, tag, fan, 2)
    assert refused.value.code == "account_deleted"
    assert await value("SELECT count(*) FROM member_tag WHERE tag_id = $1", tag) == 0
    assert await _story(fan) == []


@command
async def _join(tx: Transaction, one: int, other: int) -> int:
    return await merging.merge(tx.connection, one, other, {"kind": "unionid", "fan_id": 1}, START)


async def test_a_merged_person_has_the_tags_of_all_homes_once_and_a_split_gives_them_back(tx_db: Transaction) -> None:
    account = await make_account()
    brand, one, other = await _brand(account), await make_fan(account), await make_fan(account)
    both = await service.define(brand_id=brand, name="老客", now=START)
    own = await service.define(brand_id=brand, name="收藏家", now=START)
    for tag, fan in ((both, one), (both, other), (own, other)):
        assert await _put(brand, tag, fan)
    person = await _join(one.member_id, other.member_id)
    assert await queries.of_people(brand, [person]) == {person: [Worn(own, "收藏家", ""), Worn(both, "老客", "")]}
    assert {tag.name: tag.people for tag in await queries.of_brand(brand)} == {"老客": 1, "收藏家": 1}
    assert not await _put(brand, own, one)  # the person has it, through the other home
    assert await _take(brand, both, one, 5)  # from both homes
    assert (await again(one)).person_id == (await again(other)).person_id
    assert await queries.of_people(brand, [person]) == {person: [Worn(own, "收藏家", "")]}
    assert (await _story(one), await _story(other)) == (
        [("tag.put", "老客"), ("tag.taken", "老客")],
        [("tag.put", "老客"), ("tag.put", "收藏家"), ("tag.taken", "老客")],
    )


async def test_a_brand_sees_and_changes_only_its_own(tx_db: Transaction) -> None:
    account = await make_account()
    brand, fan = await _brand(account), await make_fan(account)
    elsewhere = await make_account(brand="别家")
    other_brand, stranger = await _brand(elsewhere), await make_fan(elsewhere)
    tag = await service.define(brand_id=brand, name="老客", now=START)
    for attempt, field in (
        (_put(other_brand, tag, stranger), "tag_id"),
        (_put(brand, tag, stranger), "member_id"),
        (_take(brand, tag, stranger), "member_id"),
        (_take(other_brand, tag, stranger), "tag_id"),
        (service.rename(brand_id=other_brand, tag_id=tag, name="新", category=""), "tag_id"),
        (service.archive(brand_id=other_brand, tag_id=tag, now=START), "tag_id"),
        (service.define(brand_id=0, name="新", now=START), "brand_id"),
    ):
        with pytest.raises(NotFound) as refused:
            await attempt
        assert refused.value.field == field
    assert await _put(brand, tag, fan)
    assert await queries.of_brand(other_brand) == []
    assert await queries.of_people(other_brand, [fan.member_id]) == {}


async def test_an_archived_tag_stays_on_people_is_put_on_nobody_and_comes_back(tx_db: Transaction) -> None:
    account = await make_account()
    brand, fan, new = await _brand(account), await make_fan(account), await make_fan(account)
    tag = await service.define(brand_id=brand, name="老客", category="关系", now=START)
    assert await _put(brand, tag, fan)
    await service.archive(brand_id=brand, tag_id=tag, now=at(1))
    with pytest.raises(Conflict) as refused:
        await _put(brand, tag, new, 2)
    assert refused.value.code == "tag_archived"
    assert await queries.of_brand(brand) == [TagView(tag, "老客", "关系", True, 1)]
    assert await service.define(brand_id=brand, name="老客", now=at(3)) == tag
    assert await queries.of_brand(brand) == [TagView(tag, "老客", "关系", False, 1)]


@pytest.mark.parametrize(
    ("name", "category", "field"), [("", "", "name"), ("长" * 33, "", "name"), ("好", "长" * 33, "category")]
)
async def test_a_wrong_word_is_named(tx_db: Transaction, name: str, category: str, field: str) -> None:
    brand = await _brand(await make_account())
    with pytest.raises(Invalid) as refused:
        await service.define(brand_id=brand, name=name, category=category, now=START)
    assert refused.value.field == field


async def test_a_name_is_taken_once(tx_db: Transaction) -> None:
    brand = await _brand(await make_account())
    one = await service.define(brand_id=brand, name="老客", now=START)
    other = await service.define(brand_id=brand, name="新客", now=START)
    with pytest.raises(Conflict) as refused:
        await service.rename(brand_id=brand, tag_id=other, name="老客", category="")
    assert refused.value.code == "tag_name_taken"
    await service.rename(brand_id=brand, tag_id=one, name="熟客", category="关系")
    assert [(tag.id, tag.name, tag.category) for tag in await queries.of_brand(brand)] == [
        (other, "新客", ""),
        (one, "熟客", "关系"),
    ]


async def test_put_twenty_times_at_once_it_is_there_once(db: TortoiseContext) -> None:
    account = await make_account()
    brand, fan = await _brand(account), await make_fan(account)
    tags = await asyncio.gather(*(service.define(brand_id=brand, name="老客", now=START) for _ in range(20)))
    assert len(set(tags)) == 1
    assert sum(await asyncio.gather(*(_put(brand, tags[0], fan, n) for n in range(20)))) == 1
    assert await _story(fan) == [("tag.put", "老客")]
