"""The one door through which the timeline is changed, and that nothing else passes it."""

import asyncpg
import pytest
from tortoise.context import TortoiseContext

from scrm.db import fetch, transaction
from scrm.events.redaction import redact
from scrm.members.queries import FanView
from scrm.migrate import ensure_months
from tests.conftest import START
from tests.factories import TEXT, at, happens, make_account, make_fan, value


async def two() -> tuple[FanView, FanView]:
    account = await make_account()
    one, other = await make_fan(account), await make_fan(account)
    for fan in (one, other):
        await happens(fan, TEXT, at(1), {"content": "秘密"})
    return one, other


async def payloads() -> list[str]:
    return [row["payload"] for row in await fetch("SELECT payload FROM event ORDER BY id")]


@pytest.mark.parametrize("own_partition", [True, False])
async def test_the_words_go_and_what_happened_stays(db: TortoiseContext, own_partition: bool) -> None:
    if own_partition:
        await ensure_months(START.date())
    one, _ = await two()
    before = await fetch("SELECT id, key, kind, occurred_at, recorded_at, member_id, account_id, fan_id FROM event")
    for _ in range(2):
        async with transaction() as tx:
            await redact(tx.connection, [one.member_id], at(2))
    assert await payloads() == ["{}", '{"content": "秘密"}']
    after = await fetch("SELECT id, key, kind, occurred_at, recorded_at, member_id, account_id, fan_id FROM event")
    assert sorted(before) == sorted(after)
    record = await fetch("SELECT member_id, redacted_at FROM event_redaction")
    assert [tuple(row) for row in record] == [(one.member_id, at(2))], "once: the second found nothing left"


# With a redaction of the first member on record in this very transaction.
OTHERWISE = [
    "UPDATE event SET payload = '{}' WHERE member_id = OTHER",
    """UPDATE event SET payload = '{"content": "没说过"}' WHERE member_id = ONE""",
    "UPDATE event SET payload = '{}', kind = 'x' WHERE member_id = ONE",
    "UPDATE event SET payload = '{}', fan_id = NULL WHERE member_id = ONE",
    "UPDATE event SET payload = '{}', occurred_at = occurred_at + interval '1 second' WHERE member_id = ONE",
    "UPDATE event SET payload = '{}', member_id = OTHER WHERE member_id = ONE",
    "DELETE FROM event WHERE member_id = ONE",
    "UPDATE event_redaction SET member_id = OTHER",
    "DELETE FROM event_redaction",
    "TRUNCATE event_redaction",
]


async def on_record_and(sql: str, one: FanView, other: FanView) -> None:
    async with transaction() as tx:
        record = "INSERT INTO event_redaction (member_id, xact, redacted_at) VALUES ($1, 0, $2)"
        await tx.connection.execute(record, one.member_id, at(2))
        await tx.connection.execute(sql.replace("ONE", str(one.member_id)).replace("OTHER", str(other.member_id)))


@pytest.mark.parametrize("sql", OTHERWISE)
async def test_nothing_else_passes(db: TortoiseContext, sql: str) -> None:
    one, other = await two()
    before = await fetch("SELECT * FROM event ORDER BY id")
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await on_record_and(sql, one, other)
    assert await fetch("SELECT * FROM event ORDER BY id") == before


async def test_a_record_counts_in_its_own_transaction_only(db: TortoiseContext) -> None:
    one, _ = await two()
    # Whatever number somebody writes, the trigger writes the true one; so none can be prepared for later.
    async with transaction() as tx:
        for ahead in range(50):
            await tx.connection.execute(
                """
                INSERT INTO event_redaction (member_id, xact, redacted_at)
                VALUES ($1, pg_current_xact_id()::text::bigint + $2, $3)
                """,
                one.member_id,
                ahead,
                at(2),
            )
    assert await value("SELECT count(DISTINCT xact) FROM event_redaction") == 1
    for _ in range(5):
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await fetch("UPDATE event SET payload = '{}'")
