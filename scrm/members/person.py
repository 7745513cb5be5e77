"""Holding a person still for a command that counts over all of their homes, such as a limit per person.

The order in which rows are locked, everywhere: fan, member, ledger balances, then what the noun itself has. A
command of a noun above the ledger begins here, so two of one person run one after the other and never in a circle.
"""

from scrm.db import Connection
from scrm.errors import Conflict


async def hold(raw: Connection, member_id: int, fan_id: int | None = None) -> list[int]:
    """Lock a person until the transaction ends and return their homes, smallest id first.

    `fan_id` is the fan whose event the command will append: an event's consequences lock its fan, so it comes
    first. Merges and splits of the person wait; references to the member do not.
    """
    if fan_id is not None:
        await raw.execute("SELECT FROM fan WHERE id = $1 FOR NO KEY UPDATE", fan_id)
    root = None
    while root is None:
        # Found merged while waiting for its lock, a root is followed to its own root.
        root = await raw.fetchval(
            """
            SELECT id FROM member
            WHERE id = (SELECT coalesce(merged_into_id, id) FROM member WHERE id = $1) AND merged_into_id IS NULL
            FOR NO KEY UPDATE
            """,
            member_id,
        )
        if root is None and not await raw.fetchval("SELECT EXISTS (SELECT FROM member WHERE id = $1)", member_id):
            return [member_id]
    rows = await raw.fetch("SELECT id FROM member WHERE id = $1 OR merged_into_id = $1 ORDER BY id", root)
    return [row["id"] for row in rows]


async def erased(raw: Connection, member_id: int) -> bool:
    """Whether a member was erased; for whoever holds the person, or one of their fans, this stays so."""
    return bool(await raw.fetchval("SELECT erased_at IS NOT NULL FROM member WHERE id = $1", member_id))


async def refuse_erased(raw: Connection, member_id: int) -> None:
    """Raise Conflict `account_deleted` for a member who was erased: nothing personal is written there any more.

    Whoever holds the person, or one of their fans, asks this before it writes: a request may have been let in just
    before the erasure.
    """
    if await erased(raw, member_id):
        raise Conflict("账号已注销", code="account_deleted")
