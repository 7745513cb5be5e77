"""Taking back, lowering and putting off what a rule gave for a subject: returns, verdicts, open returns.

What remains of a subject is kept in `award_limit`, so that a return that is heard of before its order counts too.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from kit.clock import natural_day
from kit.ids import key_of
from scrm.db import Connection
from scrm.points import maturing
from scrm.points.explanations import Explanation, explain
from scrm.points.ledger import take_back
from scrm.points.plans import Facts, Hold, Keep, Kind, Rule
from scrm.points.postings import Origin
from scrm.points.reasons import REASONS

# A promise that is held is due then; its true moment stands in its explanation.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)


async def lock_subjects(raw: Connection, subjects: Sequence[tuple[int, str]]) -> None:
    """Let one transaction at a time decide about these (rule, subject) pairs, whoever their people are."""
    keys = sorted(key_of("subject", *pair).int >> 65 for pair in subjects)
    for key in keys:
        await raw.execute("SELECT pg_advisory_xact_lock($1)", key)


_AWARDS = """
-- What stands of the awards given for a subject; nothing when a newer event than $3 has earned for it anew.
SELECT e.award_key, e.beneficiary_id, e.asset, e.version, e.due_at, s.net
FROM (
    SELECT award_key, sum(given)::bigint AS net FROM award_explanation
    WHERE rule_id = $1 AND subject = $2 AND award_key IS NOT NULL
    GROUP BY award_key HAVING sum(given) > 0
) s
JOIN award_explanation e ON e.award_key = s.award_key AND e.given > 0 AND e.rule_id = $1 AND e.subject = $2
WHERE $3::timestamptz IS NULL OR NOT EXISTS (
    SELECT FROM award_explanation n
    WHERE n.rule_id = $1 AND n.subject = $2 AND n.planned > 0 AND n.occurred_at > $3
)
ORDER BY e.id
"""


async def lock_promises(raw: Connection, subjects: Sequence[tuple[int, str]]) -> set[int]:
    """Lock what was promised for these (rule, subject) pairs; returns whom they were promised or given to."""
    rows = await raw.fetch(
        """
        SELECT DISTINCT e.award_key, e.beneficiary_id
        FROM unnest($1::bigint[], $2::text[]) AS s (rule_id, subject)
        JOIN award_explanation e ON e.rule_id = s.rule_id AND e.subject = s.subject
        WHERE e.award_key IS NOT NULL
        """,
        [rule for rule, _ in subjects],
        [subject for _, subject in subjects],
    )
    if rows:
        keys = [row["award_key"] for row in rows]
        await raw.execute("SELECT FROM pending_award WHERE key = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE", keys)
    return {row["beneficiary_id"] for row in rows}


async def keep(raw: Connection, facts: Facts, versions: list[Rule], kind: Kind, plan: Keep, now: datetime) -> int:
    """Let of what was given for a subject only what its rest is worth stand; returns how many awards that touched.

    The worth is that under the version that gave. What is pending is lowered, what was paid is clawed back.
    """
    await raw.execute(
        """
        INSERT INTO award_limit (rule_id, subject, kept, reason, kept_at, held) VALUES ($1, $2, $3, $4, $5, false)
        ON CONFLICT (rule_id, subject) DO UPDATE SET kept = excluded.kept, reason = excluded.reason,
                                                     kept_at = excluded.kept_at
        WHERE award_limit.kept IS NULL
           OR CASE WHEN $6 THEN award_limit.kept_at < excluded.kept_at ELSE award_limit.kept > excluded.kept END
        """,
        versions[0].id,
        plan.subject,
        plan.kept,
        plan.reason,
        facts.occurred_at,
        kind.latest_word,
    )
    by_version = {rule.version: rule for rule in versions}
    until = facts.occurred_at if kind.latest_word else None
    touched = 0
    for row in await raw.fetch(_AWARDS, versions[0].id, plan.subject, until):
        rule = by_version[row["version"]]
        stays = kind.worth(rule, plan.kept).get(row["asset"], 0)
        if stays >= row["net"]:
            continue
        away = row["net"] - stays
        fresh = await explain(
            raw,
            Explanation(
                facts.key,
                rule.id,
                rule.version,
                row["beneficiary_id"],
                natural_day(facts.occurred_at),
                plan.reason,
                facts.occurred_at,
                now,
                asset=row["asset"],
                planned=-away,
                given=-away,
                award_key=row["award_key"],
                subject=plan.subject,
            ),
        )
        touched += 1
        if not fresh:
            continue
        origin = Origin(
            f"{rule.name}：{REASONS[plan.reason]}",
            facts.platform,
            facts.occurred_at,
            facts.key,
            rule.code,
            rule.version,
        )
        if row["due_at"] is not None:
            await maturing.reduce(raw, key=row["award_key"], to=stays, reason=plan.reason, origin=origin, now=now)
        else:
            key = key_of("clawback", facts.key, row["award_key"])
            await take_back(
                raw, key, row["beneficiary_id"], row["asset"], away, origin, now, award_key=row["award_key"]
            )
    return touched


async def hold(raw: Connection, facts: Facts, rule_id: int, plan: Hold) -> None:
    """Put off what is pending for a subject, or let it be due again when it was; the latest word counts."""
    changed = await raw.fetchval(
        """
        INSERT INTO award_limit (rule_id, subject, reason, held, held_at) VALUES ($1, $2, '', $3, $4)
        ON CONFLICT (rule_id, subject) DO UPDATE SET held = excluded.held, held_at = excluded.held_at
        WHERE award_limit.held_at IS NULL OR award_limit.held_at < excluded.held_at
        RETURNING id
        """,
        rule_id,
        plan.subject,
        plan.held,
        facts.occurred_at,
    )
    if changed is not None:
        await raw.execute(
            """
            UPDATE pending_award p SET due_at = CASE WHEN $3 THEN $4 ELSE e.due_at END
            FROM award_explanation e
            WHERE e.rule_id = $1 AND e.subject = $2 AND e.given > 0 AND p.key = e.award_key AND p.state = 'pending'
            """,
            rule_id,
            plan.subject,
            plan.held,
            NEVER,
        )
