"""Wiring: everything a process of ours needs, opened in order and closed in reverse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from app.assistant import Moderation, compose, embedder_of, open_model
from app.settings import Settings, sealer
from bot.directory import Directory
from bot.engine import Engine
from bot.router import NO_PARTS, Dispatcher, Parts
from gateways.llm.client import LLMClient
from gateways.wechat.clients import WeChatClients
from gateways.wechat.messenger import WeChatMessenger
from handlers import ROUTERS
from handlers.fallback import APOLOGY
from kit.clock import Clock, SystemClock
from kit.memory_state import MemoryState
from kit.seal import Sealer
from kit.state import SharedState
from kit.tasks import Tasks
from scrm import db
from scrm.assistant.ports import Embedder
from scrm.assistant.retrieval import Library
from web import metrics


class _Counted:
    """Counts what the WeChat gateway reports."""

    def on_call(self, account_id: int, path: str, outcome: str, seconds: float) -> None:
        metrics.API_CALLS.labels(path, outcome).inc()

    def on_token_refresh(self, account_id: int, forced: bool) -> None:
        metrics.TOKEN_REFRESHES.labels(str(account_id), str(forced).lower()).inc()

    def on_alert(self, account_id: int, errcode: int) -> None:
        metrics.WECHAT_ALERTS.labels(str(account_id), str(errcode)).inc()


@dataclass(frozen=True, slots=True)
class Services:
    """What a process works with."""

    settings: Settings
    database_url: str
    clock: Clock
    sealer: Sealer
    tasks: Tasks
    state: SharedState
    clients: WeChatClients
    messenger: WeChatMessenger
    directory: Directory
    engine: Engine
    library: Library
    model: LLMClient | None = None
    # Set where a model for embeddings is configured.
    embedder: Embedder | None = None
    parts: Parts = NO_PARTS


def shared_state(redis_url: str | None) -> SharedState:
    """Return what processes share: Redis, or without one a memory of this process alone."""
    if not redis_url:
        return MemoryState()
    from gateways.redis_state import RedisState  # 20 MB that a process without Redis has no use for

    return RedisState(redis_url)


@asynccontextmanager
async def services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    """Open everything for as long as the block runs. At its end, work that was accepted is finished first."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(db.database(database_url, pool=settings.database_pool))
        clock, seal = SystemClock(), sealer(settings)
        tasks = Tasks()
        state = shared_state(settings.redis_url)
        stack.push_async_callback(state.close)
        # No cookies: the platform's belong to a browser, and would be mixed between accounts.
        session = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True)
        )
        clients = WeChatClients(
            session, state, clock=clock, tasks=tasks, base_url=settings.wechat_url, observer=_Counted()
        )
        directory = Directory(seal, window=settings.wechat_window)
        await directory.refresh()
        model = await open_model(settings, stack)
        embedder = embedder_of(model)
        library = Library(tasks, embedder=embedder)
        await library.refresh()
        moderation = Moderation(clients, lambda account_id: directory.accounts().get(account_id))
        parts = Parts(assistant=compose(settings, clock, model=model, knowledge=library, moderation=moderation))
        engine = Engine(Dispatcher(ROUTERS), clock, tasks, apology=APOLOGY, budget=settings.reply_budget, parts=parts)
        stack.push_async_callback(tasks.drain, settings.stop_seconds)
        yield Services(
            settings=settings,
            database_url=database_url,
            clock=clock,
            sealer=seal,
            tasks=tasks,
            state=state,
            clients=clients,
            messenger=WeChatMessenger(clients),
            directory=directory,
            engine=engine,
            library=library,
            model=model,
            embedder=embedder,
            parts=parts,
        )
