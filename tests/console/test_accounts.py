"""Accounts and their health: what came in, what is wrong, and whether WeChat answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import console
from app.server import listening
from kit.clock import ManualClock
from kit.ids import key_of
from scrm import db as scrm_db
from scrm.accounts.models import Account as AccountRow
from scrm.outreach import service as outreach
from scrm.staff import lockout, sessions
from simulator import world as sim
from simulator.clock import Clock
from simulator.testing import running
from tests.bot.house import AES_KEY, TOKEN, House
from tests.bot.platform import Account
from tests.console.conftest import Browser, Office, open_office
from tests.factories import make_account, make_follower
from web.addresses import Proxies


@asynccontextmanager
async def office_at(database_url: str, clock: ManualClock, wechat_url: str) -> AsyncIterator[tuple[Office, Account]]:
    """Open a console with one account, whose server calls that WeChat."""
    async with (
        scrm_db.database(database_url, pool=4),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        house = House(database_url, clock, http)
        account = await house.account()
        office, server = await open_office(house, http, clock, wechat_url=wechat_url)
        try:
            yield office, account
        finally:
            await server.close()
            await house.close()


@pytest.fixture
async def connected(database_url: str, clock: ManualClock) -> AsyncIterator[tuple[Office, sim.World]]:
    """A console whose server reaches a WeChat, with one account known to both sides."""
    world = sim.World(clock=Clock(lambda: clock.now().timestamp()))
    async with running(world, retry_pause=0.02) as wechat, office_at(database_url, clock, wechat.url) as opened:
        office, account = opened
        world.add_account("service", appid=account.appid, secret="appsecret", token=TOKEN, aes_key=AES_KEY)
        yield office, world


async def pushed(office: Office, account_id: int, state: str, hours_ago: float) -> None:
    await office.rows(
        "INSERT INTO push (key, account_id, state, received_at) VALUES ($1, $2, $3, $4)",
        uuid4(),
        account_id,
        state,
        office.clock.now() - timedelta(hours=hours_ago),
    )


async def troubles(boss: Browser) -> list[tuple[str, str]]:
    (one,) = (await boss.get("/accounts")).body["items"]
    return [(trouble["level"], trouble["text"]) for trouble in one["troubles"]]


async def test_the_last_day_of_an_account(connected: tuple[Office, sim.World]) -> None:
    office, _ = connected
    boss = await office.signed_in()
    account = await AccountRow.all().first()
    assert account is not None
    assert await troubles(boss) == [("warning", "24 小时内没有收到推送，请核对公众平台的服务器配置")]
    for state, hours_ago in (("answered", 1), ("late", 2), ("failed", 3), ("failed", 25)):
        await pushed(office, account.id, state, hours_ago)
    await office.rows(
        "INSERT INTO malformed_push (account_id, reason, body_sealed, received_at) VALUES ($1, 'x', 'x', $2)",
        account.id,
        office.clock.now(),
    )
    hours = (await boss.get("/accounts/pushes")).body["items"]
    assert (len(hours), hours[0]["at"], hours[-1]["at"]) == (24, "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z")
    assert [(one["pushes"], one["failed"]) for one in hours[-4:]] == [(1, 1), (1, 0), (1, 0), (0, 0)]
    (one,) = (await boss.get("/accounts")).body["items"]
    assert (one["pushes"], one["failed"], one["malformed"]) == (3, 1, 1)
    assert one["last_push_at"] == "2026-03-09T03:00:00Z"
    assert one["callback_url"] == f"http://127.0.0.1:8300/wechat/{account.id}"
    assert await troubles(boss) == [
        ("error", "24 小时内有 1 条推送处理失败"),
        ("warning", "24 小时内有 1 条推送无法识别"),
    ]
    await office.rows("UPDATE account SET verified = false, mode = 'plain'")
    assert [text[:4] for _, text in await troubles(boss)][-2:] == ["未认证：", "明文模式"]
    text = str((await boss.get("/accounts")).body)
    assert "appsecret" not in text
    assert TOKEN not in text
    assert AES_KEY not in text


async def test_messages_that_wait_for_somebody_to_act(connected: tuple[Office, sim.World]) -> None:
    office, _ = connected
    boss = await office.signed_in()
    account, now = await AccountRow.all().first(), office.clock.now()
    assert account is not None
    await pushed(office, account.id, "answered", 1)
    fan = await make_follower(account.id, now)
    for n in range(2):
        body = {"msgtype": "text", "text": {"content": "您好"}}
        assert (await outreach.say(key=key_of(n), fan_id=fan.id, body=body, purpose="service", now=now)).allowed
    assert await troubles(boss) == []
    tried = "UPDATE outbox SET code = $1, attempts = 1, due_at = $2 WHERE id = (SELECT min(id) FROM outbox)"
    await office.rows(tried, 40125, now + timedelta(seconds=30))
    said = "微信拒绝发送客服消息（错误码 40125，AppSecret 不正确）：2 条消息在等待，处理后会自动继续发送"
    assert await troubles(boss) == [("error", said)]
    await office.rows(tried, 43107, now + timedelta(seconds=30))
    said = "微信拒绝发送客服消息（错误码 43107）：2 条消息在等待，处理后会自动继续发送"
    assert await troubles(boss) == [("error", said)]
    await office.rows(tried, 45011, now + timedelta(seconds=30))
    assert await troubles(boss) == []


async def test_whether_wechat_answers(connected: tuple[Office, sim.World]) -> None:
    office, world = connected
    boss = await office.signed_in()
    (one,) = (await boss.get("/accounts")).body["items"]
    assert one["token"] == "none"
    path = f"/accounts/{one['id']}/check"
    assert (await boss.post(path)).body == {"fine": True, "text": "微信接口正常，已取得访问凭证"}
    assert (await boss.get("/accounts")).body["items"][0]["token"] == "ready"
    # The secret was changed at the platform, and the token has run out.
    world.accounts[one["appid"]].secret = "another"
    office.clock.advance(hours=3)
    await boss.sign_in()
    answer = (await boss.post(path)).body
    assert (answer["fine"], answer["text"][:15]) == (False, "微信拒绝了请求（错误码 401")


async def test_an_answer_without_a_token_is_a_sentence(database_url: str, clock: ManualClock) -> None:
    async def bad_gateway(_request: web.Request) -> web.Response:
        return web.json_response({"code": 502, "message": "bad gateway"})

    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", bad_gateway)
    async with TestServer(app) as proxy, office_at(database_url, clock, f"http://127.0.0.1:{proxy.port}") as opened:
        office, account = opened
        answer = await (await office.signed_in()).post(f"/accounts/{account.id}/check")
    assert (answer.status, answer.body) == (200, {"fine": False, "text": "连不上微信接口，请检查服务器网络后重试"})


async def test_an_account_that_is_not_served_is_told_so(office: Office) -> None:
    boss = await office.signed_in()
    added = await make_account()  # after the server has looked, and sealed with another key
    (one,) = (await boss.get("/accounts")).body["items"]
    assert (one["id"], one["token"]) == (added, "none")
    answer = await boss.post(f"/accounts/{added}/check")
    assert (answer.body["fine"], answer.body["text"][:3]) == (False, "账号已")


async def test_what_is_long_over_is_forgotten(office: Office) -> None:
    who = await office.signed_in()
    await office.browser("nobody").try_in()
    assert (await sessions.forget_old(now=office.clock.now()), await lockout.forget_old(now=office.clock.now())) == (
        0,
        0,
    )
    office.clock.advance(days=91)
    assert (await sessions.forget_old(now=office.clock.now()), await lockout.forget_old(now=office.clock.now())) == (
        1,
        2,
    )
    assert (await who.get("/me")).said == (401, "session_over")


async def test_the_server_has_the_console_where_it_belongs(office: Office) -> None:
    async with listening(office.services, "127.0.0.1", 0, stop_seconds=1) as port:
        address = f"http://127.0.0.1:{port}"
        async with office.http.get(f"{address}{console.MOUNT}/me") as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, "not_signed_in")
        async with office.http.get(f"{address}{console.MOUNT}/no-such") as answer:
            assert (answer.status, (await answer.json())["title"]) == (404, "没有找到")


@pytest.mark.parametrize(("trusted", "address"), [("none", "127.0.0.1"), ("127.0.0.1", "203.0.113.9")])
async def test_the_server_believes_the_proxies_that_are_set(office: Office, trusted: str, address: str) -> None:
    who = await office.person()
    settings = office.services.settings.model_copy(update={"trusted_proxies": Proxies.parse(trusted)})
    async with listening(replace(office.services, settings=settings), "127.0.0.1", 0, stop_seconds=1) as port:
        office.address = f"http://127.0.0.1:{port}{console.MOUNT}"
        assert (await who.try_in(headers={"X-Forwarded-For": "203.0.113.9"})).status == 200
    assert [row["address"] for row in await office.rows("SELECT address FROM staff_session")] == [address]
