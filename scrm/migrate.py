"""Bringing a database to the present schema: locked, checked against the models, with its SQL on record."""

import asyncio
from collections.abc import Callable
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg
from tortoise.context import TortoiseContext
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.executor import MigrationExecutor
from tortoise.migrations.graph import MigrationKey
from tortoise.migrations.schema_generator.state import ModelState, State
from tortoise.migrations.schema_generator.state_apps import StateApps

from scrm.db import connection, credentials, tortoise_config

# Any number, the same in every release: whoever holds it is the one that migrates this database.
ADVISORY_LOCK = 0x66656E7369
SNAPSHOTS = Path(__file__).parent.parent / "migrations" / "sql"


class _Apps(StateApps):
    """The models between two operations. Nothing is asked of the database through them: no queries are prepared."""

    def _build_initial_querysets(self) -> None:
        return


class _Before(State):
    """What was before an operation, its models rendered only for an operation that looks at them."""

    def __init__(self, models: dict[tuple[str, str], ModelState], apps: StateApps) -> None:
        self.models = models
        self._later = apps

    @cached_property
    def apps(self) -> StateApps:  # type: ignore[override]  # a dataclass's field, made when it is asked for
        return self._later.clone(model_states=self.models)


class _Schema(State):
    """The state that operations change."""

    def clone(self) -> State:
        return _Before({key: model.clone() for key, model in self.models.items()}, self.apps)


class _Executor(MigrationExecutor):
    """Tortoise's, but for its rendering all models twice for every operation, which was four fifths of the time."""

    async def _project_state(self, applied: set[MigrationKey], *, upto: MigrationKey | None = None) -> State:
        connections = {label: app["default_connection"] for label, app in self.loader.apps_config.items()}
        state = _Schema(models={}, apps=_Apps(default_connections=connections))
        for key in self._full_plan():
            if key == upto:
                break
            if key in applied and (migration := self.loader.graph.nodes[key]) is not None:
                await migration.apply(state, dry_run=True)
        return state


async def migrate(url: str, progress: Callable[[str, str, str], object] | None = None) -> int:
    """Apply the migrations that are missing and return how many there were; safe to call from many processes.

    Tortoise neither locks nor records inside the migration's own transaction; the advisory lock here, held by
    a connection of its own, makes the second caller wait and then find nothing to do.
    """
    lock = await _connect(url)
    try:
        await lock.execute("SET lock_timeout = 0")
        await lock.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        applied = 0

        def count(event: str, app: str, name: str) -> None:
            nonlocal applied
            applied += event == "apply_done"
            if progress is not None:
                progress(event, app, name)

        async with TortoiseContext() as context:
            # Building an index on a big table takes what it takes.
            config = tortoise_config(url, pool=2, command_seconds=None)
            await context.init(config=config)
            executor = _Executor(context.db(), config["apps"])
            await executor.migrate(progress=count)
        return applied
    finally:
        await lock.close()


async def pending(url: str) -> list[str]:
    """Return the names of migrations that this database still lacks, oldest first."""
    async with TortoiseContext() as context:
        config = tortoise_config(url)
        await context.init(config=config)
        executor = _Executor(context.db(), config["apps"])
        try:
            return [step.migration.name for step in await executor.plan() if not step.backward]
        except Exception as error:
            # Before the very first migration there is no table of applied ones to read.
            if "does not exist" in str(error):
                await executor.loader.build_graph()
                return [key.name for key in sorted(executor.loader.graph.nodes, key=lambda key: key.name)]
            raise


async def ensure_months(today: date, ahead: int = 2, behind: int = 0) -> None:
    """Make the timeline's partitions from `behind` months before to `ahead` months after `today`."""
    months = [_shift(today, offset) for offset in range(-behind, ahead + 1)]
    async with connection() as raw:
        for month in months:
            await raw.execute("SELECT fensi_event_month($1)", month)


def drift() -> list[str]:
    """Return what the models declare that no migration says yet; empty when they agree. Touches no database."""

    async def changes() -> list[str]:
        async with TortoiseContext() as context:
            config = tortoise_config("postgresql://nobody@127.0.0.1/none")
            await context.init(config=config, init_connections=False)
            assert context.apps is not None  # noqa: S101  # init has just made it
            found = await MigrationAutodetector(context.apps, config["apps"]).changes()
            return [writer.name for writer in found]

    return asyncio.run(changes())


async def sql_of(name: str) -> str:
    """Return the SQL that a migration runs; `migrations/sql/` keeps it for reviewers. Touches no database."""
    async with TortoiseContext() as context:
        config = tortoise_config("postgresql://nobody@127.0.0.1/none")
        await context.init(config=config)
        executor = _Executor(context.db(), config["apps"])
        statements = await executor.collect_sql("scrm", name)
    return "\n".join(line.rstrip() for line in "\n".join(statements).splitlines()) + "\n"


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    wanted: dict[str, Any] = credentials(url)
    return await asyncpg.connect(**wanted, timeout=5)


def _shift(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)
