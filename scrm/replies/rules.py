"""Matching: which rule answers a text or a menu key. Pure and in memory, for every message passes here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from scrm.errors import Invalid

# The longest expression worth having; RE2 itself runs in time linear in the text, whatever is written.
PATTERN_LIMIT = 256
MATCHES = ("exact", "contains", "regex", "click")
PRIORITIES = range(10_000)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is matched."""

    id: int
    match: str
    pattern: str
    reply: Mapping[str, Any]


class RuleBook:
    """The enabled rules of one account in the order of their priority. Exact words are looked up, not tried."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._exact: dict[str, tuple[int, Rule]] = {}
        self._clicks: dict[str, Rule] = {}
        self._tried: list[tuple[int, Rule, Any]] = []
        for order, rule in enumerate(rules):
            if rule.match == "click":
                self._clicks.setdefault(rule.pattern, rule)
            elif rule.match == "exact":
                self._exact.setdefault(fold(rule.pattern), (order, rule))
            elif rule.match == "contains":
                self._tried.append((order, rule, fold(rule.pattern)))
            else:
                self._tried.append((order, rule, compile_pattern(rule.pattern)))

    def for_text(self, text: str) -> Rule | None:
        """Return the rule that answers `text`: the first by priority among those that match."""
        folded = fold(text)
        order, best = self._exact.get(folded, (None, None))
        for tried, rule, pattern in self._tried:
            if order is not None and tried > order:
                break
            if (pattern in folded) if isinstance(pattern, str) else pattern.search(text) is not None:
                return rule
        return best

    def for_click(self, key: str) -> Rule | None:
        """Return the rule of a menu key."""
        return self._clicks.get(key)


@lru_cache(maxsize=256)  # several handlers in a row ask for the same text
def fold(text: str) -> str:
    """Return `text` as words are compared: without outer blanks, case, and the full-width forms of ASCII."""
    return text.translate(_HALF_WIDTH).strip().casefold()


_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def compile_pattern(pattern: str) -> Any:
    """Compile an operator's regular expression; raises Invalid, naming the field, when it is not one."""
    if not 1 <= len(pattern) <= PATTERN_LIMIT:
        raise Invalid(f"表达式长度为 1 到 {PATTERN_LIMIT} 个字符", field="pattern")
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise Invalid("正则表达式写法有误", field="pattern") from None


def check_pattern(match: str, pattern: str) -> str:
    """Return a pattern as it is stored: words without outer blanks. Raises Invalid naming the field."""
    if match not in MATCHES:
        raise Invalid("匹配方式只能是 exact、contains、regex 或 click", field="match")
    kept = pattern if match == "regex" else pattern.strip()
    if not 1 <= len(kept) <= PATTERN_LIMIT or not kept.strip():
        raise Invalid(f"关键词长度为 1 到 {PATTERN_LIMIT} 个字符", field="pattern")
    if "\x00" in kept:  # PostgreSQL holds none
        raise Invalid("含有无法保存的字符", field="pattern")
    if match == "regex":
        compile_pattern(kept)
    return kept


def check_priority(priority: int) -> None:
    """Raise Invalid for a priority that no rule may have."""
    if priority not in PRIORITIES:
        raise Invalid(f"顺序为 0 到 {PRIORITIES[-1]} 的整数", field="priority")
