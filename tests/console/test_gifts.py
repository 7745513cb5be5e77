"""The points mall through the API: gifts, the shelf, stock by movements, parcels, and who may see where they go."""

import asyncio
import json
from typing import Any

import pytest

from kit.ids import key_of
from scrm.access.leaving import delete_account, erase_rest
from scrm.db import fetch
from scrm.gifts import addresses, service
from scrm.gifts.addresses import Address
from scrm.members import profiles
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from scrm.points import levels
from tests.console.conftest import Browser, Office
from tests.factories import make_account, make_fan
from tests.gifts.shop import HOME, earn

TERMS: dict[str, Any] = {
    "name": "白瓷茶盘",
    "price": 20,
    "per_person": 2,
    "level": None,
    "on_sale_from": None,
    "on_sale_until": None,
    "picture": "/assets/plate.png",
}
PLATE = {**TERMS, "kind": "physical", "stock": 5}


async def added(who: Browser, brand: int, **changes: Any) -> dict[str, Any]:
    answer = await who.post("/gifts", {"brand_id": brand, **PLATE, **changes})
    assert answer.status == 201, answer
    gift: dict[str, Any] = answer.body
    return gift


async def account_of(brand_id: int) -> int:
    account = await make_account(kind="miniprogram")
    await fetch("UPDATE account SET brand_id = $2 WHERE id = $1", account, brand_id)
    return account


async def parcel(
    office: Office, fan: FanView, account_id: int, gift_id: int, word: object = "", to: Address = HOME
) -> int:
    """Redeem a physical gift for a fan who gets an address and 20 points for it."""
    office.clock.advance(seconds=1)
    now = office.clock.now()
    await earn(fan, 20, when=now)
    address_id = await addresses.add(office.services.sealer, member_id=fan.member_id, address=to, now=now)
    made = await service.redeem(
        key=key_of("parcel", fan.id, gift_id, word),
        gift_id=gift_id,
        member_id=fan.member_id,
        account_id=account_id,
        fan_id=fan.id,
        now=now,
        address_id=address_id,
    )
    return made.id


async def balance(fan: FanView) -> int:
    rows = await fetch("SELECT balance FROM ledger_balance WHERE holder_id = $1 AND asset = 'points'", fan.member_id)
    found: int = rows[0]["balance"]
    return found


async def lines(office: Office) -> list[str]:
    return [action for action, _ in await office.trail() if action.startswith(("gift.", "redemption"))]


async def test_gifts_are_made_listed_and_changed(office: Office) -> None:
    who, (brand, other) = await office.signed_in("operator"), office.brands
    plate = await added(who, brand)
    assert plate == {
        "id": plate["id"],
        "brand_id": brand,
        **PLATE,
        "enabled": True,
        "version": 1,
        "redeemed": 0,
        "waiting": 0,
    }
    card = await added(who, brand, name=" 双倍卡 ", kind="virtual", stock=0, per_person=None, enabled=False)
    last = await added(who, brand, name="茶席", stock=0)

    async def names(more: str = "") -> list[str]:
        return [one["name"] for one in (await who.get(f"/gifts?brand={brand}{more}")).body["items"]]

    assert await names() == ["茶席", "双倍卡", "白瓷茶盘"]
    assert await names("&show=on") == ["茶席", "白瓷茶盘"]
    assert await names("&show=off") == ["双倍卡"]
    assert await names("&show=sold_out") == ["茶席", "双倍卡"]
    assert await names("&kind=virtual&show=off") == ["双倍卡"]
    page = (await who.get(f"/gifts?brand={brand}&limit=2")).body
    assert page["next"] == card["id"]
    assert await names(f"&limit=2&before={page['next']}") == ["白瓷茶盘"]
    assert (await who.get(f"/gifts?brand={other}")).body == {"items": [], "next": None}

    path = f"/gifts/{plate['id']}"
    changed = await who.call("PUT", path, {**TERMS, "price": 30, "expected": 1})
    assert (changed.status, changed.body["price"], changed.body["version"]) == (200, 30, 2)
    same = await who.call("PUT", path, {**TERMS, "price": 30, "expected": 2})
    assert same.body == changed.body
    late = await who.call("PUT", path, {**TERMS, "price": 40, "expected": 1})
    assert (late.said, late.body["field"]) == ((409, "stale_version"), "expected")
    off = await who.call("PUT", f"{path}/shelf", {"enabled": False})
    assert (off.body["enabled"], off.body["version"]) == (False, 3)
    assert (await who.call("PUT", f"{path}/shelf", {"enabled": False})).body == off.body
    assert (await who.get(path)).body == off.body
    assert await lines(office) == ["gift.added"] * 3 + ["gift.changed"] * 2
    rows = await office.rows("SELECT before, after, subject FROM audit WHERE action = 'gift.changed' ORDER BY id")
    assert [(row["before"], row["after"]) for row in rows] == [
        ('{"price": 20}', '{"price": 30}'),
        ('{"shelf": true}', '{"shelf": false}'),
    ]
    assert rows[0]["subject"] == f"gift:{plate['id']}"
    assert last["stock"] == 0
    (made,) = await office.rows("SELECT after FROM audit WHERE subject = $1", f"gift:{last['id']}")
    assert json.loads(made["after"]) == {
        "gift_kind": "physical",
        "shelf": True,
        "name": "茶席",
        "price": 20,
        "per_person": 2,
        "picture": "/assets/plate.png",
        "stock": 0,
    }


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"price": 0}, "price"),
        ({"price": 1_000_000_001}, "price"),
        ({"per_person": 0}, "per_person"),
        ({"level": "金牌"}, "level"),
        ({"picture": "x" * 256}, "picture"),
        ({"kind": "food"}, "kind"),
        ({"stock": -1}, "stock"),
        ({"kind": "virtual", "stock": 1}, "stock"),
        ({"on_sale_from": "2026-03-09T12:00:00"}, "on_sale_from"),
        ({"on_sale_from": "2026-03-09T12:00:00Z", "on_sale_until": "2026-03-09T12:00:00Z"}, "on_sale_until"),
        ({"version": 1}, "version"),
    ],
)
async def test_what_is_wrong_is_named_and_kept_out(office: Office, wrong: dict[str, Any], field: str) -> None:
    who, brand = await office.signed_in("operator"), office.brands[0]
    answer = await who.post("/gifts", {"brand_id": brand, **PLATE, **wrong})
    assert (answer.status, answer.body["field"]) == (422, field)
    assert (await who.get(f"/gifts?brand={brand}")).body == {"items": [], "next": None}
    assert await lines(office) == []


async def test_a_level_of_the_brand_may_be_asked_for(office: Office) -> None:
    who, (brand, other) = await office.signed_in("operator"), office.brands
    await levels.define(
        brand_id=brand, given=[{"name": "注册会员", "threshold": 0}, {"name": "铜牌", "threshold": 100}]
    )
    assert (await who.get(f"/gifts/levels?brand={brand}")).body == {"items": ["注册会员", "铜牌"]}
    assert (await who.get(f"/gifts/levels?brand={other}")).body == {"items": []}
    assert (await added(who, brand, level="铜牌"))["level"] == "铜牌"


async def test_stock_moves_with_a_reason_and_says_who(office: Office) -> None:
    who, brand = await office.signed_in("operator"), office.brands[0]
    path = f"/gifts/{(await added(who, brand))['id']}"
    start = office.clock.now()
    office.clock.advance(seconds=60)
    up = await who.post(f"{path}/stock", {"amount": 7, "reason": " 春茶季到货 "}, key="once")
    again = await who.post(f"{path}/stock", {"amount": 7, "reason": " 春茶季到货 "}, key="once")
    assert [up.body["stock"], again.body["stock"]] == [12, 12]
    # That stock moved is nothing an editor has to know.
    assert up.body["version"] == 1
    office.clock.advance(seconds=60)
    assert (await who.post(f"{path}/stock", {"amount": -12, "reason": "盘点"})).body["stock"] == 0
    too_many = await who.post(f"{path}/stock", {"amount": -1, "reason": "盘点"})
    assert (too_many.said, too_many.body["field"]) == ((409, "conflict"), "amount")
    for wrong, field in (({"amount": 0, "reason": "盘点"}, "amount"), ({"amount": 1, "reason": " "}, "reason")):
        answer = await who.post(f"{path}/stock", wrong)
        assert (answer.status, answer.body["field"]) == (422, field)
    name = (await who.get("/me")).body["name"]
    moved = (await who.get(f"{path}/movements")).body
    keys = ("amount", "stock", "reason", "by")
    assert [tuple(one[key] for key in keys) for one in moved["items"]] == [
        (-12, 0, "盘点", name),
        (7, 12, "春茶季到货", name),
        (5, 5, "初始库存", name),
    ]
    assert moved["items"][2]["at"] == start.isoformat(timespec="seconds").replace("+00:00", "Z")
    assert moved["next"] is None
    page = (await who.get(f"{path}/movements?limit=2")).body
    rest = (await who.get(f"{path}/movements?limit=2&before={page['next']}")).body
    assert [one["amount"] for one in page["items"] + rest["items"]] == [-12, 7, 5]
    assert await lines(office) == ["gift.added", "gift.stocked", "gift.stocked"]
    code = await added(who, brand, kind="virtual", stock=0)
    answer = await who.post(f"/gifts/{code['id']}/stock", {"amount": 1, "reason": "到货"})
    assert (answer.status, answer.body["field"]) == (422, "gift_id")


async def test_codes_are_loaded_once_and_told_to_nobody(office: Office) -> None:
    who, brand = await office.signed_in("operator"), office.brands[0]
    code, plate = await added(who, brand, kind="virtual", stock=0), await added(who, brand)
    path = f"/gifts/{code['id']}"
    assert (await who.post(f"{path}/codes", {"codes": ["TEA-1", " TEA-2 "]})).body == {"added": 2, "known": 0}
    assert (await who.post(f"{path}/codes", {"codes": ["TEA-2", "TEA-3"]})).body == {"added": 1, "known": 1}
    assert (await who.post(f"{path}/codes", {"codes": ["TEA-1"]})).body == {"added": 0, "known": 1}
    assert (await who.get(path)).body["stock"] == 3
    longest = [f"{n:03}".ljust(128, "茶") for n in range(500)]
    assert (await who.post(f"{path}/codes", {"codes": longest})).body == {"added": 500, "known": 0}
    for wrong, field in (([], "codes"), (["x"] * 501, "codes"), (["TEA-4", " "], "codes.1"), (["x" * 129], "codes.0")):
        answer = await who.post(f"{path}/codes", {"codes": wrong})
        assert (answer.status, answer.body["field"]) == (422, field)
    answer = await who.post(f"/gifts/{plate['id']}/codes", {"codes": ["TEA-5"]})
    assert (answer.status, answer.body["field"]) == (422, "gift_id")
    moved = (await who.get(f"{path}/movements")).body["items"]
    assert [one["amount"] for one in moved] == [500, 1, 2]
    assert {one["reason"] for one in moved} == {"导入兑换码"}
    rows = await office.rows("SELECT after FROM audit WHERE action = 'gift.codes' ORDER BY id")
    assert [row["after"] for row in rows] == [
        '{"added": 2, "known": 0}',
        '{"added": 1, "known": 1}',
        '{"added": 500, "known": 0}',
    ]


async def test_two_who_count_at_once_lose_nothing(office: Office) -> None:
    who, brand = await office.signed_in("operator"), office.brands[0]
    gift, account = await added(who, brand, per_person=None, stock=20), await account_of(brand)
    fans = [await make_fan(account) for _ in range(6)]
    more = [who.post(f"/gifts/{gift['id']}/stock", {"amount": 3, "reason": f"到货{n}"}) for n in range(6)]
    await asyncio.gather(*more, *[parcel(office, fan, account, gift["id"]) for fan in fans])
    after = (await who.get(f"/gifts/{gift['id']}")).body
    assert (after["stock"], after["redeemed"], after["waiting"]) == (20 + 18 - 6, 6, 6)


async def test_redemptions_are_found_sent_and_taken_back(office: Office) -> None:
    who, (brand, other) = await office.signed_in("operator"), office.brands
    plate, cup = await added(who, brand), await added(who, brand, name="茶杯")
    code = await added(who, brand, name="券", kind="virtual", stock=0)
    assert (await who.post(f"/gifts/{code['id']}/codes", {"codes": ["TEA-1"]})).body == {"added": 1, "known": 0}
    account = await account_of(brand)
    ann, bo, twin = await make_fan(account), await make_fan(account), await make_fan(await account_of(brand))
    await profiles.update(
        office.services.sealer,
        member_id=ann.member_id,
        account_id=account,
        fan_id=ann.id,
        changes={"nickname": "安娜"},
        now=office.clock.now(),
    )
    one = await parcel(office, ann, account, plate["id"])
    two = await parcel(office, bo, account, cup["id"])
    office.clock.advance(seconds=1)
    now = office.clock.now()
    await earn(bo, 20, when=now)
    taken = {"gift_id": code["id"], "member_id": bo.member_id, "account_id": account, "fan_id": bo.id, "now": now}
    three = (await service.redeem(key=key_of("code"), **taken)).id
    for fan in (ann, twin):
        await link_unionid(fan_id=fan.id, unionid="union", now=office.clock.now())

    async def found(more: str = "", brand: int = brand) -> list[int]:
        return [item["id"] for item in (await who.get(f"/redemptions?brand={brand}{more}")).body["items"]]

    assert await found() == [three, two, one]
    assert await found("&show=to_ship") == [two, one]
    assert await found("&show=placed") == [three, two, one]
    assert await found(f"&gift={cup['id']}") == [two]
    # A person is found by the number of any home.
    assert await found(f"&member={twin.member_id}") == [one]
    assert await found(f"&member={ann.member_id}") == [one]
    assert await found(brand=other) == []
    page = (await who.get(f"/redemptions?brand={brand}&limit=2")).body
    assert await found(f"&limit=2&before={page['next']}") == [one]
    (item,) = (await who.get(f"/redemptions?brand={brand}&gift={plate['id']}")).body["items"]
    assert {name: item[name] for name in ("gift", "kind", "nickname", "points", "state", "address")} == {
        "gift": "白瓷茶盘",
        "kind": "physical",
        "nickname": "安娜",
        "points": 20,
        "state": "placed",
        "address": {
            "name": "张小明",
            "phone": "13812345678",
            "region": "浙江省杭州市上城区",
            "detail": "湖滨路88号2单元",
        },
    }
    alone = await office.signed_in(permissions=["mall.manage"])
    hidden = (await alone.get(f"/redemptions?brand={brand}")).body["items"]
    assert [each["nickname"] for each in hidden] == [f"会员 {each['member_id']}" for each in hidden]
    assert [each["nickname"] for each in (await who.get(f"/redemptions?brand={brand}")).body["items"]] == [
        f"会员 {bo.member_id}",
        f"会员 {bo.member_id}",
        "安娜",
    ]

    path = f"/redemptions/{one}"
    sent = await who.call("PUT", f"{path}/shipping", {"company": "顺丰", "number": "SF100"})
    assert (sent.status, sent.body["state"], sent.body["shipping_number"]) == (200, "shipped", "SF100")
    assert (await who.call("PUT", f"{path}/shipping", {"company": "顺丰", "number": "SF100"})).body == sent.body
    fixed = await who.call("PUT", f"{path}/shipping", {"company": "顺丰", "number": "SF101"})
    assert (fixed.body["shipping_number"], fixed.body["shipped_at"]) == ("SF101", sent.body["shipped_at"])
    for wrong, field in (({"company": "", "number": "1"}, "company"), ({"company": "顺丰", "number": " "}, "number")):
        answer = await who.call("PUT", f"{path}/shipping", wrong)
        assert (answer.status, answer.body["field"]) == (422, field)
    nothing_to_send = await who.call("PUT", f"/redemptions/{three}/shipping", {"company": "顺丰", "number": "1"})
    assert nothing_to_send.said == (409, "wrong_state")
    assert await balance(bo) == 0
    back = await who.post(f"/redemptions/{two}/cancel", {"reason": "缺货，抱歉"})
    assert (back.status, back.body["state"], back.body["cancel_reason"]) == (200, "cancelled", "缺货，抱歉")
    assert (await who.post(f"/redemptions/{two}/cancel", {"reason": "再来一次"})).body == back.body
    assert await balance(bo) == 20
    assert (await who.get(f"/gifts/{cup['id']}")).body["stock"] == 5
    assert (await who.call("PUT", f"/redemptions/{two}/shipping", {"company": "顺丰", "number": "1"})).said == (
        409,
        "wrong_state",
    )
    assert await found("&show=to_ship") == []
    assert (await found("&show=shipped"), await found("&show=cancelled")) == ([one], [two])
    there = await who.call("PUT", f"{path}/arrival", {})
    assert (there.status, there.body["state"]) == (200, "completed")
    assert (await who.call("PUT", f"{path}/arrival", {})).body == there.body
    assert (await who.call("PUT", f"/redemptions/{two}/arrival", {})).said == (409, "wrong_state")
    assert await found("&show=completed") == [one]
    rows = await office.rows("SELECT after FROM audit WHERE action = 'redemption.shipped' ORDER BY id")
    assert [row["after"] for row in rows] == [
        '{"number": "****F100", "company": "顺丰"}',
        '{"number": "****F101", "company": "顺丰"}',
    ]
    assert (await lines(office))[4:] == [
        "redemption.shipped",
        "redemption.shipped",
        "redemption.cancelled",
        "redemption.completed",
    ]


async def test_what_is_to_be_sent_leaves_as_a_file(office: Office) -> None:
    boss, (brand, _) = await office.signed_in("operator"), office.brands
    who = await office.signed_in(permissions=["mall.manage"])
    plate, cup = await added(boss, brand), await added(boss, brand, name="=茶杯")
    account = await account_of(brand)
    fan, odd = await make_fan(account), await make_fan(account)
    number = fan.member_id
    first = await parcel(office, fan, account, plate["id"], 1)
    second = await parcel(
        office, odd, account, cup["id"], to=Address("=cmd()", "+8613900001111", "云南省昆明市五华区", "@翠湖路1号")
    )
    sent = await parcel(office, fan, account, plate["id"], 2)
    assert (await boss.call("PUT", f"/redemptions/{sent}/shipping", {"company": "顺丰", "number": "1"})).status == 200
    clear = await boss.get(f"/redemptions/to-ship?brand={brand}")
    heading = "\ufeff兑换编号,兑换时间,商品,会员号,收货人,电话,省市区,详细地址\r\n"
    assert clear.body == (
        f"{heading}{first},2026-03-09 12:00:01,白瓷茶盘,{number},张小明,13812345678,"
        "浙江省杭州市上城区,湖滨路88号2单元\r\n"
        f"{second},2026-03-09 12:00:02,'=茶杯,{odd.member_id},'=cmd(),13900001111,云南省昆明市五华区,'@翠湖路1号\r\n"
    )
    masked = (await who.get(f"/redemptions/to-ship?brand={brand}&gift={plate['id']}")).body
    assert (
        masked
        == f"{heading}{first},2026-03-09 12:00:01,白瓷茶盘,{number},张**,138****5678,浙江省杭州市上城区,湖滨***\r\n"
    )
    rows = await office.rows("SELECT subject, after FROM audit WHERE action = 'redemptions.exported' ORDER BY id")
    assert [(row["subject"], row["after"]) for row in rows] == [
        ("redemptions", '{"rows": 2, "clear": true}'),
        (f"gift:{plate['id']}", '{"rows": 1, "clear": false}'),
    ]


async def test_another_brands_gifts_do_not_exist(office: Office) -> None:
    boss, ours, theirs = await office.signed_in(), *office.brands
    gift, account = await added(boss, ours), await account_of(ours)
    made = await parcel(office, await make_fan(account), account, gift["id"])
    who = await office.signed_in("operator", [theirs])
    path, one = f"/gifts/{gift['id']}", f"/redemptions/{made}"
    answers = [
        await who.get(f"/gifts?brand={ours}"),
        await who.get(f"/gifts/levels?brand={ours}"),
        await who.get(path),
        await who.get(f"{path}/movements"),
        await who.call("PUT", path, {**TERMS, "price": 1, "expected": 1}),
        await who.call("PUT", f"{path}/shelf", {"enabled": False}),
        await who.post(f"{path}/stock", {"amount": 5, "reason": "到货"}),
        await who.post(f"{path}/codes", {"codes": ["TEA-1"]}),
        await who.post("/gifts", {"brand_id": ours, **PLATE}),
        await who.get(f"/redemptions?brand={ours}"),
        await who.get(f"/redemptions/to-ship?brand={ours}"),
        await who.call("PUT", f"{one}/shipping", {"company": "顺丰", "number": "1"}),
        await who.call("PUT", f"{one}/arrival", {}),
        await who.post(f"{one}/cancel", {"reason": "缺货"}),
        # And a brand that there is not.
        await boss.post("/gifts", {"brand_id": 999_999, **PLATE}),
    ]
    assert [answer.said for answer in answers] == [(404, "not_found")] * len(answers)
    # And in the words for what there is not.
    for path_, missing in ((path, "/gifts/999999"), (f"{one}/arrival", "/redemptions/999999/arrival")):
        method = "PUT" if "arrival" in path_ else "GET"
        assert (await who.call(method, path_, {})).body == (await who.call(method, missing, {})).body
    # Nor are their lists longer for a gift or a member that is another's.
    assert (await who.get(f"/redemptions?brand={theirs}&gift={gift['id']}")).body == {"items": [], "next": None}
    after = (await boss.get(path)).body
    assert (after["price"], after["stock"], after["enabled"]) == (20, 4, True)


async def test_of_whom_left_nothing_is_written_any_more(office: Office) -> None:
    """A parcel on its way is no reason to stay; the number and the reason would be data of theirs again."""
    who, brand = await office.signed_in("operator"), office.brands[0]
    plate, account = await added(who, brand), await account_of(brand)
    fan = await make_fan(account)
    made = await parcel(office, fan, account, plate["id"])
    path = f"/redemptions/{made}"
    assert (await who.call("PUT", f"{path}/shipping", {"company": "顺丰", "number": "SF100"})).status == 200
    await delete_account(office.services.sealer, member_id=fan.member_id, now=office.clock.now())
    office.clock.advance(seconds=3600)
    await erase_rest(member_id=fan.member_id, now=office.clock.now())
    for attempt in (
        await who.call("PUT", f"{path}/shipping", {"company": "顺丰", "number": "SF999"}),
        await who.post(f"{path}/cancel", {"reason": "张小明拒收 13812345678"}),
    ):
        assert attempt.said == (409, "account_deleted")
    row = "SELECT state, shipping_number, cancel_reason FROM redemption WHERE id = $1"
    assert [tuple(one.values()) for one in await office.rows(row, made)] == [("shipped", "", "")]
    assert await balance(fan) == 0
    assert (await who.call("PUT", f"{path}/arrival", {})).body["state"] == "completed"
    (item,) = (await who.get(f"/redemptions?brand={brand}")).body["items"]
    assert (item["nickname"], item["erased"], item["address"]) == ("已注销的会员", True, None)


async def test_what_staff_do_is_no_sign_of_the_member(office: Office) -> None:
    """最近活跃 is what members did themselves."""
    boss, brand = await office.signed_in(), office.brands[0]
    plate, account = await added(boss, brand, per_person=None), await account_of(brand)
    fan = await make_fan(account)
    first, second = [await parcel(office, fan, account, plate["id"], n) for n in range(2)]
    seen = (await boss.get(f"/members/{fan.member_id}")).body["seen_at"]
    office.clock.advance(seconds=3600)
    await boss.call("PUT", f"/redemptions/{first}/shipping", {"company": "顺丰", "number": "1"})
    await boss.post(f"/redemptions/{second}/cancel", {"reason": "缺货，抱歉"})
    assert (await boss.get(f"/members/{fan.member_id}")).body["seen_at"] == seen
    kinds = await office.rows("SELECT kind, payload FROM event WHERE kind IN ('gift.shipped', 'gift.cancelled')")
    assert sorted(row["kind"] for row in kinds) == ["gift.cancelled", "gift.shipped"]
    assert [json.loads(row["payload"]).get("number") for row in kinds] == [None, None]
    rows = await office.rows("SELECT after FROM audit WHERE action = 'redemption.cancelled'")
    assert [row["after"] for row in rows] == ['{"points": 20}']


async def test_a_gift_whose_level_is_gone_is_taken_off_the_shelf(office: Office) -> None:
    who, brand = await office.signed_in("operator"), office.brands[0]
    await levels.define(brand_id=brand, given=[{"name": "银", "threshold": 0}, {"name": "金", "threshold": 100}])
    gift = await added(who, brand, level="金")
    await levels.define(brand_id=brand, given=[{"name": "银", "threshold": 0}, {"name": "黄金", "threshold": 100}])
    off = await who.call("PUT", f"/gifts/{gift['id']}/shelf", {"enabled": False})
    assert (off.status, off.body["enabled"], off.body["level"]) == (200, False, "金")
    other = await who.call("PUT", f"/gifts/{gift['id']}", {**TERMS, "level": "钻石", "expected": off.body["version"]})
    assert (other.status, other.body["field"]) == (422, "level")


async def test_another_brand_may_have_a_code_that_reads_the_same(office: Office) -> None:
    who, (brand, other) = await office.signed_in("operator"), office.brands
    for of, known in ((brand, 0), (other, 0), (brand, 1)):
        gift = await added(who, of, kind="virtual", stock=0)
        loaded = await who.post(f"/gifts/{gift['id']}/codes", {"codes": ["TEA-1"]})
        assert loaded.body == {"added": 1 - known, "known": known}
