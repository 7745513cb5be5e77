"""What is kept for days to answer pushes, erased for fans who asked to be forgotten."""

from collections.abc import Sequence

from scrm.db import Connection


async def forget(raw: Connection, homes: Sequence[int], fans: Sequence[int]) -> None:
    """Delete the pushes, dialogues and waiting answers of these fans of these homes; their keys stay taken.

    Part of the caller's transaction. A push that is at work just now finds itself gone and says nothing.
    """
    # By the timeline, which has the same keys and is indexed by member.
    await raw.execute(
        "DELETE FROM push WHERE key IN (SELECT key FROM event WHERE member_id = ANY($1::bigint[]))", list(homes)
    )
    for table in ("held_reply", "turn", "dialogue"):
        await raw.execute(f"DELETE FROM {table} WHERE fan_id = ANY($1::bigint[])", list(fans))  # noqa: S608  # our own names
