"""The index of one brand's knowledge: BM25 over character pairs and synonyms, and vectors where there are some.

It is made in a thread and never changed; numpy and bm25s are loaded with the first one that is made. Scores are
comparable between questions: the share of what could be scored by a text that says all of the question, often.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from kit.ids import key_of
from scrm.assistant.grams import Synonyms, grams

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

# Chosen on one half of assets/knowledge/evaluation.jsonl; docs/subsystems/knowledge.md says what they give.
K1, B = 1.2, 0.3
TITLE_WEIGHT = 2
CONCEPT_WEIGHT = 3
FUSED = 60  # the constant of reciprocal rank fusion
DEPTH = 50  # so many of either ranking are fused


@dataclass(frozen=True)
class Text:
    """A passage as it is indexed. `title` and `alternatives` are the entry's, `digest` names what it says."""

    entry_id: int
    version_id: int
    kind: Literal["article", "qa"]
    title: str
    alternatives: tuple[str, ...]
    anchor: str
    text: str
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def valid(self, now: datetime) -> bool:
        """Whether fans may see it at a moment."""
        return (self.valid_from is None or self.valid_from <= now) and (
            self.valid_until is None or now < self.valid_until
        )

    @cached_property
    def words(self) -> str:
        """All that it may be found by."""
        titles = "\n".join([self.title] * TITLE_WEIGHT)
        return "\n".join([titles, *self.alternatives, self.anchor, self.text])

    @cached_property
    def meant(self) -> str:
        """What is embedded."""
        return "\n".join(filter(None, [self.title, self.anchor, self.text]))

    @cached_property
    def digest(self) -> UUID:
        """The key of what is embedded."""
        return key_of("knowledge.passage", self.meant)


@dataclass(frozen=True, slots=True)
class Hit:
    """A text and how well it fits: `score` from 0 to 1, `similarity` the cosine or None without vectors."""

    text: Text
    score: float
    similarity: float | None = None


class Index:
    """Texts, ready to be searched. Making one takes seconds for thousands of entries: do it in a thread."""

    def __init__(self, texts: Sequence[Text], synonyms: Synonyms, vectors: Mapping[UUID, bytes] | None = None) -> None:
        self.texts = texts
        self.synonyms = synonyms
        self._vocabulary: dict[str, int] = {}
        self._bm25: Any = self._made() if texts else None
        self._vectors = self._stacked(vectors) if vectors else None

    def _made(self) -> Any:
        import bm25s

        # Loading it turns its own debugging on.
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        known = self._vocabulary
        corpus = [
            [
                known.setdefault(gram, len(known))
                for gram in [*grams(text.words), *(concept for concept, _ in self.synonyms.concepts(text.words))]
            ]
            for text in self.texts
        ]
        # A corpus of dots has no grams, and bm25s cannot divide by nothing.
        if not known:
            return None
        made = bm25s.BM25(method="lucene", k1=K1, b=B)
        made.index((corpus, known), show_progress=False)
        return made

    def _stacked(self, vectors: Mapping[UUID, bytes]) -> "Floats | None":
        import numpy as np

        rows = {n: vector for n, text in enumerate(self.texts) if (vector := vectors.get(text.digest)) is not None}
        if not rows:
            return None
        width = len(next(iter(rows.values()))) // 4
        stacked = np.zeros((len(self.texts), width), dtype=np.float32)
        for n, vector in rows.items():
            if len(vector) == 4 * width:
                stacked[n] = np.frombuffer(vector, dtype="<f4")
        return stacked

    @property
    def has_vectors(self) -> bool:
        """Whether a question's vector would be of use."""
        return self._vectors is not None

    def search(self, question: str, vector: Sequence[float] | None = None) -> list[Hit]:
        """Return the passages that fit, best first, at most about a hundred; none shares nothing with the question.

        With the question's `vector` its ranking is fused with the one by words; `score` stays the one by words.
        """
        scores = self._lexical(question)
        lexical = best(scores) if scores is not None else []
        if vector is None or self._vectors is None or len(vector) != self._vectors.shape[1]:
            return [Hit(self.texts[n], float(scores[n])) for n in lexical] if scores is not None else []
        import numpy as np

        length = math.sqrt(sum(value * value for value in vector)) or 1.0
        asked = np.asarray(vector, dtype=np.float32) / np.float32(length)
        # In one thread: `@` would wake one for every core, each of which another process of ours may be using.
        similar = np.einsum("ij,j->i", self._vectors, asked)
        fused: dict[int, float] = {}
        for ranking in (lexical, best(similar)):
            for rank, n in enumerate(ranking):
                fused[n] = fused.get(n, 0.0) + 1 / (FUSED + rank + 1)
        order = sorted(fused, key=lambda n: (-fused[n], n))
        return [Hit(self.texts[n], float(scores[n]) if scores is not None else 0.0, float(similar[n])) for n in order]

    def _lexical(self, question: str) -> "Floats | None":
        import numpy as np

        if self._bm25 is None:
            return None
        asked = [(gram, 1) for gram in grams(question)]
        asked += [(concept, CONCEPT_WEIGHT) for concept in self._concepts(question)]
        known = [self._vocabulary[gram] for gram, weight in asked if gram in self._vocabulary for _ in range(weight)]
        if not known:
            return None
        attainable = sum(weight * self._rarity(gram) for gram, weight in asked)
        scores: Floats = self._bm25.get_scores_from_ids(np.array(known, dtype=np.int32))
        return scores / np.float32(attainable)

    def _concepts(self, question: str) -> list[str]:
        return list(dict.fromkeys(concept for concept, _ in self.synonyms.concepts(question)))

    def _rarity(self, gram: str) -> float:
        """Return the inverse document frequency as `lucene` counts it; a gram that no text has is the rarest."""
        number = self._vocabulary.get(gram)
        starts = self._bm25.scores["indptr"]
        texts = 0 if number is None else int(starts[number + 1] - starts[number])
        return math.log(1 + (len(self.texts) - texts + 0.5) / (texts + 0.5))

    def why(self, question: str, text: Text) -> tuple[list[str], list[tuple[str, str]]]:
        """Return the grams that question and text share, pairs before single characters, and the synonyms that met:
        the question's word with the text's."""
        own = set(grams(text.words))
        shared = [gram for gram in dict.fromkeys(grams(question)) if gram in own]
        inside = {character for gram in shared if len(gram) == 2 for character in gram}
        said = dict(self.synonyms.concepts(question))
        met = dict(self.synonyms.concepts(text.words))
        words = [(said[concept], met[concept]) for concept in said if concept in met]
        synonyms = dict.fromkeys((asked, own_) for asked, own_ in words if asked != own_)
        told = [gram for gram in shared if len(gram) > 1 or gram not in inside]
        return sorted(told, key=lambda gram: len(gram) == 1), list(synonyms)


def best(scores: "Floats") -> list[int]:
    """Return where the highest scores above nothing stand, the earlier of equals first."""
    import numpy as np

    count = min(DEPTH, len(scores))
    if count < len(scores):
        # All that are as good as the last one taken: which of equals come first is then decided by their place.
        worst = np.partition(scores, -count)[-count]
        candidates = np.flatnonzero(scores >= max(float(worst), 1e-9))
    else:
        candidates = np.flatnonzero(scores > 0)
    order = candidates[np.argsort(-scores[candidates], kind="stable")]
    return [int(n) for n in order[:DEPTH]]
