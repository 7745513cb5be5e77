"""Every operation of the surface, as it stands: shut without a good token, and blind to what is somebody else's."""

import re
from typing import Any

import pytest

from scrm import db
from scrm.accounts.models import Brand
from scrm.gifts import catalogue
from scrm.gifts.catalogue import GiftTerms
from tests.api.conftest import Mini
from tests.api.test_repetitions import HOME, gift
from tests.api.test_surface import operations

SIGNED = [(path, method, body) for path, method, body in operations() if body["security"]]
WITH_ID = [(path, method, body) for path, method, body in operations() if "{" in path]

# What lets a request pass validation; an operation that is not here has no body, or takes an empty one.
BODIES: dict[str, Any] = {"change_address": HOME}


def body_of(operation: dict[str, Any]) -> Any:
    return BODIES.get(operation["operationId"], {}) if "requestBody" in operation else None


async def everything() -> list[tuple[Any, ...]]:
    """Return all rows that belong to members, but for when their sessions move."""
    tables = ("member_address", "redemption", "gift", "gift_code", "ledger_entry", "checkin", "event", "identity")
    return [
        (table, *row)
        for table in tables
        for row in await db.fetch(f"SELECT t::text FROM {table} t ORDER BY id")  # noqa: S608  # the names above
    ]


@pytest.mark.parametrize(
    ("path", "method", "operation"), [pytest.param(*one, id=one[2]["operationId"]) for one in SIGNED]
)
async def test_nobody_enters_without_a_good_token(
    mini: Mini, path: str, method: str, operation: dict[str, Any]
) -> None:
    phone = await mini.member()
    target, given, good = re.sub(r"{\w+}", "1", path), body_of(operation), phone.access
    before = await everything()

    async def refused(token: str) -> tuple[int, str | None]:
        answer = await phone.call(method, target, given, token=token, key="k")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        return answer.status, answer.code

    assert await refused("") == (401, "token_missing")
    assert await refused(good[:-1] + ("A" if good[-1] != "A" else "B")) == (401, "token_invalid")
    assert await refused(phone.refresh) == (401, "token_invalid")
    mini.clock.advance(minutes=15)
    assert await refused(good) == (401, "token_expired")
    phone.take(await phone.post("/refresh", {"refresh_token": phone.refresh}))
    await phone.post("/sign-out")
    assert await refused(phone.access) == (401, "session_over")
    assert await everything() == before
    assert await db.fetch("SELECT FROM idempotent_request WHERE key = 'k'") == []


async def test_what_is_somebody_elses_is_answered_as_if_it_did_not_exist(mini: Mini) -> None:
    owner, stranger = await mini.member(), await mini.member("小红")
    for phone in (owner, stranger):
        await phone.earn(100)
    now, brand = mini.clock.now(), await mini.brand()
    place = (await owner.post("/addresses", HOME)).body["id"]
    parcel = (await owner.post(f"/gifts/{await gift(mini)}/redeem", {"address_id": place})).body["id"]
    terms = GiftTerms(name="电子券", price=1)
    virtual = await catalogue.create_gift(brand_id=brand, kind="virtual", terms=terms, now=now)
    await catalogue.load_codes(mini.services.sealer, gift_id=virtual, codes=["SECRET-1"], now=now)
    coupon = (await owner.post(f"/gifts/{virtual}/redeem", {})).body["id"]
    elsewhere = await Brand.create(name="别的品牌", created_at=now)
    foreign = await catalogue.create_gift(brand_id=elsewhere.id, kind="physical", terms=terms, stock=1, now=now)
    # Every id of the surface needs its owner here.
    others = {"address_id": [place], "redemption_id": [parcel, coupon], "gift_id": [foreign]}
    before = await everything()
    for path, method, operation in WITH_ID:
        (name,) = re.findall(r"{(\w+)}", path)
        for number in others[name]:
            answer, nobodys = [
                await stranger.call(method, path.replace(f"{{{name}}}", str(what)), body_of(operation))
                for what in (number, 10**9)
            ]
            assert (answer.status, answer.code) == (404, "not_found"), path
            assert answer.body == nobodys.body, path
            assert set(answer.headers) == set(nobodys.headers)
    assert await everything() == before
    # One's own request may not name what is another's either.
    mine = await gift(mini)
    before = await everything()
    answer = await stranger.post(f"/gifts/{mine}/redeem", {"address_id": place})
    assert (answer.status, answer.code) == (404, "not_found")
    for path in ("/addresses", "/redemptions"):
        assert (await stranger.get(path)).body["items"] == []
    assert await everything() == before
