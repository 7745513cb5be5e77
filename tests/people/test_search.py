"""The filter and the list: one row per person over all homes, by every field, page by page, and no other brand's."""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from kit.ids import key_of
from scrm import db
from scrm.db import Transaction
from scrm.errors import Invalid
from scrm.members import profiles
from scrm.members.merging import split
from scrm.members.phones import bind_phone
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from scrm.people import listing
from scrm.people.search import Wanted
from scrm.points import ledger, levels
from scrm.points.ledger import Origin
from scrm.tags import service as tags
from tests.conftest import START
from tests.factories import SEALER, TEXT, at, happens, make_account, make_fan, make_staff, value

NOW = at(10_000)


@dataclass
class Town:
    """Two brands; the first has an official account and a mini-program, and three levels."""

    first: int
    second: int
    official: int
    mini: int
    elsewhere: int

    async def ids(self, **wanted: Any) -> list[int]:
        """Return whom a filter of the first brand finds; what is counted is the same."""
        asked = Wanted(**({"brands": [self.first]} | wanted))
        found = [one.id for one in await listing.page(SEALER, asked, now=NOW, limit=100)]
        assert await listing.count(SEALER, asked, now=NOW) == len(found)
        return found


@pytest.fixture
async def town(tx_db: Transaction) -> Town:
    official, mini, elsewhere = await make_account(), await make_account(kind="miniprogram"), await make_account()
    first = await value("SELECT brand_id FROM account WHERE id = $1", official)
    second = await value("INSERT INTO brand (name, created_at) VALUES ('白露', $1) RETURNING id", START)
    await db.fetch("UPDATE account SET brand_id = $2 WHERE id = $1", elsewhere, second)
    rows = [("普卡", 0), ("银卡", 100), ("金卡", 500)]
    await levels.define(brand_id=first, given=[{"name": name, "threshold": least} for name, least in rows])
    return Town(first, second, official, mini, elsewhere)


async def says(fan: FanView, seconds: float = 1, **changes: Any) -> None:
    await profiles.update(
        SEALER, member_id=fan.member_id, account_id=fan.account_id, fan_id=fan.id, changes=changes, now=at(seconds)
    )


async def earns(fan: FanView, asset: str, amount: int, **more: Any) -> None:
    key = key_of("test", fan.id, asset, amount)
    origin = Origin("测试", "公众号", START)
    await ledger.award(key=key, holder_id=fan.member_id, asset=asset, amount=amount, origin=origin, now=START, **more)


async def one_person(*fans: FanView, unionid: str = "u") -> int:
    for fan in fans:
        await link_unionid(fan_id=fan.id, unionid=unionid, now=at(100))
    return int(await value("SELECT max(id) FROM member_merge"))


async def test_a_row_is_a_person_with_what_all_homes_have(town: Town) -> None:
    chat, app, other = await make_fan(town.official), await make_fan(town.mini), await make_fan(town.official)
    await says(chat, 1, nickname="小明", province="浙江", city="杭州")
    await says(app, 2, nickname="明明", name="王小明")
    await earns(chat, "points", 30)
    await earns(app, "points", 12)
    await earns(app, "growth", 120)
    tag = await tags.define(brand_id=town.first, name="老客", now=START)
    staff = await make_staff()
    await tags.put(brand_id=town.first, tag_id=tag, member_id=app.member_id, source="staff", staff_id=staff, now=START)
    await happens(app, TEXT, at(500))
    merge = await one_person(chat, app)
    row, _ = sorted(await listing.page(SEALER, Wanted([town.first]), now=NOW), key=lambda one: one.id)
    assert (row.id, row.profile.nickname, row.profile.masked_name) == (chat.member_id, "明明", "王**")
    assert [fan.id for fan in row.fans] == [chat.id, app.id]
    assert (row.points, row.growth, [one.name for one in row.levels]) == (42, 120, ["银卡"])
    assert ([one.name for one in row.tags], row.joined_at, row.seen_at) == (["老客"], START, at(500))
    assert await town.ids() == [other.member_id, chat.member_id]
    await split(merge_id=merge, now=at(200))
    rows = {one.id: one for one in await listing.page(SEALER, Wanted([town.first]), now=NOW)}
    assert {one: (row.points, row.growth) for one, row in rows.items()} == {
        chat.member_id: (30, 0),
        app.member_id: (12, 120),
        other.member_id: (0, 0),
    }


async def test_every_field_of_the_filter_finds_its_people(town: Town) -> None:
    a, b, c = await make_fan(town.official), await make_fan(town.mini), await make_fan(town.official)
    for n, fan in enumerate((a, b, c)):
        await db.fetch("UPDATE member SET created_at = $2 WHERE id = $1", fan.member_id, START + timedelta(days=n))
    await says(a, nickname="100%_糖", name="张三")
    await says(b, nickname="小雨", name="李四")
    await bind_phone(SEALER, fan_id=b.id, number="+8613800008000", now=at(2))
    await earns(a, "points", 50)
    await earns(b, "points", 200)
    await earns(b, "growth", 500)
    tag, rare = [await tags.define(brand_id=town.first, name=name, now=START) for name in ("常客", "露营")]
    for fan, one in ((a, tag), (b, tag), (b, rare)):
        await tags.put(brand_id=town.first, tag_id=one, member_id=fan.member_id, source="rule", staff_id=None, now=NOW)
    ids = town.ids
    own = [a.member_id, b.member_id, c.member_id]
    assert await ids() == [own[2], own[1], own[0]]
    # A number is a member's or a user's: whoever has it as either is found.
    for number in (own[0], b.id):
        either = {one for one in own if one == number} | {fan.member_id for fan in (a, b, c) if fan.id == number}
        assert await ids(number=number) == sorted(either, reverse=True)
    assert (await ids(nickname="100%_"), await ids(nickname="1_0"), await ids(nickname="雨")) == (own[:1], [], own[1:2])
    assert (await ids(name="张三"), await ids(name="张")) == (own[:1], [])
    assert (await ids(phone="138 0000 8000"), await ids(phone="+8613800008001")) == (own[1:2], [])
    assert (await ids(platform="miniprogram"), await ids(platform="wechat")) == (own[1:2], [own[2], own[0]])
    assert await ids(since=START + timedelta(days=1), until=START + timedelta(days=2)) == own[1:2]
    assert (await ids(tags=[tag]), await ids(tags=[tag, rare])) == ([own[1], own[0]], own[1:2])
    assert (await ids(points_min=51), await ids(points_max=50)) == (own[1:2], [own[2], own[0]])
    assert await ids(points_min=1, points_max=60) == own[:1]
    low, middle, top = [one.id for one in await listing.level_choices([town.first])]
    assert (await ids(level=low), await ids(level=middle), await ids(level=top)) == ([own[2], own[0]], [], own[1:2])
    assert await ids(nickname="雨", tags=[tag], level=top, points_min=200) == own[1:2]
    with pytest.raises(Invalid):
        await ids(platform="fax")


async def test_what_was_said_before_is_not_found_any_more(town: Town) -> None:
    chat, app = await make_fan(town.official), await make_fan(town.mini)
    await says(chat, 1, nickname="旧名", name="张三")
    await says(app, 2, nickname="新名", name="张山")
    merge = await one_person(chat, app)
    person = [chat.member_id]
    assert [await town.ids(nickname=one) for one in ("旧名", "新名")] == [[], person]
    assert [await town.ids(name=one) for one in ("张三", "张山")] == [[], person]
    await split(merge_id=merge, now=at(200))
    assert [await town.ids(name=one) for one in ("张三", "张山")] == [person, [app.member_id]]


async def test_points_that_expired_unswept_are_not_counted(town: Town) -> None:
    fan = await make_fan(town.official)
    await earns(fan, "points", 30, expires_at=at(9_999))
    await earns(fan, "points", 5)
    (row,) = await listing.page(SEALER, Wanted([town.first]), now=NOW)
    assert (row.points, await town.ids(points_min=6), await town.ids(points_min=5)) == (5, [], [fan.member_id])


async def test_another_brands_people_and_words_are_not_there(town: Town) -> None:
    here, there = await make_fan(town.official), await make_fan(town.elsewhere)
    both = [await make_fan(town.official), await make_fan(town.elsewhere)]
    await one_person(*both)
    theirs = await tags.define(brand_id=town.second, name="他们的", now=START)
    for fan in (there, both[0]):
        await tags.put(
            brand_id=town.second, tag_id=theirs, member_id=fan.member_id, source="rule", staff_id=None, now=NOW
        )
    assert await town.ids() == [both[0].member_id, here.member_id]
    assert (await town.ids(tags=[theirs]), await town.ids(number=there.member_id)) == ([], [])
    (row,) = await listing.page(SEALER, Wanted([town.first], people=[both[0].member_id]), now=NOW)
    assert ([fan.id for fan in row.fans], row.tags) == ([both[0].id], [])
    assert await town.ids(brands=None) == sorted([here.member_id, there.member_id, both[0].member_id], reverse=True)


async def test_pages_hold_everybody_once(town: Town) -> None:
    chance = random.Random(7)
    fans = [await make_fan(chance.choice((town.official, town.mini))) for _ in range(23)]
    for n, (one, other) in enumerate(zip(fans[:6], fans[10:16], strict=True)):
        await one_person(one, other, unionid=f"u{n}")
    people = sorted({fan.member_id for fan in fans} - {fan.member_id for fan in fans[10:16]}, reverse=True)
    seen: list[int] = []
    before = None
    while page := await listing.page(SEALER, Wanted([town.first]), now=NOW, before=before, limit=5):
        seen += [one.id for one in page]
        before = page[-1].id
    assert seen == people
    assert [one.id async for part in listing.every(SEALER, Wanted([town.first]), now=NOW) for one in part] == people


async def test_names_of_before_get_their_fingerprint(town: Town) -> None:
    fan = await make_fan(town.official)
    await says(fan, name="欧阳娜娜")
    await db.fetch("UPDATE member_profile SET name_fingerprint = NULL")
    assert await town.ids(name="欧阳娜娜") == []
    assert [await profiles.fingerprint_names(SEALER), await profiles.fingerprint_names(SEALER)] == [1, 0]
    assert await town.ids(name="欧阳娜娜") == [fan.member_id]
