"""Whether, and until when, something could be said to a fan now: the gate's own answer, with nothing recorded."""

from dataclasses import dataclass
from datetime import datetime

from scrm import db
from scrm.outreach.gate import best, decide
from scrm.outreach.service import MARGIN, facts_about


@dataclass(frozen=True, slots=True)
class Chance:
    """The gate's verdict on a message of the staff: `reason` is its own.

    When it is allowed `until` is from when on the gate would not count on that window any more, `left` how many
    messages the window takes. `scene` is the window's, also of one that is used up; empty where none is open.
    """

    allowed: bool
    reason: str
    scene: str
    until: datetime | None
    left: int


async def chance_of(fan_id: int, now: datetime) -> Chance:
    """Return whether one of the staff could say something to a fan. Raises NotFound for an unknown fan."""
    async with db.connection() as raw:
        facts = await facts_about(raw, fan_id, now)
    verdict = decide(facts)
    window = best(facts.windows)
    scene = window.scene if window else ""
    if not verdict.allowed or window is None:
        return Chance(False, verdict.reason, scene, None, 0)
    return Chance(True, verdict.reason, scene, window.closes_at - MARGIN, window.left)
