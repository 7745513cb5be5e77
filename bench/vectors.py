"""Which passages are near a question in meaning: compared in this process, or by pgvector, exactly and by its index.

As many passages as a big knowledge base has, with vectors in clusters as embeddings are. docs/decisions/0006 quotes it.
"""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import asyncpg

from bench.database import fresh_database
from bench.report import verdict
from scrm.assistant.index import DEPTH, best
from scrm.db import credentials

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

PASSAGES, LONG, CLUSTERS, QUESTIONS = 5300, 1024, 200, 40


def main(*, quick: bool = False) -> None:
    """Print milliseconds for a question, and how many of the fifty nearest each way finds."""
    with tempfile.TemporaryDirectory() as folder, fresh_database(Path(folder)) as url:
        asyncio.run(_compare(url, PASSAGES // 4 if quick else PASSAGES))


def _made(count: int) -> "tuple[Floats, Floats]":
    import numpy as np

    chance = np.random.default_rng(20261122)
    centres = chance.standard_normal((CLUSTERS, LONG)).astype(np.float32)

    def near(many: int) -> "Floats":
        found = centres[chance.integers(0, CLUSTERS, many)] + chance.standard_normal((many, LONG)).astype(np.float32)
        unit: Floats = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit

    return near(count), near(QUESTIONS)


def _text(vector: "Floats") -> str:
    return "[" + ",".join(map(str, vector.tolist())) + "]"


async def _compare(url: str, count: int) -> None:
    import numpy as np

    stored, asked = _made(count)
    raw = await asyncpg.connect(**credentials(url), timeout=10)
    try:
        await raw.execute("CREATE EXTENSION vector")
        await raw.execute(f"CREATE TABLE passage (id int PRIMARY KEY, v vector({LONG}) NOT NULL)")
        began = perf_counter()
        for start in range(0, count, 500):
            rows = [(n, _text(stored[n])) for n in range(start, min(count, start + 500))]
            await raw.executemany("INSERT INTO passage VALUES ($1, $2::text::vector)", rows)
        print(f"{count} passages of {LONG} numbers; put into the table in {perf_counter() - began:.1f} s")

        async def by_table(question: "Floats") -> list[int]:
            rows = await raw.fetch(
                "SELECT id FROM passage ORDER BY v <#> $1::text::vector, id LIMIT $2", _text(question), DEPTH
            )
            return [row["id"] for row in rows]

        async def by_index(question: "Floats") -> list[int]:
            rows = await raw.fetch(
                "SELECT id FROM passage ORDER BY v <#> $1::text::vector LIMIT $2", _text(question), DEPTH
            )
            return [row["id"] for row in rows]

        async def in_memory(question: "Floats") -> list[int]:
            return await asyncio.to_thread(lambda: best(np.einsum("ij,j->i", stored, question)))

        exact = [await in_memory(question) for question in asked]
        memory = await _timed("in memory", in_memory, asked, exact)
        table = await _timed("pgvector, every row", by_table, asked, exact)
        began = perf_counter()
        await raw.execute("CREATE INDEX ON passage USING hnsw (v vector_ip_ops)")
        await raw.execute("SET hnsw.ef_search = 100")
        print(f"hnsw index made in {perf_counter() - began:.1f} s")
        await _timed("pgvector, hnsw", by_index, asked, exact)
        print(verdict("vectors", table / memory, 1))
    finally:
        await raw.close()


async def _timed(name: str, search: Callable[[Any], Any], asked: "Floats", exact: list[list[int]]) -> float:
    took, found = [], 0
    for question, wanted in zip(asked, exact, strict=True):
        began = perf_counter()
        got = await search(question)
        took.append(perf_counter() - began)
        found += len(set(got) & set(wanted))
    share = found / sum(map(len, exact))
    print(f"{name:<22}{median(took) * 1000:8.2f} ms a question   {share:.1%} of the nearest {DEPTH}")
    return median(took)
