"""Does a question find its entry: characters and synonyms against a segmenter, on questions written beforehand.

The demo brand's entries stand among thousands of distractors. Thresholds and weights were chosen on the calibration
half of the questions; the report half decides. docs/subsystems/knowledge.md says how the questions came about.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from bench import library
from bench.distractors import distractors
from bench.report import verdict
from scrm.assistant.files import read, read_synonyms
from scrm.assistant.grams import Synonyms, normal
from scrm.assistant.index import K1, B, Hit, Index, Text
from scrm.assistant.passages import split
from scrm.assistant.ports import Embedder
from scrm.assistant.retrieval import best_of_entries, judge
from scrm.assistant.vectors import BATCH, pack

ASSETS = Path(__file__).parent.parent / "assets" / "knowledge"
NOW = datetime(2026, 3, 9, 4, 0, tzinfo=UTC)  # no entry of the files is limited in time

FILES = (("faq.csv", "csv"), ("articles.md", "md"))
Ranked = list[tuple[int, float, float | None]]  # the best entries with score and similarity


@dataclass(frozen=True)
class Question:
    """A question and the number of the entry that answers it, or None when none does."""

    text: str
    half: str
    entry: int | None


def entries() -> tuple[list[Text], dict[str, int]]:
    """Return the passages of the demo brand's files, read as an import reads them, and entries' numbers by name."""
    texts: list[Text] = []
    numbers: dict[str, int] = {}
    for name, form in FILES:
        for row in read((ASSETS / name).read_bytes(), form):
            assert row.content is not None, row.reason
            number = numbers[row.external_id] = len(numbers) + 1
            title, ways, body = row.content.title, row.content.alternatives, row.content.body
            parts = split(row.kind, body)
            texts += [Text(number, number, row.kind, title, ways, part.anchor, part.text) for part in parts]
    return texts, numbers


def noise(first: int) -> list[Text]:
    """Return the distractors as entries numbered from `first`."""
    return [Text(first + n, 0, "qa", question, (), "", answer) for n, (question, answer) in enumerate(distractors())]


def questions(numbers: dict[str, int]) -> list[Question]:
    """Return the evaluation set."""
    rows = [json.loads(line) for line in (ASSETS / "evaluation.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        Question(row["question"], row["half"], numbers[row["entry"]] if row["entry"] is not None else None)
        for row in rows
    ]


def by_grams(index: Index) -> Callable[[str], Ranked]:
    """Return our own search."""
    return lambda text: _ranked(index.search(text))


def _ranked(hits: Iterable[Hit]) -> Ranked:
    return [(hit.text.entry_id, hit.score, hit.similarity) for hit in best_of_entries(hits, 3, NOW)]


def by_jieba(texts: Sequence[Text], cut: Callable[[str], list[str]]) -> Callable[[str], Ranked]:
    """Return BM25 over a segmenter's words: the same texts, fields and parameters, only other tokens."""
    import bm25s
    import numpy as np

    def words(text: str) -> list[str]:
        return [word for word in cut(normal(text)) if word.isalnum()]

    known: dict[str, int] = {}
    corpus = [[known.setdefault(word, len(known)) for word in words(text.words)] for text in texts]
    made = bm25s.BM25(method="lucene", k1=K1, b=B)
    made.index((corpus, known), show_progress=False)

    def search(text: str) -> Ranked:
        ids = [known[word] for word in words(text) if word in known]
        scores = made.get_scores_from_ids(np.array(ids, dtype=np.int32)) if ids else np.zeros(len(texts))
        best: dict[int, float] = {}
        for n in np.argsort(-scores, kind="stable")[:50]:
            if scores[n] > 0:
                best.setdefault(texts[n].entry_id, float(scores[n]))
        ranked: Ranked = [(number, score, None) for number, score in best.items()]
        return ranked[:3]

    return search


@dataclass(frozen=True)
class Rates:
    """Shares of the questions that have an answer: right at the first place, and among the first three."""

    first: float
    three: float
    milliseconds: float


def measure(search: Callable[[str], Ranked], asked: Sequence[Question]) -> Rates:
    """Return how often the right entry is found; unanswerable questions are left out."""
    asked = [question for question in asked if question.entry is not None]
    began = perf_counter()
    found = [[number for number, *_ in search(question.text)] for question in asked]
    taken = perf_counter() - began
    first = sum(ranked[:1] == [question.entry] for question, ranked in zip(asked, found, strict=True))
    three = sum(question.entry in ranked for question, ranked in zip(asked, found, strict=True))
    return Rates(first / len(asked), three / len(asked), 1000 * taken / len(asked))


def verdicts(search: Callable[[str], Ranked], asked: Sequence[Question]) -> str:
    """Return what would be said: how many questions are answered, how many of those rightly, and what is made up."""
    found = [(question, search(question.text)) for question in asked]
    said = [(question, ranked, judge([one[1:] for one in ranked])) for question, ranked in found]
    known = [one for one in said if one[0].entry is not None]
    unknown = [one for one in said if one[0].entry is None]
    answered = [one for one in known if one[2] == "answer"]
    right = sum(ranked[0][0] == question.entry for question, ranked, _ in answered)
    offered = sum(
        word == "menu" and question.entry in [number for number, *_ in ranked] for question, ranked, word in known
    )
    false = sum(word == "answer" for *_, word in unknown)
    return (
        f"answered {len(answered) / len(known):.0%} ({right / max(len(answered), 1):.0%} of them rightly), "
        f"right one in the menu {offered / len(known):.0%}; "
        f"unanswerable questions answered {false}/{len(unknown)} ({false / len(unknown):.0%})"
    )


class _Endpoint:
    """The embedding model that FENSI_LLM_BASE_URL and FENSI_LLM_EMBEDDING_MODEL name."""

    def __init__(self, url: str, model: str, key: str) -> None:
        from openai import AsyncOpenAI

        self.model = model
        self._client = AsyncOpenAI(base_url=url, api_key=key, timeout=30)

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_error: object) -> None:
        await self._client.close()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        answer = await self._client.embeddings.create(model=self.model, input=list(texts))
        return [row.embedding for row in answer.data]


def _endpoint() -> _Endpoint | None:
    url, model = os.environ.get("FENSI_LLM_BASE_URL"), os.environ.get("FENSI_LLM_EMBEDDING_MODEL")
    return _Endpoint(url, model, os.environ.get("FENSI_LLM_API_KEY", "none")) if url and model else None


async def _embedded(embedder: Embedder, texts: Sequence[str]) -> list[list[float]]:
    made: list[list[float]] = []
    for start in range(0, len(texts), BATCH):
        made += await embedder.embed(texts[start : start + BATCH])
    return made


def by_both(texts: Sequence[Text], synonyms: Synonyms, asked: Sequence[Question]) -> Callable[[str], Ranked] | None:
    """Return our search fused with embeddings, or None when no endpoint is configured."""
    endpoint = _endpoint()
    if endpoint is None:
        return None

    async def fetch() -> tuple[list[list[float]], list[list[float]]]:
        async with endpoint:
            told = await _embedded(endpoint, [text.meant for text in texts])
            return told, await _embedded(endpoint, [question.text for question in asked])

    of_texts, of_questions = asyncio.run(fetch())
    index = Index(texts, synonyms, {text.digest: pack(vector) for text, vector in zip(texts, of_texts, strict=True)})
    known = {question.text: vector for question, vector in zip(asked, of_questions, strict=True)}
    return lambda text: _ranked(index.search(text, known[text]))


def main(*, quick: bool = False) -> None:
    """Print hit rates of each method on both halves, what would be answered, and the verdicts."""
    import jieba

    jieba.setLogLevel(logging.ERROR)
    own, numbers = entries()
    texts = own + noise(len(numbers) + 1)
    asked = questions(numbers)
    halves = {half: [question for question in asked if question.half == half] for half in ("calibration", "report")}
    report = halves["report"]
    synonyms = Synonyms(read_synonyms((ASSETS / "synonyms.txt").read_bytes()))
    began = perf_counter()
    full = Index(texts, synonyms)
    seconds = perf_counter() - began
    print(
        f"retrieval: {len(numbers)} entries among {len(texts) - len(own)} distractors, {len(texts)} passages indexed "
        f"in {seconds:.2f} s; {sum(question.entry is not None for question in asked)} questions with an answer, "
        f"{sum(question.entry is None for question in asked)} without"
    )
    methods: dict[str, Callable[[str], Ranked] | None] = {
        "jieba BM25 (cut)": by_jieba(texts, jieba.lcut),
        "jieba BM25 (cut_for_search)": by_jieba(texts, jieba.lcut_for_search),
        "characters and pairs": by_grams(Index(texts, Synonyms([]))),
        "+ synonyms": by_grams(full),
        "+ embeddings": None if quick else by_both(texts, synonyms, asked),
    }
    rates: dict[str, Rates] = {}
    print(f"  {'':28} {'calibration':>16} {'report':>16} {'all':>16}   ms a question")
    for name, search in methods.items():
        if search is None:
            print(f"  {name:28} no endpoint: FENSI_LLM_BASE_URL and FENSI_LLM_EMBEDDING_MODEL are not set")
            continue
        each = [measure(search, part) for part in (halves["calibration"], report, asked)]
        rates[name] = each[1]
        shown = " ".join(f"{f'{one.first:.1%} / {one.three:.1%}':>16}" for one in each)
        print(f"  {name:28} {shown}   {each[2].milliseconds:.2f}")
    print(f"  verdicts on the report half, among distractors: {verdicts(by_grams(full), report)}")
    print(f"  verdicts on the report half, the entries alone: {verdicts(by_grams(Index(own, synonyms)), report)}")
    groups = read_synonyms((ASSETS / "synonyms.txt").read_bytes())
    files = [((ASSETS / name).read_bytes(), form) for name, form in FILES]
    library.measure(files, groups, [question.text for question in asked])
    ours = rates["+ synonyms"]
    peer = max(rates["jieba BM25 (cut)"].first, rates["jieba BM25 (cut_for_search)"].first)
    print(verdict("retrieval-hit1", ours.first, 0.65))
    print(verdict("retrieval-hit3", ours.three, 0.85))
    print(verdict("retrieval", ours.first / peer, 1.5))
