"""How long the next sign-in has to wait after failures: per login name, known or not, and per address.

A sign-in counts as failed before its password is looked at, and is taken back when it was right: a thousand at the
same moment are a thousand failures, not a thousand free guesses.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from scrm.db import Connection, Transaction, command
from scrm.errors import DomainError

FREE = {"login": 5, "address": 30}  # failures that cost nothing
FIRST, MOST = timedelta(seconds=15), timedelta(minutes=15)  # it doubles in between
FORGOTTEN = timedelta(hours=1)  # without a failure


class Locked(DomainError):  # noqa: N818  # reads as the answer it becomes
    """Too many failed sign-ins; the answer says in how many seconds to come again."""

    status = 429
    code = "locked"
    title = "尝试次数太多，请稍后再登录"


def wait_after(kind: str, failures: int) -> timedelta:
    """Return how long the next sign-in waits after so many failures in a row."""
    beyond = failures - FREE[kind]
    return timedelta(0) if beyond < 0 else min(MOST, FIRST * 2 ** min(beyond, 10))


@command
async def begin(tx: Transaction, subjects: Sequence[tuple[str, str]], now: datetime) -> None:
    """Count an attempt for each (kind, fingerprint) before it is made. Raises Locked while one has to wait."""
    raw, waits = tx.connection, timedelta(0)
    for kind, subject in sorted(subjects, key=lambda one: one[1]):
        row = await raw.fetchrow(
            """
            INSERT INTO sign_in_failure AS f (subject, failures, failed_at) VALUES ($1, 0, $2)
            ON CONFLICT (subject) DO UPDATE SET failures = CASE WHEN f.failed_at <= $3 THEN 0 ELSE f.failures END
            RETURNING failures, locked_until
            """,
            subject,
            now,
            now - FORGOTTEN,
        )
        if row["locked_until"] is not None and row["locked_until"] > now:
            waits = max(waits, row["locked_until"] - now)
            continue
        wait = wait_after(kind, row["failures"] + 1)
        await raw.execute(
            "UPDATE sign_in_failure SET failures = failures + 1, failed_at = $2, locked_until = $3 WHERE subject = $1",
            subject,
            now,
            now + wait if wait else None,
        )
    if waits:
        raise Locked(retry_after=waits)


async def succeeded(raw: Connection, login: str, address: str | None = None) -> None:
    """Forget the failures of a name whose password was right, and take back the one of its address."""
    await raw.execute("DELETE FROM sign_in_failure WHERE subject = $1", login)
    # Not all of them: one right password among many guesses does not make the others right.
    await raw.execute(
        "UPDATE sign_in_failure SET failures = greatest(failures - 1, 0), locked_until = NULL WHERE subject = $1",
        address,
    )


@command
async def forget_old(tx: Transaction, *, now: datetime, limit: int = 1000) -> int:
    """Forget failures that count no more, at most `limit`; returns how many. Call it until it returns 0."""
    rows = await tx.connection.fetch(
        """
        DELETE FROM sign_in_failure WHERE id IN (
            SELECT id FROM sign_in_failure WHERE failed_at <= $1 ORDER BY failed_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING id
        """,
        now - FORGOTTEN,
        limit,
    )
    return len(rows)
