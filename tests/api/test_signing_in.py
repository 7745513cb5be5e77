"""Signing in: who becomes which member, and which tokens open the door."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kit.ids import key_of
from scrm import db
from scrm.members.service import link_unionid
from scrm.points import ledger
from tests.api.conftest import NO_LIMITS, Mini
from tests.factories import make_fan


async def count(table: str) -> int:
    found: int = (await db.fetch(f"SELECT count(*) AS n FROM {table}"))[0]["n"]  # noqa: S608  # our own names
    return found


async def test_whoever_signs_in_is_the_member_that_the_official_account_knows(mini: Mini) -> None:
    phone, now = mini.phone(), mini.clock.now()
    follower = await make_fan(mini.official.id)
    assert phone.fan.unionid is not None
    await link_unionid(fan_id=follower.id, unionid=phone.fan.unionid, now=now)
    await ledger.award(
        key=key_of("x"),
        holder_id=follower.member_id,
        asset=ledger.POINTS,
        amount=30,
        origin=ledger.Origin("签到", "公众号", now),
        now=now,
    )
    await phone.sign_in()
    assert (await phone.as_fan()).person_id == follower.member_id
    assert (await phone.get("/me")).body["points"] == 30
    # A second time is the same fan with another session.
    await phone.sign_in()
    assert (await count("fan"), await count("member_session")) == (2, 2)
    kinds = await db.fetch("SELECT kind FROM event WHERE kind LIKE 'miniprogram.%' ORDER BY id")
    assert [row["kind"] for row in kinds] == ["miniprogram.signed_in"] * 2


async def test_a_code_counts_once_and_nothing_of_wechat_leaves_the_server(mini: Mini) -> None:
    phone = mini.phone()
    code = await phone.code()
    answer = await phone.post("/sign-in", {"code": code})
    assert (answer.status, set(answer.body)) == (200, {"access_token", "refresh_token", "expires_in"})
    assert answer.body["expires_in"] == 900
    session_key = mini.wechat.world.thread(phone.appid, phone.fan.id).session_key
    kept = (await db.fetch("SELECT string_agg(s::text, ' ') AS text FROM member_session s"))[0]["text"]
    assert session_key
    assert session_key not in str(answer.body) + kept
    assert answer.body["refresh_token"] not in kept
    for used in (code, "0nobody"):
        again = await phone.post("/sign-in", {"code": used})
        assert (again.status, again.code, again.body["field"]) == (422, "code_refused", "code")


async def test_a_visitor_in_preview_mode_becomes_nobody(mini: Mini) -> None:
    async def code2session(_request: web.Request) -> web.Response:
        return web.json_response({"openid": "o" * 28, "session_key": "x", "unionid": "u" * 28, "is_snapshotuser": 1})

    app = web.Application()
    app.router.add_get("/sns/jscode2session", code2session)
    async with TestServer(app) as wechat:
        server = await mini.house.server(wechat_url=f"http://127.0.0.1:{wechat.port}")
        phone = mini.phone()
        phone.address = server.address
        answer = await phone.post("/sign-in", {"code": "c"})
        assert (answer.status, answer.code) == (403, "snapshot_user")
    assert (await count("fan"), await count("member"), await count("identity")) == (0, 0, 0)


async def test_wechat_away_is_said_and_changes_nothing(mini: Mini) -> None:
    server = await mini.house.server()  # nothing listens where its WeChat should be
    phone = mini.phone()
    phone.address = server.address
    answer = await phone.post("/sign-in", {"code": "c"})
    assert (answer.status, answer.code, await count("fan")) == (503, "wechat_away", 0)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"phone_info": "13800000000"},
        {"phone_info": {}},
        {"phone_info": {"purePhoneNumber": "13800000000"}},
        {"phone_info": {"purePhoneNumber": ["13800000000"], "countryCode": "86"}},
    ],
    ids=str,
)
async def test_an_answer_without_a_number_binds_nothing(mini: Mini, answer: dict[str, Any]) -> None:
    async def token(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "T", "expires_in": 7200})

    async def phone_number(_request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", token)
    app.router.add_post("/wxa/business/getuserphonenumber", phone_number)
    phone = await mini.member()
    async with TestServer(app) as wechat:
        phone.address = (await mini.house.server(wechat_url=f"http://127.0.0.1:{wechat.port}")).address
        answered = await phone.post("/phone", {"code": "c"})
    assert (answered.status, answered.code) == (503, "wechat_away")
    assert await db.fetch("SELECT FROM identity WHERE kind = 'phone'") == []


async def test_tokens_end(mini: Mini) -> None:
    phone = await mini.member()
    mini.clock.advance(minutes=14, seconds=59)
    assert (await phone.get("/me")).status == 200
    mini.clock.advance(seconds=1)
    assert (await phone.get("/me")).code == "token_expired"
    phone.take(await phone.post("/refresh", {"refresh_token": phone.refresh}))
    assert (await phone.get("/me")).status == 200
    mini.clock.advance(days=30)
    answer = await phone.post("/refresh", {"refresh_token": phone.refresh})
    assert (answer.status, answer.code) == (401, "session_over")


async def test_a_refresh_token_used_twice_ends_the_session_for_both(mini: Mini) -> None:
    phone = await mini.member()
    other = await mini.member("小红")
    first = phone.refresh
    phone.take(await phone.post("/refresh", {"refresh_token": first}))
    assert phone.refresh != first
    assert (await phone.post("/refresh", {"refresh_token": first})).code == "token_replayed"
    assert (await phone.post("/refresh", {"refresh_token": phone.refresh})).code == "session_over"
    assert (await phone.get("/me")).code == "session_over"
    assert (await other.get("/me")).status == 200


async def test_signing_out_counts_at_once(mini: Mini) -> None:
    phone = await mini.member()
    assert (await phone.post("/sign-out")).status == 204
    assert (await phone.get("/me")).code == "session_over"
    assert (await phone.post("/refresh", {"refresh_token": phone.refresh})).code == "session_over"


async def test_what_is_no_token_of_ours_opens_nothing(mini: Mini) -> None:
    phone = await mini.member()
    elsewhere = await mini.house.account("miniprogram")
    await mini.server.refresh()
    missing = await phone.get("/me", token="")
    assert (missing.status, missing.code, missing.headers["WWW-Authenticate"]) == (401, "token_missing", "Bearer")
    good = phone.access
    # Every letter, also the last ones, whose low bits base64 ignores.
    async with mini.limited(NO_LIMITS) as phone.address:
        for n in range(len(good)):
            for letter in {"A", "B", "_"} - {good[n]}:
                tampered = good[:n] + letter + good[n + 1 :]
                assert (await phone.get("/me", token=tampered)).code == "token_invalid"
    phone.address = mini.server.address
    for wrong in (phone.refresh, good + "A", good + "=", good[:-1], "x", "。"):
        assert (await phone.get("/me", token=wrong)).code == "token_invalid"
    assert (await phone.post("/refresh", {"refresh_token": good})).code == "token_invalid"
    phone.appid = elsewhere.appid
    assert (await phone.get("/me")).code == "session_over"
    assert (await phone.post("/refresh", {"refresh_token": phone.refresh})).code == "session_over"
    phone.appid = mini.official.appid
    assert (await phone.get("/me")).status == 404


async def test_a_phone_number_joins_two_members(mini: Mini) -> None:
    """One person whose accounts share no unionid: the number that WeChat vouches for says it."""
    elsewhere = await mini.house.account("miniprogram")
    for appid in (mini.account.appid, elsewhere.appid):
        mini.wechat.world.add_account("miniprogram", appid=appid, secret="appsecret", open_platform=False)
    await mini.server.refresh()
    one, two = mini.phone(), mini.phone()
    two.appid, two.fan.phone = elsewhere.appid, one.fan.phone
    for phone in (one, two):
        await phone.sign_in()
    await one.earn(30)
    for phone in (one, two):
        assert (await phone.get("/me")).body["points"] == (30 if phone is one else 0)
    for phone in (one, two):
        code = await phone.code("phone_code")
        bound = await phone.post("/phone", {"code": code}, key="p")
        assert bound.body == {"phone": one.fan.phone[:3] + "****" + one.fan.phone[-4:]}
        # With its key the same answer, though WeChat would refuse the code; without it, WeChat's refusal.
        assert (await phone.post("/phone", {"code": code}, key="p")).body == bound.body
        assert (await phone.post("/phone", {"code": code})).code == "code_refused"
    assert (await two.get("/me")).body["points"] == 30
    assert await count("member_merge") == 1
    kept = (await db.fetch("SELECT string_agg(i::text, ' ') AS text FROM identity i"))[0]["text"]
    assert one.fan.phone not in kept
