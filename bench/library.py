"""What a brand with five thousand entries costs a process: import, first search, later ones, and a change."""

import asyncio
import contextlib
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.database import fresh_database
from bench.distractors import distractors
from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db
from scrm.accounts.models import Brand
from scrm.assistant import knowledge
from scrm.assistant.content import Content
from scrm.assistant.importing import import_file
from scrm.assistant.retrieval import Library

NOW = datetime(2026, 3, 9, 4, 0, tzinfo=UTC)


def measure(files: Sequence[tuple[bytes, str]], groups: Sequence[Sequence[str]], asked: Sequence[str]) -> None:
    """Print the costs for these files and all distractors."""
    with tempfile.TemporaryDirectory(prefix="fensi-bench-") as folder, fresh_database(Path(folder)) as url:
        asyncio.run(_measure(url, files, groups, asked))


async def _measure(
    url: str, files: Sequence[tuple[bytes, str]], groups: Sequence[Sequence[str]], asked: Sequence[str]
) -> None:
    async with db.database(url, pool=4):
        brand_id = (await Brand.create(name="bench", created_at=NOW)).id
        await knowledge.set_synonyms(brand_id=brand_id, groups=groups)
        began = perf_counter()
        for data, form in [*files, (_table(), "csv")]:
            await import_file(brand_id=brand_id, data=data, form=form, author="bench", now=NOW, publish=True)
        imported = perf_counter() - began
        library = Library(Tasks(), patience=60)
        async with _pauses() as pauses:
            began = perf_counter()
            await library.search(brand_id, asked[0], now=NOW)
            first = perf_counter() - began
        each = []
        for question in asked:
            began = perf_counter()
            await library.search(brand_id, question, now=NOW)
            each.append(perf_counter() - began)
        began = perf_counter()
        entry_id = await knowledge.create(
            brand_id=brand_id,
            kind="qa",
            content=Content("茶宠可以寄回来重新上釉吗？", "可以，运费自理。"),
            author="bench",
            key=key_of("bench"),
            now=NOW,
        )
        await knowledge.publish(brand_id=brand_id, entry_id=entry_id, version=1, now=NOW)
        found = await library.search(brand_id, "茶宠重新上釉", now=NOW)
        seen = perf_counter() - began
        assert found.passages[0].entry_id == entry_id
    print(
        f"  in the house: import {imported:.1f} s, first search {first:.2f} s (the loop paused at most "
        f"{1000 * max(pauses):.0f} ms), later ones {1000 * median(each):.2f} ms (median of {len(each)}), "
        f"a new entry is found {seen:.2f} s after it is begun"
    )


def _table() -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["question", "answer"])
    writer.writerows(distractors())
    return out.getvalue().encode()


@contextlib.asynccontextmanager
async def _pauses() -> AsyncIterator[list[float]]:
    """Give a list that is filled with how late the event loop woke, in seconds, about every millisecond."""
    late = [0.0]

    async def watch() -> None:
        while True:
            began = perf_counter()
            await asyncio.sleep(0.001)
            late.append(perf_counter() - began - 0.001)

    watching = asyncio.create_task(watch())
    try:
        yield late
    finally:
        watching.cancel()
