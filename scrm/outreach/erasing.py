"""What was said, or was about to be, to fans who asked to be forgotten."""

from collections.abc import Sequence

from scrm.db import Connection


async def forget(raw: Connection, fans: Sequence[int]) -> None:
    """Erase what messages to these fans said and what decisions knew about them; what waits is not sent.

    Part of the caller's transaction. That a message was decided on and how it ended stays. One that is being handed
    to the platform at this moment ends as unknown.
    """
    await raw.execute(
        """
        UPDATE outbox SET body = '{}', lease_until = NULL, detail = CASE WHEN state = 'sent' THEN '' ELSE 'erased' END,
            state = CASE WHEN state IN ('pending', 'claimed') THEN 'refused'
                         WHEN state = 'sending' THEN 'unknown' ELSE state END
        WHERE fan_id = ANY($1::bigint[])
        """,
        list(fans),
    )
    await raw.execute("UPDATE outreach_decision SET facts = '{}' WHERE fan_id = ANY($1::bigint[])", list(fans))
