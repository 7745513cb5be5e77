"""积分规则: the rules of a brand in words, their versions, trying them, and why somebody got points or none."""

from datetime import datetime
from typing import Any

from console.members import called
from console.points_rule_shapes import (
    AwardLine,
    AwardList,
    AwardQuery,
    BrandQuery,
    GrowthWord,
    NewPointsRule,
    PointsRule,
    PointsRuleCard,
    PointsRuleChange,
    PointsRuleKind,
    PointsRuleKinds,
    PointsRuleList,
    PointsRuleVersion,
    RuleTerms,
    Trial,
    TrialInput,
    TrialLine,
)
from console.surface import SURFACE, Call
from scrm import db
from scrm.accounts import service as accounts
from scrm.accounts.queries import growth_word
from scrm.errors import Conflict, Invalid, NotFound
from scrm.points import explanations, plans, rule_editing, rule_trial, rulebook
from scrm.points.happenings import TITLES
from scrm.points.plans import FREQUENCIES, Rule
from scrm.points.rule_words import told
from scrm.staff import audit
from scrm.staff.audit import Entry

EDIT = "points.rules"


@SURFACE.get("/points-rules", permission=EDIT, errors=[NotFound])
async def points_rules(call: Call, query: BrandQuery) -> PointsRuleList:
    """一个品牌的积分规则."""
    brand_id = call.brand(query.brand)
    async with db.connection() as raw:
        found, word = await rulebook.every(raw, brand_id=brand_id), await growth_word(raw, brand_id)
    return PointsRuleList(items=[_rule(versions, word, call.now) for versions in found])


@SURFACE.get("/points-rules/kinds", permission=EDIT)
async def points_rule_kinds(call: Call) -> PointsRuleKinds:
    """可以建的积分规则种类."""
    return PointsRuleKinds(
        items=[
            PointsRuleKind.model_validate(
                {
                    "name": kind.name,
                    "title": kind.title,
                    "events": [{"code": name, "title": TITLES[name]} for name in rule_editing.earning(kind)],
                    "frequencies": [
                        {"code": code, "title": title}
                        for code, title in FREQUENCIES.items()
                        if code in kind.frequencies
                    ],
                    "settings": kind.settings().model_dump(),
                }
            )
            for kind in plans.every()
        ]
    )


@SURFACE.put("/brands/{brand_id}/growth-word", permission=EDIT, errors=[NotFound, Invalid])
async def name_growth(call: Call, brand_id: int, body: GrowthWord) -> GrowthWord:
    """设置品牌怎么称呼成长值."""
    brand_id, word = call.brand(brand_id), body.word.strip()

    async def change() -> str:
        return await accounts.name_growth(brand_id=brand_id, word=word)

    def line(before: str) -> Entry | None:
        said = {"before": {"growth_word": before}, "after": {"growth_word": word}}
        return None if before == word else Entry("points_rule.word", f"brand:{brand_id}", "", brand_id, **said)

    await audit.along(call.actor, change, line, call.now)
    return GrowthWord(word=word)


@SURFACE.post("/points-rules", permission=EDIT, status=201, errors=[NotFound, Invalid])
async def add_points_rule(call: Call, body: NewPointsRule) -> PointsRule:
    """新建积分规则."""
    brand_id = call.brand(body.brand_id)

    async def change() -> Rule:
        return await rule_editing.add_rule(
            key=call.key,
            brand_id=brand_id,
            given=_given(body) | {"kind": body.kind, "event_kind": body.event_kind},
            now=call.now,
            since=body.since,
            until=body.until,
        )

    def line(made: Rule) -> Entry:
        return Entry("points_rule.added", f"points_rule:{made.id}", made.name, brand_id, after=_entered(made))

    made = await audit.along(call.actor, change, line, call.now)
    return await _shown(call, made.id)


@SURFACE.ask("/points-rules/try", permission=EDIT, errors=[NotFound, Invalid])
async def try_points_rule(call: Call, body: TrialInput) -> Trial:
    """试算：一条规则遇到这样的行为会给多少，什么也不会留下."""
    brand_id = call.brand(body.brand_id)
    given = _given(body) | {"kind": body.kind, "event_kind": body.event_kind}
    tried = await rule_trial.trial(
        key=call.key, brand_id=brand_id, given=given, times=body.times, amount=body.amount, now=call.now
    )
    async with db.connection() as raw:
        word = await growth_word(raw, brand_id)
    return Trial(told=told(tried.rule, word), items=[TrialLine.model_validate(one) for one in tried.lines])


@SURFACE.get("/points-rules/awards", permission=EDIT, errors=[NotFound])
async def points_rule_awards(call: Call, query: AwardQuery) -> AwardList:
    """谁得了、没得到积分，为什么."""
    async with db.connection() as raw:
        found = await explanations.of_brand(
            raw,
            call.brand(query.brand),
            rule_id=query.rule,
            member_id=query.member,
            outcome=query.outcome,
            before=query.before,
            limit=query.limit + 1,
        )
    shown = found[: query.limit]
    nicknames = await called(call, {one.member_id: one.erased for one in shown})
    own = [name for name in AwardLine.model_fields if name != "nickname"]
    items = [
        AwardLine(**{name: getattr(one, name) for name in own}, nickname=nicknames[one.member_id]) for one in shown
    ]
    return AwardList(items=items, next=shown[-1].id if len(found) > len(shown) else None)


@SURFACE.get("/points-rules/{points_rule_id}", permission=EDIT, errors=[NotFound])
async def points_rule(call: Call, points_rule_id: int) -> PointsRuleCard:
    """一条积分规则和它的历史版本."""
    versions = await _versions(call, points_rule_id)
    async with db.connection() as raw:
        word = await growth_word(raw, versions[0].brand_id)
    return PointsRuleCard(
        rule=_rule(versions, word, call.now), versions=[_version(one, word) for one in reversed(versions)]
    )


@SURFACE.put("/points-rules/{points_rule_id}", permission=EDIT, errors=[NotFound, Invalid, Conflict])
async def change_points_rule(call: Call, points_rule_id: int, body: PointsRuleChange) -> PointsRule:
    """修改积分规则：写成新的一版，过去的不变.

    409 `stale_version`: somebody has written another version meanwhile.
    """
    before = (await _versions(call, points_rule_id))[-1]

    async def change() -> Rule:
        return await rule_editing.change_rule(
            rule_id=points_rule_id,
            given=_given(body),
            expected=body.expected,
            now=call.now,
            since=body.since,
            until=body.until,
        )

    def line(after: Rule) -> Entry | None:
        if after.version == before.version:
            return None
        said = {"before": _entered(before), "after": _entered(after)}
        return Entry("points_rule.changed", f"points_rule:{after.id}", after.name, after.brand_id, **said)

    await audit.along(call.actor, change, line, call.now)
    return await _shown(call, points_rule_id)


async def _versions(call: Call, rule_id: int) -> list[Rule]:
    """Return the versions of a rule of the caller's brands, the oldest first. Raises NotFound for any other."""
    async with db.connection() as raw:
        found = await rulebook.every(raw, rule_id=rule_id)
    if not found:
        raise NotFound("没有这条积分规则")
    call.brand(found[0][0].brand_id)
    return found[0]


async def _shown(call: Call, rule_id: int) -> PointsRule:
    versions = await _versions(call, rule_id)
    async with db.connection() as raw:
        word = await growth_word(raw, versions[0].brand_id)
    return _rule(versions, word, call.now)


def _rule(versions: list[Rule], word: str, now: datetime) -> PointsRule:
    newest, current = versions[-1], rulebook.in_force(versions, now)
    return PointsRule(
        id=newest.id,
        brand_id=newest.brand_id,
        kind=newest.kind,
        kind_title=plans.kind_of(newest.kind).title,
        event_kind=newest.event_kind,
        event_title=TITLES.get(newest.event_kind, newest.event_kind),
        system=newest.system,
        current=None if current is None else _version(current, word),
        newest=_version(newest, word),
    )


def _version(rule: Rule, word: str) -> PointsRuleVersion:
    values = {name: getattr(rule, name) for name in PointsRuleVersion.model_fields if name != "told"}
    return PointsRuleVersion.model_validate({**values, "told": told(rule, word)})


def _given(body: RuleTerms) -> dict[str, Any]:
    return {name: getattr(body, name) for name in RuleTerms.model_fields}


def _entered(rule: Rule) -> dict[str, Any]:
    """Return a version as the trail tells it."""
    terms = ("version", *RuleTerms.model_fields, "effective_from", "effective_until")
    return {name: getattr(rule, name) for name in terms}
