"""Beginning a tag for many: the people of a selection or filter, chosen in the transaction that begins the batch."""

from datetime import datetime
from uuid import UUID

from kit.seal import Sealer
from scrm.db import Transaction, command
from scrm.people.search import Wanted, where
from scrm.tags import batches
from scrm.tags.batches import Action, BatchView


@command
async def begin(
    tx: Transaction,
    sealer: Sealer,
    *,
    key: UUID,
    brand_id: int,
    tag_id: int,
    action: Action,
    wanted: Wanted,
    staff_id: int,
    now: datetime,
) -> BatchView:
    """Begin to put a brand's tag on everybody a filter means, or to take it off; the same key begins once.

    `wanted.brands` has to be that brand. Raises NotFound, Conflict, and Invalid naming a field of the filter.
    """
    raw = tx.connection
    batch_id = await batches.open_batch(
        raw, key=key, brand_id=brand_id, tag_id=tag_id, action=action, staff_id=staff_id, now=now
    )
    if batch_id is not None:
        condition, values = where(sealer, wanted, now)
        await raw.execute(
            f"""
            INSERT INTO tag_batch_member (batch_id, person_id, outcome)
            SELECT ${len(values) + 1}::bigint, m.id, 'pending' FROM member m WHERE {condition} ORDER BY m.id
            """,  # noqa: S608  # conditions written in search.py, values are arguments
            *values,
            batch_id,
        )
        await batches.start(tx, batch_id)
    return await batches.by_key(raw, key)
