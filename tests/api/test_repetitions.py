"""The Idempotency-Key: done once, answered the same, whoever dies in between."""

import asyncio
import uuid

import pytest

from scrm import db
from scrm.access import requests
from scrm.access.requests import Answered, Claim
from scrm.errors import Conflict
from scrm.gifts import addresses, catalogue
from scrm.gifts.addresses import Address
from scrm.gifts.catalogue import GiftTerms
from tests.api.conftest import Json, Mini, Phone
from tests.bot.house import until

HOME: Json = {"name": "张小明", "phone": "13812345678", "region": "浙江省杭州市", "detail": "湖滨路88号"}


async def gift(mini: Mini, stock: int = 5) -> int:
    terms = GiftTerms(name="手机壳", price=10)
    kind, now = "physical", mini.clock.now()
    return await catalogue.create_gift(brand_id=await mini.brand(), kind=kind, terms=terms, stock=stock, now=now)


async def homes(phone: Phone) -> int:
    return len((await phone.get("/addresses")).body["items"])


async def test_the_same_key_and_body_get_the_same_answer_also_after_a_restart(mini: Mini) -> None:
    phone = await mini.member()
    first = await phone.post("/checkin", key="k1")
    assert (first.status, first.body["fresh"]) == (200, True)
    again = await phone.post("/checkin", key="k1")
    assert (again.status, again.body) == (200, first.body)
    assert (await phone.post("/checkin", key="k2")).body["fresh"] is False
    phone.address = (await mini.house.server(wechat_url=mini.wechat.url)).address
    assert (await phone.post("/checkin", key="k1")).body == first.body
    # Another session of the same person, and another person.
    await phone.sign_in()
    assert (await phone.post("/checkin", key="k1")).body == first.body
    other = await mini.member("小红")
    assert (await other.post("/addresses", HOME, key="k1")).status == 201


async def test_another_request_under_a_used_key_is_refused(mini: Mini) -> None:
    phone = await mini.member()
    made = await phone.post("/addresses", HOME, key="a")
    for path, body in (("/addresses", HOME | {"name": "李雷"}), ("/checkin", None)):
        answer = await phone.post(path, body, key="a")
        assert (answer.status, answer.code, answer.body["field"]) == (422, "key_reused", "Idempotency-Key")
        assert answer.body["title"] == "这次提交的内容和上一次不同，请刷新后重新提交"
    assert (await phone.post("/addresses", HOME, key="a")).body == made.body
    assert await homes(phone) == 1
    for key in ("", "a b", "x" * 65, "键".encode().decode("latin-1")):
        assert (await phone.post("/addresses", HOME, key=key)).status == 422


async def test_a_request_in_flight_is_said(mini: Mini) -> None:
    phone = await mini.member()
    mine = await phone.as_fan()
    async with db.transaction() as tx:
        await tx.connection.execute("SELECT FROM member WHERE id = $1 FOR UPDATE", mine.member_id)
        first = asyncio.create_task(phone.post("/addresses", HOME, key="a"))
        reader = mini.server.call

        async def begun() -> object:
            return await reader(db.fetch("SELECT FROM idempotent_request"))

        await until(begun)
        second = await phone.post("/addresses", HOME, key="a")
        assert (second.status, second.code) == (409, "in_flight")
    answer = await first
    assert answer.status == 201
    assert (await phone.post("/addresses", HOME, key="a")).body == answer.body
    assert await homes(phone) == 1


async def test_many_at_once_are_one(mini: Mini) -> None:
    phone = await mini.member()
    await phone.earn(100)
    path = f"/gifts/{await gift(mini)}/redeem"
    place = (await phone.post("/addresses", HOME)).body["id"]
    answers = await asyncio.gather(*(phone.post(path, {"address_id": place}, key="r") for _ in range(12)))
    done = [answer.body for answer in answers if answer.status == 200]
    assert done
    assert all(body == done[0] for body in done)
    assert {answer.code for answer in answers} <= {None, "in_flight"}
    assert (await phone.get("/me")).body["points"] == 90


async def test_a_refusal_is_an_answer_too(mini: Mini) -> None:
    phone = await mini.member()
    path = f"/gifts/{await gift(mini)}/redeem"
    refused = await phone.post(path, {}, key="r")
    assert (refused.status, refused.code) == (409, "not_enough")
    await phone.earn(10)
    place = (await phone.post("/addresses", HOME)).body["id"]
    again = await phone.post(path, {}, key="r")
    assert (again.status, again.body) == (409, refused.body)
    assert (await phone.post(path, {"address_id": place}, key="r2")).status == 200


async def test_a_dead_owners_key_is_taken_over_and_a_late_one_changes_nothing(mini: Mini) -> None:
    """Somebody claims the key and stops, as a killed process does; later it turns out that it only slept."""
    phone = await mini.member()
    mine, sealer = await phone.as_fan(), mini.services.sealer
    made = await phone.post("/addresses", HOME, key="a")
    await db.fetch("UPDATE idempotent_request SET state = 'running', status = NULL, body_sealed = NULL")
    (row,) = await db.fetch("SELECT id, owner FROM idempotent_request")
    assert (await phone.post("/addresses", HOME, key="a")).code == "in_flight"
    mini.clock.advance(seconds=31)
    taken = await phone.post("/addresses", HOME, key="a")
    assert (taken.status, taken.body["id"] > made.body["id"]) == (201, True)

    async def late() -> Answered:
        home = Address(**HOME)
        await addresses.add(sealer, member_id=mine.member_id, address=home, now=mini.clock.now())
        return Answered(201, "{}")

    before = await homes(phone)
    with pytest.raises(Conflict) as refused:
        await requests.carry_out(sealer, Claim(row["id"], row["owner"]), late)
    assert (refused.value.code, await homes(phone)) == ("in_flight", before)


async def test_an_outage_leaves_the_key_free(mini: Mini) -> None:
    """A 503 is no answer to keep: the same key may be tried again at once."""
    phone = await mini.member()
    mine = await phone.as_fan()
    async with db.transaction() as tx:
        await tx.connection.execute("SELECT FROM member WHERE id = $1 FOR UPDATE", mine.member_id)
        busy = await phone.post("/addresses", HOME, key="a")
        assert (busy.status, busy.code) == (503, "busy")
    assert (await phone.post("/addresses", HOME, key="a")).status == 201


async def test_old_answers_are_forgotten(mini: Mini) -> None:
    phone = await mini.member()
    await phone.post("/checkin", key="a")
    mini.clock.advance(hours=47)
    assert await requests.forget_old(now=mini.clock.now()) == 0
    mini.clock.advance(hours=1)
    assert await requests.forget_old(now=mini.clock.now()) == 1


async def test_a_claim_is_one_of_its_scope(mini: Mini) -> None:
    sealer, now = mini.services.sealer, mini.clock.now()
    for scope in ("fan:1", "fan:2"):
        made = await requests.claim(sealer, scope=scope, key="k", request_hash="h", owner=uuid.uuid4(), now=now)
        assert isinstance(made, Claim)
