"""The inbox under load: a thousand open conversations, fifty staff listening, fans who write through the callback.

Measured are what the page asks for when it opens, the time from a fan's push to the last of the fifty streams, and what
a stream costs in memory. Two server processes share the connections, as NOTIFY has to reach both.
"""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import aiohttp

import scrm.points.happenings  # noqa: F401  # registers the events that rules look at
from app.settings import Settings, sealer
from bench.callback import run, settings_of
from bench.database import fresh_database
from bench.report import verdict
from bench.servers import Server, free_port, serving
from bot import timeline
from kit.clock import SystemClock
from kit.ids import key_of
from scrm import db
from scrm.accounts.models import Account
from scrm.accounts.service import add
from scrm.conversations import desk, service
from scrm.events import service as events
from scrm.members.service import ENSURE_FANS
from scrm.staff import roles
from scrm.staff import service as staff
from scrm.staff.audit import COMMAND_LINE
from scrm.staff.passwords import Passwords
from scrm.staff.service import Given

APPID, TOKEN = "wxbenchinbox00001", "benchtoken"
PASSWORD = "bench-inbox-2026"  # noqa: S105  # of a database that lives for a minute
CONVERSATIONS, STAFF, EXTRA = 1000, 50, 450
OPEN_MS, LIVE_MS = 300.0, 1000.0
T = TypeVar("T")

assert timeline.TITLES  # importing it registers the kinds of what fans do


@dataclass(slots=True)
class Member:
    """One of the staff at a browser."""

    login: str
    cookie: str = ""
    csrf: str = ""
    heard: dict[int, float] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """Cookie, and an address of their own, as people have."""
        return {
            "Cookie": f"fensi_staff={self.cookie}",
            "X-CSRF-Token": self.csrf,
            "X-Forwarded-For": f"10.1.0.{int(self.login[5:]) + 1}",
        }


async def prepare(settings: Settings, url: str, count: int) -> tuple[int, int]:
    """Make the brand, its staff with seats, and conversations that they have; return (brand, account)."""
    now, passwords = SystemClock().now(), Passwords()
    async with db.database(url, pool=10):
        account_id = await add(
            sealer(settings), kind="service", name="会话", appid=APPID, secret="0" * 32, token=TOKEN, aes_key=None,
            mode="plain", now=now,
        )  # fmt: skip
        brand_id = int((await Account.get(id=account_id)).brand_id)
        role = await roles.role_by_code("supervisor")
        ids = []
        for n in range(STAFF):
            given = Given(f"客服{n}", role.id, [brand_id])
            made, _ = await staff.add(
                passwords, COMMAND_LINE, by=None, login=f"bench{n}", given=given, now=now, password=PASSWORD
            )
            await desk.set_seat(brand_id=brand_id, staff_id=made, capacity=0)
            ids.append(made)
        async with db.connection() as raw:
            await raw.execute(ENSURE_FANS, [account_id] * count, [f"asker{n:05}" for n in range(count)], now)
            await raw.execute("UPDATE fan SET following = true")
            fans = await raw.fetch("SELECT id, member_id FROM fan ORDER BY id")

        async def converse(n: int) -> None:
            fan = fans[n]
            await events.append(
                key=key_of("bench", n), kind="wechat.text", occurred_at=now,
                recorded_at=now, member_id=fan["member_id"], account_id=account_id, fan_id=fan["id"],
                payload={"content": f"请问第 {n} 号订单什么时候发货"},
            )  # fmt: skip
            handed = await service.request_person(fan_id=fan["id"], reason="asked", now=now, asked_by=key_of("ask", n))
            if n % 10:  # every tenth still waits
                owner = ids[n % STAFF]
                await service.pull(conversation_id=handed.conversation_id, brand_id=brand_id, staff_id=owner, now=now)

        await each(range(count), converse, at_once=8)
        await db.fetch("ANALYZE")
    return brand_id, account_id


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do something with each, so many at once."""
    places = asyncio.Semaphore(at_once)

    async def one(item: T) -> None:
        async with places:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))


async def sign_in(http: aiohttp.ClientSession, member: Member) -> None:
    """Sign in as a browser does."""
    body = {"login": member.login, "password": PASSWORD}
    async with http.post("/api/console/sign-in", json=body, headers=member.headers | {"Cookie": ""}) as answer:
        assert answer.status == 200, await answer.text()
        member.cookie, member.csrf = answer.cookies["fensi_staff"].value, (await answer.json())["csrf"]


async def opens(http: aiohttp.ClientSession, member: Member, brand_id: int) -> float:
    """Ask for what the page asks for when it opens; return the milliseconds until all of it is there."""
    began = perf_counter()

    async def read(method: str, path: str, body: dict[str, object] | None = None) -> None:
        async with http.request(method, f"/api/console/{path}", json=body, headers=member.headers) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()

    async with asyncio.TaskGroup() as group:
        group.create_task(read("POST", "inbox/search", {"brand": brand_id, "view": "all", "limit": 50}))
        for path in ("inbox/counts", "inbox/desk"):
            group.create_task(read("GET", f"{path}?brand={brand_id}"))
    return (perf_counter() - began) * 1000


async def listen(http: aiohttp.ClientSession, member: Member, brand_id: int, ready: asyncio.Semaphore) -> None:
    """Keep a stream open and note when each conversation's message came."""
    url = f"/api/console/live?brand={brand_id}"
    async with http.get(url, headers=member.headers, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        assert answer.status == 200, await answer.text()
        name = ""
        async for raw in answer.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
                if name == "beat":
                    ready.release()
            elif line.startswith("data: ") and name == "happened":
                told = json.loads(line[6:])
                if told["kind"] == "message":
                    member.heard.setdefault(told["conversation"], perf_counter())


async def writes(http: aiohttp.ClientSession, account_id: int, n: int) -> float:
    """Let a fan write, as WeChat pushes it; return when it set out."""
    stamp, nonce = str(int(SystemClock().now().timestamp())), str(n)
    signature = hashlib.sha1("".join(sorted([TOKEN, stamp, nonce])).encode()).hexdigest()  # noqa: S324  # WeChat's
    body = (
        f"<xml><ToUserName><![CDATA[gh_bench]]></ToUserName><FromUserName><![CDATA[asker{n:05}]]></FromUserName>"
        f"<CreateTime>{stamp}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[还在吗]]></Content>"
        f"<MsgId>{9_000_000_000 + n}</MsgId></xml>"
    )
    began = perf_counter()
    query = {"signature": signature, "timestamp": stamp, "nonce": nonce}
    async with http.post(f"/wechat/{account_id}", params=query, data=body.encode()) as answer:
        assert answer.status == 200, await answer.text()
    return began


def percentile(values: list[float], share: float) -> float:
    """Return the value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds of opening and of live updates; kilobytes of a stream, all servers together."""

    opening: list[float]
    live: list[float]
    lost: int
    stream_kb: float


async def measure(server: Server, url: str, brand_id: int, account_id: int, messages: int) -> Measured:
    """Open the inbox as everybody, listen as everybody, let fans write, and weigh the streams."""
    members = [Member(f"bench{n}") for n in range(STAFF)]
    connector = aiohttp.TCPConnector(limit=0)
    address = f"http://127.0.0.1:{server.port}"
    async with (
        aiohttp.ClientSession(address, connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http,
        db.database(url, pool=2),
        asyncio.TaskGroup() as streams,
    ):
        await each(members, lambda one: sign_in(http, one), at_once=3)
        for member in members[:10]:
            await opens(http, member, brand_id)  # warms pools and plans
        opening = [await opens(http, member, brand_id) for _ in range(2) for member in members]
        ready = asyncio.Semaphore(0)
        listening = [streams.create_task(listen(http, one, brand_id, ready)) for one in members]
        for _ in members:
            await ready.acquire()
        rows = await db.fetch("SELECT id FROM conversation ORDER BY fan_id")
        sent: dict[int, float] = {}
        for n in range(messages):  # twenty a second, as of a busy campaign
            sent[rows[n]["id"]] = await writes(http, account_id, n)
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.5)
        live = [(one.heard[c] - at) * 1000 for one in members for c, at in sent.items() if c in one.heard]
        before = sum(server.memory_mb())
        listening += [
            streams.create_task(
                listen(http, Member(members[n % STAFF].login, members[n % STAFF].cookie), brand_id, ready)
            )
            for n in range(EXTRA)
        ]
        for _ in range(EXTRA):
            await ready.acquire()
        grown = sum(server.memory_mb()) - before
        for task in listening:
            task.cancel()
    return Measured(opening, live, STAFF * len(sent) - len(live), grown * 1024 / EXTRA)


def main(*, quick: bool) -> None:
    """Run the benchmark and print its numbers and its verdict."""
    count, messages = (CONVERSATIONS // 4, 50) if quick else (CONVERSATIONS, 200)
    with tempfile.TemporaryDirectory(prefix="fensi-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        url = stack.enter_context(fresh_database(folder))
        brand_id, account_id = run(prepare(Settings(var=folder, database_url=url), url, count))
        port = free_port()
        server = stack.enter_context(
            serving(
                ["app", "serve", "--workers", "2", "--port", str(port)],
                port=port,
                log=folder / "server.log",
                environment=settings_of(folder, url),
            )
        )
        found = run(measure(server, url, brand_id, account_id, messages))
    opening, live = percentile(found.opening, 0.99), percentile(found.live, 0.99)
    print(f"{count} open conversations, {STAFF} staff listening at 2 processes, {messages} messages")
    print(f"inbox opens   p50 {percentile(found.opening, 0.5):6.0f} ms  p99 {opening:6.0f} ms")
    print(f"live update   p50 {percentile(found.live, 0.5):6.0f} ms  p99 {live:6.0f} ms  lost {found.lost}")
    print(f"a stream costs {found.stream_kb:.0f} kB of the servers' memory")
    print(verdict("inbox-open", OPEN_MS / opening, 1))
    print(verdict("inbox-live", 0 if found.lost else LIVE_MS / live, 1))
    print(verdict("inbox", 0 if found.lost else min(OPEN_MS / opening, LIVE_MS / live), 1))
