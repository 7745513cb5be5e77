"""WeChat's own customer service instead of our seats: its sessions, as the platform's events tell of them."""

from datetime import datetime

from scrm.conversations.changes import again, change, lock_fan, lock_open, record
from scrm.conversations.closing import end_silently
from scrm.conversations.service import ANEW, open_one
from scrm.db import Transaction, command
from scrm.pushes import silence


@command
async def session_created(tx: Transaction, *, fan_id: int, kf_account: str, now: datetime) -> int:
    """Note that WeChat's desk has a fan, and return the conversation; the bot is silent until the session closes.

    A session may begin without the fan having asked here: whom it finds with the bot is asked for at this moment, what
    they asked for before is over. Who waits already, or is with one of our own seats, goes on with what they asked
    for at WeChat's desk: the platform has already decided so.
    """
    raw = tx.connection
    fan = await lock_fan(raw, fan_id)
    row = await lock_open(raw, fan_id) or await open_one(raw, fan, now, now, "wechat")
    if row["desk"] == "wechat" and row["state"] == "staff" and row["kf_account"] == kf_account:
        return int(row["id"])
    if row["state"] == "bot":
        await change(raw, row["id"], **ANEW, reason="wechat", asked_at=now)
        row = await again(raw, row["id"])
    await change(
        raw,
        row["id"],
        state="staff",
        desk="wechat",
        staff_id=None,
        kf_account=kf_account[:64],
        assigned_at=row["assigned_at"] or now,
        snoozed_until=None,
        answer_due_at=None,
        last_at=now,
    )
    await silence.begin(raw, fan_id)
    await record(raw, row, "assigned", "wechat", now, staff_id=row["staff_id"], reason="wechat")
    return int(row["id"])


@command
async def session_switched(tx: Transaction, *, fan_id: int, to_kf_account: str, now: datetime) -> None:
    """Note that another of WeChat's desk has the fan now; without a session nothing changes."""
    raw = tx.connection
    await lock_fan(raw, fan_id)
    row = await lock_open(raw, fan_id)
    if row is None or row["desk"] != "wechat" or row["kf_account"] == to_kf_account:
        return
    await change(raw, row["id"], kf_account=to_kf_account[:64], last_at=now)
    await record(raw, row, "transferred", "wechat", now, reason="wechat")


@command
async def session_closed(tx: Transaction, *, fan_id: int, now: datetime) -> bool:
    """End the conversation with WeChat's desk; the bot speaks again. False when there was none."""
    raw = tx.connection
    await lock_fan(raw, fan_id)
    row = await lock_open(raw, fan_id)
    if row is None or row["desk"] != "wechat":
        return False
    await end_silently(raw, row, now)
    return True
