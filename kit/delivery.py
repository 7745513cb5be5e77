"""How the delivery of a message ended, in words that the business and its gateways share."""

from dataclasses import dataclass, field
from enum import StrEnum


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
    # It is the account that has to wait, not the message: trying in vain says nothing against trying soon again.
    whole_account: bool = False


@dataclass(frozen=True, slots=True)
class Sender:
    """The account that speaks, with what is needed to call its platform. Never logged."""

    account_id: int
    kind: str  # service | subscription | miniprogram
    appid: str
    secret: str = field(repr=False)
