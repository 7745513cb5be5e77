"""Writes that are asked for twice and done once: who works on a key, and the answer it got.

A key is claimed first, in a transaction of its own, under a lease. The work and its answer are then one transaction,
fenced by the claim: whoever died before its commit has done nothing, so a successor may do it all; whoever was
thought dead and is not finds its claim gone and rolls back.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from kit.seal import Sealer
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid

# Longer than any statement may take; only a process that died lets it run out.
LEASE = timedelta(seconds=30)
KEPT = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer of a write, as it goes out."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a write."""

    id: int
    owner: UUID


_CLAIM = """
INSERT INTO idempotent_request AS r (scope, key, request_hash, state, owner, lease_until, created_at)
VALUES ($1, $2, $3, 'running', $4, $6, $5)
ON CONFLICT (scope, key) DO UPDATE SET owner = $4, lease_until = $6
WHERE r.state = 'running' AND r.lease_until <= $5 AND r.request_hash = $3
RETURNING id
"""


@command
async def claim(
    tx: Transaction, sealer: Sealer, *, scope: str, key: str, request_hash: str, owner: UUID, now: datetime
) -> Claim | Answered:
    """Return the right to do a write, or the answer it got before.

    Raises Invalid `key_reused` when the key was used for something else, Conflict `in_flight` while somebody is
    at it.
    """
    raw = tx.connection
    made = await raw.fetchval(_CLAIM, scope, key, request_hash, owner, now, now + LEASE)
    if made is not None:
        return Claim(made, owner)
    row = await raw.fetchrow(
        "SELECT request_hash, state, status, body_sealed FROM idempotent_request WHERE scope = $1 AND key = $2",
        scope,
        key,
    )
    if row is not None and row["request_hash"] != request_hash:
        raise Invalid("这次提交的内容和上一次不同，请刷新后重新提交", code="key_reused", field="Idempotency-Key")
    if row is None or row["state"] == "running":
        raise Conflict("同一个请求正在处理，请稍后再试", code="in_flight")
    return Answered(row["status"], sealer.open(row["body_sealed"]))


@command
async def carry_out(
    tx: Transaction, sealer: Sealer, claimed: Claim, work: Callable[[], Awaitable[Answered]]
) -> Answered:
    """Do the work and keep its answer, both or neither. Raises what `work` raises, and Conflict `in_flight`."""
    answer = await work()
    await _keep(tx.connection, sealer, claimed, answer)
    return answer


@command
async def keep(tx: Transaction, sealer: Sealer, claimed: Claim, answer: Answered) -> None:
    """Keep the answer of work that changed nothing, such as a refusal. Raises Conflict `in_flight`."""
    await _keep(tx.connection, sealer, claimed, answer)


async def _keep(raw: Connection, sealer: Sealer, claimed: Claim, answer: Answered) -> None:
    kept = await raw.fetchval(
        """
        UPDATE idempotent_request SET state = 'done', status = $3, body_sealed = $4
        WHERE id = $1 AND owner = $2 AND state = 'running' RETURNING id
        """,
        claimed.id,
        claimed.owner,
        answer.status,
        sealer.seal(answer.body),
    )
    if kept is None:
        raise Conflict("同一个请求正在处理，请稍后再试", code="in_flight")


@command
async def give_up(tx: Transaction, claimed: Claim) -> None:
    """Let go of a claim whose work failed without an answer, so that it may be tried again at once."""
    await tx.connection.execute(
        "DELETE FROM idempotent_request WHERE id = $1 AND owner = $2 AND state = 'running'",
        claimed.id,
        claimed.owner,
    )


@command
async def forget_old(tx: Transaction, *, now: datetime, limit: int = 1000) -> int:
    """Forget answers that are two days old, at most `limit`; returns how many. Call it until it returns 0."""
    rows = await tx.connection.fetch(
        """
        DELETE FROM idempotent_request WHERE id IN (
            SELECT id FROM idempotent_request WHERE created_at <= $1 ORDER BY created_at LIMIT $2
            FOR UPDATE SKIP LOCKED
        ) RETURNING id
        """,
        now - KEPT,
        limit,
    )
    return len(rows)
