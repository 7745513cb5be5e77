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


@dataclass(frozen=True, slots=True)
class Record:
    """What one rule of a brand did for one person, somewhere in its list; `member_id` is the person.

    `erased` is whether they asked to be forgotten.
    """

    id: int
    rule_id: int
    name: str
    version: int | None
    member_id: int
    erased: bool
    asset: str
    planned: int
    given: int
    reason: str
    subject: str
    due_at: datetime | None
    occurred_at: datetime

    @property
    def why(self) -> str:
        """The reason as people read it."""
        return REASONS[self.reason]


# Less and back are rare among hundreds of thousands: these very conditions have partial indexes (migration 0024).
_OUTCOMES = {
    "all": "true",
    "given": "e.given > 0",
    # Also what a rule as a whole did not follow.
    "less": "e.given >= 0 AND (e.given < e.planned OR e.asset = '')",
    "back": "e.given < 0",
}


async def of_brand(
    raw: Connection,
    brand_id: int,
    *,
    rule_id: int | None = None,
    member_id: int | None = None,
    outcome: str = "all",
    before: int | None = None,
    limit: int = 20,
) -> list[Record]:
    """Return what a brand's rules did and why, newest first: of one rule, for one person over all homes, or of all.

    `outcome` is all, given, less (less than planned, or nothing) or back; `before` is the last id seen.
    """
    rows: list[Any] = await raw.fetch(
        f"""
        SELECT e.id, e.rule_id, coalesce(v.name, latest.name) AS name, e.version,
               coalesce(m.merged_into_id, m.id) AS member_id, m.erased_at IS NOT NULL AS erased,
               e.asset, e.planned, e.given, e.reason, e.subject, e.due_at, e.occurred_at
        FROM award_explanation e
        JOIN member m ON m.id = e.beneficiary_id
        LEFT JOIN points_rule_version v ON v.rule_id = e.rule_id AND v.version = e.version
        CROSS JOIN LATERAL (
            SELECT name FROM points_rule_version WHERE rule_id = e.rule_id ORDER BY version DESC LIMIT 1
        ) latest
        WHERE e.rule_id IN (SELECT id FROM points_rule WHERE brand_id = $1 AND ($2::bigint IS NULL OR id = $2))
          AND ($3::bigint IS NULL OR e.beneficiary_id = ANY(ARRAY(
              SELECT h.id FROM member a JOIN member h
                  ON coalesce(h.merged_into_id, h.id) = coalesce(a.merged_into_id, a.id)
              WHERE a.id = $3
          )))
          AND ($4::bigint IS NULL OR e.id < $4) AND {_OUTCOMES[outcome]}
        ORDER BY e.id DESC LIMIT $5
        """,  # noqa: S608  # a condition written above
        brand_id,
        rule_id,
        member_id,
        before,
        limit,
    )
    return [Record(**dict(row)) for row in rows]
