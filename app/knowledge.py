"""The commands `fensi knowledge …`: files in, a question out."""

import argparse
from pathlib import Path

from app.commands import CommandError, in_database
from app.settings import Settings
from kit.clock import SystemClock
from kit.tasks import Tasks
from scrm.accounts.models import Brand
from scrm.assistant.files import read_synonyms
from scrm.assistant.importing import Outcome, Report, import_file
from scrm.assistant.knowledge import set_synonyms
from scrm.assistant.retrieval import Found, Library
from scrm.errors import NotFound

AUTHOR = "fensi"
VERDICTS = {"answer": "answered", "menu": "a menu of the nearest", "nothing": "no answer"}


def import_(settings: Settings, given: argparse.Namespace) -> int:
    """Import a file; non-zero when a row was rejected, each of which is named with its line."""
    data = _read(given.file)
    form = given.format or {".md": "md", ".markdown": "md", ".csv": "csv"}.get(Path(given.file).suffix.lower())
    if form is None:
        raise CommandError("--format: md or csv? The file's name does not say")

    async def work() -> Report:
        return await import_file(
            brand_id=await _brand(given.brand),
            data=data,
            form=form,
            author=AUTHOR,
            now=SystemClock().now(),
            publish=given.publish,
        )

    report: Report = in_database(settings, work)
    for line in report.lines:
        if line.outcome == "rejected":
            print(f"{given.file}:{line.line}: {line.reason}")
    outcomes: tuple[Outcome, ...] = ("created", "updated", "unchanged", "rejected")
    print(", ".join(f"{report.count(outcome)} {outcome}" for outcome in outcomes))
    return 1 if report.count("rejected") else 0


def synonyms(settings: Settings, given: argparse.Namespace) -> int:
    """Replace a brand's synonyms by those of a file."""
    groups = read_synonyms(_read(given.file))

    async def work() -> int:
        return await set_synonyms(brand_id=await _brand(given.brand), groups=groups)

    in_database(settings, work)
    print(f"{len(groups)} groups of synonyms")
    return 0


def ask(settings: Settings, given: argparse.Namespace) -> int:
    """Print what a question finds: verdict, entries with their scores, and what they have in common with it."""

    async def work() -> Found:
        library = Library(Tasks())
        return await library.test_question(await _brand(given.brand), given.text, now=SystemClock().now())

    found: Found = in_database(settings, work)
    print(VERDICTS[found.verdict])
    for passage in found.passages:
        why = [*passage.matched, *(f"{asked}={own}" for asked, own in passage.synonyms)]
        print(f"  {passage.score:.2f}  #{passage.entry_id} {passage.title}  [{' '.join(why)}]")
    return 0


async def _brand(name: str) -> int:
    brand = await Brand.get_or_none(name=name)
    if brand is None:
        raise NotFound("没有这个品牌", field="--brand")
    return brand.id


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from None
