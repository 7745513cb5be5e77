"""Upkeep of the knowledge base as a whole: importing a file, and the table of synonyms."""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from console.knowledge import EDIT, READ, BrandQuery, author_of
from console.surface import SURFACE, Call
from scrm.assistant import knowledge, queries
from scrm.assistant.content import MOST_GROUPS, MOST_WORDS, WORD
from scrm.assistant.files import LARGEST
from scrm.assistant.importing import Report, import_file
from scrm.errors import Conflict, Invalid, NotFound
from scrm.staff import audit
from scrm.staff.audit import Entry
from web.shapes import RowId, Taken, Text

MOST_SHOWN = 500  # lines of a report; of more only the first, rejected ones before the others


class ImportQuery(Taken):
    """Where a file goes and what it is; with `publish` fans see what it says at once."""

    brand: RowId
    format: Literal["md", "csv"]
    publish: bool = False


class ImportLine(BaseModel):
    """What became of the row that begins at `line`; `reason` only for a rejected one."""

    line: int
    outcome: Literal["created", "updated", "unchanged", "rejected"]
    title: str
    entry_id: int | None
    reason: str


class ImportReport(BaseModel):
    """What an import did; `lines` are the first 500, rejected ones before the others."""

    created: int
    updated: int
    unchanged: int
    rejected: int
    lines: list[ImportLine]


class SynonymTable(BaseModel):
    """Groups of words that mean the same; `number` goes into `expected` of a change."""

    groups: list[list[str]]
    number: int


Word = Annotated[Text, Field(min_length=1, max_length=WORD)]


class ChangedSynonyms(Taken):
    """All groups as they are to be; `expected` is the number of the table that was changed."""

    brand_id: RowId
    groups: Annotated[
        list[Annotated[list[Word], Field(min_length=2, max_length=MOST_WORDS)]], Field(max_length=MOST_GROUPS)
    ]
    expected: Annotated[int, Field(ge=0)]


class SynonymsWritten(BaseModel):
    """The number of the table as it is now."""

    number: int


@SURFACE.post("/knowledge/import", permission=EDIT, errors=[NotFound, Invalid], max_body=LARGEST + 1)
async def import_knowledge(call: Call, query: ImportQuery, body: bytes) -> ImportReport:
    """导入知识文件.

    The file itself is the body. Good rows are written together, bad ones reported by line.
    """
    brand_id = call.brand(query.brand)

    async def change() -> Report:
        return await import_file(
            brand_id=brand_id,
            data=body,
            form=query.format,
            author=author_of(call),
            now=call.now,
            publish=query.publish,
        )

    def line(done: Report) -> Entry | None:
        counts = {name: done.count(name) for name in ("created", "updated", "rejected")}
        if not counts["created"] and not counts["updated"]:
            return None
        return Entry(
            "knowledge.imported", f"brand:{brand_id}", "", brand_id, after={**counts, "publish": query.publish}
        )

    report = await audit.along(call.actor, change, line, call.now)
    lines = sorted(report.lines, key=lambda one: one.outcome != "rejected")[:MOST_SHOWN]
    return ImportReport(
        created=report.count("created"),
        updated=report.count("updated"),
        unchanged=report.count("unchanged"),
        rejected=report.count("rejected"),
        lines=[ImportLine.model_validate(asdict(one)) for one in lines],
    )


@SURFACE.get("/knowledge/synonyms", permission=READ, errors=[NotFound])
async def synonyms(call: Call, query: BrandQuery) -> SynonymTable:
    """同义词表."""
    found = await queries.synonyms(call.brand(query.brand))
    return SynonymTable(groups=found.groups, number=found.number)


@SURFACE.put("/knowledge/synonyms", permission=EDIT, errors=[NotFound, Invalid, Conflict], max_body=8 * 1024 * 1024)
async def change_synonyms(call: Call, body: ChangedSynonyms) -> SynonymsWritten:
    """修改同义词表.

    409 `stale_version`: somebody else has changed it since.
    """
    brand_id = call.brand(body.brand_id)

    async def change() -> int:
        return await knowledge.set_synonyms(brand_id=brand_id, groups=body.groups, expected=body.expected)

    def line(number: int) -> Entry | None:
        if number == body.expected:
            return None
        return Entry("knowledge.synonyms", f"brand:{brand_id}", "", brand_id, after={"groups": len(body.groups)})

    return SynonymsWritten(number=await audit.along(call.actor, change, line, call.now))
