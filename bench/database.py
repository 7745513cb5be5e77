"""A migrated database of a benchmark's own: in FENSI_BENCH_DATABASE_URL's server, else in an embedded one."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from app import embedded
from app.settings import Settings
from scrm.db import credentials
from scrm.migrate import migrate


@contextlib.contextmanager
def fresh_database(var: Path) -> Iterator[str]:
    """Give the URL of an empty, migrated database; it is dropped at the end of the block."""
    with embedded.database_url(Settings(var=var, database_url=os.environ.get("FENSI_BENCH_DATABASE_URL"))) as server:
        url = urlunsplit(urlsplit(server)._replace(path=f"/fensi_bench_{os.getpid()}"))
        asyncio.run(embedded.ensure_exists(url))
        try:
            asyncio.run(migrate(url))
            yield url
        finally:
            asyncio.run(_drop(url))


async def _drop(url: str) -> None:
    wanted = credentials(url)
    raw = await asyncpg.connect(**{**wanted, "database": "postgres"}, timeout=10)
    try:
        await raw.execute(f'DROP DATABASE "{wanted["database"]}" WITH (FORCE)')
    finally:
        await raw.close()
