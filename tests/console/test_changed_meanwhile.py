"""Rights that change while a request is under way, and roles that would reach beyond the brand they belong to."""

import asyncio

from tests.bot.house import until
from tests.console.conftest import PASSWORD, Office
from tests.console.test_reach import body_of, role_named
from tests.factories import make_account


async def test_a_password_is_not_reset_for_somebody_who_rose_meanwhile(office: Office) -> None:
    """The password is worked on for a while, longer when many sign in: the target may become an administrator."""
    mine, _ = office.brands
    boss, clerk = (
        await office.signed_in("admin"),
        await office.signed_in("viewer", [mine], permissions=["staff.manage"]),
    )
    rising = await office.signed_in("viewer", [mine], permissions=[])
    who = await rising.me()
    admin = await role_named(boss, "管理员")
    body = await body_of(boss, who)
    turns = office.passwords._turns
    for _ in range(3):
        await turns.acquire()
    resetting = asyncio.create_task(clerk.post(f"/staff/{who}/password"))
    await until(lambda: _waits(turns))
    assert (await boss.call("PUT", f"/staff/{who}", body | {"role_id": admin, "brands": None})).status == 204
    for _ in range(3):
        turns.release()
    assert (await resetting).said == (404, "not_found")
    assert (await rising.get("/me")).status == 200
    assert (await rising.try_in(PASSWORD)).status == 200
    assert "password.reset" not in [action for action, _ in await office.trail()]


async def _waits(turns: asyncio.Semaphore) -> bool:
    return bool(turns._waiters)


async def test_a_brands_role_is_for_nobody_of_all_brands(office: Office) -> None:
    """Its managers could otherwise give somebody of every brand rights over brands that are not theirs."""
    mine, _ = office.brands
    boss = await office.signed_in("admin")
    made = await boss.post("/roles", {"name": "门店", "permissions": ["inbox.answer"], "brand_id": mine})
    new = {"login": "new.one", "name": "新人", "role_id": made.body["id"], "brands": None}
    refused = await boss.post("/staff", new)
    assert (refused.status, refused.body["field"]) == (422, "role_id")
    assert (await boss.post("/staff", new | {"brands": [mine]})).status == 201
    await boss.post("/staff/search", {})
    assert await office.rows("SELECT 1 FROM staff WHERE all_brands AND role_id = $1", made.body["id"]) == []


async def test_a_page_that_is_behind_gives_nobody_a_role_back(office: Office) -> None:
    """It sends all that somebody is: what it does not know of would be undone."""
    boss, colleague = await office.signed_in(), await office.signed_in()
    clerk = await office.signed_in("admin")
    who = await clerk.me()
    seen = await body_of(boss, who)
    viewer = await role_named(boss, "只读")
    assert (await colleague.call("PUT", f"/staff/{who}", seen | {"role_id": viewer})).status == 204
    late = await boss.call("PUT", f"/staff/{who}", seen | {"status": "disabled"})
    assert (late.said, late.body["field"]) == ((409, "stale_version"), "expected")
    now = await body_of(boss, who)
    assert now == seen | {"role_id": viewer, "expected": 2}
    assert (await boss.call("PUT", f"/staff/{who}", now | {"status": "disabled"})).status == 204


async def test_a_page_that_is_behind_undoes_no_reply(office: Office) -> None:
    boss = await office.signed_in()
    account = await make_account(appid="wx-stale-1")
    rule = {"match": "exact", "pattern": "营业时间", "reply": {"type": "text", "content": "九点"}}
    made = (await boss.post("/rules", {"account_id": account, **rule})).body["id"]
    later = rule | {"reply": {"type": "text", "content": "十点"}}
    assert (await boss.call("PUT", f"/rules/{made}", later | {"expected": 1})).status == 204
    late = await boss.call("PUT", f"/rules/{made}", rule | {"enabled": False, "expected": 1})
    assert (late.said, late.body["field"]) == ((409, "stale_version"), "expected")
    (shown,) = (await boss.get(f"/rules?account={account}")).body["items"]
    assert (shown["reply"]["content"], shown["enabled"], shown["version"]) == ("十点", True, 2)
