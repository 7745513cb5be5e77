"""Asking for the month as a picture: a worker draws it, because drawing takes time and sending it takes WeChat."""

from uuid import UUID

from scrm.db import Transaction, command
from scrm.jobs import enqueue

JOB = "checkins.card"


@command
async def ask(tx: Transaction, *, fan_id: int, asked: UUID) -> bool:
    """Ask for a fan's card of this month; `asked` is the key of the push that did. False when it is on its way."""
    return await enqueue(tx, JOB, {"fan_id": fan_id, "asked": str(asked)}, dedupe=f"checkin-card:{fan_id}")
