"""A member deletes their account (PIPL, the right to be forgotten): one transaction over all that is theirs.

What identifies the person goes from everywhere at once; the ledger, counts and the bare timeline stay and point to
nobody. docs/subsystems/privacy.md lists, table by table, what happens to what.
"""

from datetime import datetime, timedelta

from kit.seal import Sealer
from scrm.assistant import erasing as assistant
from scrm.conversations import erasing as conversations
from scrm.db import Transaction, command
from scrm.events.redaction import redact
from scrm.gifts import addresses
from scrm.jobs import enqueue
from scrm.members import erasing
from scrm.outreach import erasing as outreach
from scrm.points import forfeiting
from scrm.pushes import erasing as pushes
from scrm.referrals import service as referrals

# The job that looks again, when whatever was under way has certainly ended.
AFTERWARDS, LATER = "members.erase_rest", timedelta(minutes=10)


@command
async def delete_account(tx: Transaction, sealer: Sealer, *, member_id: int, now: datetime) -> bool:
    """Erase the person that a member is, over all their homes and accounts; False when that was done before.

    Sessions end at once, points are forfeited. Raises Conflict `open_redemptions` while a gift waits to be sent or
    shown: the member cancels it or lets it come first.
    """
    raw = tx.connection
    person = await erasing.hold_whole(raw, member_id)
    if person.erased:
        return False
    await addresses.forget(raw, person.homes)
    await forfeiting.forfeit(raw, person.homes, now)
    await raw.execute(
        """
        UPDATE member_session SET revoked_at = $2, revoked_why = 'deleted'
        WHERE fan_id = ANY($1::bigint[]) AND revoked_at IS NULL
        """,
        person.fans,
        now,
    )
    # But not the one that is at work: it may be this very request's, whose answer is empty.
    await raw.execute(
        "DELETE FROM idempotent_request WHERE scope = ANY($1::text[]) AND state = 'done'",
        [f"fan:{fan}" for fan in person.fans],
    )
    await conversations.forget(raw, person.fans, now)
    await assistant.forget(raw, person.homes, person.fans)
    await outreach.forget(raw, person.fans)
    await pushes.forget(raw, person.homes, person.fans)
    await raw.execute("DELETE FROM member_tag WHERE member_id = ANY($1::bigint[])", person.homes)
    await referrals.forget(raw, person.homes)
    await erasing.erase(raw, sealer, person, now)
    await enqueue(tx, AFTERWARDS, {"member_id": member_id}, delay=LATER)
    return True


@command
async def erase_rest(tx: Transaction, *, member_id: int, now: datetime) -> None:
    """Erase what was being written while the person was erased, such as a message that came at that very moment.

    For members who are not erased, and when nothing is left, it does nothing.
    """
    raw = tx.connection
    person = await erasing.hold_whole(raw, member_id)
    if person.erased:
        await conversations.forget(raw, person.fans, now)
        await assistant.forget(raw, person.homes, person.fans)
        await outreach.forget(raw, person.fans)
        await pushes.forget(raw, person.homes, person.fans)
        await redact(raw, person.homes, now, but=erasing.ERASED.name)
