"""What a rule kind is: a pure function from what happened, and what the rule says, to what is to be given.

Kinds live in scrm/points/rules/, one file each. They know no database and no clock; scrm.points.awarding does what
they plan. All times are those of the event.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from scrm.errors import Invalid
from scrm.events import kinds as titles
from scrm.points.postings import GROWTH, POINTS

FREQUENCIES = {"each": "每次", "daily": "每天", "once_daily": "每天一次", "once": "每人一次"}
# Words and ids become part of a subject of 64 characters.
LONGEST_ID = 48


@dataclass(frozen=True, slots=True)
class Facts:
    """An event as rules see it. `homes` has, for everybody the event names, all home members of that person."""

    key: UUID
    kind: str
    occurred_at: datetime
    brand_id: int
    member_id: int
    platform: str
    payload: Mapping[str, Any]
    homes: Mapping[int, Sequence[int]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return an id of the payload; raises Invalid naming the field unless it has 1 to 48 characters."""
        value = self.payload.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
            raise Invalid(f"{self.kind} 需要 1 到 {LONGEST_ID} 个字符的 {name}", field=f"payload.{name}")
        return value

    def whole(self, name: str) -> int:
        """Return a whole number of the payload; raises Invalid naming the field unless it is one, not negative."""
        value = self.payload.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Invalid(f"{self.kind} 的 {name} 必须是不小于零的整数", field=f"payload.{name}")
        return value

    def moment(self, name: str) -> datetime:
        """Return a moment of the payload, ISO 8601 with its offset; raises Invalid naming the field."""
        try:
            value = datetime.fromisoformat(str(self.payload.get(name)))
        except ValueError:
            value = None
        if value is None or value.tzinfo is None:
            raise Invalid(f"{self.kind} 的 {name} 必须是带时区的时间", field=f"payload.{name}")
        return value

    def member(self, name: str) -> int:
        """Return a member of the payload; raises Invalid naming the field when there is no such member."""
        value = self.payload.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value not in self.homes:
            raise Invalid(f"{self.kind} 的 {name} 不是已知的会员", field=f"payload.{name}")
        return value

    def same_person(self, one: int, other: int) -> bool:
        """Whether two members are one person."""
        return one == other or other in self.homes.get(one, ())

    def of_person(self, word: str, member_id: int) -> tuple[str, ...]:
        """Return the subjects `word:<home>` of all homes of a person, the given member's own first."""
        others = [home for home in self.homes.get(member_id, ()) if home != member_id]
        return tuple(f"{word}:{home}" for home in (member_id, *others))


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule, as scrm.points.rulebook reads it."""

    id: int
    brand_id: int
    code: str
    kind: str
    system: bool
    version: int
    module: str
    name: str
    event_kind: str
    frequency: str
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
    settings: Mapping[str, Any]
    effective_from: datetime
    effective_until: datetime | None

    @property
    def worth(self) -> dict[str, int]:
        """What the rule gives, by asset, points first; assets it does not give are left out."""
        return {asset: amount for asset, amount in ((POINTS, self.points), (GROWTH, self.growth)) if amount}

    def caps(self, asset: str) -> tuple[int | None, int | None]:
        """Return the caps per natural day and per month of an asset."""
        if asset == POINTS:
            return self.day_cap_points, self.month_cap_points
        return self.day_cap_growth, self.month_cap_growth


@dataclass(frozen=True, slots=True)
class Give:
    """Give something: at once, or at `due_at`.

    With a `subject` it is given once for it (and for the names in `same_as`), whoever the beneficiary; and what a
    return or verdict about the subject leaves is the most that is given.
    """

    beneficiary: int
    asset: str
    amount: int
    subject: str = ""
    same_as: tuple[str, ...] = ()
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """Give somebody nothing, for a reason of scrm.points.reasons.REASONS."""

    beneficiary: int
    reason: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Of what the rule gave, or will give, for a subject only what `kept` is worth may stay; the rest goes back."""

    subject: str
    kept: int
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Put off (or, not `held`, no longer) what has not been paid yet for a subject."""

    subject: str
    held: bool
    reason: str


Earned: TypeAlias = Give | Skip
Revised: TypeAlias = Keep | Hold


class Settings(BaseModel):
    """What a kind lets an operator set, beyond the columns every rule has; a kind with none uses this."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _nothing(_facts: Facts) -> list[Revised]:
    return []


def _worth_nothing(_rule: Rule, _kept: int) -> dict[str, int]:
    return {}


def _by_its_event(rule: Rule) -> str:
    return titles.get(rule.event_kind).title


def _without_more(_rule: Rule) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rule.

    `events` are what it can earn by, the usual one first; empty when the rule's own `event_kind` says so.
    `revisions` are events by which it takes back; they count for whatever was given, whatever the rule says now.
    `worth` is what a subject of which `kept` remains is worth, by asset. With `latest_word` a revision holds until a
    newer event earns anew (a verdict that is revised); without, the lowest word holds for good (a return).
    `when` and `then` are what people read of a rule: what earns and whom, before the amounts; and when it is paid or
    taken back, after them, maybe nothing.
    """

    name: str
    title: str
    plan: Callable[[Facts, Rule], list[Earned]]
    events: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    revise: Callable[[Facts], list[Revised]] = _nothing
    worth: Callable[[Rule, int], dict[str, int]] = _worth_nothing
    settings: type[Settings] = Settings
    # Names of the payload that hold members, whose persons the plan needs.
    members: tuple[str, ...] = ()
    frequencies: frozenset[str] = frozenset(FREQUENCIES)
    latest_word: bool = False
    when: Callable[[Rule], str] = _by_its_event
    then: Callable[[Rule], str] = _without_more


_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Add a kind; registering a name twice raises ValueError."""
    if kind.name in _KINDS:
        raise ValueError(f"rule kind {kind.name!r} is registered already")
    _KINDS[kind.name] = kind
    return kind


def kind_of(name: str) -> Kind:
    """Return a registered kind; raises Invalid naming the field `kind`."""
    if name not in _KINDS:
        raise Invalid(f"没有“{name}”这种规则", field="kind")
    return _KINDS[name]


def every() -> list[Kind]:
    """Return all kinds by name."""
    return sorted(_KINDS.values(), key=lambda kind: kind.name)
