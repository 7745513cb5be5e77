"""What is live: it comes at once, and ends with its session, its generator, its browser, or its server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import BaseModel

from kit.clock import SystemClock
from kit.memory_state import MemoryState
from kit.tasks import set_within
from scrm.errors import Forbidden, NotFound, Unavailable
from tests.api.conftest import NO_LIMITS
from tests.factories import SEALER
from web import openapi
from web.dispatch import Dispatch
from web.endpoints import Endpoint, Surface
from web.idempotency import Repetitions
from web.problems import problems
from web.streams import Said, Stream, serve


class Note(BaseModel):
    """What is said."""

    text: str


class Studio:
    """A server that streams what is put into `heard`; `refusal` is what the guard says from now on."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str | None] = asyncio.Queue()
        self.closing = asyncio.Event()
        self.ended = asyncio.Event()
        self.refusal: Exception | None = None
        self.asked = asyncio.Event()

    async def said(self) -> Stream:
        try:
            while (text := await self.heard.get()) is not None:
                if text == "boom":
                    raise ValueError(text)
                yield Said("note", Note(text=text))
        finally:
            self.ended.set()

    async def still(self) -> None:
        self.asked.set()
        if self.refusal is not None:
            raise self.refusal

    async def listen(self, request: web.Request) -> web.StreamResponse:
        if "missing" in request.query:
            raise NotFound
        return await serve(request, self.said(), still=self.still, closing=self.closing, pulse=0.02)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[aiohttp.ClientResponse]:
        app = web.Application(middlewares=[problems])
        app.router.add_get("/live", self.listen)
        async with (
            TestServer(app) as server,
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{server.port}/live") as answer,
        ):
            yield answer


async def events(answer: aiohttp.ClientResponse) -> list[str]:
    """Read until the stream ends; returns what was said, without the comments that keep it alive."""
    lines = (await answer.text()).strip().split("\n\n")
    return [line for line in lines if line and not line.startswith((":", "retry"))]


async def test_what_is_said_comes_at_once_and_in_order() -> None:
    studio = Studio()
    async with studio.opened() as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert await answer.content.readline() == b"retry: 2000\n"
        studio.heard.put_nowait("你好")
        while (line := await answer.content.readline()) != b"event: note\n":
            assert line in {b"\n", b": still here\n"}
        assert (await answer.content.readline()).decode() == 'data: {"text":"你好"}\n'
        for text in ("二", None):
            studio.heard.put_nowait(text)
        assert await events(answer) == ['event: note\ndata: {"text":"二"}']


async def test_a_session_that_was_ended_ends_its_stream() -> None:
    studio = Studio()
    async with studio.opened() as answer:
        # An outage is no refusal.
        studio.refusal = Unavailable()
        studio.asked.clear()
        await studio.asked.wait()
        studio.refusal = Forbidden()
        assert await events(answer) == ["event: over\ndata: {}"]
    await studio.ended.wait()


async def test_a_server_that_stops_lets_its_streams_go() -> None:
    studio = Studio()
    async with studio.opened() as answer:
        studio.closing.set()
        assert await events(answer) == []
    await studio.ended.wait()


async def test_a_browser_that_has_gone_ends_the_generator() -> None:
    studio = Studio()
    async with studio.opened() as answer:
        answer.close()
        assert await set_within(studio.ended, 30)


@dataclass(frozen=True)
class Caller:
    """Whoever the guard lets in."""

    scope: str | None = "somebody"


async def test_a_streaming_route_has_its_guard_and_ends_with_its_application() -> None:
    surface, studio = Surface("studio", "/studio", permissions={"hear"}), Studio()

    @surface.stream("/live", permission="hear")
    async def live(call: Caller) -> Stream:
        """What is said."""
        return studio.said()

    async def guard(request: web.Request, endpoint: Endpoint, key: str | None) -> Caller:
        assert (endpoint.permission, endpoint.writes, key) == ("hear", False, None)
        if "X-Pass" not in request.headers:
            raise Forbidden
        return Caller()

    repetitions = Repetitions(SEALER, SystemClock())
    dispatch = Dispatch(surface, guard, state=MemoryState(), repetitions=repetitions, limits=NO_LIMITS)
    server = TestServer(dispatch.application("", dict))
    await server.start_server()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
        async with http.get("/live") as refused:
            assert refused.status == 403
        async with http.get("/live", headers={"X-Pass": "1"}) as answer:
            studio.heard.put_nowait("一")
            assert await answer.content.readuntil(b"event: note\n") == b"retry: 2000\n\nevent: note\n"
            await server.close()
            assert await events(answer) == ['data: {"text":"一"}']
    await studio.ended.wait()
    described = openapi.document(surface, title="", version="", description="", always={})
    assert list(described["paths"]["/studio/live"]["get"]["responses"]["200"]["content"]) == ["text/event-stream"]


async def test_a_generator_that_fails_ends_the_stream_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    studio = Studio()
    async with studio.opened() as answer:
        studio.heard.put_nowait("boom")
        assert await events(answer) == []
        async with aiohttp.ClientSession() as http, http.get(answer.url.with_query("missing")) as refused:
            assert (refused.status, (await refused.json())["code"]) == (404, "not_found")
    assert "boom" not in capsys.readouterr().out
