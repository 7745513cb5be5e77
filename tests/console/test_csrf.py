"""Writes that a browser was tricked into: without the token, with another's, from another site."""

import pytest

from tests.console.conftest import Office

ORIGIN = "http://127.0.0.1:8300"


async def test_a_write_without_the_sessions_own_token_is_refused(office: Office) -> None:
    who, other = await office.signed_in(), await office.signed_in()
    own = who.csrf
    for token in ("", "wrong", other.csrf, own.upper(), own[:-1]):
        who.csrf = token
        assert (await who.post("/me/sessions/end-others")).said == (403, "csrf")
    who.csrf = own
    assert (await who.post("/me/sessions/end-others")).status == 200
    # A token outlives no session.
    await who.sign_in()
    who.csrf = own
    assert (await who.post("/me/sessions/end-others")).said == (403, "csrf")
    assert (await who.get("/me")).body["csrf"] != own


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": ORIGIN}, 200),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8300.evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "//127.0.0.1:8300.evil.example]"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_a_write_from_another_site_is_refused(office: Office, headers: dict[str, str], status: int) -> None:
    who = await office.signed_in()
    answer = await who.post("/me/sessions/end-others", headers=headers)
    assert answer.status == status
    assert status == 200 or answer.code == "cross_origin"
    # Signing somebody in as somebody else is a write too.
    signing = await (await office.person()).try_in(headers=headers)
    assert signing.status == status
    assert ("Set-Cookie" in signing.headers) is (status == 200)


async def test_the_address_that_was_asked_is_an_origin_of_ours(office: Office) -> None:
    who = await office.signed_in()
    here = office.address.removesuffix("/api/console")
    assert (await who.post("/me/sessions/end-others", headers={"Origin": here})).status == 200


async def test_a_read_needs_no_token(office: Office) -> None:
    who = await office.signed_in()
    who.csrf = ""
    assert (await who.get("/me")).status == 200
