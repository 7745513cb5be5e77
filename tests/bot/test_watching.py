"""Health and metrics over HTTP, and a stop that finishes what was accepted."""

import asyncio

from app.server import until_idle
from kit.clock import ManualClock
from kit.ids import key_of
from scrm.outreach import service as outreach
from tests.bot.desk import Desk
from tests.bot.house import BRIEF, House
from tests.db.outage import gate
from tests.factories import TEXT, happens, make_follower

METRIC = "fensi_outbox_oldest_seconds"


async def test_health_readiness_and_metrics(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(desk.router)
    await account.text("oFan", "你好").to(server)
    async with account.http.get(f"{server.address}/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    async with account.http.get(f"{server.address}/readyz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok", "database": "ok", "state": "ok"})
    async with account.http.get(f"{server.address}/metrics") as response:
        text = await response.text()
    assert 'fensi_pushes_total{kind="wechat.text",outcome="answered"}' in text
    assert "oFan" not in text


async def test_how_long_messages_wait_is_measured_where_no_worker_is(own_house: House, clock: ManualClock) -> None:
    async def shown() -> str:
        async with account.http.get(f"{server.address}/metrics") as response:
            assert response.status == 200
            (line,) = [one for one in (await response.text()).splitlines() if one.startswith(METRIC)]
            return line

    async with gate(own_house.url) as way:
        account = await own_house.account()
        server = await own_house.server(url=way.url)
        assert await shown() == f"{METRIC} 0.0"
        fan = await make_follower(account.id, clock.now())
        await happens(fan, TEXT, clock.now())
        body = {"msgtype": "text", "text": {"content": "您好"}}
        await outreach.say(key=key_of("due"), fan_id=fan.id, body=body, purpose="answer", now=clock.now())
        clock.advance(hours=2)
        assert await shown() == f"{METRIC} 7200.0"
        await way.shut()
        assert await shown() == f"{METRIC} NaN", "not known, which is not none"
        await own_house.close()


async def test_a_stopping_server_finishes_what_it_accepted(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(desk.router, budget=BRIEF)
    desk.close("慢")
    push = account.text("oFan", "慢")
    assert (await push.to(server)).raw == b"success"
    # Late already, and nobody waits for it any more but we.
    waiting = asyncio.ensure_future(until_idle(server.services, 5))
    stopping = asyncio.ensure_future(server.stop())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    assert not stopping.done()
    desk.open("慢")
    await asyncio.gather(waiting, stopping)
    assert (await house.push(push))["state"] == "late"
    assert desk.log == [("begun", "慢"), ("ended", "慢")]


async def test_waiting_for_idleness_has_an_end(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(desk.router, budget=BRIEF)
    desk.close("慢")
    await account.text("oFan", "慢").to(server)
    async with asyncio.timeout(10):
        await until_idle(server.services, 0.1)
    assert server.services.engine.busy == 1
    desk.open("慢")
