"""Signing in and out."""

from typing import Annotated

from pydantic import BaseModel, Field

from console.surface import SELF, SURFACE, Call
from scrm.staff import sessions, signing_in
from scrm.staff.lockout import Locked
from scrm.staff.passwords import LONGEST
from scrm.staff.sessions import NotSignedIn, hashed
from scrm.staff.signing_in import WrongPassword
from web.shapes import Taken, Text


class SignIn(Taken):
    """A login name and its password."""

    login: Annotated[Text, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=LONGEST)]


class SignedIn(BaseModel):
    """A session has begun: its cookie is set, `csrf` goes into the X-CSRF-Token of every write."""

    csrf: str
    must_change_password: bool


class SessionHere(BaseModel):
    """Whether somebody is signed in at this browser."""

    signed_in: bool


@SURFACE.get("/session", public=True)
async def session_here(call: Call) -> SessionHere:
    """是否已登录.

    What a page asks first: unlike `/me` it is no failure when nobody is, and it tells nothing else.
    """
    if not call.presented:
        return SessionHere(signed_in=False)
    try:
        await sessions.caller(call.presented, call.now, noted=False)
    except NotSignedIn:
        return SessionHere(signed_in=False)
    return SessionHere(signed_in=True)


@SURFACE.post("/sign-in", public=True, errors=[WrongPassword, Locked])
async def sign_in(call: Call, body: SignIn) -> SignedIn:
    """登录."""
    parts = call.parts
    done = await signing_in.sign_in(
        parts.passwords,
        parts.sealer,
        login=body.login,
        password=body.password,
        address=call.address,
        agent=call.agent,
        replaces=call.presented,
        now=call.now,
    )
    call.cookie.value = done.token
    return SignedIn(csrf=parts.csrf(hashed(done.token)), must_change_password=done.must_change)


@SURFACE.post("/sign-out", permission=SELF, status=204)
async def sign_out(call: Call) -> None:
    """退出登录."""
    me = call.me
    await sessions.sign_out(call.actor, staff_id=me.staff_id, session_id=me.session_id, now=call.now)
    call.cookie.value = ""
