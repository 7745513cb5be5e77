"""Whose things somebody sees and what they may give away: brands, permissions, the last administrator."""

import asyncio

from tests.console.conftest import PASSWORD, Browser, Office
from tests.factories import make_account


async def body_of(browser: Browser, staff_id: int) -> dict[str, object]:
    one = (await browser.get(f"/staff/{staff_id}")).body
    kept = ("name", "role_id", "brands", "skills", "capacity", "status")
    return {name: one[name] for name in kept} | {"expected": one["version"]}


async def role_named(browser: Browser, name: str) -> int:
    items = (await browser.get("/roles")).body["items"]
    found: int = next(one["id"] for one in items if one["name"] == name)
    return found


async def test_two_brands_do_not_see_each_other(office: Office) -> None:
    mine, theirs = office.brands
    anna, bert = await office.signed_in("admin", [mine]), await office.signed_in("admin", [theirs])
    both, everybody = await office.signed_in("admin", [mine, theirs]), await office.signed_in("admin")
    names = [(await office.rows("SELECT name FROM brand WHERE id = $1", brand))[0]["name"] for brand in (mine, theirs)]
    await make_account(brand=names[0], name="青屿的号")
    await make_account(brand=names[1], name="白露的号")
    role = await anna.post("/roles", {"name": "门店", "permissions": ["inbox.answer"], "brand_id": mine})
    assert role.status == 201

    # What one sees, the other does not; whoever works for both sees both.
    anna_id, bert_id = await anna.me(), await bert.me()
    assert [one["id"] for one in (await anna.post("/staff/search", {})).body["items"]] == [anna_id]
    assert [one["id"] for one in (await bert.post("/staff/search", {})).body["items"]] == [bert_id]
    assert {one["id"] for one in (await both.post("/staff/search", {})).body["items"]} == {
        anna_id,
        bert_id,
        await both.me(),
    }
    assert [one["name"] for one in (await anna.get("/accounts")).body["items"]] == ["青屿的号"]
    assert [one["name"] for one in (await bert.get("/accounts")).body["items"]] == ["白露的号"]
    assert "门店" in [one["name"] for one in (await both.get("/roles")).body["items"]]
    assert "门店" not in [one["name"] for one in (await bert.get("/roles")).body["items"]]
    assert [one["name"] for one in (await anna.get("/me")).body["brands"]] == [names[0]]
    assert {one["brand_id"] for one in (await anna.get("/audit")).body["items"]} == {mine}
    assert {one["brand_id"] for one in (await everybody.get("/audit?limit=100")).body["items"]} == {mine, theirs, None}
    assert "session.began" in [one["action"] for one in (await anna.get("/audit")).body["items"]]

    # What is another's does not exist.
    body = await body_of(everybody, bert_id)
    other_account = (await bert.get("/accounts")).body["items"][0]["id"]
    for method, path, given in [
        ("GET", f"/staff/{bert_id}", None),
        ("PUT", f"/staff/{bert_id}", body),
        ("POST", f"/staff/{bert_id}/password", None),
        ("POST", f"/staff/{bert_id}/sign-out", None),
        ("GET", f"/staff/{await both.me()}", None),
        ("GET", f"/staff/{await everybody.me()}", None),
        ("POST", f"/accounts/{other_account}/check", None),
        ("POST", "/staff/search", {"brand": theirs}),
        ("GET", f"/audit?brand={theirs}", None),
        ("GET", f"/accounts?brand={theirs}", None),
    ]:
        assert (await anna.call(method, path, given)).said == (404, "not_found"), path
    assert (await bert.call("DELETE", f"/roles/{role.body['id']}")).said == (404, "not_found")
    assert (await bert.get("/me")).status == 200

    # Nor can one reach beyond it.
    admin = await role_named(anna, "管理员")
    new = {"login": "new.one", "name": "新人", "role_id": admin, "brands": [theirs]}
    assert (await anna.post("/staff", new)).body["field"] == "brands"
    assert (await anna.post("/staff", new | {"brands": [mine, theirs]})).body["field"] == "brands"
    assert (await anna.post("/staff", new | {"brands": None})).said == (403, "beyond_brands")
    everywhere = {"name": "总部", "permissions": ["inbox.answer"], "brand_id": None}
    assert (await anna.post("/roles", everywhere)).said == (403, "beyond_brands")
    assert (await bert.post("/staff", new | {"role_id": role.body["id"]})).body["field"] == "role_id"
    assert (await anna.post("/staff", new | {"brands": [mine]})).status == 201


async def test_nobody_gives_away_more_than_they_have(office: Office) -> None:
    boss, clerk = await office.signed_in(), await office.signed_in(permissions=["staff.manage", "inbox.answer"])
    admin, viewer, boss_id = await role_named(boss, "管理员"), await role_named(boss, "只读"), await boss.me()
    new = {"login": "new.one", "name": "新人", "brands": None}
    for role_id in (admin, viewer):
        assert (await clerk.post("/staff", new | {"role_id": role_id})).said == (403, "beyond_permissions")
    # Nor do they take a password, a role or a session from somebody who may do more.
    body = await body_of(boss, boss_id)
    assert (await clerk.post(f"/staff/{boss_id}/password")).said == (403, "beyond_permissions")
    assert (await clerk.post(f"/staff/{boss_id}/sign-out")).said == (403, "beyond_permissions")
    demoted = body | {"role_id": await role_named(clerk, "客服")}
    assert (await clerk.call("PUT", f"/staff/{boss_id}", demoted)).said == (403, "beyond_permissions")
    assert (await clerk.post("/roles", {"name": "大", "permissions": ["audit.read"]})).said == (
        403,
        "beyond_permissions",
    )
    assert (await clerk.post("/roles", {"name": "怪", "permissions": ["no.such"]})).body["field"] == "permissions"
    made = await clerk.post("/roles", {"name": "小", "permissions": ["inbox.answer"]})
    assert (await clerk.post("/staff", new | {"role_id": made.body["id"]})).status == 201
    grown = {"name": "小", "permissions": ["inbox.answer", "audit.read"]}
    assert (await clerk.call("PUT", f"/roles/{made.body['id']}", grown)).said == (403, "beyond_permissions")
    assert (await boss.get("/me")).body["permissions"] == sorted((await boss.get("/me")).body["permissions"])


async def test_ones_own_role_and_the_built_in_ones_stay(office: Office) -> None:
    boss = await office.signed_in()
    me, viewer = await boss.me(), await role_named(boss, "只读")
    body = await body_of(boss, me)
    assert (await boss.call("PUT", f"/staff/{me}", body | {"role_id": viewer})).said == (403, "own_role")
    assert (await boss.call("PUT", f"/staff/{me}", body | {"status": "disabled"})).said == (403, "own_role")
    assert (await boss.call("PUT", f"/staff/{me}", body | {"name": "新名字"})).status == 204
    assert (await boss.get("/me")).body["name"] == "新名字"
    change = {"name": "只读", "permissions": []}
    assert (await boss.call("PUT", f"/roles/{viewer}", change)).said == (403, "built_in")
    assert (await boss.call("DELETE", f"/roles/{viewer}")).said == (403, "built_in")
    made = (await boss.post("/roles", {"name": "门店", "permissions": ["inbox.answer"]})).body["id"]
    assert (await boss.post("/roles", {"name": "门店", "permissions": []})).said == (409, "name_taken")
    clerk = await office.person()
    await office.rows("UPDATE staff SET role_id = $1 WHERE login = $2", made, clerk.login)
    assert (await boss.call("DELETE", f"/roles/{made}")).said == (409, "role_in_use")
    await clerk.sign_in()
    assert (await clerk.get("/me")).body["permissions"] == ["inbox.answer"]
    assert (await boss.call("PUT", f"/roles/{made}", {"name": "门店", "permissions": ["audit.read"]})).status == 204
    assert (await clerk.get("/audit")).status == 200


async def test_administrators_who_disable_each_other_leave_one(office: Office) -> None:
    first, second = await office.signed_in(), await office.signed_in()
    one, two = await first.me(), await second.me()
    bodies = [await body_of(first, staff_id) | {"status": "disabled"} for staff_id in (two, one)]
    answers = await asyncio.gather(
        first.call("PUT", f"/staff/{two}", bodies[0]), second.call("PUT", f"/staff/{one}", bodies[1])
    )
    # The later one finds itself signed out or the last; never do both succeed.
    assert min(answer.status for answer in answers) == 204
    assert [answer.code for answer in answers if answer.status != 204] in (["last_admin"], ["session_over"])
    left = await office.rows("SELECT count(*) FROM staff WHERE status = 'active'")
    assert left[0]["count"] == 1


async def test_whoever_is_disabled_is_out_at_once(office: Office) -> None:
    boss, clerk = await office.signed_in(), await office.signed_in("agent")
    clerk_id = await clerk.me()
    body = await body_of(boss, clerk_id)
    assert (await boss.call("PUT", f"/staff/{clerk_id}", body | {"status": "disabled"})).status == 204
    assert (await clerk.get("/me")).said == (401, "session_over")
    assert (await clerk.try_in()).said == (401, "wrong_password")
    assert (await boss.call("PUT", f"/staff/{clerk_id}", body | {"expected": 2})).status == 204
    assert (await clerk.try_in()).status == 200


async def test_a_reset_password_signs_out_and_has_to_be_changed(office: Office) -> None:
    boss, clerk = await office.signed_in(), await office.signed_in("agent")
    answer = await boss.post(f"/staff/{await clerk.me()}/password")
    assert (await clerk.get("/me")).said == (401, "session_over")
    assert (await clerk.try_in(PASSWORD)).said == (401, "wrong_password")
    assert (await clerk.try_in(answer.body["password"])).body["must_change_password"] is True


async def test_staff_are_found_and_paged(office: Office) -> None:
    boss = await office.signed_in()
    for _ in range(5):
        await office.person("agent", [office.brands[0]])
    agent = await role_named(boss, "客服")
    first = (await boss.post("/staff/search", {"limit": 3, "role": agent})).body
    second = (await boss.post("/staff/search", {"limit": 3, "role": agent, "before": first["next"]})).body
    seen = [one["id"] for one in first["items"] + second["items"]]
    assert (len(seen), seen, second["next"]) == (5, sorted(seen, reverse=True), None)
    assert (await boss.post("/staff/search", {"text": "%"})).body["items"] == []
    found = (await boss.post("/staff/search", {"text": boss.login.upper()})).body["items"]
    assert [one["login"] for one in found] == [boss.login]
    assert len((await boss.post("/staff/search", {"brand": office.brands[0]})).body["items"]) == 5
