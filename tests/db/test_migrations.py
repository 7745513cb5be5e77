"""Migrating: from several processes at once, step by step, and the partitions of the timeline."""

import asyncio
from datetime import UTC, date, datetime
from importlib import import_module
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm.db import database, fetch, transaction
from scrm.jobs import enqueue
from scrm.migrate import ensure_months, migrate, pending
from scrm.points import rulebook
from tests.conftest import START
from tests.factories import TEXT, happens, make_account, make_fan, make_follower, value


async def test_four_at_once_apply_every_migration_once(empty_database_url: str) -> None:
    names = await pending(empty_database_url)
    assert names[0] == "0001_foundation"
    assert names == sorted(names)
    counts = await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))
    assert sorted(counts) == [0, 0, 0, len(names)]
    assert await pending(empty_database_url) == []


async def test_progress_is_told(empty_database_url: str) -> None:
    seen: list[tuple[str, str]] = []
    await migrate(empty_database_url, lambda event, _app, name: seen.append((event, name)))
    assert ("apply_done", "0001_foundation") in seen
    seen.clear()
    assert await migrate(empty_database_url, lambda event, _app, name: seen.append((event, name))) == 0
    assert [name for event, name in seen if event == "apply_done"] == []


async def partitions() -> list[str]:
    rows = await fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'event'::regclass ORDER BY 1"
    )
    return [row["name"] for row in rows]


async def partition_of(moment: datetime) -> str:
    return str(await value("SELECT tableoid::regclass::text FROM event WHERE occurred_at = $1", moment))


async def test_months_are_made_once_and_across_new_year(db: TortoiseContext) -> None:
    for _ in range(2):
        await ensure_months(date(2026, 12, 31), ahead=2, behind=1)
    assert await partitions() == ["event_2026_11", "event_2026_12", "event_2027_01", "event_2027_02", "event_default"]


async def test_two_processes_make_the_same_months_while_a_third_appends(database_url: str) -> None:
    async def another_process() -> None:
        async with database(database_url):
            await ensure_months(START.date(), ahead=11)

    async def append() -> None:
        async with database(database_url):
            fan = await make_fan(await make_account())
            for _ in range(50):
                assert await happens(fan, TEXT)

    await asyncio.gather(append(), *(another_process() for _ in range(4)))
    async with database(database_url):
        assert len(await partitions()) in (12, 13)  # this month's own, unless the default had its rows first
        assert await value("SELECT count(*) FROM event") == 50


async def test_an_event_goes_to_its_month_in_utc_and_else_to_the_default(db: TortoiseContext) -> None:
    await ensure_months(date(2026, 3, 15), ahead=0)
    fan = await make_fan(await make_account())
    first = datetime(2026, 3, 1, tzinfo=UTC)
    last = datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)
    after = datetime(2026, 4, 1, tzinfo=UTC)
    long_ago = datetime(1999, 1, 1, tzinfo=UTC)
    for moment in (first, last, after, long_ago):
        await happens(fan, TEXT, moment)
    assert [await partition_of(moment) for moment in (first, last, after, long_ago)] == [
        "event_2026_03",
        "event_2026_03",
        "event_default",
        "event_default",
    ]


async def test_a_month_whose_rows_lie_in_the_default_stays_there(db: TortoiseContext) -> None:
    fan = await make_fan(await make_account())
    await happens(fan, TEXT, START)
    await ensure_months(START.date(), ahead=1)
    assert await partitions() == ["event_2026_04", "event_default"]
    assert await partition_of(START) == "event_default"


@pytest.mark.parametrize("sql", ["UPDATE event SET kind = 'x'", "DELETE FROM event", "TRUNCATE event"])
@pytest.mark.parametrize("own_partition", [True, False])
async def test_the_timeline_is_append_only(db: TortoiseContext, sql: str, own_partition: bool) -> None:
    if own_partition:
        await ensure_months(START.date())
    await happens(await make_fan(await make_account()), TEXT, START)
    for statement in (sql, sql.replace("event", await partition_of(START))):
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await fetch(statement)
    assert await value("SELECT count(*) FROM event WHERE kind = $1", TEXT) == 1


@pytest.mark.parametrize(
    "sql", ["UPDATE event_key SET key = gen_random_uuid()", "DELETE FROM event_key", "TRUNCATE event_key"]
)
async def test_the_keys_of_the_timeline_stay(db: TortoiseContext, sql: str) -> None:
    """Else the same happening could be appended twice."""
    fan = await make_fan(await make_account())
    await happens(fan, TEXT, START, key=key_of("once"))
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await fetch(sql)
    assert not await happens(fan, TEXT, START, key=key_of("once"))
    assert await value("SELECT count(*) FROM event_key WHERE key = $1", key_of("once")) == 1


async def test_who_was_never_asked_about_is_asked_about_after_the_migration(db: TortoiseContext) -> None:
    migration = import_module("migrations.0020_lookups_and_firm_timeline")
    official, mini = await make_account(), await make_account(kind="miniprogram")
    stranger, erased = await make_fan(official), await make_fan(official, "erased-1")
    asked, given_up = await make_follower(official), await make_follower(official)
    visitor = await make_fan(mini)
    await fetch("UPDATE fan SET lookup_due_at = NULL")
    async with transaction() as tx:
        for name in ("members.profile", "another"):
            await enqueue(tx, name, {"fan_id": given_up.id})
    for statement in migration.ASK[:2]:
        await fetch(statement)
    due = [row["id"] for row in await fetch("SELECT id FROM fan WHERE lookup_due_at = '-infinity' ORDER BY id")]
    assert due == sorted([stranger.id, given_up.id])
    assert {erased.id, asked.id, visitor.id}.isdisjoint(due)
    assert [row["entrypoint"] for row in await fetch("SELECT entrypoint FROM pgqueuer")] == ["another"]


async def test_brands_that_were_there_keep_their_word_after_the_migration(db: TortoiseContext) -> None:
    migration = import_module("migrations.0021_growth_word_and_rule_records")
    for name, preset in [("帖", "a039"), ("茶", "qingyu"), ("空", None)]:
        brand = await value("INSERT INTO brand (name, created_at) VALUES ($1, $2) RETURNING id", name, START)
        if preset is not None:
            await rulebook.install_preset(brand, preset, START)
    await fetch("UPDATE brand SET growth_word = '成长值'")
    await fetch(migration.WORD_OF_A039)
    words = {row["name"]: row["growth_word"] for row in await fetch("SELECT name, growth_word FROM brand")}
    assert (words["帖"], words["茶"], words["空"]) == ("经验", "成长值", "成长值")


async def test_a_missing_database_says_so(server_url: str) -> None:
    missing = urlunsplit(urlsplit(server_url)._replace(path="/no_such_database"))
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await migrate(missing)
