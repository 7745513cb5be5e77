"""The task centre 任务中心: what a person can still earn today, line by line from the rule table (mission A037)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.clock import natural_day
from scrm.db import Connection
from scrm.points import rulebook
from scrm.points.holders import homes_of
from scrm.points.plans import Rule


@dataclass(frozen=True, slots=True)
class Task:
    """One enabled rule and a person's progress with it; `left` is what caps and frequency still allow today.

    `left` of an asset is None when nothing limits it. Amounts are by asset, points first.
    """

    rule: Rule
    today: dict[str, int]
    left: dict[str, int | None]

    @property
    def open(self) -> bool:
        """Whether the next action would still earn something today."""
        return any(left is None or left > 0 for left in self.left.values())


_GIVEN = """
-- What a person was given this month, by rule and asset; a rule that only counts once is looked at over all time.
SELECT rule_id, asset, coalesce(sum(given) FILTER (WHERE day = $2), 0)::bigint AS today,
       coalesce(sum(given) FILTER (WHERE day >= $3), 0)::bigint AS month, sum(given)::bigint AS ever
FROM award_explanation
WHERE beneficiary_id = ANY($1::bigint[]) AND given > 0 AND (day BETWEEN $3 AND $2 OR rule_id = ANY($4::bigint[]))
GROUP BY rule_id, asset
"""


async def today(raw: Connection, brand_id: int, member_id: int | None, now: datetime) -> list[Task]:
    """Return a brand's tasks in the order of its table, with a person's progress; without a member, a preview."""
    rules = [rule for rule in await rulebook.table(raw, brand_id, now) if rule.enabled and rule.worth]
    day = natural_day(now)
    once = [rule.id for rule in rules if rule.frequency == "once"]
    homes = [] if member_id is None else await homes_of(raw, member_id)
    given = {
        (row["rule_id"], row["asset"]): row
        for row in await raw.fetch(_GIVEN, homes, day, day - timedelta(days=day.day - 1), once)
    }

    def sums(rule: Rule, column: str) -> dict[str, int]:
        return {asset: row[column] if (row := given.get((rule.id, asset))) else 0 for asset in rule.worth}

    return [
        Task(rule, sums(rule, "today"), _left(rule, sums(rule, "today"), sums(rule, "month"), sums(rule, "ever")))
        for rule in rules
    ]


def _left(rule: Rule, day: dict[str, int], month: dict[str, int], ever: dict[str, int]) -> dict[str, int | None]:
    done = {"once_daily": day, "once": ever}.get(rule.frequency, {})
    if any(done.values()):
        return dict.fromkeys(rule.worth, 0)
    left: dict[str, int | None] = {}
    for asset, worth in rule.worth.items():
        day_cap, month_cap = rule.caps(asset)
        rests = [cap - used[asset] for cap, used in ((day_cap, day), (month_cap, month)) if cap is not None]
        if rule.frequency in {"once_daily", "once"}:
            rests.append(worth)
        left[asset] = max(0, min(rests)) if rests else None
    return left
