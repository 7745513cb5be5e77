"""A page left open that only listens keeps nobody signed in."""

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from console.surface import COOKIE, SELF, UNATTENDED_HEADER, Call, Guard, Parts
from kit.memory_state import MemoryState
from tests.api.conftest import NO_LIMITS
from tests.console.conftest import Office
from tests.console.shop import open_shop
from tests.console.test_streams import Note
from web.dispatch import Dispatch
from web.endpoints import Surface
from web.hub import Hub
from web.idempotency import Repetitions
from web.problems import problems
from web.streams import Said, Stream


async def test_the_idle_limit_counts_from_what_somebody_did(office: Office) -> None:
    who, mine = await office.signed_in(), office.services
    surface = Surface("live", "", permissions={SELF})

    async def said() -> Stream:
        yield Said("note", Note(text="你好"))

    @surface.stream("/live", permission=SELF)
    async def live(call: Call) -> Stream:
        """实时消息."""
        return said()

    state = MemoryState()
    hub = Hub(office.house.url, ())
    parts = Parts(
        mine.directory, mine.clients, office.clock, mine.sealer, state, office.passwords, "http://127.0.0.1:8300", hub
    )
    repetitions = Repetitions(mine.sealer, office.clock)
    app = web.Application(middlewares=[problems])
    app.router.add_routes(
        Dispatch(surface, Guard(parts), state=state, repetitions=repetitions, limits=NO_LIMITS).routes("")
    )
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        for minutes, status in ((0, 200), (60, 200), (59, 200), (2, 401)):
            office.clock.advance(seconds=60 * minutes)
            cookie = {"Cookie": f"{COOKIE}={who.cookie}"}
            async with http.get(f"http://127.0.0.1:{server.port}/live", headers=cookie) as answer:
                assert answer.status == status, minutes
    assert (await who.get("/me")).said == (401, "session_over")


async def test_sitting_at_the_desk_is_not_using_it(office: Office) -> None:
    """The inbox says every twenty seconds that its page is open; whoever answers somebody is there."""
    shop = await open_shop(office)
    agent, other = await shop.agent(), await shop.agent()
    _, conversation = await shop.waiting()
    for minute in range(120):
        for who in (agent, other):
            assert (await who.post("/inbox/presence", {"brand": shop.brand})).status == 200, minute
        if minute == 60:
            assert (await agent.post(f"/inbox/{conversation}/read")).status == 204
        office.clock.advance(minutes=1)
    assert (await other.post("/inbox/presence", {"brand": shop.brand})).said == (401, "session_over")
    office.clock.advance(minutes=59)
    assert (await agent.post("/inbox/presence", {"brand": shop.brand})).status == 200
    office.clock.advance(minutes=1)
    assert (await agent.post("/inbox/presence", {"brand": shop.brand})).said == (401, "session_over")


async def test_what_a_page_reads_by_itself_is_no_use(office: Office) -> None:
    who = await office.signed_in()
    for _ in range(4):
        office.clock.advance(minutes=29)
        assert (await who.call("GET", "/me", headers={UNATTENDED_HEADER: "1"})).status == 200
    assert (await who.get("/me")).status == 200
    for _ in range(4):
        office.clock.advance(minutes=30)
        answer = await who.call("GET", "/me", headers={UNATTENDED_HEADER: "1"})
    assert answer.said == (401, "session_over")
