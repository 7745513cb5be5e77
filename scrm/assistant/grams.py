"""Chinese text as what is counted in retrieval: single characters and pairs of them, and whole Latin words.

No segmenter and no dictionary: pairs find 退货 in 退换货 and in a misspelt sentence, where a segmenter has one guess.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_HAN = "㐀-䶿一-鿿豈-﫿\U00020000-\U000323af"
_RUNS = re.compile(rf"[{_HAN}]+|[a-z0-9]+(?:[.:-][0-9]+)*")
# Alone these say nothing; in a pair they may (多少, 不能).
_EMPTY = frozenset("的了吗呢啊呀吧哦嘛么我你您他她它们是在有这那个和与及就都也还被把给让要会能可以一不没到上下去来")


def normal(text: str) -> str:
    """Return text in one form: full-width letters narrow, upper case lower; traditional characters stay."""
    return unicodedata.normalize("NFKC", text).casefold()


def grams(text: str) -> list[str]:
    """Return the grams of a text, in order and as often as they occur. Punctuation parts what stands beside it."""
    return list(_grams(normal(text)))


def _grams(text: str) -> Iterator[str]:
    for found in _RUNS.finditer(text):
        run = found[0]
        if run[0].isascii():
            yield run
            continue
        yield from (character for character in run if character not in _EMPTY)
        yield from (run[n : n + 2] for n in range(len(run) - 1))


class Synonyms:
    """An operator's groups of words that mean the same, each a concept that texts are searched for."""

    def __init__(self, groups: Iterable[Sequence[str]]) -> None:
        self._concepts: dict[str, list[str]] = {}
        for number, words in enumerate(groups):
            for word in words:
                concepts = self._concepts.setdefault(normal(word).strip(), [])
                if (concept := f"#{number}") not in concepts:
                    concepts.append(concept)
        self._concepts.pop("", None)
        # The longest word wins: 退货运费 is not also 退货.
        words_ = sorted(self._concepts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, words_))) if words_ else None

    def concepts(self, text: str) -> list[tuple[str, str]]:
        """Return (concept, word) for each word of a group in a text; a word of two groups counts for both."""
        if self._pattern is None:
            return []
        return [
            (concept, found[0])
            for found in self._pattern.finditer(normal(text))
            for concept in self._concepts[found[0]]
        ]
