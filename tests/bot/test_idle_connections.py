"""Connections nobody uses are closed, and who does not read answers is neither buffered for nor waited for."""

import asyncio
import functools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.callback import Callback
from bot.door import HEAD_MOST, Doors
from tests.bot.desk import Desk
from tests.bot.house import House, Server, until
from tests.bot.platform import Account
from tests.bot.test_door import ANSWERS, Line, account, by_the_door, connected, request

__all__ = ["account"]


@asynccontextmanager
async def impatient(server: Server, seconds: float = 0.1) -> AsyncIterator[tuple[int, Doors]]:
    """Open another door of a server's, which closes what idles for so long."""
    mine = server.services
    callback = Callback(mine.directory, mine.engine, mine.clock, mine.sealer, mine.tasks)
    app = web.Application()
    app.router.add_routes(callback.routes())
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=seconds)
    await runner.setup()
    assert runner.server is not None
    doors = Doors(callback, runner.server, mine.clock, idle_seconds=seconds)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # its connections inherit it
    listener = await asyncio.get_running_loop().create_server(doors, sock=listening)
    try:
        yield listener.sockets[0].getsockname()[1], doors
    finally:
        listener.close()
        await doors.close(1)
        await runner.cleanup()


async def test_whoever_says_nothing_or_nothing_more_is_let_go(house: House, account: Account) -> None:
    server = await house.server(ANSWERS)
    async with impatient(server) as (port, doors), asyncio.timeout(10):
        reader, silent = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        for head in (b"POST /wechat/1?a=1 HTTP/1.1\r\nHost: x\r\n", b"POST /wechat/1"):
            reader, slow = await asyncio.open_connection("127.0.0.1", port)
            slow.write(head)
            assert await reader.read() == b""
            slow.close()
        silent.close()
        assert doors.open == set()


async def test_a_push_at_work_is_not_idle(house: House, account: Account, desk: Desk) -> None:
    server = await house.server(desk.router)
    desk.close("一")
    async with impatient(server) as (port, _), asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        line = Line(reader, writer)
        await server.call(server.services.directory.refresh())
        writer.write(request(account, "一"))
        await desk.begun("一")
        gone, other = await asyncio.open_connection("127.0.0.1", port)
        assert await gone.read() == b""  # later than the push, and closed for being idle
        desk.open("一")
        status, headers, body = await line.answer()
        assert (status, by_the_door(headers)) == ("HTTP/1.1 200 OK", True)
        assert account._open(200, body)["Content"] == "答一"  # type: ignore[index]
        assert await reader.read() == b""
        other.close()
        writer.close()


async def test_who_does_not_read_the_answers_is_not_asked_for_more_and_let_go(house: House, account: Account) -> None:
    server = await house.server(ANSWERS)
    await server.call(server.services.directory.refresh())
    async with impatient(server, 1.0) as (port, doors), asyncio.timeout(60):
        loop, sent, deaf = asyncio.get_running_loop(), 0, socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.setblocking(False)
        await loop.sock_connect(deaf, ("127.0.0.1", port))
        # One after the other, so that all are the door's; with small buffers some hundred answers fill them.
        with deaf:
            await until(functools.partial(_there, doors))
            (door,) = doors.open
            while doors.open:
                await loop.sock_sendall(deaf, request(account))
                await until(functools.partial(_taken, house, account, doors, sent := sent + 1), within=30)
        assert sent > 64
        assert door._full


async def _there(doors: Doors) -> bool:
    return bool(doors.open)


async def _taken(house: House, account: Account, doors: Doors, sent: int) -> bool:
    return not doors.open or len(await house.kinds(account)) == sent


async def test_a_head_too_long_for_aiohttp_is_too_long_for_the_door(house: House, account: Account) -> None:
    server = await house.server(ANSWERS)
    async with connected(server) as line:
        status, headers, _ = await line.ask(request(account, X_Long="x" * 2 * HEAD_MOST))
        assert (status.partition(" ")[2], by_the_door(headers)) == ("400 Bad Request", False)


@pytest.mark.parametrize("change", [("Host: wx.example.com\r\n", ""), ("Host:", "Host: a.example.com\r\nHost:")])
async def test_who_names_no_host_or_two_is_refused_by_aiohttp(
    house: House, account: Account, change: tuple[str, str]
) -> None:
    server = await house.server(ANSWERS)
    async with connected(server) as line:
        status, headers, _ = await line.ask(request(account).replace(change[0].encode(), change[1].encode()))
        assert (status.partition(" ")[2], by_the_door(headers)) == ("400 Bad Request", False)
