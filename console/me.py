"""My account: who I am and what I may do, my sessions, my password."""

from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, Field

from console.surface import SELF, SURFACE, Call
from scrm import db
from scrm.errors import Invalid, NotFound
from scrm.staff import sessions, signing_in
from scrm.staff.lockout import Locked
from scrm.staff.passwords import LONGEST
from web.shapes import Moment, Taken


class BrandView(BaseModel):
    """A brand that the caller works for; `growth_word` is what it calls growth."""

    id: int
    name: str
    growth_word: str


class Me(BaseModel):
    """Who is signed in. `all_brands`: also those to come; `csrf` goes into the X-CSRF-Token of every write."""

    id: int
    login: str
    name: str
    role: str
    permissions: list[str]
    all_brands: bool
    brands: list[BrandView]
    must_change_password: bool
    csrf: str


class MySession(BaseModel):
    """A browser where I am signed in; `here` is the one that asks."""

    id: int
    address: str
    agent: str
    created_at: Moment
    seen_at: Moment
    expires_at: Moment
    here: bool


class MySessions(BaseModel):
    """Where I am signed in, the latest seen first."""

    items: list[MySession]


class PasswordChange(Taken):
    """The present password and the new one: at least 10 characters, without the login name."""

    present: Annotated[str, Field(min_length=1, max_length=LONGEST)]
    new: Annotated[str, Field(min_length=1, max_length=1000)]


class Ended(BaseModel):
    """How many sessions ended."""

    ended: int


@SURFACE.get("/me", permission=SELF)
async def me(call: Call) -> Me:
    """我是谁，能做什么."""
    caller = call.me
    rows = await db.fetch(
        "SELECT id, name, growth_word FROM brand WHERE $1::bigint[] IS NULL OR id = ANY($1) ORDER BY id",
        call.within(None),
    )
    return Me(
        id=caller.staff_id,
        login=caller.login,
        name=caller.name,
        role=caller.role,
        permissions=[] if caller.must_change else sorted(caller.permissions),
        all_brands=caller.brands is None,
        brands=[BrandView(id=row["id"], name=row["name"], growth_word=row["growth_word"]) for row in rows],
        must_change_password=caller.must_change,
        csrf=call.parts.csrf(caller.token_hash),
    )


@SURFACE.post("/me/password", permission=SELF, status=204, network=True, errors=[Invalid, Locked])
async def change_password(call: Call, body: PasswordChange) -> None:
    """修改密码.

    Every other session of mine ends.
    """
    mine = call.me
    await signing_in.change_password(
        call.parts.passwords,
        call.parts.sealer,
        call.actor,
        staff_id=mine.staff_id,
        session_id=mine.session_id,
        present=body.present,
        new=body.new,
        now=call.now,
    )


@SURFACE.get("/me/sessions", permission=SELF)
async def my_sessions(call: Call) -> MySessions:
    """我的登录设备."""
    mine = call.me
    found = await sessions.of(mine.staff_id, call.now)
    return MySessions(
        items=[MySession.model_validate(asdict(one) | {"here": one.id == mine.session_id}) for one in found]
    )


@SURFACE.delete("/me/sessions/{session_id}", permission=SELF, status=204, errors=[NotFound])
async def end_session(call: Call, session_id: int) -> None:
    """退出一台设备."""
    await sessions.end(call.actor, staff_id=call.me.staff_id, session_id=session_id, now=call.now)


@SURFACE.post("/me/sessions/end-others", permission=SELF)
async def end_other_sessions(call: Call) -> Ended:
    """退出其他所有设备."""
    mine = call.me
    ended = await sessions.end_others(call.actor, staff_id=mine.staff_id, keep=mine.session_id, now=call.now)
    return Ended(ended=ended)
