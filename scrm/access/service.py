"""Signing in, going on, signing out: the sessions of members at a mini-program."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from kit.ids import key_of
from kit.seal import Sealer
from scrm.access.tokens import ACCESS, REFRESH, NotSignedIn, Tokens, hashed
from scrm.db import Connection, Transaction, command
from scrm.errors import Invalid
from scrm.events import kinds
from scrm.events import service as events
from scrm.members.erasing import barred
from scrm.members.service import ENSURE_FANS, link_unionid
from scrm.referrals.service import came

SIGNED_IN = kinds.register("miniprogram.signed_in", "登录小程序")


@dataclass(frozen=True, slots=True, repr=False)
class Pair:
    """What a device gets: kept out of logs by having no repr. `expires_in` is seconds of the access token."""

    access_token: str
    refresh_token: str
    expires_in: int = int(ACCESS.total_seconds())


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is signed in: a fan of a mini-program, with its home member."""

    session_id: int
    fan_id: int
    member_id: int
    account_id: int


@command
async def sign_in(
    tx: Transaction,
    tokens: Tokens,
    sealer: Sealer,
    *,
    account_id: int,
    openid: str,
    unionid: str | None,
    now: datetime,
    invited_by: str | None = None,
) -> Pair:
    """Begin a session of whoever WeChat says this is, made known if they are new; returns its tokens.

    The unionid joins them to the same person at the brand's other accounts. `invited_by` is a friend's invitation
    code: it counts for somebody new who was not erased lately, else it is ignored. Raises Invalid naming the field.
    """
    if not 1 <= len(openid) <= 64:
        raise Invalid("openid 不能为空，最长 64 个字符", field="openid")
    raw = tx.connection
    fan, fresh = await _fan(raw, account_id, openid, now)
    if unionid:
        await link_unionid(fan_id=fan["id"], unionid=unionid, now=now)
    again = fresh and await barred(raw, sealer, account_id=account_id, openid=openid, unionid=unionid, now=now)
    if fresh and invited_by and not again:
        await came(raw, code=invited_by, account_id=account_id, fan_id=fan["id"], member_id=fan["member_id"], now=now)
    session_id = await raw.fetchval("SELECT nextval('member_session_id_seq')")
    refresh = tokens.refresh(session_id)
    await raw.execute(
        "INSERT INTO member_session (id, fan_id, refresh_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        session_id,
        fan["id"],
        hashed(refresh),
        now,
        now + REFRESH,
    )
    await events.append(
        key=key_of(SIGNED_IN.name, session_id),
        kind=SIGNED_IN.name,
        occurred_at=now,
        recorded_at=now,
        member_id=fan["member_id"],
        account_id=account_id,
        fan_id=fan["id"],
        payload={},
    )
    return Pair(tokens.access(session_id, fan["id"], now), refresh)


async def _fan(raw: Connection, account_id: int, openid: str, now: datetime) -> tuple[asyncpg.Record, bool]:
    """Return the fan, locked, and whether it was made here. One that is erased at this moment is made anew."""
    fresh, fan = False, None
    while fan is None:
        # The tag of its last statement counts the members that were made.
        fresh = await raw.execute(ENSURE_FANS, [account_id], [openid], now) != "INSERT 0 0"
        fan = await raw.fetchrow(
            "SELECT id, member_id FROM fan WHERE account_id = $1 AND openid = $2 FOR NO KEY UPDATE", account_id, openid
        )
    return fan, fresh


async def refresh(tokens: Tokens, refresh_token: str, *, account_id: int, now: datetime) -> Pair:
    """Return the next pair of tokens; each refresh token counts once.

    One that was used before ends the session for both who hold it, the thief and the owner: nobody can tell them
    apart. Raises NotSignedIn: token_invalid, session_over, token_replayed.
    """
    pair = await _rotate(tokens, tokens.session_of(refresh_token), hashed(refresh_token), account_id, now)
    if pair is None:
        raise NotSignedIn("登录凭证已被使用过，为了您的安全请重新登录", code="token_replayed")
    return pair


@command
async def _rotate(
    tx: Transaction, tokens: Tokens, session_id: int, shown: str, account_id: int, now: datetime
) -> Pair | None:
    """Return the next pair, or None after ending a session whose token came a second time."""
    raw = tx.connection
    row = await raw.fetchrow(
        """
        SELECT s.fan_id, s.refresh_hash FROM member_session s JOIN fan f ON f.id = s.fan_id
        WHERE s.id = $1 AND f.account_id = $2 AND s.revoked_at IS NULL AND s.expires_at > $3
        FOR NO KEY UPDATE OF s
        """,
        session_id,
        account_id,
        now,
    )
    if row is None:
        raise NotSignedIn("登录已失效，请重新登录", code="session_over")
    if row["refresh_hash"] != shown:
        await _revoke(raw, session_id, "replayed", now)
        return None
    following = tokens.refresh(session_id)
    await raw.execute(
        "UPDATE member_session SET refresh_hash = $2, expires_at = $3 WHERE id = $1",
        session_id,
        hashed(following),
        now + REFRESH,
    )
    return Pair(tokens.access(session_id, row["fan_id"], now), following)


@command
async def sign_out(tx: Transaction, *, session_id: int, now: datetime) -> None:
    """End a session at once; again changes nothing."""
    await _revoke(tx.connection, session_id, "signed_out", now)


async def _revoke(raw: Connection, session_id: int, why: str, now: datetime) -> None:
    await raw.execute(
        "UPDATE member_session SET revoked_at = $2, revoked_why = $3 WHERE id = $1 AND revoked_at IS NULL",
        session_id,
        now,
        why,
    )


@command
async def forget_old(tx: Transaction, *, now: datetime, limit: int = 1000) -> int:
    """Forget sessions that nobody can go on with, at most `limit`; returns how many. Call it until it returns 0.

    One that was ended early stays until its time would have been up: why it ended is what support asks for.
    """
    rows = await tx.connection.fetch(
        """
        DELETE FROM member_session WHERE id IN (
            SELECT id FROM member_session WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING id
        """,
        now,
        limit,
    )
    return len(rows)


async def callers(raw: Connection, session_ids: Sequence[int], now: datetime) -> dict[int, Caller]:
    """Return who the sessions belong to that still count; one indexed read for as many as ask together."""
    rows = await raw.fetch(
        """
        SELECT s.id AS session_id, s.fan_id, f.member_id, f.account_id
        FROM member_session s JOIN fan f ON f.id = s.fan_id
        WHERE s.id = ANY($1::bigint[]) AND s.revoked_at IS NULL AND s.expires_at > $2
        """,
        list(session_ids),
        now,
    )
    return {row["session_id"]: Caller(**dict(row)) for row in rows}
