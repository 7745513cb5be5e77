"""Profiles: optional fields, the latest word of all homes, sealed where it matters, each home's own after a split."""

import asyncio
from datetime import date
from typing import Any

import pytest

from scrm.db import Transaction
from scrm.errors import Conflict, Invalid
from scrm.members import profiles
from scrm.members.merging import split
from scrm.members.phones import bind_phone, member_with
from scrm.members.profiles import Profile
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from tests.factories import SEALER, at, make_account, make_fan, value


async def says(fan: FanView, seconds: float = 1, **changes: Any) -> Profile:
    return await profiles.update(
        SEALER,
        member_id=fan.member_id,
        account_id=fan.account_id,
        fan_id=fan.id,
        changes=changes,
        now=at(seconds),
    )


async def two() -> tuple[FanView, FanView]:
    account = await make_account(kind="miniprogram")
    return await make_fan(account), await make_fan(account)


async def one_person(one: FanView, other: FanView) -> int:
    for fan in (one, other):
        await link_unionid(fan_id=fan.id, unionid="u", now=at(100))
    return int(await value("SELECT id FROM member_merge"))


async def of(fan: FanView) -> Profile:
    return await profiles.of(SEALER, fan.member_id)


async def test_every_field_is_optional_and_what_is_left_out_stays(tx_db: Transaction) -> None:
    fan, _ = await two()
    assert await of(fan) == Profile()
    assert await says(fan, nickname="小明", birthday=date(1990, 5, 1)) == Profile("小明", birthday=date(1990, 5, 1))
    changed = await says(fan, 2, nickname=None, name="王小明", gender="male", province="浙江", city="杭州")
    assert changed == await of(fan)
    assert changed == Profile(None, "王小明", None, "male", date(1990, 5, 1), "浙江", "杭州")
    assert (changed.masked_name, changed.location) == ("王**", "浙江 杭州")


async def test_names_and_numbers_are_sealed_at_rest_and_in_no_event(tx_db: Transaction) -> None:
    fan, _ = await two()
    await says(fan, name="欧阳娜娜")
    await bind_phone(SEALER, fan_id=fan.id, number="+8613812348000", now=at(2))
    kept = await value(
        """
        SELECT (SELECT string_agg(p::text, ' ') FROM member_profile p)
            || (SELECT string_agg(i::text, ' ') FROM identity i)
            || (SELECT string_agg(e::text, ' ') FROM event e)
        """
    )
    assert "欧阳" not in kept
    assert "13812348000" not in kept
    found = await of(fan)
    assert (found.name, found.phone, found.masked_phone) == ("欧阳娜娜", "+8613812348000", "138****8000")
    assert "欧阳" not in repr(found)


async def test_saying_it_again_is_no_change(tx_db: Transaction) -> None:
    fan, _ = await two()
    for seconds in (1, 2, 3):
        await says(fan, seconds, nickname="小明")
    assert await value("SELECT count(*) FROM event WHERE kind = 'member.profile_changed'") == 1
    await says(fan, 3, nickname="大明")
    await says(fan, 3, nickname="小明")
    rows = await value("SELECT json_agg(payload) FROM event WHERE kind = 'member.profile_changed'")
    assert rows == '[{"fields": ["nickname"]}, {"fields": ["nickname"]}, {"fields": ["nickname"]}]'


async def test_of_a_merged_person_the_latest_word_counts_also_that_it_is_to_be_empty(tx_db: Transaction) -> None:
    one, other = await two()
    await says(one, 1, nickname="旧", city="上海", gender="female")
    await says(other, 2, nickname="新", province="浙江")
    await says(one, 3, gender=None)
    await says(other, 2, gender="female")
    merge_id = await one_person(one, other)
    together = Profile("新", gender=None, province="浙江", city="上海")
    assert await of(one) == await of(other) == together
    # What is said while they are one is said at the home that says it.
    await says(one, 101, nickname="更新")
    assert (await of(other)).nickname == "更新"
    await split(merge_id=merge_id, now=at(200))
    assert await of(one) == Profile("更新", city="上海")
    assert await of(other) == Profile("新", gender="female", province="浙江")


async def test_a_clock_that_is_behind_does_not_lose_the_latest_word(tx_db: Transaction) -> None:
    one, other = await two()
    await one_person(one, other)
    await says(one, 50, nickname="先")
    assert (await says(other, 20, nickname="后")).nickname == "后"
    assert (await of(one)).nickname == "后"


async def test_a_number_that_joins_two_stays_with_both_after_the_split(tx_db: Transaction) -> None:
    one, other = await two()
    for seconds, fan in enumerate((one, other, one)):
        await bind_phone(SEALER, fan_id=fan.id, number="+8613812348000", now=at(seconds))
    await split(merge_id=int(await value("SELECT id FROM member_merge")), now=at(9))
    assert (await of(one)).phone == (await of(other)).phone == "+8613812348000"
    assert await value("SELECT count(*) FROM identity") == 1
    assert await member_with(SEALER, "+8613812348000") == one.member_id
    assert await member_with(SEALER, "13812348000") is None


async def test_a_list_is_read_in_one_statement(tx_db: Transaction) -> None:
    one, other = await two()
    third = await make_fan(one.account_id)
    await says(other, nickname="小红")
    await one_person(one, other)
    found = await profiles.of_many(SEALER, [one.member_id, other.member_id, third.member_id, 999_999])
    named = {member: profile.nickname for member, profile in found.items()}
    assert named == {one.member_id: "小红", other.member_id: "小红", third.member_id: None, 999_999: None}


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("nickname", ""),
        ("nickname", "长" * 33),
        ("name", "  "),
        ("gender", "?"),
        ("birthday", date(1899, 12, 31)),
        ("birthday", date(2026, 3, 10)),
        ("birthday", "1990-05-01"),
        ("avatar", "http://example.com/a.png"),
        ("phone", "+8613812348000"),
        ("member_id", 1),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(tx_db: Transaction, field: str, given: Any) -> None:
    fan, _ = await two()
    with pytest.raises(Invalid) as refused:
        await says(fan, **{field: given})
    assert refused.value.field == field
    assert await value("SELECT count(*) FROM member_profile") == 0


async def test_whoever_was_erased_says_nothing_any_more(tx_db: Transaction) -> None:
    fan, _ = await two()
    await tx_db.connection.execute("UPDATE member SET erased_at = $1", at(0))
    with pytest.raises(Conflict, match="账号已注销"):
        await says(fan, nickname="小明")
    with pytest.raises(Conflict, match="账号已注销"):
        await bind_phone(SEALER, fan_id=fan.id, number="+8613812348000", now=at(1))
    assert await value("SELECT count(*) FROM member_profile") == 0


async def test_ten_changes_at_once_are_ten_revisions(db: object) -> None:
    fan, _ = await two()
    await asyncio.gather(*(says(fan, n, nickname=f"第{n}") for n in range(10)))
    assert await value("SELECT revision FROM member_profile") == 10
    assert await value("SELECT count(*) FROM event WHERE kind = 'member.profile_changed'") == 10
