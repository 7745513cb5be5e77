"""Signing in with a password, and changing it. Names nobody has cost the same work and get the same answer."""

from dataclasses import dataclass, field
from datetime import datetime

from kit.network import network_of
from kit.seal import Sealer
from scrm.db import Transaction, command, fetch
from scrm.errors import DomainError, Invalid
from scrm.staff import lockout, sessions
from scrm.staff.audit import Actor, Entry, brand_of, record
from scrm.staff.passwords import Passwords, check


class WrongPassword(DomainError):  # noqa: N818  # reads as the answer it becomes
    """The login name or the password is wrong; which of them is not said."""

    status = 401
    code = "wrong_password"
    title = "登录名或密码不对"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that has begun; `token` goes into the cookie and nowhere else."""

    staff_id: int
    must_change: bool
    token: str = field(repr=False)


async def sign_in(
    passwords: Passwords,
    sealer: Sealer,
    *,
    login: str,
    password: str,
    address: str,
    agent: str,
    replaces: str,
    now: datetime,
) -> SignedIn:
    """Begin a session. Raises WrongPassword, also for disabled staff, and Locked after too many failures.

    Opens its own transactions: the password is checked between them.
    """
    login = login.strip().lower()
    by_login = sealer.fingerprint(f"login:{login}")
    by_address = sealer.fingerprint(f"address:{network_of(address)}")
    await lockout.begin([("login", by_login), ("address", by_address)], now)
    rows = await fetch("SELECT id, password_hash FROM staff WHERE login = $1 AND status = 'active'", login)
    stored = rows[0]["password_hash"] if rows else None
    if not await passwords.matches(stored, password):
        await _failed(rows[0]["id"] if rows else None, address, now)
        raise WrongPassword
    return await _begin(
        rows[0]["id"], stored or "", by_login, by_address, address=address, agent=agent, replaces=replaces, now=now
    )


@command
async def _begin(
    tx: Transaction,
    staff_id: int,
    stored: str,
    by_login: str,
    by_address: str,
    *,
    address: str,
    agent: str,
    replaces: str,
    now: datetime,
) -> SignedIn:
    raw = tx.connection
    # Asked again under the lock: the password may have been changed, or the person disabled, while it was checked.
    row = await raw.fetchrow(
        """
        UPDATE staff SET signed_in_at = $3 WHERE id = $1 AND password_hash = $2 AND status = 'active'
        RETURNING id, name, must_change
        """,
        staff_id,
        stored,
        now,
    )
    if row is None:
        raise WrongPassword
    await lockout.succeeded(raw, by_login, by_address)
    token = await sessions.begin(raw, staff_id, address=address, agent=agent, now=now, replaces=replaces)
    actor = Actor(staff_id, row["name"], address)
    entry = Entry("session.began", f"staff:{staff_id}", row["name"], await brand_of(raw, staff_id))
    await record(raw, actor, entry, now)
    return SignedIn(staff_id, row["must_change"], token)


@command
async def _failed(tx: Transaction, staff_id: int | None, address: str, now: datetime) -> None:
    # The trail names whom it was tried on, and for a name nobody has, nobody: it may be a password typed too early.
    raw, entry = tx.connection, Entry("session.refused", "staff:?")
    if staff_id is not None:
        name = await raw.fetchval("SELECT name FROM staff WHERE id = $1", staff_id)
        entry = Entry("session.refused", f"staff:{staff_id}", name, await brand_of(raw, staff_id))
    await record(raw, Actor(None, "未登录", address), entry, now)


async def change_password(
    passwords: Passwords,
    sealer: Sealer,
    actor: Actor,
    *,
    staff_id: int,
    session_id: int,
    present: str,
    new: str,
    now: datetime,
) -> None:
    """Change one's own password; every other session ends. Raises Invalid naming the field that is wrong.

    Guessing the present one at somebody's open browser is like guessing at the door: Locked after some failures.
    Opens its own transaction: both passwords are worked on before it.
    """
    rows = await fetch("SELECT login, password_hash FROM staff WHERE id = $1", staff_id)
    login, stored = rows[0]
    # First what needs no guess: whoever tries five bad new passwords has not failed at the present one.
    check(new, login=login, field="new")
    if new == present:
        raise Invalid("新密码不能与当前密码相同", code="same_password", field="new")
    by_login = sealer.fingerprint(f"login:{login}")
    await lockout.begin([("login", by_login)], now)
    if not await passwords.matches(stored, present):
        raise Invalid("当前密码不对", code="wrong_password", field="present")
    await _set_password(actor, staff_id, session_id, by_login, stored, await passwords.hash(new), now)


@command
async def _set_password(
    tx: Transaction,
    actor: Actor,
    staff_id: int,
    session_id: int,
    by_login: str,
    before: str,
    after: str,
    now: datetime,
) -> None:
    raw = tx.connection
    await lockout.succeeded(raw, by_login)
    changed = await raw.fetchval(
        "UPDATE staff SET password_hash = $3, must_change = false WHERE id = $1 AND password_hash = $2 RETURNING id",
        staff_id,
        before,
        after,
    )
    if changed is None:
        raise Invalid("密码刚刚被修改过，请重新登录", code="wrong_password", field="present")
    await sessions.revoke(raw, staff_id, why="password", now=now, keep=[session_id])
    entry = Entry("password.changed", f"staff:{staff_id}", actor.name, await brand_of(raw, staff_id))
    await record(raw, actor, entry, now)
