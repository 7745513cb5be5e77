"""What the commands of `fensi` do: settings in, one function of the house called, the outcome printed."""

import argparse
import asyncio
import contextlib
import errno
import getpass
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from app import causes, embedded, logs
from app.processes import SUPERVISOR, Child, Processes
from app.settings import Settings, SettingsError, data_folder, environment, here
from kit.clock import SystemClock
from scrm import db

T = TypeVar("T")
ROOT = Path(__file__).parent.parent


class CommandError(Exception):
    """A command could not do its work; the message is for the person who typed it."""


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def prepare(settings: Settings, url: str) -> None:
    """Make the embedded database, and bring it to the present schema: it is ours alone, so nobody is asked.

    A database of somebody else's is left as it is; raises CommandError when it does not answer.
    """
    from scrm.migrate import migrate as bring_up

    if settings.database_url is None:
        await embedded.ensure_exists(url)
        await bring_up(url)
    else:
        await _reach(url)


async def _reach(url: str) -> None:
    try:
        async with db.database(url, pool=2):
            return
    except Exception as error:  # noqa: BLE001  # refused, unknown, wrong password, no such database: a class each
        said = causes.of_database(error, db.credentials(url)["database"])
        raise CommandError(f"FENSI_DATABASE_URL: {said}") from None


def serve(settings: Settings, given: argparse.Namespace) -> int:
    """Serve in one process, or in several that share the port."""
    port = settings.port if given.port is None else given.port
    changes: dict[str, object] = {"port": port, "host": given.host or settings.host}
    if "public_url" not in settings.model_fields_set:
        changes["public_url"] = here(port)
    settings = settings.model_copy(update=changes)
    logs.configure(settings)
    with embedded.database_url(settings) as url:
        from app.server import NotReadyError
        from app.server import serve as serve_here

        async def run() -> None:
            await prepare(settings, url)
            await serve_here(settings, url, reuse_port=given.shared_port)

        try:
            if given.workers > 1:
                return _serve_many(settings, url, given.workers)
            run_async(run())
        except NotReadyError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    return 0


def _serve_many(settings: Settings, url: str, count: int) -> int:
    if settings.port == 0:
        raise CommandError("--port: several processes need a port that is not 0")
    check_free(settings.host, settings.port)
    # Said once, here; each of the children would say it anew, and be started again.
    run_async(_check_ready(settings, url))
    with tempfile.TemporaryDirectory(prefix="fensi-metrics-") as folder:
        # prometheus-client adds the numbers of all processes up through files in this folder.
        variables = environment(settings) | {"PROMETHEUS_MULTIPROC_DIR": folder}
        arguments = ["app", "serve", "--shared-port"]
        children = [Child(f"server {n + 1}", arguments, variables) for n in range(count)]
        return Processes(children, 2 * settings.stop_seconds + 10).run()


async def _check_ready(settings: Settings, url: str) -> None:
    from app.server import check_ready

    await prepare(settings, url)
    await check_migrated(settings, url)
    async with db.database(url, pool=2):
        await check_ready(settings, SystemClock())


def check_free(host: str, port: int) -> None:
    """Raise CommandError when somebody listens there already: processes that share a port would just join them."""
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        running = "; is it running already?" if error.errno == errno.EADDRINUSE else ""
        raise CommandError(f"cannot listen on {host}:{port}: {error.strerror}{running}") from None


def worker(settings: Settings, _given: argparse.Namespace) -> int:
    """Run the worker until told to stop."""
    logs.configure(settings)
    from app.background import work
    from app.server import NotReadyError

    with embedded.database_url(settings) as url:

        async def run() -> None:
            await prepare(settings, url)
            await work(settings, url)

        try:
            run_async(run())
        except NotReadyError as error:
            raise CommandError(str(error)) from None
    return 0


def migrate(settings: Settings, _given: argparse.Namespace) -> int:
    """Apply what is missing, naming each."""
    from scrm.migrate import migrate as bring_up

    with embedded.database_url(settings) as url:

        async def run() -> int:
            if settings.database_url is None:
                await embedded.ensure_exists(url)
            else:
                await _reach(url)
            return await bring_up(url, lambda event, _, name: print(f"{event.replace('_', ' ')}: {name}"))

        applied = run_async(run())
    print(f"{applied} migrations applied" if applied else "the database is at the present schema")
    return 0


def migration(_settings: Settings, given: argparse.Namespace) -> int:
    """Write the next migration and the SQL it runs."""
    from scrm.migrate import SNAPSHOTS, drift, sql_of

    if not drift():
        print("the models declare nothing that the migrations lack")
        return 0
    before = set((ROOT / "migrations").glob("*.py"))
    subprocess.run([sys.executable, "-m", "tortoise", "makemigrations", "--name", given.name], cwd=ROOT, check=True)  # noqa: S603  # tortoise's own command
    for path in set((ROOT / "migrations").glob("*.py")) - before:
        (SNAPSHOTS / f"{path.stem}.sql").write_text(run_async(sql_of(path.stem)))
        print(f"written: {path.name} and its SQL; read both before you commit them")
    return 0


def demo(settings: Settings, given: argparse.Namespace) -> int:
    """Start the demo."""
    from app.demo import run_demo

    return run_demo(settings, wait=not given.no_wait)


def doctor(settings: Settings, _given: argparse.Namespace) -> int:
    """Print a line for every check; non-zero when something is wrong."""
    from app.doctor import examine

    with contextlib.ExitStack() as stack:
        url, trouble = None, ""
        try:
            url = stack.enter_context(embedded.database_url(settings))
        except (SettingsError, embedded.EmbeddedError) as error:
            trouble = str(error)
        findings = run_async(examine(settings, url, trouble))
    for finding in findings:
        print(f"{'ok' if finding.fine else '!!'}  {finding.text}")
    return 0 if all(finding.fine for finding in findings) else 1


def routes(settings: Settings, _given: argparse.Namespace) -> int:
    """List method, path and the first line of what answers."""
    from app.openapi import described_routes, surface_routes

    for method, path, summary in [*described_routes(settings), *surface_routes()]:
        print(f"{method:6} {path:32} {summary}")
    return 0


def openapi(settings: Settings, given: argparse.Namespace) -> int:
    """Write the OpenAPI documents, or compare them with what is committed."""
    from app.openapi import documents

    for name, content in documents(settings).items():
        path = ROOT / "docs" / "openapi" / f"{name}.json"
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        if given.check:
            if not path.exists() or path.read_text() != text:
                raise CommandError(f"{path.relative_to(ROOT)} is out of date: run `make openapi`")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"written: {path.relative_to(ROOT)}")
    return 0


def simulate(settings: Settings, given: argparse.Namespace) -> int:
    """Become the simulator."""
    data_folder(settings)
    port = settings.simulator_port if given.port is None else given.port
    arguments = [f"--port={port}", "--pages", str(settings.pages / "phone")]
    arguments += ["--state", str(given.state or settings.var / "simulator.json")]
    if SUPERVISOR in os.environ:
        arguments.append("--with-parent")
    os.execv(sys.executable, [sys.executable, "-m", "simulator", *arguments])  # noqa: S606  # no shell in between


async def check_migrated(settings: Settings, url: str) -> None:
    """Raise CommandError when the database lacks migrations."""
    from scrm.migrate import pending

    if names := await pending(url):
        raise CommandError(causes.of_schema(names, demo=settings.demo))


def in_database(settings: Settings, work: Any) -> Any:
    """Run `work(url)` with the database open and present."""
    with embedded.database_url(settings) as url:

        async def run() -> Any:
            await prepare(settings, url)
            await check_migrated(settings, url)
            async with db.database(url, pool=2):
                return await work()

        return run_async(run())


def secret(name: str, given: str | None) -> str | None:
    """Return what was given, or for `-` what is typed or piped: a command line is seen by others in `ps`."""
    if given != "-":
        return given
    return getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def channels_add(settings: Settings, given: argparse.Namespace) -> int:
    """Make a channel here and its code at WeChat."""
    from app.wechat import create_code

    channel = run_async_with_services(
        settings,
        lambda opened: create_code(
            opened, account_id=given.account, scene=given.scene, name=given.name, cost_fen=given.cost_fen
        ),
    )
    print(f"channel {channel.id} “{channel.name}”: {channel.url}")
    return 0


def channels_list(settings: Settings, given: argparse.Namespace) -> int:
    """List channels with their counts of persons."""
    from scrm.accounts.models import Account
    from scrm.channels.queries import ChannelCount, counts
    from scrm.errors import NotFound

    async def work() -> list[ChannelCount]:
        if not (0 < given.account < 1 << 63 and await Account.exists(id=given.account)):
            raise NotFound("没有这个账号", field="account")
        return await counts(given.account)

    rows = in_database(settings, work)
    print(f"{'scene':20} {'touched':>8} {'followed':>8} {'net':>6}  name")
    for row in rows:
        print(f"{row.scene:20} {row.touched:>8} {row.followed:>8} {row.net:>6}  {row.name}")
    return 0


def menus_publish(settings: Settings, given: argparse.Namespace) -> int:
    """Tell WeChat the menu."""
    from app.wechat import publish_menu

    buttons = None
    if given.file:
        try:
            buttons = json.loads(Path(given.file).read_text())["button"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandError(f"--file: {given.file} is no menu ({type(error).__name__})") from None
    run_async_with_services(settings, lambda opened: publish_menu(opened, account_id=given.account, buttons=buttons))
    print("published; phones show it within five minutes")
    return 0


def run_async_with_services(settings: Settings, work: Any) -> Any:
    """Run `work(services)` with everything open."""
    from app.services import services

    with embedded.database_url(settings) as url:

        async def run() -> Any:
            await prepare(settings, url)
            await check_migrated(settings, url)
            async with services(settings, url) as opened:
                return await work(opened)

        return run_async(run())
