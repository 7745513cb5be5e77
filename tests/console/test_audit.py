"""The audit trail: one transaction with the change, what differs, masked, never changed, filtered by day and kind."""

import asyncpg
import pytest

from scrm import db
from scrm.staff import audit, service
from scrm.staff.audit import COMMAND_LINE, Actor, Entry, masked
from scrm.staff.queries import staff_by_login
from scrm.staff.service import Given
from tests.console.conftest import Office


class _StopError(Exception):
    """Ends a transaction."""


async def test_a_change_and_its_line_are_both_there_or_neither(office: Office) -> None:
    who = await office.person("agent")
    before = await staff_by_login(who.login)
    assert before is not None
    trail = await office.trail()
    given = Given("改名", before.role_id, None)

    async def change_and_stop() -> None:
        async with db.transaction():
            await service.change(COMMAND_LINE, by=None, staff_id=before.id, given=given, now=office.clock.now())
            raise _StopError

    with pytest.raises(_StopError):
        await change_and_stop()
    assert (await staff_by_login(who.login), await office.trail()) == (before, trail)

    # A line that cannot be written takes the change with it.
    async def rename() -> None:
        async with db.connection() as raw:
            await raw.execute("UPDATE staff SET name = '改名' WHERE id = $1", before.id)

    with pytest.raises(asyncpg.StringDataRightTruncationError):
        await audit.along(COMMAND_LINE, rename, lambda _: Entry("x" * 49, "staff:1"), office.clock.now())
    assert (await staff_by_login(who.login), await office.trail()) == (before, trail)

    await audit.along(COMMAND_LINE, rename, lambda _: Entry("staff.renamed", "staff:1"), office.clock.now())
    assert await office.trail() == [*trail, ("staff.renamed", "命令行")]


async def test_a_refused_change_leaves_no_line(office: Office) -> None:
    boss = await office.signed_in()
    trail = await office.trail()
    roles = (await boss.get("/roles")).body["items"]
    new = {"login": "a", "name": "新人", "role_id": roles[0]["id"], "brands": None}
    assert (await boss.post("/staff", new)).status == 422
    assert (await boss.post("/staff", new | {"login": boss.login})).status == 409
    assert await office.trail() == trail


async def test_nobody_changes_the_trail(office: Office) -> None:
    await office.signed_in()
    for statement in ("UPDATE audit SET staff_name = ''", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await office.rows(statement)


async def test_only_what_differs_is_kept(office: Office) -> None:
    boss = await office.signed_in()
    clerk = await office.signed_in("agent", [office.brands[0]])
    clerk_id = await clerk.me()
    one = (await boss.get(f"/staff/{clerk_id}")).body
    body = {name: one[name] for name in ("role_id", "brands", "capacity", "status")} | {"expected": one["version"]}
    await boss.call("PUT", f"/staff/{clerk_id}", body | {"name": "张三", "skills": ["售后"]})
    line = (await boss.get("/audit?action=staff.changed")).body["items"][0]
    assert (line["before"], line["after"]) == (
        {"name": one["name"], "skills": []},
        {"name": "张三", "skills": ["售后"]},
    )
    assert (line["staff_id"], line["subject"], line["brand_id"]) == (
        await boss.me(),
        f"staff:{clerk_id}",
        office.brands[0],
    )
    assert line["address"] == "127.0.0.1"


async def test_passwords_and_personal_data_are_not_in_it(office: Office) -> None:
    who = await office.signed_in()
    await who.try_in("a-password-that-is-wrong")
    await office.browser("typed-my-password-here").try_in("x")
    rows = await office.rows("SELECT row_to_json(audit)::text AS line FROM audit")
    text = " ".join(row["line"] for row in rows)
    assert "wrong" not in text
    assert "typed-my-password-here" not in text
    assert [action for action, _ in await office.trail()][-2:] == ["session.refused", "session.refused"]
    assert masked({"phone": "13812345678", "openid": "o123", "new": {"password": "x", "name": "李娜"}, "n": [1]}) == {
        "phone": "138****5678",
        "openid": "o***",
        "new": {"password": "***", "name": "李娜"},
        "n": [1],
    }


async def test_the_trail_is_filtered_and_paged(office: Office) -> None:
    boss = await office.signed_in()
    now, actor = office.clock.now(), Actor(None, "某人")

    async def line(n: int) -> None:
        async with db.transaction() as tx:
            await audit.record(tx.connection, actor, Entry("rule.changed", f"rule:{n}"), office.clock.now())

    for n in range(5):
        await line(n)
    first = (await boss.get("/audit?action=rule.&limit=3")).body
    second = (await boss.get(f"/audit?action=rule.&limit=3&before={first['next']}")).body
    subjects = [one["subject"] for one in first["items"] + second["items"]]
    assert (subjects, second["next"]) == ([f"rule:{n}" for n in range(4, -1, -1)], None)
    assert len((await boss.get("/audit?subject=rule:2")).body["items"]) == 1
    assert (await boss.get(f"/audit?staff={await boss.me()}")).body["items"][0]["action"] == "session.began"
    # Days are Shanghai's: the clock stands at noon there, twelve hours later it is the next day.
    office.clock.advance(hours=12)
    await line(9)
    await boss.sign_in()
    day = f"{now:%Y-%m-%d}"
    today = (await boss.get(f"/audit?action=rule.&since={day}&until={day}")).body["items"]
    assert len(today) == 5
    assert (await boss.get("/audit?since=yesterday")).body["field"] == "since"
