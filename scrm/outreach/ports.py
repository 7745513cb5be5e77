"""What outreach asks of the outside world: somebody who carries a message to a fan and says how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class Outcome(StrEnum):
    """How one delivery attempt ended."""

    SENT = "sent"  # the platform accepted it
    REFUSED = "refused"  # the platform will not deliver it to this person now: final
    FAILED = "failed"  # it can never be delivered as it is (content, permission, credentials): final
    RETRY = "retry"  # surely not delivered; may be tried again after `retry_after`
    UNKNOWN = "unknown"  # it may or may not have arrived: never tried again


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one attempt; `code` is the platform's own error code where it gave one."""

    outcome: Outcome
    code: int | None = None
    detail: str = ""
    retry_after: float | None = None  # seconds
    platform_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """The account that speaks, with what is needed to call its platform. Never logged."""

    account_id: int
    kind: str  # service | subscription | miniprogram
    appid: str
    secret: str


class Messenger(Protocol):
    """Carries one message to one fan. Never raises for what the platform or the network does."""

    async def deliver(self, sender: Sender, openid: str, message: Mapping[str, Any]) -> Delivery:
        """Send `message` (a customer-service body without `touser`) once; no retries inside."""
        ...
