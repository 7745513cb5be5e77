"""What the page of point rules is shown and sends: rules, versions, trials, and what rules did."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from console.surface import BrandPage
from scrm.points import rule_trial
from web.shapes import Instant, Moment, RowId, Shown, Taken, Text

Frequency = Literal["each", "daily", "once_daily", "once"]
Cap = Annotated[int, Field(ge=0, le=1_000_000_000)] | None


class PointsRuleVersion(Shown):
    """What a rule says from a moment on; `told` is all of it in words. Null caps and days are none."""

    version: int
    module: str
    name: str
    frequency: Frequency
    points: int
    growth: int
    note: str
    day_cap_points: int | None
    day_cap_growth: int | None
    month_cap_points: int | None
    month_cap_growth: int | None
    unit: str
    enabled: bool
    points_valid_days: int | None
    settings: dict[str, Any]
    effective_from: Moment
    effective_until: Moment | None
    told: str


class PointsRule(BaseModel):
    """A rule: `current` is the version in force now, if any; `system` came with a preset."""

    id: int
    brand_id: int
    kind: str
    kind_title: str
    event_kind: str
    event_title: str
    system: bool
    current: PointsRuleVersion | None
    newest: PointsRuleVersion


class PointsRuleList(BaseModel):
    """The rules of a brand in the order in which they were made."""

    items: list[PointsRule]


class PointsRuleCard(BaseModel):
    """A rule with all its versions, the newest first."""

    rule: PointsRule
    versions: list[PointsRuleVersion]


class Named(BaseModel):
    """A word and how people read it."""

    code: str
    title: str


class PointsRuleKind(BaseModel):
    """A kind of rules: what may trigger it, how often it may count, and its own settings as they are by default."""

    name: str
    title: str
    events: list[Named]
    frequencies: list[Named]
    settings: dict[str, Any]


class PointsRuleKinds(BaseModel):
    """All kinds of rules."""

    items: list[PointsRuleKind]


class BrandQuery(Taken):
    """One brand."""

    brand: RowId


class GrowthWord(Taken):
    """What a brand calls growth."""

    word: Annotated[Text, Field(min_length=1, max_length=8)]


class RuleTerms(Taken):
    """What a rule is to say. `settings` are those of its kind."""

    module: Annotated[Text, Field(min_length=1, max_length=32)]
    name: Annotated[Text, Field(min_length=1, max_length=64)]
    frequency: Frequency
    points: Annotated[int, Field(ge=0, le=1_000_000)]
    growth: Annotated[int, Field(ge=0, le=1_000_000)]
    note: Annotated[Text, Field(max_length=200)] = ""
    day_cap_points: Cap = None
    day_cap_growth: Cap = None
    month_cap_points: Cap = None
    month_cap_growth: Cap = None
    unit: Annotated[Text, Field(max_length=16)] = "次"
    enabled: bool = True
    points_valid_days: Annotated[int, Field(ge=1, le=36500)] | None = None
    settings: dict[str, int | str] = Field(default_factory=dict)


class TermsFromThen(RuleTerms):
    """A version, in force from `since` (null: at once) until `until` (null: until another takes its place)."""

    since: Instant | None = None
    until: Instant | None = None


class NewPointsRule(TermsFromThen):
    """A new rule of a brand; `event_kind` empty is the usual one of its kind."""

    brand_id: RowId
    kind: Annotated[Text, Field(max_length=32)]
    event_kind: Annotated[Text, Field(max_length=64)] = ""


class PointsRuleChange(TermsFromThen):
    """The next version; `expected` is the newest one that its author has seen."""

    expected: Annotated[int, Field(ge=1, le=1_000_000_000)]


class TrialInput(RuleTerms):
    """A rule as it would be, and what happens: `times` in a row to somebody new, for orders of `amount` fen."""

    brand_id: RowId
    kind: Annotated[Text, Field(max_length=32)]
    event_kind: Annotated[Text, Field(max_length=64)] = ""
    times: Annotated[int, Field(ge=1, le=rule_trial.MOST)] = 1
    amount: Annotated[int, Field(ge=0, le=rule_trial.LARGEST)] = 10_000


class TrialLine(Shown):
    """What happens the `time`-th time to whoever acts (`actor`), or to the author or inviter."""

    time: int
    actor: bool
    asset: str
    planned: int
    given: int
    reason: str
    why: str
    due_at: Moment | None


class Trial(BaseModel):
    """What a rule would do, in words and one by one."""

    told: str
    items: list[TrialLine]


class AwardQuery(BrandPage):
    """A page of what rules did. `less`: less than planned, or nothing; `back`: taken back."""

    brand: RowId
    rule: RowId | None = None
    member: RowId | None = None
    outcome: Literal["all", "given", "less", "back"] = "all"


class AwardLine(BaseModel):
    """What one rule did for one person, and why; who may not see members gets a number for `nickname`."""

    id: int
    rule_id: int
    name: str
    version: int | None
    member_id: int
    nickname: str
    asset: str
    planned: int
    given: int
    reason: str
    why: str
    subject: str
    due_at: Moment | None
    occurred_at: Moment


class AwardList(BaseModel):
    """A page of what rules did, newest first."""

    items: list[AwardLine]
    next: int | None
