"""What the assistant holds of members who asked to be forgotten."""

from collections.abc import Sequence

from scrm.db import Connection


async def forget(raw: Connection, homes: Sequence[int], fans: Sequence[int]) -> None:
    """Erase what was answered and what the model is still to be asked; calls and their cost stay.

    Part of the caller's transaction, which holds the person.
    """
    await raw.execute(
        """
        UPDATE assistant_answer SET said = '', written = '', detail = '', passages = '[]', tools = '[]', choices = '[]'
        WHERE fan_id = ANY($1::bigint[])
        """,
        list(fans),
    )
    await raw.execute(
        "DELETE FROM interest_question WHERE event_key IN (SELECT key FROM event WHERE member_id = ANY($1::bigint[]))",
        list(homes),
    )
