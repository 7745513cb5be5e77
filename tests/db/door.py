"""The door out as tests use it: things said, claimed, handed over and settled at moments counted from the start."""

from datetime import datetime
from typing import Any

from kit.delivery import Delivery, Outcome
from kit.ids import key_of
from scrm import db as scrm_db
from scrm.db import fetch
from scrm.members.queries import FanView
from scrm.outreach import service as outreach
from scrm.outreach.gate import Verdict
from scrm.outreach.service import Outgoing
from tests.factories import TEXT, at, happens, make_follower

BODY = {"msgtype": "text", "text": {"content": "你好"}}


async def say(fan: FanView, key: object, now: datetime | None = None, **changes: Any) -> Verdict:
    given: dict[str, Any] = {"body": BODY, "purpose": "answer", "now": now or at(1)}
    return await outreach.say(key=key_of("say", key), fan_id=fan.id, **(given | changes))


async def claim(now: float, lease: float = 30, limit: int = 200) -> list[Outgoing]:
    return await outreach.claim(now=at(now), lease_until=at(now + lease), limit=limit)


async def start(*items: Outgoing, now: float, lease: float = 30) -> list[str | None]:
    async with scrm_db.transaction() as tx:
        return await outreach.start_sending(tx.connection, [(item.id, at(now), at(now + lease)) for item in items])


async def settle(item: Outgoing, outcome: Outcome, now: float, **changes: Any) -> None:
    async with scrm_db.transaction() as tx:
        await outreach.settle(tx.connection, [(item.id, Delivery(outcome, **changes), at(now))])


async def states() -> list[tuple[str, str]]:
    return [(row["state"], row["detail"]) for row in await fetch("SELECT state, detail FROM outbox ORDER BY id")]


async def talking(account_id: int, seconds: float = 0) -> FanView:
    """A follower who wrote something: five messages may be said for 48 hours."""
    fan = await make_follower(account_id, at(-10_000_000))
    await happens(fan, TEXT, at(seconds))
    return fan
