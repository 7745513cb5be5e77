"""A brand's service desk for tests: staff with seats, fans who have just written, and what stands in the database."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from kit.ids import key_of
from scrm import db
from scrm.accounts.models import Account
from scrm.conversations import desk, lines, service
from scrm.conversations.service import Handoff
from scrm.members.queries import FanView
from scrm.outreach.gate import Verdict
from tests.factories import TEXT, at, happens, make_account, make_follower, make_staff

_serial = count(1)
# The desk's tests write at moments of their own; follow long before, so that only what a fan writes opens a window.
LONG_AGO = -10_000_000


@dataclass
class Office:
    """One brand with one account."""

    brand: int
    account: int
    staff: list[int] = field(default_factory=list)

    async def name(self) -> str:
        """Return the brand's name, to make another account of it."""
        rows = await db.fetch("SELECT name FROM brand WHERE id = $1", self.brand)
        return str(rows[0]["name"])

    async def seat(self, capacity: int = 5, *skills: str, present: bool = True, now: datetime | None = None) -> int:
        """Give somebody new a seat; present for a minute from `now`."""
        staff_id = await make_staff()
        for name in skills:
            await desk.set_skill(brand_id=self.brand, name=name, title=f"{name}组")
        await desk.set_seat(brand_id=self.brand, staff_id=staff_id, capacity=capacity, skills=skills)
        self.staff.append(staff_id)
        if present:
            await desk.heartbeat(staff_id=staff_id, now=now or at(0))
        return staff_id

    async def fan(self, *texts: str, when: float = 0) -> FanView:
        """A follower, who has written these texts."""
        made = await make_follower(self.account, at(LONG_AGO))
        for text in texts:
            await self.writes(made, text, when)
        return made

    async def writes(self, fan: FanView, text: str, when: float, *, heard: bool = False) -> None:
        """Let a fan write; `heard` as the running handler does when somebody looks after them."""
        await happens(fan, TEXT, at(when), {"content": text})
        if heard:
            await lines.heard(fan_id=fan.id, now=at(when))

    async def asks(self, fan: FanView, when: float = 0, **changes: Any) -> Handoff:
        """Let a fan ask for a person, by a push of their own."""
        given: dict[str, Any] = {"reason": "asked", "asked_by": key_of("ask", next(_serial)), "now": at(when)}
        return await service.request_person(fan_id=fan.id, **(given | changes))

    async def says(
        self, conversation_id: int, staff_id: int, text: str = "您好", when: float = 0, key: object = None
    ) -> Verdict:
        return await lines.send_message(
            conversation_id=conversation_id,
            brand_id=self.brand,
            staff_id=staff_id,
            key=key_of("test", key or next(_serial)),
            content={"type": "text", "content": text},
            now=at(when),
        )


async def open_office(**account: Any) -> Office:
    """A brand of its own, with a verified service account."""
    n = next(_serial)
    account_id = await make_account(brand=f"品牌{n}", **account)
    row = await Account.get(id=account_id)
    return Office(row.brand_id, account_id)


async def row(conversation_id: int) -> dict[str, Any]:
    """Return a conversation as it is stored."""
    return dict((await db.fetch("SELECT * FROM conversation WHERE id = $1", conversation_id))[0])


async def state(conversation_id: int) -> tuple[str, int | None]:
    """Return (state, owner)."""
    found = await row(conversation_id)
    return found["state"], found["staff_id"]


async def changes(conversation_id: int) -> list[tuple[str, str, str]]:
    """Return (kind, actor, reason) of what was done to a conversation, in order."""
    rows = await db.fetch(
        "SELECT kind, actor, reason FROM conversation_change WHERE conversation_id = $1 ORDER BY id", conversation_id
    )
    return [(row["kind"], row["actor"], row["reason"]) for row in rows]


async def outbox(fan_id: int) -> list[str]:
    """Return the texts on their way to a fan, in order."""
    rows = await db.fetch("SELECT body->'text'->>'content' AS text FROM outbox WHERE fan_id = $1 ORDER BY id", fan_id)
    return [row["text"] for row in rows]


async def silent(fan_id: int) -> bool:
    """Whether the bot is silent for a fan."""
    rows = await db.fetch("SELECT name FROM dialogue WHERE fan_id = $1", fan_id)
    return [row["name"] for row in rows] == ["person"]


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)
