"""Signing in: cookies, fixation, lock-out, idle and absolute limits, passwords, devices."""

import asyncio

import pytest

from scrm.staff.lockout import wait_after
from tests.console.conftest import PASSWORD, Office, open_office

WRONG = "wrong-password-1"


async def test_the_cookie_is_for_the_browser_alone(office: Office) -> None:
    who = await office.person()
    answer = await who.try_in()
    assert answer.body == {"csrf": who.csrf, "must_change_password": False}
    name, *flags = answer.headers["Set-Cookie"].split("; ")
    assert name == f"fensi_staff={who.cookie}"
    assert flags == ["HttpOnly", "Max-Age=57600", "Path=/api/console", "SameSite=Lax"]
    stored = await office.rows("SELECT token_hash FROM staff_session")
    assert [who.cookie in row["token_hash"] for row in stored] == [False]


async def test_over_https_the_cookie_goes_no_other_way(office: Office) -> None:
    other, server = await open_office(office.house, office.http, office.clock, "https://crm.example.com")
    who = other.browser((await office.person()).login)
    assert (await who.try_in()).headers["Set-Cookie"].endswith("; Secure")
    await server.close()


async def test_a_planted_cookie_is_not_taken_over(office: Office) -> None:
    victim = await office.person()
    victim.cookie = planted = "planted-by-somebody-else"
    await victim.sign_in()
    assert victim.cookie != planted
    thief = office.browser()
    thief.cookie = planted
    assert (await thief.get("/me")).said == (401, "session_over")


async def test_signing_in_anew_ends_the_session_that_the_browser_had(office: Office) -> None:
    who = await office.signed_in()
    before = who.cookie
    await who.sign_in()
    old = office.browser()
    old.cookie = before
    assert (await old.get("/me")).said == (401, "session_over")
    assert (await who.get("/me")).status == 200
    # Even another person's: a browser that is shared leaves nobody's session behind.
    other = await office.person()
    other.cookie, left = who.cookie, who.cookie
    await other.sign_in()
    old.cookie = left
    assert (await old.get("/me")).said == (401, "session_over")


async def test_signing_out_counts_at_once_and_again_is_nothing(office: Office) -> None:
    who = await office.signed_in()
    kept, csrf = who.cookie, who.csrf
    answer = await who.post("/sign-out")
    assert (answer.status, who.cookie) == (204, "")
    who.cookie, who.csrf = kept, csrf
    assert (await who.post("/sign-out")).said == (401, "session_over")
    assert [action for action, _ in await office.trail()][-2:] == ["session.began", "session.ended"]


async def test_a_session_ends_after_two_idle_hours(office: Office) -> None:
    who = await office.signed_in()
    for _ in range(3):
        office.clock.advance(minutes=119)
        assert (await who.get("/me")).status == 200
    office.clock.advance(minutes=120)
    assert (await who.get("/me")).said == (401, "session_over")


async def test_a_session_ends_after_sixteen_hours_however_busy(office: Office) -> None:
    who = await office.signed_in()
    for _ in range(15):
        office.clock.advance(hours=1)
        assert (await who.get("/me")).status == 200
    office.clock.advance(hours=1)
    assert (await who.get("/me")).said == (401, "session_over")


async def test_a_name_nobody_has_is_answered_like_a_wrong_password(office: Office) -> None:
    known, unknown, off = await office.person(), office.browser("nobody.here"), await office.person()
    await office.rows("UPDATE staff SET status = 'disabled' WHERE login = $1", off.login)
    heard = []
    for browser in (known, unknown, off):
        looked = office.hasher.looked
        answers = [(await browser.try_in(WRONG)).said for _ in range(7)]
        heard.append((answers, office.hasher.looked - looked))
    assert heard[0] == ([(401, "wrong_password")] * 5 + [(429, "locked")] * 2, 5)
    assert heard[1] == heard[2] == heard[0]
    # The right password of somebody disabled is no different either.
    office.clock.advance(hours=2)
    assert (await off.try_in()).said == (401, "wrong_password")


async def test_the_lock_grows_and_opens_by_itself(office: Office) -> None:
    who = await office.person()
    waits = []
    for _ in range(5):
        await who.try_in(WRONG)
    for _ in range(3):
        refused = await who.try_in()  # even the right one
        waits.append(int(refused.headers["Retry-After"]))
        office.clock.advance(seconds=waits[-1])
        assert (await who.try_in(WRONG)).said == (401, "wrong_password")
    assert waits == [15, 30, 60]
    office.clock.advance(seconds=120)
    assert (await who.try_in()).status == 200
    # Forgotten: five are free again.
    assert [(await who.try_in(WRONG)).status for _ in range(6)] == [401] * 5 + [429]


@pytest.mark.parametrize(("failures", "seconds"), [(4, 0), (5, 15), (6, 30), (10, 480), (11, 900), (500, 900)])
def test_how_long_one_waits(failures: int, seconds: int) -> None:
    assert wait_after("login", failures).total_seconds() == seconds


async def test_many_guesses_at_once_are_no_more_than_five(office: Office) -> None:
    who = await office.person()
    answers = await asyncio.gather(*(office.browser(who.login).try_in(WRONG) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [401] * 5 + [429] * 15


async def test_one_address_may_not_try_all_names(office: Office) -> None:
    statuses = [(await office.browser(f"name{n}").try_in(WRONG)).status for n in range(32)]
    assert statuses == [401] * 30 + [429] * 2
    who = await office.person()
    assert (await who.try_in()).said == (429, "locked")
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    assert (await who.try_in(headers=elsewhere)).status == 200


async def test_one_ipv6_network_may_not_try_all_names_from_its_addresses(office: Office) -> None:
    def at(place: str) -> dict[str, str]:
        return {"X-Forwarded-For": f"2001:db8:0:{place}"}

    statuses = [(await office.browser(f"name{n}").try_in(WRONG, headers=at(f"1::{n:x}"))).status for n in range(32)]
    assert statuses == [401] * 30 + [429] * 2
    who = await office.person()
    assert (await who.try_in(headers=at("1:ffff::1"))).said == (429, "locked")
    # The next customer's network; on record is the whole address.
    assert (await who.try_in(headers=at("2::1"))).status == 200
    (session,) = await office.rows("SELECT address FROM staff_session")
    assert session["address"] == "2001:db8:0:2::1"


async def test_changing_the_password_ends_every_other_session(office: Office) -> None:
    who = await office.signed_in()
    phone = await office.browser(who.login).sign_in()
    for body, field in [
        ({"present": WRONG, "new": "another-word-9"}, "present"),
        ({"present": PASSWORD, "new": "short"}, "new"),
        ({"present": PASSWORD, "new": "1111111111111"}, "new"),
        ({"present": PASSWORD, "new": f"{who.login}-2026"}, "new"),
        ({"present": PASSWORD, "new": PASSWORD}, "new"),
    ]:
        answer = await who.post("/me/password", body)
        assert (answer.status, answer.body["field"]) == (422, field)
    assert (await who.post("/me/password", {"present": PASSWORD, "new": "another-word-9"})).status == 204
    assert ((await who.get("/me")).status, (await phone.get("/me")).code) == (200, "session_over")
    assert (await phone.try_in()).said == (401, "wrong_password")
    assert (await phone.try_in("another-word-9")).status == 200


async def test_the_present_password_is_not_guessed_at_an_open_browser(office: Office) -> None:
    who = await office.signed_in()
    body = {"present": WRONG, "new": "another-word-9"}
    answers = [(await who.post("/me/password", body)).said for _ in range(6)]
    assert answers == [(422, "wrong_password")] * 5 + [(429, "locked")]
    office.clock.advance(seconds=15)
    assert (await who.post("/me/password", body | {"present": PASSWORD})).status == 204


async def test_a_first_password_is_changed_before_anything_else(office: Office) -> None:
    boss = await office.signed_in()
    role = (await boss.get("/roles")).body["items"][2]["id"]
    body = {"login": "Li.Na", "name": "李娜", "role_id": role, "brands": None, "skills": ["售后"]}
    made = await boss.post("/staff", body, key="add-li-na")
    assert made.status == 201
    # The same click again brings the same answer, and nobody else.
    assert (await boss.post("/staff", body, key="add-li-na")).body == made.body
    assert (await boss.post("/staff", body)).said == (409, "login_taken")
    new = office.browser("li.na")
    assert (await new.try_in(made.body["password"])).body["must_change_password"] is True
    assert (await new.get("/roles")).said == (403, "password_change_required")
    assert (await new.post("/me/password", {"present": made.body["password"], "new": PASSWORD})).status == 204
    assert (await new.get("/me")).body["must_change_password"] is False
    assert (await new.get("/roles")).said == (403, "forbidden")


async def test_devices_are_seen_and_ended(office: Office) -> None:
    who = await office.signed_in()
    office.clock.advance(minutes=5)
    phone = await office.browser(who.login).sign_in()
    shown = (await phone.get("/me/sessions")).body["items"]
    assert [(one["here"], one["address"], "Chrome" in one["agent"]) for one in shown] == [
        (True, "127.0.0.1", True),
        (False, "127.0.0.1", True),
    ]
    stranger = await office.signed_in()
    assert (await stranger.call("DELETE", f"/me/sessions/{shown[1]['id']}")).said == (404, "not_found")
    assert (await who.get("/me")).status == 200
    assert (await phone.call("DELETE", f"/me/sessions/{shown[1]['id']}")).status == 204
    assert (await who.get("/me")).said == (401, "session_over")
    await who.sign_in()
    assert (await phone.post("/me/sessions/end-others")).body == {"ended": 1}
    assert ((await who.get("/me")).status, (await phone.get("/me")).status) == (401, 200)


async def test_a_page_learns_without_a_failure_whether_anybody_is_signed_in(office: Office) -> None:
    who = await office.person("agent")
    assert (await who.get("/session")).body == {"signed_in": False}
    await who.sign_in()
    assert (await who.get("/session")).body == {"signed_in": True}
    # To ask is no use of the session: it ends two hours after the last one all the same.
    for _ in range(4):
        office.clock.advance(minutes=30)
        answer = await who.get("/session")
    assert (answer.status, answer.body) == (200, {"signed_in": False})
    assert (await who.get("/me")).said == (401, "session_over")
    made_up = office.browser()
    made_up.cookie = "made-up"
    assert (await made_up.get("/session")).body == {"signed_in": False}
