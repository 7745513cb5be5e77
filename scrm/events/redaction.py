"""The one door through which the timeline is changed: whoever is erased leaves what happened, not what they said."""

from collections.abc import Sequence
from datetime import datetime

from scrm.db import Connection


async def redact(raw: Connection, member_ids: Sequence[int], now: datetime, *, but: str = "") -> None:
    """Empty the payloads of all events of these home members but of one kind, and put on record that this was done.

    Part of the caller's transaction. That something happened, when and where, stays: counts and ledgers rest on it.
    The record is what the trigger asks for, so there is no redaction without one; again changes nothing.
    """
    left = "member_id = ANY($1::bigint[]) AND kind <> $2 AND payload <> '{}'"
    if not await raw.fetchval(f"SELECT EXISTS (SELECT FROM event WHERE {left})", list(member_ids), but):  # noqa: S608  # as above
        return
    await raw.execute(
        # A trigger writes the number of the transaction, whatever stands here.
        "INSERT INTO event_redaction (member_id, xact, redacted_at) SELECT unnest($1::bigint[]), 0, $2",
        list(member_ids),
        now,
    )
    await raw.execute(f"UPDATE event SET payload = '{{}}' WHERE {left}", list(member_ids), but)  # noqa: S608  # as above
