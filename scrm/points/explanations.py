"""Why a rule gave what it gave: one row per event, rule, beneficiary and asset, written once."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from scrm.db import Connection
from scrm.points.reasons import REASONS


@dataclass(frozen=True, slots=True)
class Explanation:
    """See scrm.points.rule_models.AwardExplanation; an empty asset means the rule as a whole."""

    event_key: UUID
    rule_id: int
    version: int | None
    beneficiary_id: int
    day: date
    reason: str
    occurred_at: datetime
    created_at: datetime
    asset: str = ""
    planned: int = 0
    given: int = 0
    award_key: UUID | None = None
    subject: str = ""
    due_at: datetime | None = None


_EXPLAIN = """
INSERT INTO award_explanation (event_key, rule_id, version, beneficiary_id, day, reason, occurred_at, created_at,
                               asset, planned, given, award_key, subject, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (event_key, rule_id, beneficiary_id, asset) DO NOTHING RETURNING id
"""


async def explain(raw: Connection, e: Explanation) -> bool:
    """Write an explanation; False when this event was explained before, so that it is not done again."""
    made = await raw.fetchval(
        _EXPLAIN,
        e.event_key,
        e.rule_id,
        e.version,
        e.beneficiary_id,
        e.day,
        e.reason,
        e.occurred_at,
        e.created_at,
        e.asset,
        e.planned,
        e.given,
        e.award_key,
        e.subject,
        e.due_at,
    )
    return made is not None


@dataclass(frozen=True, slots=True)
class Explained:
    """What one rule did about one event for one person, in words (`why`) and as a code (`reason`)."""

    rule: str
    name: str
    version: int | None
    beneficiary_id: int
    asset: str
    planned: int
    given: int
    reason: str
    due_at: datetime | None

    @property
    def why(self) -> str:
        """The reason as people read it."""
        return REASONS[self.reason]


async def of_event(raw: Connection, event_key: UUID) -> list[Explained]:
    """Return what every rule did about an event and why, in the order in which it was decided (mission F27)."""
    rows: list[Any] = await raw.fetch(
        """
        SELECT r.code AS rule, coalesce(v.name, r.code) AS name, e.version, e.beneficiary_id, e.asset, e.planned,
               e.given, e.reason, e.due_at
        FROM award_explanation e
        JOIN points_rule r ON r.id = e.rule_id
        LEFT JOIN points_rule_version v ON v.rule_id = e.rule_id AND v.version = e.version
        WHERE e.event_key = $1 ORDER BY e.id
        """,
        event_key,
    )
    return [Explained(**dict(row)) for row in rows]
