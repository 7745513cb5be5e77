"""A brand with an account in an office, and fans who ask for people there."""

from dataclasses import dataclass
from typing import Any

from kit.clock import ManualClock
from scrm.conversations import service
from scrm.members.queries import FanView
from tests.console.conftest import Browser, Office
from tests.factories import TEXT, happens, make_account, make_follower


@dataclass
class Shop:
    """A brand with an account, in an office; its fans write now."""

    office: Office
    account: int
    brand: int

    @property
    def clock(self) -> ManualClock:
        return self.office.clock

    async def fan(self, text: str = "请问有货吗") -> FanView:
        made = await make_follower(self.account, self.clock.now())
        await happens(made, TEXT, self.clock.now(), {"content": text})
        return made

    async def waiting(self, text: str = "请问有货吗", fan: FanView | None = None) -> tuple[FanView, int]:
        fan = fan or await self.fan(text)
        handed = await service.request_person(fan_id=fan.id, reason="rule", now=self.clock.now())
        return fan, handed.conversation_id

    async def agent(self, role: str = "agent") -> Browser:
        return await self.office.signed_in(role, [self.brand])


async def open_shop(office: Office) -> Shop:
    """A brand of its own, with a verified service account."""
    account = await make_account(brand=f"茶舍{office.brands[0]}")
    (row,) = await office.rows("SELECT brand_id FROM account WHERE id = $1", account)
    return Shop(office, account, row["brand_id"])


def text(words: str) -> dict[str, Any]:
    return {"content": {"type": "text", "content": words}}
