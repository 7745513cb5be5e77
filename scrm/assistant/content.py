"""What a version of an entry says, and what may be said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scrm.errors import Invalid

KINDS = ("article", "qa")
TITLE, CATEGORY, ALTERNATIVE, AUTHOR = 200, 64, 200, 64
ARTICLE, ANSWER = 50_000, 2000  # characters of a body; an answer is sent whole
MOST_ALTERNATIVES = 50
MOST_GROUPS, MOST_WORDS, WORD = 2000, 50, 32


@dataclass(frozen=True, slots=True)
class Content:
    """A title (of a qa: the question) and a Markdown body (of a qa: the answer), with other ways to ask.

    Fans see it from `valid_from` until before `valid_until`, aware moments; None is no limit.
    """

    title: str
    body: str
    alternatives: tuple[str, ...] = ()
    category: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None


def check(kind: str, content: Content) -> Content:
    """Return content as it is stored: trimmed, alternatives once each. Raises Invalid naming the field."""
    if kind not in KINDS:
        raise Invalid("类型只能是 article 或 qa", field="kind")
    title = " ".join(content.title.split())
    if not 1 <= len(title) <= TITLE:
        raise Invalid(f"标题或问题的长度为 1 到 {TITLE} 个字符", field="title")
    body, limit = content.body.strip(), ARTICLE if kind == "article" else ANSWER
    if not 1 <= len(body) <= limit:
        raise Invalid(f"正文或答案的长度为 1 到 {limit} 个字符", field="body")
    ways = tuple(dict.fromkeys(way for given in content.alternatives if (way := " ".join(given.split())) != title))
    if len(ways) > MOST_ALTERNATIVES or not all(1 <= len(way) <= ALTERNATIVE for way in ways):
        raise Invalid(f"相似问法最多 {MOST_ALTERNATIVES} 条，每条 1 到 {ALTERNATIVE} 个字符", field="alternatives")
    category = " ".join(content.category.split())
    if len(category) > CATEGORY:
        raise Invalid(f"分类最长 {CATEGORY} 个字符", field="category")
    for name, text in (("title", title), ("body", body), ("category", category), ("alternatives", "".join(ways))):
        if not storable(text):
            raise Invalid("含有无法保存的字符", field=name)
    for name, moment in (("valid_from", content.valid_from), ("valid_until", content.valid_until)):
        if moment is not None and moment.tzinfo is None:
            raise Invalid("时间必须带时区", field=name)
    if content.valid_from and content.valid_until and content.valid_from >= content.valid_until:
        raise Invalid("结束时间必须晚于开始时间", field="valid_until")
    return replace(content, title=title, body=body, alternatives=ways, category=category)


def check_synonyms(groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return groups of words as they are stored. Raises Invalid naming `groups[3]`, counted from zero."""
    if len(groups) > MOST_GROUPS:
        raise Invalid(f"同义词最多 {MOST_GROUPS} 组", field="groups")
    checked = []
    for index, group in enumerate(groups):
        words = list(dict.fromkeys(word.strip() for word in group))
        if not 2 <= len(words) <= MOST_WORDS or not all(1 <= len(word) <= WORD and storable(word) for word in words):
            raise Invalid(f"每组 2 到 {MOST_WORDS} 个词，每个词 1 到 {WORD} 个字符", field=f"groups[{index}]")
        checked.append(words)
    return checked


def storable(text: str) -> bool:
    """Whether PostgreSQL can keep it: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
