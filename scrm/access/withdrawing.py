"""What somebody takes back at WeChat: single pieces of information (撤回授权), or their whole account there (注销).

A push tells us; what it asks for is a job, put into the queue with the push's event, since a whole person is locked for
it. A repeated push is no second event, and a repeated job finds nothing left to do.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from kit.seal import Sealer
from scrm.access.leaving import delete_account
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict
from scrm.events.kinds import Appended
from scrm.jobs import enqueue
from scrm.members import phones, profiles
from scrm.members.person import hold

REVOKED, CANCELLED = "members.revoked", "members.cancelled"
AGAIN = timedelta(days=1)

# WeChat's numbers (RevokeInfo) of what we may have from an authorisation, and where it stands in the profile. The
# others (licence plate, invoice, microphone, album …) nobody asked for; addresses are written into a form of ours.
_FIELDS: dict[str, tuple[str, ...]] = {
    "6": ("nickname", "avatar"),
    "8": ("phone",),
    "19": ("nickname",),
    "20": ("avatar",),
}


async def revoked(raw: Connection, events: Sequence[Appended]) -> None:
    """Consequence of a withdrawn authorisation (`revoke_info` in the payload): have what came by it cleared."""
    for event in events:
        fields = _FIELDS.get(str(event.payload.get("revoke_info") or "").strip(), ())
        if event.fan_id is not None and fields:
            payload = {"fan_id": event.fan_id, "fields": fields, "before": event.recorded_at.isoformat()}
            await enqueue(Transaction(raw), REVOKED, payload)


async def cancelled(raw: Connection, events: Sequence[Appended]) -> None:
    """Consequence of a cancelled WeChat account: have the person erased."""
    for event in events:
        if event.fan_id is not None:
            await enqueue(Transaction(raw), CANCELLED, {"fan_id": event.fan_id})


@command
async def clear(tx: Transaction, sealer: Sealer, *, fan_id: int, fields: Sequence[str], before: datetime) -> list[str]:
    """Clear profile fields that a fan said until `before`, and return which there were; what came later stays.

    What the person said at other accounts is theirs still, and so are merges: who was found to be one person by a
    number remains one without it, until the merge is split.
    """
    raw = tx.connection
    home = await raw.fetchval("SELECT member_id FROM fan WHERE id = $1", fan_id)
    homes = await hold(raw, home, fan_id)
    gone = await profiles.unsay(raw, home, fields, before)
    if "phone" in gone:
        await phones.unbind(raw, sealer, home, homes)
    return gone


@command
async def erase(tx: Transaction, sealer: Sealer, *, fan_id: int, now: datetime) -> bool:
    """Erase the person that a fan is; False when that was done before, or has to wait.

    A gift that is to be sent, or whose code is to be shown, comes first, as for who deletes their account themselves:
    it is tried again every day.
    """
    member_id = await tx.connection.fetchval("SELECT member_id FROM fan WHERE id = $1", fan_id)
    try:
        return await delete_account(sealer, member_id=member_id, now=now)
    except Conflict:
        again = f"{CANCELLED}:{fan_id}:{now:%F}"
        await enqueue(tx, CANCELLED, {"fan_id": fan_id}, dedupe=again, delay=AGAIN)
        return False
