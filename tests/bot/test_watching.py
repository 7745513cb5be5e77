"""Health and metrics over HTTP, and a stop that finishes what was accepted."""

import asyncio

from app.server import until_idle
from tests.bot.desk import Desk
from tests.bot.house import BRIEF, House


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
