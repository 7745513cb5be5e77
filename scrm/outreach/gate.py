"""The gate: from facts to a verdict, with the reason. Pure; the same facts always give the same verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from scrm.outreach.windows import Window

Purpose = Literal["answer", "service"]
DISABLED = "account_disabled"

# What each kind of account may send, by verification (微信认证). Without it the customer-service API answers
# 48001; passive replies stay. A mini-program's customer-service messages need no verification of their own.
CAPABILITIES: dict[tuple[str, bool], frozenset[str]] = {
    ("service", True): frozenset({"custom"}),
    ("service", False): frozenset(),
    ("subscription", True): frozenset({"custom"}),
    ("subscription", False): frozenset(),
    ("miniprogram", True): frozenset({"custom"}),
    ("miniprogram", False): frozenset({"custom"}),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the gate looks at."""

    account_kind: str
    verified: bool
    enabled: bool
    following: bool
    windows: tuple[Window, ...]
    now: datetime
    # The bot's own words while a person looks after the fan, or is awaited.
    silenced: bool = False
    # The errcode with which the platform refused this fan, until they act again.
    refused: int | None = None

    def as_data(self) -> dict[str, Any]:
        """Return the facts as JSON data for the decision record."""
        return {
            "account_kind": self.account_kind,
            "verified": self.verified,
            "enabled": self.enabled,
            "following": self.following,
            "windows": [
                {"scene": window.scene, "closes_at": window.closes_at.isoformat(), "left": window.left}
                for window in self.windows
            ],
            "now": self.now.isoformat(),
            "silenced": self.silenced,
            "refused": self.refused,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Allowed or not, and the stable code of the reason."""

    allowed: bool
    reason: str


def best(windows: Sequence[Window]) -> Window | None:
    """Return the window that a message goes by: the longest of those with room, or of all where none has any."""
    return max(windows, key=lambda window: (window.left > 0, window.closes_at), default=None)


def decide(facts: Facts) -> Verdict:
    """Decide on a customer-service message.

    Reasons: with_person (the bot's words while a person looks after the fan), account_disabled, no_capability (would
    be 48001), not_following (43004), refused:<errcode> (the platform said so itself), window_closed (45015),
    count_exhausted (45047), and window:<scene> when allowed.
    """
    if facts.silenced:
        return Verdict(False, "with_person")
    if not facts.enabled:
        return Verdict(False, DISABLED)
    if "custom" not in CAPABILITIES[facts.account_kind, facts.verified]:
        return Verdict(False, "no_capability")
    if facts.account_kind != "miniprogram" and not facts.following:
        return Verdict(False, "not_following")
    if facts.refused is not None:
        return Verdict(False, f"refused:{facts.refused}")
    if not facts.windows:
        return Verdict(False, "window_closed")
    window = best(facts.windows)
    if window is None or window.left < 1:
        return Verdict(False, "count_exhausted")
    return Verdict(True, f"window:{window.scene}")
