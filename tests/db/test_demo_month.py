"""The demo's month at the service desk is made once, by real commands, and is over: nothing of it runs on."""

from datetime import UTC, datetime, timedelta

import pytest

from app import demo_data, demo_desk, demo_month, demo_staff
from scrm import db as scrm_db
from scrm.assistant import reviewing
from scrm.conversations import reports
from tests.factories import SEALER

NOW = datetime(2026, 11, 18, 4, 0, tzinfo=UTC)


async def counted(sql: str) -> dict[str, int]:
    return {row[0]: row[1] for row in await scrm_db.fetch(sql)}


@pytest.mark.usefixtures("db")
async def test_the_month_is_made_once_and_is_over() -> None:
    demo, _ = await demo_data.ensure(SEALER, NOW)
    await demo_staff.ensure(NOW)
    await demo_desk.ensure(demo, NOW)
    assert await demo_month.ensure(demo, NOW)
    assert not await demo_month.ensure(demo, NOW)

    brand = demo.service.brand_id
    told = await reports.report(brands=[brand], since=NOW - timedelta(days=31), until=NOW)
    total = told.total
    assert (total.asked, total.answered, total.closed) == (72, 70, 72)
    assert (total.promises, total.promises_kept, total.promises_broken) == (6, 6, 0)
    assert told.scores == {1: 1, 2: 1, 3: 2, 4: 3, 5: 36}
    names = {row["id"]: row["login"] for row in await scrm_db.fetch("SELECT id, login FROM staff")}
    assert {names[n]: one.asked for n, one in told.by_staff.items()} == {"wang.qiang": 23, "li.na": 47}
    answers = await counted("SELECT outcome, count(*)::int FROM assistant_answer GROUP BY 1")
    assert answers == {"knowledge": 66, "menu": 40, "self_service": 13, "doubt": 11}
    asked = [row.asked for row in await reviewing.log(brand, limit=500)]
    assert len(asked) == sum(answers.values())
    assert None not in asked

    # All of it is over, and lies in the past.
    assert await counted("SELECT state, count(*)::int FROM conversation GROUP BY 1") == {"closed": total.asked}
    assert await counted("SELECT state, count(*)::int FROM outbox GROUP BY 1") == {"sent": 187}
    assert set(await counted("SELECT state, count(*)::int FROM push GROUP BY 1")) == {"answered"}
    running = "SELECT name, count(*)::int FROM dialogue WHERE expires_at > '2026-11-18 04:00Z' GROUP BY 1"
    assert await counted(running) == {}
    (latest,) = await scrm_db.fetch("SELECT max(at) AS at FROM conversation_change")
    assert latest["at"] < NOW
    (there,) = await scrm_db.fetch("SELECT count(*) AS n FROM seat WHERE present_until > $1", NOW)
    assert there["n"] == 0
    shifts = await scrm_db.fetch(
        "SELECT h.starts, h.ends FROM shift h JOIN staff p ON p.id = h.staff_id WHERE p.login = 'li.na'"
    )
    assert [tuple(row) for row in shifts] == [(0, 1440)]
