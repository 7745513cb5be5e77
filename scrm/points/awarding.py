"""What an event is worth: the rules in force at its moment are applied in the transaction that appends it.

Kinds plan (scrm.points.plans), this module does: it locks, clips by what was given before, books, and writes one
`award_explanation` per rule, beneficiary and asset. What is written there once is never done again.

Locks are taken in one order: subjects, promises, people and balances.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from kit.clock import natural_day
from kit.ids import key_of
from scrm.db import Connection
from scrm.events.kinds import Appended
from scrm.points import levels, plans, revising, rulebook
from scrm.points.awards import Award, award_many
from scrm.points.explanations import Explanation, explain
from scrm.points.holders import Locked, lock
from scrm.points.maturing import Promise, promise
from scrm.points.plans import Facts, Give, Hold, Keep, Kind, Rule, Skip
from scrm.points.postings import GROWTH, POINTS, Origin

PLATFORMS = {"service": "公众号", "subscription": "公众号", "miniprogram": "小程序"}


@dataclass(frozen=True, slots=True)
class _Step:
    """One event under one rule: the version in force (None: none is), all versions, and what is planned."""

    facts: Facts
    versions: list[Rule]
    rule: Rule | None
    planned: list[Give | Skip | Keep | Hold]

    @property
    def kind(self) -> Kind:
        return plans.kind_of(self.versions[0].kind)

    @property
    def subjects(self) -> set[tuple[int, str]]:
        """The (rule, subject) pairs that are settled here, in one transaction at a time."""
        named: set[str] = set()
        for plan in self.planned:
            match plan:
                case Give(subject=subject, same_as=others) if subject:
                    named |= {subject, *others}
                case Keep(subject=subject) | Hold(subject=subject):
                    named.add(subject)
        return {(self.versions[0].id, subject) for subject in named}


async def consequence(raw: Connection, appended: Sequence[Appended]) -> None:
    """Apply the rules to events just appended; the consequence of every kind of event that rules look at."""
    accounts = {
        row["id"]: row
        for row in await raw.fetch(
            "SELECT id, brand_id, kind FROM account WHERE id = ANY($1::bigint[])",
            list({event.account_id for event in appended if event.account_id is not None}),
        )
    }
    for now in sorted({event.recorded_at for event in appended}):
        facts = []
        for event in appended:
            account = accounts.get(event.account_id or 0)
            if event.recorded_at != now or event.member_id is None or account is None:
                continue
            platform = str(event.payload.get("platform") or PLATFORMS[account["kind"]])
            facts.append(
                Facts(
                    event.key,
                    event.kind,
                    event.occurred_at,
                    account["brand_id"],
                    event.member_id,
                    platform,
                    event.payload,
                )
            )
        await apply(raw, facts, now)


async def apply(raw: Connection, events: Sequence[Facts], now: datetime) -> None:
    """Apply the rules to these events, in this order, in the caller's transaction; again changes nothing.

    `now` is when it is booked; rules, caps and due dates go by the events' own moments. Raises Invalid naming the
    field of a payload that a rule cannot read.
    """
    book = await rulebook.listening(raw, list({e.brand_id for e in events}), {e.kind for e in events})
    if not book:
        return
    homes = await _homes(raw, _named(events, book.values()))
    while True:
        steps = [step for event in events for step in _steps(event, book.values(), homes)]
        subjects = sorted({pair for step in steps for pair in step.subjects})
        await revising.lock_subjects(raw, subjects)
        others = await revising.lock_promises(raw, subjects)
        people = {plan.beneficiary for step in steps for plan in step.planned if isinstance(plan, Give)} | others
        locked = await lock(raw, [(one, asset) for one in people for asset in (POINTS, GROWTH)], now)
        moved = {one: own for one, own in locked.homes.items() if one in homes and homes[one] != own}
        if not moved:
            break
        homes |= moved  # merged or split between reading and locking: who is who decides what is planned
    awards: list[Award] = []
    for step in steps:
        if any(isinstance(plan, Keep) for plan in step.planned):
            # What is taken back may have been given by the event before.
            await award_many(raw, awards)
            awards = []
        awards += await _do(raw, step, locked, now)
    await award_many(raw, awards)
    await levels.settle(raw, people, now)


def _named(events: Iterable[Facts], book: Iterable[list[Rule]]) -> set[int]:
    """Return everybody these events name."""
    fields = {name for versions in book for name in plans.kind_of(versions[0].kind).members}
    named = {event.member_id for event in events}
    values = [event.payload.get(name) for event in events for name in fields]
    return named | {value for value in values if isinstance(value, int) and 0 < value < 2**63}


async def _homes(raw: Connection, member_ids: Iterable[int]) -> dict[int, list[int]]:
    rows = await raw.fetch(
        """
        WITH m AS (SELECT id, coalesce(merged_into_id, id) AS person FROM member WHERE id = ANY($1::bigint[]))
        SELECT m.id, h.id AS home FROM m JOIN member h ON h.id = m.person
        UNION SELECT m.id, h.id FROM m JOIN member h ON h.merged_into_id = m.person
        ORDER BY id, home
        """,
        list(member_ids),
    )
    homes: dict[int, list[int]] = {}
    for row in rows:
        homes.setdefault(row["id"], []).append(row["home"])
    return homes


def _steps(event: Facts, book: Iterable[list[Rule]], homes: dict[int, list[int]]) -> list[_Step]:
    facts = replace(event, homes=homes)
    steps = []
    for versions in book:
        kind = plans.kind_of(versions[0].kind)
        if versions[0].brand_id != event.brand_id:
            continue
        rule = rulebook.in_force(versions, event.occurred_at)
        planned: list[Give | Skip | Keep | Hold] = []
        if event.kind in kind.revisions:
            planned += kind.revise(facts)
        if event.kind in (kind.events or (versions[0].event_kind,)):
            if rule is None:
                planned.append(Skip(event.member_id, "not_effective"))
            elif not rule.enabled:
                planned.append(Skip(event.member_id, "disabled"))
            else:
                planned += kind.plan(facts, rule)
        if planned:
            steps.append(_Step(facts, versions, rule, planned))
    return steps


async def _do(raw: Connection, step: _Step, locked: Locked, now: datetime) -> list[Award]:
    """Do what one rule planned for one event; returns the awards that are still to be booked."""
    awards: list[Award] = []
    touched = 0
    for plan in step.planned:
        match plan:
            case Give():
                awards += await _give(raw, step, plan, locked.homes[plan.beneficiary], now)
            case Skip():
                await explain(raw, _explanation(step, plan.beneficiary, now, reason=plan.reason))
            case Keep():
                touched += await revising.keep(raw, step.facts, step.versions, step.kind, plan, now)
            case Hold():
                await revising.hold(raw, step.facts, step.versions[0].id, plan)
    # What touched nothing is said of the rule as a whole.
    revisions = [plan for plan in step.planned if isinstance(plan, Keep | Hold)]
    if revisions and not touched:
        await explain(raw, _explanation(step, step.facts.member_id, now, reason=revisions[0].reason))
    return awards


def _explanation(step: _Step, beneficiary: int, now: datetime, *, reason: str) -> Explanation:
    return Explanation(
        step.facts.key,
        step.versions[0].id,
        step.rule.version if step.rule else None,
        beneficiary,
        natural_day(step.facts.occurred_at),
        reason,
        step.facts.occurred_at,
        now,
    )


_BEFORE = """
-- What was given before under one rule, as far as it bears on one more award of an asset to a person.
SELECT l.kept, l.reason AS kept_reason, l.kept_at, coalesce(l.held, false) AS held,
       EXISTS (
           SELECT FROM award_explanation WHERE rule_id = $1 AND subject = ANY($2::text[]) AND asset = $3
           GROUP BY award_key HAVING sum(given) > 0
       ) AS live,
       coalesce(e.today, 0)::bigint AS today, coalesce(e.month, 0)::bigint AS month, e.others_today, e.others
FROM (
    SELECT sum(given) FILTER (WHERE asset = $3 AND day = $5) AS today,
           sum(given) FILTER (WHERE asset = $3 AND day BETWEEN $6 AND $7) AS month,
           count(*) FILTER (WHERE day = $5 AND event_key <> $8) AS others_today,
           count(*) FILTER (WHERE event_key <> $8) AS others
    FROM award_explanation
    WHERE rule_id = $1 AND beneficiary_id = ANY($4::bigint[]) AND given > 0 AND ($9 OR day BETWEEN $6 AND $7)
) e
LEFT JOIN award_limit l ON l.rule_id = $1 AND l.subject = $10
"""


async def _give(raw: Connection, step: _Step, plan: Give, homes: Sequence[int], now: datetime) -> list[Award]:
    """Decide how much of a planned award is given, and write why; returns the award to book, if it is due now."""
    facts, rule = step.facts, step.rule
    assert rule is not None  # noqa: S101  # only a rule in force plans to give
    day = natural_day(facts.occurred_at)
    first, last = day.replace(day=1), (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    before = await raw.fetchrow(
        _BEFORE,
        rule.id,
        [plan.subject, *plan.same_as] if plan.subject else [],
        plan.asset,
        list(homes),
        day,
        first,
        last,
        facts.key,
        rule.frequency == "once",
        plan.subject,
    )
    amount, reason = plan.amount, "awarded" if plan.due_at is None else "promised"
    kept = before["kept"]
    if kept is not None and not (step.kind.latest_word and before["kept_at"] <= facts.occurred_at):
        left = step.kind.worth(rule, kept).get(plan.asset, 0)
        if left < amount:
            amount, reason = left, before["kept_reason"]
    day_cap, month_cap = rule.caps(plan.asset)
    day_left = amount if day_cap is None else max(0, day_cap - before["today"])
    month_left = amount if month_cap is None else max(0, month_cap - before["month"])
    if plan.amount == 0:
        amount, reason = 0, "too_small"
    elif before["live"]:
        amount, reason = 0, "duplicate"
    elif rule.frequency == "once" and before["others"]:
        amount, reason = 0, "already_once"
    elif rule.frequency == "once_daily" and before["others_today"]:
        amount, reason = 0, "already_today"
    elif min(day_left, month_left) < amount:
        amount, reason = min(day_left, month_left), "cap_day" if day_left <= month_left else "cap_month"
    key = key_of("award", facts.key, rule.id, plan.beneficiary, plan.asset)
    fresh = await explain(
        raw,
        Explanation(
            facts.key,
            rule.id,
            rule.version,
            plan.beneficiary,
            day,
            reason,
            facts.occurred_at,
            now,
            asset=plan.asset,
            planned=plan.amount,
            given=amount,
            award_key=key if amount else None,
            subject=plan.subject,
            due_at=plan.due_at,
        ),
    )
    if not fresh or not amount:
        return []
    return await _book(raw, facts, rule, plan, key, amount, now, held=before["held"])


async def _book(
    raw: Connection, facts: Facts, rule: Rule, plan: Give, key: UUID, amount: int, now: datetime, *, held: bool
) -> list[Award]:
    origin = Origin(
        rule.name, facts.platform, facts.occurred_at, facts.key, rule.code, rule.version, natural_day(facts.occurred_at)
    )
    days = rule.points_valid_days if plan.asset == POINTS else None
    if plan.due_at is None:
        expires_at = None if days is None else facts.occurred_at + timedelta(days=days)
        return [Award(key, plan.beneficiary, plan.asset, amount, origin, now, expires_at)]
    due_at = revising.NEVER if held else plan.due_at
    subject = plan.subject or f"event:{facts.key}"
    await promise(raw, Promise(key, plan.beneficiary, plan.asset, amount, origin, subject, due_at, now, days))
    return []
