"""Searching a brand's knowledge: in memory, never staler than said, with a verdict on what may be answered.

A search looks at the brand's revision first (one row). If it is the one the index was made from, so is everything
else. If not, a new index is made in a thread; who asks waits for it a moment, then is served from the old one,
without what is published no more. Every process does this for itself.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Literal

import structlog

from kit.faults import describe
from kit.tasks import Tasks, repeat
from scrm import db
from scrm.assistant import shelf, vectors
from scrm.assistant.grams import Synonyms
from scrm.assistant.index import Hit, Index
from scrm.assistant.ports import Embedder
from scrm.assistant.queries import brands_with_knowledge
from scrm.errors import Unavailable

log = structlog.get_logger(__name__)

Verdict = Literal["answer", "menu", "nothing"]
Nearness = Literal["near", "related", "far"]

# Chosen on one half of assets/knowledge/evaluation.jsonl, `python -m bench retrieval` prints what they give.
ANSWER = 0.2  # the score from which a passage answers
CLEAR = 1.1  # … when it is so many times as good as the next entry's
MENU = 0.10  # the score from which the nearest are worth being offered
# The cosine from which a passage is near in meaning. Models differ; this one is careful, and no model's own.
SIMILAR = 0.6
LONGEST = 500  # characters of a question that are looked at


@dataclass(frozen=True, slots=True)
class Passage:
    """A published passage that fits. `score` is from 0 to 1, `text` of a qa its whole answer, `anchor` the heading.

    `matched` are the grams it shares with the question, `synonyms` the question's words with the entry's own.
    """

    entry_id: int
    version_id: int
    kind: Literal["article", "qa"]
    title: str
    text: str
    anchor: str
    score: float
    similarity: float | None
    matched: tuple[str, ...]
    synonyms: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The best passages, of different entries: `answer` the first answers, `menu` offer them, `nothing`: none."""

    verdict: Verdict
    passages: tuple[Passage, ...]


class Library:
    """The indexes of this process, one for each brand that was asked about.

    `patience` is how long, in seconds, a search waits for a new index while it has an old one; `embed_seconds`, for
    the vector of a question.
    """

    def __init__(
        self,
        tasks: Tasks,
        *,
        embedder: Embedder | None = None,
        patience: float = 1.0,
        embed_seconds: float = 0.8,
    ) -> None:
        self._tasks = tasks
        self._embedder = embedder
        self._patience = patience
        self._embed_seconds = embed_seconds
        self._held: dict[int, tuple[int, Index]] = {}
        self._making: dict[int, asyncio.Task[None]] = {}
        self._covered: frozenset[int] = frozenset()

    def covers(self, brand_id: int) -> bool:
        """Say from memory whether a brand has published anything; at most as old as the last `refresh`."""
        return brand_id in self._covered

    async def refresh(self) -> None:
        """Look which brands have published anything, and let go of the indexes of those that have no more."""
        self._covered = frozenset(await brands_with_knowledge())
        for brand_id in self._held.keys() - self._covered:
            del self._held[brand_id]

    async def watch(self, every_seconds: float = 1.0) -> None:
        """Refresh for ever. With the database away what was known stays."""
        await repeat(self.refresh, every_seconds, "knowledge not refreshed", passing=Unavailable)

    async def search(self, brand_id: int, text: str, *, limit: int = 3, now: datetime) -> Found:
        """Return what the brand's published knowledge says to a question, at most `limit` entries.

        Raises Unavailable when the database is away. An embedding endpoint that is slow or away is done without.
        """
        passages = await self._near(brand_id, text[:LONGEST], limit, now)
        verdict = judge([(passage.score, passage.similarity) for passage in passages])
        return Found(verdict, () if verdict == "nothing" else tuple(passages))

    async def test_question(self, brand_id: int, text: str, *, limit: int = 10, now: datetime) -> Found:
        """Return the same with every passage that came near, for who wants to know why, whatever the verdict."""
        passages = await self._near(brand_id, text[:LONGEST], limit, now)
        return Found(judge([(passage.score, passage.similarity) for passage in passages]), tuple(passages))

    async def _near(self, brand_id: int, question: str, limit: int, now: datetime) -> list[Passage]:
        index, fresh = await self._index(brand_id)
        if index.has_vectors and (vector := await self._vector(question)) is not None:
            # Milliseconds for thousands of long vectors; by words alone it takes a quarter of one.
            hits = await asyncio.to_thread(index.search, question, vector)
        else:
            hits = index.search(question)
        if not fresh and hits:
            async with db.connection() as raw:
                alive = await shelf.still_published(raw, list({hit.text.version_id for hit in hits}))
            hits = [hit for hit in hits if hit.text.version_id in alive]
        return [_passage(index, question, hit) for hit in best_of_entries(hits, limit, now)]

    async def _vector(self, question: str) -> list[float] | None:
        if self._embedder is None:
            return None
        try:
            async with asyncio.timeout(self._embed_seconds):
                return (await self._embedder.embed([question]))[0]
        except Exception as error:  # noqa: BLE001  # whatever ails the endpoint, words are enough to search by
            log.warning("searched without the question's vector", error=describe(error))
            return None

    async def _index(self, brand_id: int) -> tuple[Index, bool]:
        """Return an index, and whether it is of the present revision."""
        async with db.connection() as raw:
            wanted = await shelf.revision(raw, brand_id)
        until = monotonic() + self._patience
        while True:
            held = self._held.get(brand_id)
            if held is not None and held[0] >= wanted:
                return held[1], True
            making = self._make(brand_id)
            await asyncio.wait({making}, timeout=None if held is None else max(0.0, until - monotonic()))
            if not making.done() or making.cancelled() or making.exception() is not None:
                if held is not None:
                    return held[1], False
                if making.cancelled():
                    raise Unavailable(code="shutting_down")
                making.result()

    def _make(self, brand_id: int) -> asyncio.Task[None]:
        """Return the one task that makes the brand's index anew."""
        making = self._making.get(brand_id)
        if making is None or making.done():
            making = self._making[brand_id] = self._tasks.spawn(self._replace(brand_id), f"knowledge-{brand_id}")
        return making

    async def _replace(self, brand_id: int) -> None:
        async with db.connection() as raw:
            # Read first: what is read after it may be newer, and is then simply made once more.
            revision = await shelf.revision(raw, brand_id)
            groups = await shelf.synonyms(raw, brand_id)
            rows = await shelf.published(raw, brand_id)
            known = await vectors.of_brand(raw, brand_id, self._embedder.model) if self._embedder else None
        index = await asyncio.to_thread(lambda: Index(shelf.passages(rows), Synonyms(groups), known))
        self._held[brand_id] = (revision, index)


def nearness(score: float) -> Nearness:
    """Return what a score is worth by itself: `near` enough to answer, `related` enough to be offered, or `far`.

    A score is no probability: of the evaluation set's direct answers those at 0.20 to 0.25 are as often right as
    those above (docs/subsystems/knowledge.md).
    """
    if score >= ANSWER:
        return "near"
    return "related" if score >= MENU else "far"


def judge(nearest: Sequence[tuple[float, float | None]]) -> Verdict:
    """Return what may be done with the best entries, each by score and similarity (None without vectors), in order."""
    if not nearest:
        return "nothing"
    first, second = nearest[0][0], max((score for score, _ in nearest[1:]), default=0.0)
    likeness = [similarity or 0.0 for _, similarity in nearest]
    if first >= ANSWER and first >= CLEAR * second:
        return "answer"
    # Two rankings that know nothing of each other put the same entry first.
    if first >= max(MENU, second) and likeness[0] >= max(SIMILAR, *likeness):
        return "answer"
    return "menu" if max(first, second) >= MENU or max(likeness) >= SIMILAR else "nothing"


def best_of_entries(hits: Iterable[Hit], limit: int, now: datetime) -> list[Hit]:
    """Return the best hit of each entry that fans may see at a moment, at most `limit`."""
    best: dict[int, Hit] = {}
    for hit in hits:
        if hit.text.valid(now):
            best.setdefault(hit.text.entry_id, hit)
    return list(best.values())[:limit]


def _passage(index: Index, question: str, hit: Hit) -> Passage:
    matched, synonyms = index.why(question, hit.text)
    text = hit.text
    return Passage(
        text.entry_id,
        text.version_id,
        text.kind,
        text.title,
        text.text,
        text.anchor,
        round(min(hit.score, 1.0), 4),
        hit.similarity,
        tuple(matched),
        tuple(synonyms),
    )
