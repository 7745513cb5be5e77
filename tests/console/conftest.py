"""The console over real HTTP on a clock that is moved: people of two brands, and browsers that speak its API."""

import json
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from argon2 import PasswordHasher

import console
from app.services import Services
from bot.router import NO_PARTS, Parts
from console.surface import COOKIE, CSRF_HEADER
from kit.clock import ManualClock
from kit.memory_state import MemoryState
from scrm import db as scrm_db
from scrm.assistant.answering import Assistant
from scrm.staff import roles, service
from scrm.staff.audit import COMMAND_LINE
from scrm.staff.passwords import Passwords
from scrm.staff.service import Given
from tests.api.conftest import NO_LIMITS
from tests.bot.house import House

PASSWORD = "qingyu-2026-tea"
_serial = count(1)


class CountingHasher(PasswordHasher):
    """As cheap as argon2 can be, and telling how often a password was looked at."""

    looked = 0

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # argon2's own name
        self.looked += 1
        return super().verify(hash, password)


@dataclass
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(repr=False)

    @property
    def code(self) -> str | None:
        """The code of a problem document."""
        found: str | None = self.body["code"] if self.status >= 400 else None
        return found

    @property
    def said(self) -> tuple[int, str | None]:
        """Status and code."""
        return self.status, self.code


class Browser:
    """Somebody at a browser: keeps the cookie, and the CSRF token as the page does."""

    def __init__(self, office: "Office", login: str = "") -> None:
        self.office, self.login = office, login
        self.cookie = self.csrf = ""

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        sent = {"User-Agent": "Mozilla/5.0 (X11; Linux) Chrome/140.0", **headers}
        if method != "GET":
            sent.setdefault(CSRF_HEADER, self.csrf)
        if key is not None:
            sent["Idempotency-Key"] = key
        if self.cookie:
            sent["Cookie"] = f"{COOKIE}={self.cookie}"
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.office.address}{path}"
        async with self.office.http.request(method, url, data=data, headers=sent) as answer:
            text = await answer.text()
            assert answer.status < 500, text
            assert answer.headers["Cache-Control"] == "no-store"
            if (morsel := answer.cookies.get(COOKIE)) is not None:
                self.cookie = morsel.value
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
                assert any(letter > "\x7f" for letter in json.loads(text)["title"]), "a sentence in Chinese"
            body = text if answer.content_type == "text/csv" else json.loads(text) if text else None
            return Answer(answer.status, body, answer.headers)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.call("POST", path, body, **more)

    async def try_in(self, password: str = PASSWORD, **more: Any) -> Answer:
        answer = await self.post("/sign-in", {"login": self.login, "password": password}, **more)
        if answer.status == 200:
            self.csrf = answer.body["csrf"]
        return answer

    async def sign_in(self, password: str = PASSWORD) -> "Browser":
        assert (await self.try_in(password)).status == 200
        return self

    async def me(self) -> int:
        found: int = (await self.get("/me")).body["id"]
        return found


@dataclass
class Office:
    """The console of a house with two brands, 青屿 and 白露."""

    house: House
    services: Services
    http: aiohttp.ClientSession
    clock: ManualClock
    hasher: CountingHasher
    passwords: Passwords
    address: str
    brands: tuple[int, int]

    def browser(self, login: str = "") -> Browser:
        return Browser(self, login)

    async def person(
        self,
        role: str = "admin",
        brands: Collection[int] | None = None,
        *,
        permissions: Collection[str] | None = None,
        first: bool = False,
    ) -> Browser:
        """Make somebody; `permissions`: of a role of their own; `first`: signed in with a password to change."""
        n = next(_serial)
        role_id = await self.role(permissions) if permissions is not None else (await roles.role_by_code(role)).id
        given = Given(f"员工{n}", role_id, brands)
        made = {} if first else {"password": PASSWORD}
        _, password = await service.add(
            self.passwords, COMMAND_LINE, by=None, login=f"staff{n}", given=given, now=self.clock.now(), **made
        )
        browser = self.browser(f"staff{n}")
        if first:
            await browser.sign_in(password)
        return browser

    async def signed_in(self, role: str = "admin", brands: Collection[int] | None = None, **more: Any) -> Browser:
        return await (await self.person(role, brands, **more)).sign_in()

    async def role(self, permissions: Collection[str]) -> int:
        """Make a role of the house, by hand: nobody holds it yet who could."""
        row = await self.rows(
            "INSERT INTO role (name, permissions, created_at) VALUES ($1, $2::jsonb, $3) RETURNING id",
            f"角色{next(_serial)}",
            json.dumps(sorted(permissions)),
            self.clock.now(),
        )
        found: int = row[0]["id"]
        return found

    async def rows(self, sql: str, *values: object) -> list[Any]:
        async with scrm_db.connection() as raw:
            return list(await raw.fetch(sql, *values))

    async def trail(self) -> list[tuple[str, str]]:
        """Return (action, who) of the whole audit trail, in order."""
        return [(row["action"], row["staff_name"]) for row in await self.rows("SELECT * FROM audit ORDER BY id")]


async def open_office(
    house: House,
    http: aiohttp.ClientSession,
    clock: ManualClock,
    public_url: str = "http://127.0.0.1:8300",
    wechat_url: str = "http://127.0.0.1:9",
    assistant: Assistant | None = None,
    parts: Parts = NO_PARTS,
) -> tuple[Office, TestServer]:
    """Serve the console alone, for what a test wants to be different."""
    services = (await house.server(wechat_url=wechat_url, parts=parts)).services
    hasher = CountingHasher()
    passwords = Passwords(hasher)
    app = web.Application()
    app.add_subapp(
        console.MOUNT,
        console.create(
            directory=services.directory,
            clients=services.clients,
            clock=clock,
            sealer=services.sealer,
            state=MemoryState(lambda: clock.now().timestamp()),
            public_url=public_url,
            database_url=house.url,
            spawn=services.tasks.spawn,
            assistant=assistant or services.parts.assistant,
            passwords=passwords,
            library=services.library,
            limits=NO_LIMITS,
        ),
    )
    server = TestServer(app)
    await server.start_server()
    first, second = [
        (await scrm_db.fetch("INSERT INTO brand (name, created_at) VALUES ($1, now()) RETURNING id", name))[0]["id"]
        for name in (f"青屿{next(_serial)}", f"白露{next(_serial)}")
    ]
    address = f"http://127.0.0.1:{server.port}{console.MOUNT}"
    return Office(house, services, http, clock, hasher, passwords, address, (first, second)), server


@pytest.fixture
async def office(database_url: str, clock: ManualClock) -> AsyncIterator[Office]:
    """The console of a house with two brands."""
    async with (
        scrm_db.database(database_url, pool=6),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        house = House(database_url, clock, http)
        opened, server = await open_office(house, http, clock)
        try:
            yield opened
        finally:
            await server.close()
            await house.close()
