"""What a member sees and does: check-in, points, gifts, addresses, tasks, and nothing of anybody else's."""

from datetime import timedelta

import pytest

from scrm.gifts import catalogue, service
from scrm.gifts.catalogue import GiftTerms
from scrm.points.rulebook import install_preset
from tests.api.conftest import Json, Mini
from tests.api.test_repetitions import HOME, gift


async def test_checking_in_here(mini: Mini) -> None:
    since = mini.clock.now() - timedelta(days=100)
    await install_preset(await mini.brand(), "zippo", since, since=since)
    phone = await mini.member()
    done = (await phone.post("/checkin")).body
    assert (done["day"], done["fresh"], done["streak"]) == ("2026-03-09", True, 1)
    earned: Json = {one["asset"]: one["amount"] for one in done["earned"]}
    assert earned
    assert (done["points"], done["growth"]) == (earned.get("points", 0), earned.get("growth", 0))
    assert (await phone.post("/checkin")).body == done | {"fresh": False, "earned": []}
    month = (await phone.get("/checkin/calendar")).body
    assert month["days"] == [{"day": "2026-03-09", "kind": "done"}]
    assert (await phone.get("/checkin/calendar?month=2026-02")).body["days"] == []
    me = (await phone.get("/me")).body
    assert (me["points"], me["growth"], me["debt"]) == (done["points"], done["growth"], 0)
    assert (me["level"]["rank"], me["growth_word"]) == (0, "成长值")
    (task,) = [one for one in (await phone.get("/tasks")).body["items"] if "签到" in one["name"]]
    assert (task["today"], task["open"], set(task["left"].values())) == (earned, False, {0})
    assert (await phone.post("/checkin/make-up", {"day": "2026-03-08"})).code == "no_card_left"


async def test_the_statement_is_read_page_by_page(mini: Mini) -> None:
    phone = await mini.member()
    for n in range(1, 6):
        await phone.earn(n, f"word {n}")
        mini.clock.advance(seconds=1)
    seen, before = [], None
    while True:
        page = (await phone.get("/points/statement?limit=2" + (f"&before={before}" if before else ""))).body
        seen += [line["amount"] for line in page["items"]]
        before = page["next"]
        if before is None:
            break
    assert seen == [5, 4, 3, 2, 1]
    line = page["items"][0]
    assert (line["description"], line["platform"], line["occurred_at"]) == (
        "活动奖励",
        "小程序",
        "2026-03-09T04:00:00Z",
    )
    holdings = (await phone.get("/points")).body
    assert holdings["points"] == {"balance": 15, "debt": 0, "spendable": 15}
    assert (await phone.get("/points/statement?asset=growth")).body == {"items": [], "next": None}
    assert (await phone.get("/points/coming")).body == {"items": []}


async def test_redeeming_and_cancelling(mini: Mini) -> None:
    phone = await mini.member()
    wanted = await gift(mini, stock=1)
    (offer,) = (await phone.get("/gifts")).body["items"]
    assert (offer["id"], offer["why_not"]) == (wanted, ["not_enough"])
    await phone.earn(25)
    assert (await phone.post(f"/gifts/{wanted}/redeem", {})).code == "address_required"
    place = (await phone.post("/addresses", HOME)).body["id"]
    made = (await phone.post(f"/gifts/{wanted}/redeem", {"address_id": place}, key="r")).body
    assert (made["state"], made["points"], made["address"]["phone"]) == ("placed", 10, "138****5678")
    assert (await phone.post(f"/gifts/{wanted}/redeem", {"address_id": place})).code == "sold_out"
    (listed,) = (await phone.get("/redemptions")).body["items"]
    assert listed == made | {"address": None}
    assert (await phone.get("/me")).body["points"] == 15
    gone = (await phone.post(f"/redemptions/{made['id']}/cancel", {"reason": "不想要了"}, key="c")).body
    assert (gone["state"], gone["cancel_reason"]) == ("cancelled", "不想要了")
    assert (await phone.get("/me")).body["points"] == 25
    assert (await phone.post(f"/redemptions/{made['id']}/code")).status == 404


async def test_a_parcel_is_confirmed_by_its_member(mini: Mini) -> None:
    phone, wanted = await mini.member(), await gift(mini)
    await phone.earn(10)
    place = (await phone.post("/addresses", HOME)).body["id"]
    made = (await phone.post(f"/gifts/{wanted}/redeem", {"address_id": place})).body["id"]
    assert (await phone.post(f"/redemptions/{made}/arrival")).code == "wrong_state"
    await service.ship(redemption_id=made, company="顺丰", number="SF100", now=mini.clock.now())
    there = (await phone.post(f"/redemptions/{made}/arrival", key="a")).body
    assert (there["state"], there["completed_at"]) == ("completed", "2026-03-09T04:00:00Z")
    assert (await phone.post(f"/redemptions/{made}/arrival")).body == there


async def test_a_code_is_shown_to_its_member(mini: Mini) -> None:
    phone, sealer = await mini.member(), mini.services.sealer
    await phone.earn(10)
    terms = GiftTerms(name="电子券", price=10)
    virtual = await catalogue.create_gift(
        brand_id=await mini.brand(), kind="virtual", terms=terms, now=mini.clock.now()
    )
    await catalogue.load_codes(sealer, gift_id=virtual, codes=["SECRET-1"], now=mini.clock.now())
    made = (await phone.post(f"/gifts/{virtual}/redeem", {})).body
    assert (await phone.post(f"/redemptions/{made['id']}/code", key="s")).body == {"code": "SECRET-1"}
    assert (await phone.post(f"/redemptions/{made['id']}/cancel", {})).code == "wrong_state"


async def test_addresses(mini: Mini) -> None:
    phone = await mini.member()
    one = (await phone.post("/addresses", HOME)).body["id"]
    two = (await phone.post("/addresses", HOME | {"name": "李雷", "is_default": True})).body["id"]
    assert [item["id"] for item in (await phone.get("/addresses")).body["items"]] == [two, one]
    assert (await phone.get(f"/addresses/{one}")).body == HOME
    assert (await phone.call("PUT", f"/addresses/{one}", HOME | {"detail": "新地址1号"})).status == 204
    assert (await phone.post(f"/addresses/{one}/default", key="d")).status == 204
    assert (await phone.post(f"/addresses/{one}/default", key="d")).status == 204
    assert (await phone.call("DELETE", f"/addresses/{two}")).status == 204
    (left,) = (await phone.get("/addresses")).body["items"]
    assert (left["id"], left["is_default"], left["detail"]) == (one, True, "新地***")


async def test_what_is_somebody_elses_is_not_there(mini: Mini) -> None:
    owner, thief = await mini.member(), await mini.member("小红")
    for phone in (owner, thief):
        await phone.earn(100)
    place = (await owner.post("/addresses", HOME)).body["id"]
    wanted = await gift(mini)
    made = (await owner.post(f"/gifts/{wanted}/redeem", {"address_id": place})).body["id"]
    for method, path, body in (
        ("GET", f"/addresses/{place}", None),
        ("PUT", f"/addresses/{place}", HOME),
        ("DELETE", f"/addresses/{place}", None),
        ("POST", f"/addresses/{place}/default", None),
        ("POST", f"/gifts/{wanted}/redeem", {"address_id": place}),
        ("GET", f"/redemptions/{made}", None),
        ("POST", f"/redemptions/{made}/cancel", {}),
        ("POST", f"/redemptions/{made}/code", None),
        ("POST", f"/redemptions/{made}/arrival", None),
    ):
        answer = await thief.call(method, path, body)
        nobodys = await thief.call(
            method, path.replace(f"s/{made}", "s/999999").replace(f"s/{place}", "s/999999"), body
        )
        assert (answer.status, answer.code) == (404, "not_found"), path
        if "gifts" not in path:
            assert answer.body == nobodys.body, path
    assert (await thief.get("/addresses")).body == {"items": []}
    assert (await thief.get("/redemptions")).body == {"items": [], "next": None}
    assert (await owner.get(f"/redemptions/{made}")).body["state"] == "placed"


@pytest.mark.parametrize("brand", ["别的品牌"])
async def test_another_brands_gift_is_not_there(mini: Mini, brand: str) -> None:
    from scrm.accounts.models import Brand

    other = await Brand.create(name=brand, created_at=mini.clock.now())
    terms = GiftTerms(name="别家的", price=1)
    foreign = await catalogue.create_gift(
        brand_id=other.id, kind="physical", terms=terms, stock=1, now=mini.clock.now()
    )
    phone = await mini.member()
    await phone.earn(10)
    assert (await phone.post(f"/gifts/{foreign}/redeem", {})).status == 404
    assert (await phone.get("/gifts")).body == {"items": []}
