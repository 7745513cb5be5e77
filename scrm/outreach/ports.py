"""What outreach asks of the outside world: somebody who carries a message to a fan and says how it ended."""

from collections.abc import Mapping
from typing import Any, Protocol

from kit.delivery import Delivery, Outcome, Sender

__all__ = ["Delivery", "Messenger", "Outcome", "Sender"]


class Messenger(Protocol):
    """Carries one message to one fan. Never raises for what the platform or the network does."""

    async def admit(self, sender: Sender) -> float:
        """Take a place under the account's rate and daily quota; returns 0, or the seconds until there may be one."""
        ...

    async def deliver(self, sender: Sender, openid: str, message: Mapping[str, Any]) -> Delivery:
        """Send `message` (a customer-service body without `touser`) once; no retries inside."""
        ...
