"""Processes of ours inside a test: composed as app/services.py does, each with its own pool, engine and port."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import aiohttp

from app.server import listening
from app.services import Services
from app.settings import Settings
from bot.directory import Directory
from bot.engine import Engine
from bot.recovery import resume_abandoned, send_owed
from bot.router import NO_PARTS, Dispatcher, Parts, Router
from gateways.wechat.clients import WeChatClients
from gateways.wechat.messenger import WeChatMessenger
from handlers import ROUTERS
from handlers.fallback import APOLOGY
from kit.clock import Clock
from kit.ids import key_of
from kit.memory_state import MemoryState
from kit.seal import Sealer
from kit.tasks import Tasks
from scrm import db
from scrm.accounts.service import add
from scrm.assistant.retrieval import Library
from scrm.members.queries import FanView, fan_of
from scrm.replies.service import set_rule
from tests.bot.platform import Account, Push
from worker.outbox import OutboxWorker

T = TypeVar("T")
_numbers = itertools.count(1)
# A budget in seconds that is over soon, in which a busy machine still accepts a push.
BRIEF = 1.5
SECRET_KEY = "the key of the tests, long enough"
TOKEN = "callbacktoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@contextlib.asynccontextmanager
async def composed(
    url: str,
    clock: Clock,
    *,
    routers: Iterable[Router],
    budget: float,
    patience: float,
    wechat_url: str,
    pool: int,
    parts: Parts = NO_PARTS,
) -> AsyncIterator[Services]:
    """Open what a server works with. Differs from app.services in what a test hands in: clock, handlers."""
    settings = Settings(
        _env_file=None, var=Path("/nonexistent"), database_url=url, secret_key=SECRET_KEY, wechat_url=wechat_url
    )
    async with db.database(url, pool=pool), aiohttp.ClientSession() as session:
        tasks, state, sealer = Tasks(), MemoryState(), Sealer(SECRET_KEY)
        clients = WeChatClients(session, state, clock=clock, tasks=tasks, base_url=wechat_url)
        directory = Directory(sealer)
        await directory.refresh()
        engine = Engine(
            Dispatcher(routers), clock, tasks, apology=APOLOGY, budget=budget, patience=patience, parts=parts
        )
        messenger, library = WeChatMessenger(clients), Library(tasks)
        yield Services(
            settings, url, clock, sealer, tasks, state, clients, messenger, directory, engine, library, parts=parts
        )
        await tasks.drain(5)


class Server:
    """One process: it lives in a task of its own, so that it shares no context with any other."""

    def __init__(self, opening: contextlib.AbstractAsyncContextManager[Services]) -> None:
        self._opening = opening
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())
        self.services: Services
        self.address = ""

    async def _run(self) -> None:
        try:
            async with (
                self._opening as self.services,
                listening(self.services, "127.0.0.1", 0, stop_seconds=1) as port,
            ):
                self.address = f"http://127.0.0.1:{port}"
                self._ready.set_result(None)
                await self._stop.wait()
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise

    async def ready(self) -> "Server":
        await self._ready
        return self

    async def stop(self) -> None:
        """Stop in good order: what was accepted is finished."""
        self._stop.set()
        await self._task

    async def die(self) -> None:
        """Drop everything, as a killed process does: nobody renews, finishes or gives back anything."""
        for task in list(self.services.tasks._running):
            task.cancel()
        await self.stop()

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something inside this process, with its database."""
        return await self.services.tasks.spawn(work, "test")

    async def refresh(self) -> None:
        """Look at the accounts and rules again, as the server does every second."""
        await self.call(self.services.directory.refresh())

    async def idle(self, within: float = 20) -> None:
        """Wait until every push this process works on has come to its end."""
        async with asyncio.timeout(within):
            while working := [task for task in self.services.tasks._running if task.get_name() == "push"]:
                await asyncio.wait(working)

    async def send_owed(self) -> int:
        """Look for answers that no request carried, as a worker does."""
        return await self.call(send_owed(self.services.clock))

    async def recover(self) -> int:
        """Look for pushes that somebody left behind, as a worker does."""
        mine = self.services
        started = await self.call(resume_abandoned(mine.directory, mine.engine, mine.clock, mine.tasks))
        if started:
            await asyncio.wait(started)
        return len(started)


class _Unobserved:
    def delivered(self, outcome: str, seconds: float) -> None: ...
    def recovered(self, given_back: int, unknown: int) -> None: ...


async def until(condition: Callable[[], Awaitable[object]], within: float = 20) -> None:
    """Wait until something shows that announces itself to nobody, such as a row written by another process."""
    async with asyncio.timeout(within):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.005)


class House:
    """Servers on one database, and the accounts they serve."""

    def __init__(self, url: str, clock: Clock, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.clock = clock
        self._http = http
        self._servers: list[Server] = []

    async def server(
        self,
        *routers: Router,
        budget: float = 4.5,
        patience: float = 60,
        wechat_url: str = "http://127.0.0.1:9",
        url: str | None = None,
        pool: int = 5,
        parts: Parts = NO_PARTS,
    ) -> Server:
        """Start a process. Without `routers` it has the real ones."""
        opening = composed(
            url or self.url,
            self.clock,
            routers=routers or ROUTERS,
            budget=budget,
            patience=patience,
            wechat_url=wechat_url,
            pool=pool,
            parts=parts,
        )
        server = Server(opening)
        self._servers.append(server)
        return await server.ready()

    async def close(self) -> None:
        for server in self._servers:
            await server.stop()

    async def account(
        self,
        kind: str = "service",
        *,
        mode: str = "safe",
        fmt: str = "xml",
        verified: bool = True,
        appid: str | None = None,
        aes_key: str | None = AES_KEY,
    ) -> Account:
        """Add an account, here and at the platform."""
        appid = appid or f"wx{next(_numbers):016x}"
        account_id = await add(
            Sealer(SECRET_KEY),
            kind=kind,
            name="测试号",
            appid=appid,
            secret="appsecret",
            token=TOKEN,
            aes_key=aes_key,
            mode=mode,
            verified=verified,
            now=self.clock.now(),
        )
        return Account(account_id, appid, TOKEN, aes_key or "", mode, fmt, self.clock, self._http)

    async def rule(self, account: Account, match: str, pattern: str, answer: str | Mapping[str, Any]) -> None:
        reply = {"type": "text", "content": answer} if isinstance(answer, str) else dict(answer)
        await set_rule(account_id=account.id, match=match, pattern=pattern, reply=reply, now=self.clock.now())

    async def fan(self, account: Account, openid: str) -> FanView | None:
        return await fan_of(account.id, openid)

    async def events(self, account: Account) -> list[tuple[str, dict[str, Any]]]:
        """Return (kind, payload) of all that happened at an account, in the order it was stored."""
        rows = await self.rows("SELECT kind, payload FROM event WHERE account_id = $1 ORDER BY id", account.id)
        return [(row["kind"], db_json(row["payload"])) for row in rows]

    async def kinds(self, account: Account) -> list[str]:
        return [kind for kind, _ in await self.events(account)]

    async def outbox(self, account: Account) -> list[dict[str, Any]]:
        """Return the bodies on their way to fans of an account, in order."""
        rows = await self.rows("SELECT body FROM outbox WHERE account_id = $1 ORDER BY id", account.id)
        return [db_json(row["body"]) for row in rows]

    async def push(self, push: Push) -> dict[str, Any]:
        """Return the stored row of a push."""
        (row,) = await self.rows("SELECT * FROM push WHERE key = $1", self.key(push))
        return {**row, "answer": db_json(row["answer"])}

    def key(self, push: Push) -> UUID:
        """Return the key under which a message with a MsgId is accepted."""
        return key_of("push", push.account.id, f"{push.body['FromUserName']}:{push.body['MsgId']}")

    async def stored(self, account: Account, count: int) -> None:
        """Wait until so many pushes of an account have been accepted."""

        async def enough() -> bool:
            return len(await self.rows("SELECT 1 FROM push WHERE account_id = $1", account.id)) >= count

        await until(enough)

    async def notify(self) -> None:
        """Wake whoever delivers the outbox, as time does once a second."""
        async with db.connection() as raw:
            await raw.execute("NOTIFY fensi_outbox")

    async def rows(self, sql: str, *args: object) -> list[dict[str, Any]]:
        return [dict(row) for row in await db.fetch(sql, *args)]

    @contextlib.asynccontextmanager
    async def delivering(self, server: Server) -> AsyncIterator[None]:
        """Deliver the outbox with the worker's own machine while the block runs."""
        mine, stop = server.services, asyncio.Event()

        async def work() -> None:
            worker = OutboxWorker(
                self.url, mine.messenger, mine.directory.accounts, mine.clock, mine.tasks, _Unobserved()
            )
            await worker.run(stop)

        running = mine.tasks.spawn(work(), "outbox")
        try:
            yield
        finally:
            stop.set()
            await running


def db_json(value: str | None) -> Any:
    """Read a jsonb column as asyncpg gives it."""
    return None if value is None else json.loads(value)
