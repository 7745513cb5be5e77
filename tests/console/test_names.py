"""One person has one name on every page of the staff, and each page leads to the other."""

from typing import Any

import pytest

from scrm.members import profiles
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from tests.console.conftest import Browser, Office
from tests.console.shop import Shop, open_shop
from tests.console.test_members import exported
from tests.factories import make_account, make_fan


@pytest.fixture
async def shop(office: Office) -> Shop:
    return await open_shop(office)


async def call_themselves(shop: Shop, fan: FanView, nickname: str) -> None:
    await profiles.update(
        shop.office.services.sealer,
        member_id=fan.member_id,
        account_id=fan.account_id,
        fan_id=fan.id,
        changes={"nickname": nickname},
        now=shop.clock.now(),
    )


async def names(shop: Shop, boss: Browser, conversation: int, person: int) -> list[Any]:
    """Return what a person is called in lists and pages, in the export and on the wall."""
    (listed,) = (await boss.post("/inbox/search", {"brand": shop.brand, "view": "waiting"})).body["items"]
    (member,) = (await boss.post("/members/search", {"number": person})).body["items"]
    (waiting,) = (await boss.get(f"/wall?brand={shop.brand}")).body["waiting"]
    row = (await exported(boss, number=person)).body.splitlines()[1].split(",")
    return [
        listed["nickname"],
        (await boss.get(f"/inbox/{conversation}")).body["nickname"],
        (await boss.get(f"/inbox/{conversation}/fan")).body["nickname"],
        waiting["nickname"],
        member["nickname"],
        (await boss.get(f"/members/{person}")).body["nickname"],
        row[2],
    ]


async def test_a_person_has_one_name_on_every_page(shop: Shop) -> None:
    boss = await shop.agent("admin")
    # Fans and members count apart, so that one number is never taken for the other.
    await shop.office.rows("SELECT setval(pg_get_serial_sequence('member', 'id'), 5000)")
    fan, conversation = await shop.waiting()
    assert fan.member_id > 5000
    assert await names(shop, boss, conversation, fan.member_id) == [f"会员 {fan.member_id}"] * 7
    panel = (await boss.get(f"/inbox/{conversation}/fan")).body
    assert (panel["member_id"], panel["named"]) == (fan.member_id, False)
    assert (await boss.get(f"/members/{fan.member_id}")).body["named"] is False
    await call_themselves(shop, fan, "小满")
    assert await names(shop, boss, conversation, fan.member_id) == ["小满"] * 7
    assert (await boss.get(f"/inbox/{conversation}/fan")).body["named"] is True
    assert (await boss.get(f"/members/{fan.member_id}")).body["named"] is True


async def test_who_was_merged_is_called_as_the_living_member(shop: Shop) -> None:
    boss = await shop.agent("admin")
    older = await make_fan(await make_account(kind="miniprogram", brand=f"茶舍{shop.office.brands[0]}"))
    fan, conversation = await shop.waiting()
    for one in (older, fan):
        await link_unionid(fan_id=one.id, unionid="u", now=shop.clock.now())
    assert await names(shop, boss, conversation, older.member_id) == [f"会员 {older.member_id}"] * 7
    assert (await boss.get(f"/inbox/{conversation}/fan")).body["member_id"] == older.member_id
    await boss.post(f"/inbox/{conversation}/tags", {"name": "老客"})
    (line,) = (await boss.get("/audit?action=tag.put")).body["items"]
    assert (line["subject"], line["subject_name"]) == (f"member:{older.member_id}", f"会员 {older.member_id}")
    # What the mini-program's user calls themselves is the name of the follower, too.
    await call_themselves(shop, older, "青禾")
    assert await names(shop, boss, conversation, older.member_id) == ["青禾"] * 7


async def test_a_members_conversations_open_for_whoever_may_read_them(shop: Shop) -> None:
    agent, other, boss = await shop.agent(), await shop.agent(), await shop.agent("supervisor")
    viewer = await shop.agent("viewer")
    fan, conversation = await shop.waiting()
    path = f"/members/{fan.member_id}/conversations"

    async def opens() -> list[bool]:
        found = [(await who.get(path)).body["items"] for who in (agent, other, boss, viewer)]
        assert [[one["id"] for one in items] for items in found] == [[conversation]] * 4
        return [one["opens"] for items in found for one in items]

    assert await opens() == [True, True, True, False]
    await agent.post("/inbox/presence", {"brand": shop.brand})
    assert await opens() == [True, False, True, False]
    statuses = [(await who.get(f"/inbox/{conversation}")).status for who in (agent, other, boss, viewer)]
    assert statuses == [200, 403, 200, 403]
