"""Staff sessions: a random cookie whose hash is kept, an idle limit, an absolute one, and an end at any moment."""

import hashlib
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from scrm.db import Connection, Transaction, command, connection, fetch
from scrm.errors import DomainError, NotFound
from scrm.staff.audit import Actor, Entry, brand_of, record
from scrm.staff.permissions import granted

IDLE = timedelta(hours=2)
ABSOLUTE = timedelta(hours=16)  # a long shift
SEEN_EVERY = timedelta(minutes=1)
KEPT = timedelta(days=90)


class NotSignedIn(DomainError):  # noqa: N818  # reads as the answer it becomes
    """Nobody is signed in, or no longer."""

    status = 401
    code = "not_signed_in"
    title = "请先登录"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is signed in and what they may do. `brands` None: all, also those to come."""

    session_id: int
    staff_id: int
    login: str
    name: str
    role_id: int
    role: str
    permissions: frozenset[str]
    brands: frozenset[int] | None
    must_change: bool
    token_hash: str

    def may(self, permission: str) -> bool:
        """Whether their role allows it."""
        return permission in self.permissions


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as its owner sees it."""

    id: int
    address: str
    agent: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


def hashed(token: str) -> str:
    """Return what is kept of a cookie."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


async def begin(raw: Connection, staff_id: int, *, address: str, agent: str, now: datetime, replaces: str) -> str:
    """Open a session in the caller's transaction and return its cookie, which nobody has ever seen before.

    `replaces` is the cookie the browser came with: the session it names ends, whoever's it was.
    """
    token = secrets.token_urlsafe(32)
    if replaces:
        await raw.execute(
            """
            UPDATE staff_session SET revoked_at = $2, revoked_why = 'replaced'
            WHERE token_hash = $1 AND revoked_at IS NULL
            """,
            hashed(replaces),
            now,
        )
    await raw.execute(
        """
        INSERT INTO staff_session (staff_id, token_hash, address, agent, created_at, seen_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $5, $6)
        """,
        staff_id,
        hashed(token),
        address[:45],
        agent[:200],
        now,
        now + ABSOLUTE,
    )
    return token


async def caller(token: str, now: datetime, *, noted: bool = True) -> Caller:
    """Return who a cookie belongs to; notes that they are there, unless not `noted`. Raises NotSignedIn."""
    rows = await fetch(
        """
        SELECT s.id AS session_id, s.seen_at, s.token_hash, p.id AS staff_id, p.login, p.name, p.must_change,
               p.all_brands, r.id AS role_id, r.code, r.name AS role, r.permissions,
               ARRAY(SELECT brand_id FROM staff_brand b WHERE b.staff_id = p.id) AS brands
        FROM staff_session s JOIN staff p ON p.id = s.staff_id JOIN role r ON r.id = p.role_id
        WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND s.seen_at > $3
          AND p.status = 'active'
        """,
        hashed(token),
        now,
        now - IDLE,
    )
    if not rows:
        raise NotSignedIn("登录已失效，请重新登录", code="session_over")
    row = rows[0]
    if noted and row["seen_at"] <= now - SEEN_EVERY:
        async with connection() as raw:
            await raw.execute(
                "UPDATE staff_session SET seen_at = $2 WHERE id = $1 AND seen_at < $2", row["session_id"], now
            )
    return Caller(
        session_id=row["session_id"],
        staff_id=row["staff_id"],
        login=row["login"],
        name=row["name"],
        role_id=row["role_id"],
        role=row["role"],
        permissions=granted(row["code"], _list(row["permissions"])),
        brands=None if row["all_brands"] else frozenset(row["brands"]),
        must_change=row["must_change"],
        token_hash=row["token_hash"],
    )


def _list(text: str) -> list[str]:
    found: list[str] = json.loads(text)
    return found


async def of(staff_id: int, now: datetime) -> list[SessionView]:
    """Return the sessions of somebody that still count, the latest seen first."""
    rows = await fetch(
        """
        SELECT id, address, agent, created_at, seen_at, expires_at FROM staff_session
        WHERE staff_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND seen_at > $3 ORDER BY seen_at DESC, id DESC
        """,
        staff_id,
        now,
        now - IDLE,
    )
    return [SessionView(**dict(row)) for row in rows]


async def revoke(
    raw: Connection, staff_id: int, *, why: str, now: datetime, only: int | None = None, keep: Collection[int] = ()
) -> int:
    """End the sessions of somebody in the caller's transaction: one, or all but some; returns how many ended."""
    rows = await raw.fetch(
        """
        UPDATE staff_session SET revoked_at = $2, revoked_why = $3
        WHERE staff_id = $1 AND revoked_at IS NULL AND ($4::bigint IS NULL OR id = $4) AND id <> ALL($5::bigint[])
        RETURNING id
        """,
        staff_id,
        now,
        why,
        only,
        list(keep),
    )
    return len(rows)


@command
async def sign_out(tx: Transaction, actor: Actor, *, staff_id: int, session_id: int, now: datetime) -> None:
    """End one's own session at once; again changes nothing."""
    if await revoke(tx.connection, staff_id, why="signed_out", now=now, only=session_id):
        brand_id = await brand_of(tx.connection, staff_id)
        await record(tx.connection, actor, Entry("session.ended", f"staff:{staff_id}", actor.name, brand_id), now)


@command
async def end(tx: Transaction, actor: Actor, *, staff_id: int, session_id: int, now: datetime) -> None:
    """End one session of somebody, at another browser; again changes nothing. Raises NotFound."""
    raw = tx.connection
    if not await raw.fetchval("SELECT 1 FROM staff_session WHERE id = $1 AND staff_id = $2", session_id, staff_id):
        raise NotFound
    if await revoke(raw, staff_id, why="revoked", now=now, only=session_id):
        await _revoked(raw, actor, staff_id, {"session": session_id}, now)


@command
async def end_others(tx: Transaction, actor: Actor, *, staff_id: int, keep: int, now: datetime) -> int:
    """End all sessions of somebody but one; returns how many ended."""
    ended = await revoke(tx.connection, staff_id, why="revoked", now=now, keep=[keep])
    if ended:
        await _revoked(tx.connection, actor, staff_id, {"sessions": ended}, now)
    return ended


async def _revoked(raw: Connection, actor: Actor, staff_id: int, what: dict[str, int], now: datetime) -> None:
    brand_id = await brand_of(raw, staff_id)
    await record(raw, actor, Entry("session.revoked", f"staff:{staff_id}", actor.name, brand_id, after=what), now)


@command
async def forget_old(tx: Transaction, *, now: datetime, limit: int = 1000) -> int:
    """Forget sessions that ended 90 days ago, at most `limit`; returns how many. Call it until it returns 0."""
    rows = await tx.connection.fetch(
        """
        DELETE FROM staff_session WHERE id IN (
            SELECT id FROM staff_session WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING id
        """,
        now - KEPT,
        limit,
    )
    return len(rows)
