"""Interest rules 兴趣规则: which words of a text show an intent or an interest. Pure: equal texts, equal findings."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32)]
Kind = Literal["intent", "interest"]

_CLAUSES = re.compile(r"[，。！？；、,.!?;\n~～…]+")
# A refusal this close before a word turns it round: 不太喜欢乌龙, 别再给我推红茶了.
REACH = 8


class Rule(BaseModel):
    """A label and the words that show it; `unless` words in the same text take it back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    words: tuple[Name, ...] = Field(min_length=1, max_length=200)
    unless: tuple[Name, ...] = ()
    confidence: float = Field(default=0.8, gt=0, le=1)


class InterestRules(BaseModel):
    """A brand's rules. Of several intents the first in this order counts; interests may be many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    intents: tuple[Rule, ...] = Field(default=(), max_length=200)
    interests: tuple[Rule, ...] = Field(default=(), max_length=500)
    refusals: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a text shows: of which kind, its label, how sure that is (0 to 1), and the word that showed it."""

    kind: Kind
    name: str
    confidence: float
    word: str


def normal(text: str) -> str:
    """Return a text as words are looked up in it."""
    return unicodedata.normalize("NFKC", text).casefold()


def notice(text: str, rules: InterestRules) -> list[Noticed]:
    """Return what a text shows by the rules: at most one intent, then the interests in the rules' order."""
    clauses = [clause for clause in _CLAUSES.split(normal(text)) if clause.strip()]
    found = []
    for rule in rules.intents:
        if (word := _word(rule, clauses, ())) is not None:
            found.append(Noticed("intent", rule.name, rule.confidence, word))
            break
    refusals = [normal(one) for one in rules.refusals]
    shown = ((rule, _word(rule, clauses, refusals)) for rule in rules.interests)
    found += [Noticed("interest", rule.name, rule.confidence, word) for rule, word in shown if word is not None]
    return found


def _word(rule: Rule, clauses: Sequence[str], refusals: Sequence[str]) -> str | None:
    if any(normal(word) in clause for word in rule.unless for clause in clauses):
        return None
    for clause in clauses:
        for word in rule.words:
            at = clause.find(normal(word))
            if at < 0:
                continue
            before = clause[max(0, at - REACH) : at]
            if not any(one in before for one in refusals):
                return word
    return None
