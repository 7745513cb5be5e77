"""The HTTP server: callbacks, APIs, pages, health and metrics in one aiohttp application per process."""

import asyncio
import contextlib
import gc
import math
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import structlog
from aiohttp import web

import console
import miniprogram_api
from app import causes, demo_staff
from app.processes import orphaned
from app.services import Services, services
from app.settings import Settings
from bot.callback import Callback
from bot.door import IDLE_SECONDS, Doors
from kit import workdays
from kit.clock import Clock, natural_day
from kit.state import StateUnavailable
from scrm import db
from scrm.errors import Unavailable
from scrm.migrate import ensure_months, pending
from scrm.outreach.queries import oldest_pending
from web import metrics
from web.addresses import PROXIES
from web.pages import single_page

log = structlog.get_logger(__name__)

ASSETS = Path(__file__).parent.parent / "assets"
MAX_BODY = 1 << 20
SERVICES = web.AppKey("services", Services)


# Leases last six seconds; beyond this two machines would disagree about who holds one.
SKEW_SECONDS = 2.0
# Whoever watches is answered within this, whether the database is or not.
LOOK_SECONDS = 2.0


class NotReadyError(Exception):
    """This process must not start here; the message says what to do."""


class NotMigratedError(NotReadyError):
    """The database lacks migrations; the message says what to run."""


def create_app(opened: Services, callback: Callback) -> web.Application:
    """Return the application for opened services. The callback comes without middlewares: it is the hot path."""
    app = web.Application(client_max_size=MAX_BODY)
    app[SERVICES] = opened
    app[PROXIES] = opened.settings.trusted_proxies
    app.router.add_routes(callback.routes())
    app.router.add_routes(health_routes())
    if ASSETS.is_dir():
        app.router.add_static("/assets/", ASSETS)
    app.add_subapp(miniprogram_api.MOUNT, members_api(opened))
    app.add_subapp(console.MOUNT, staff_api(opened))
    settings = opened.settings
    app.router.add_routes(
        single_page("console", settings.pages / "console", https=settings.public_url.startswith("https:"))
    )
    return app


def members_api(opened: Services) -> web.Application:
    """Return the mini-program's API for opened services."""
    return miniprogram_api.create(
        directory=opened.directory,
        clients=opened.clients,
        clock=opened.clock,
        sealer=opened.sealer,
        state=opened.state,
        spawn=opened.tasks.spawn,
    )


def staff_api(opened: Services) -> web.Application:
    """Return the console's API for opened services."""
    return console.create(
        directory=opened.directory,
        clients=opened.clients,
        clock=opened.clock,
        sealer=opened.sealer,
        state=opened.state,
        public_url=opened.settings.public_url,
        database_url=opened.database_url,
        spawn=opened.tasks.spawn,
        library=opened.library,
        assistant=opened.parts.assistant,
    )


def health_routes() -> list[web.RouteDef]:
    """Return the routes for whoever watches the server."""
    return [
        web.get("/healthz", healthz, allow_head=False),
        web.get("/readyz", readyz, allow_head=False),
        web.get("/metrics", show_metrics, allow_head=False),
    ]


async def healthz(_request: web.Request) -> web.Response:
    """Alive: the process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Ready: what every push needs answers. 503 names the part that does not."""
    opened = request.app[SERVICES]
    parts: dict[str, str] = {}
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await db.fetch("SELECT 1")
        parts["database"] = "ok"
    except (Unavailable, TimeoutError):
        parts["database"] = "away"
    # Without the shared state pushes are still answered; it is shown, not required.
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await opened.state.ping()
        parts["state"] = "ok"
    except (StateUnavailable, TimeoutError):
        parts["state"] = "away"
    ready = parts["database"] == "ok"
    return web.json_response({"status": "ok" if ready else "not ready", **parts}, status=200 if ready else 503)


async def show_metrics(request: web.Request) -> web.Response:
    """Prometheus metrics of all processes of this server.

    How long messages wait is measured here and now: a worker that does not run could not tell.
    """
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            waiting = await oldest_pending(request.app[SERVICES].clock.now())
    except Exception:  # noqa: BLE001  # whatever ails the database, everything else is shown
        waiting = math.nan
    metrics.OUTBOX_AGE.set(waiting)
    body, content_type = metrics.render()
    return web.Response(body=body, headers={"Content-Type": content_type})


def check_holidays(now: datetime) -> str | None:
    """Warn where the public holidays that due dates and shifts count by are soon unknown; return the warning."""
    short = workdays.shortage(natural_day(now))
    if short:
        log.warning("holidays run out", detail=short)
    return short


async def check_ready(settings: Settings, clock: Clock) -> None:
    """Raise NotReadyError for what the open database says against starting here.

    That its clock and this machine's disagree, or that the demo's staff are in it, with their published password.
    """
    skew = await db.clock_skew(clock.now)
    if abs(skew) > SKEW_SECONDS:
        raise NotReadyError(f"this machine's clock is {skew:+.1f} s off the database's: synchronise both (NTP)")
    if not settings.demo and (logins := await demo_staff.still_open()):
        raise NotReadyError(demo_staff.complaint(logins))


async def serve(settings: Settings, database_url: str, *, reuse_port: bool = False) -> None:
    """Serve until SIGINT or SIGTERM, then finish what was accepted. Raises NotReadyError."""
    if names := await pending(database_url):
        raise NotMigratedError(causes.of_schema(names, demo=settings.demo))
    stop = asyncio.Event()
    with stopping(stop):
        async with services(settings, database_url) as opened:
            await check_ready(settings, opened.clock)
            check_holidays(opened.clock.now())
            await ensure_months(opened.clock.now().date())
            background = [
                opened.tasks.spawn(opened.directory.watch(), "directory"),
                opened.tasks.spawn(opened.library.watch(), "library"),
                opened.tasks.spawn(opened.engine.keep_leases(), "leases"),
            ]
            async with listening(
                opened, settings.host, settings.port, reuse_port=reuse_port, stop_seconds=settings.stop_seconds
            ) as port:
                # What exists by now stays: leaving it out makes a full collection a pause of microseconds, not 40 ms.
                gc.collect()
                gc.freeze()
                log.info("serving", host=settings.host, port=port)
                await stop.wait()
            await until_idle(opened, settings.stop_seconds)
            for task in background:
                task.cancel()
    log.info("stopped")


@contextlib.asynccontextmanager
async def listening(
    opened: Services, host: str, port: int, *, reuse_port: bool = False, stop_seconds: float
) -> AsyncIterator[int]:
    """Answer HTTP while the block runs; gives the port, which is the system's choice for 0.

    At the end it stops listening, then lets open requests finish: each ends within WeChat's five seconds.
    """
    callback = Callback(opened.directory, opened.engine, opened.clock, opened.sealer, opened.tasks)
    runner = web.AppRunner(
        create_app(opened, callback),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=stop_seconds,
        keepalive_timeout=IDLE_SECONDS,
    )
    await runner.setup()
    try:
        assert runner.server is not None  # noqa: S101  # it was just made
        doors = Doors(callback, runner.server, opened.clock)
        listener = await asyncio.get_running_loop().create_server(
            doors, host, port, reuse_port=reuse_port, backlog=1024
        )
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            listener.close()
            await doors.close(stop_seconds)
    finally:
        await runner.cleanup()


async def until_idle(opened: Services, seconds: float) -> None:
    """Wait until no push is being worked on, at most `seconds`; leases are still kept meanwhile."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while opened.engine.busy:  # noqa: ASYNC110  # two counters that change everywhere; once per process
                await asyncio.sleep(0.05)


async def _watch_supervisor(stop: asyncio.Event) -> None:
    while not orphaned():  # noqa: ASYNC110  # nobody tells a process that its parent was killed
        await asyncio.sleep(1)
    log.warning("the supervisor is gone, stopping")
    stop.set()


@contextlib.contextmanager
def stopping(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` on SIGINT or SIGTERM, or when our supervisor is gone, while the block runs."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watching = loop.create_task(_watch_supervisor(stop))
    try:
        yield
    finally:
        watching.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
