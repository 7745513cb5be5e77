"""The knowledge base: its entries, their versions, and what fans see of them."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from console.surface import SURFACE, Call
from scrm.assistant import knowledge, queries
from scrm.assistant.content import ALTERNATIVE, ARTICLE, CATEGORY, MOST_ALTERNATIVES, TITLE, Content
from scrm.assistant.queries import EntryRow, VersionView
from scrm.errors import Conflict, Invalid, NotFound
from scrm.staff import audit
from scrm.staff import queries as staff
from scrm.staff.audit import Entry
from web.shapes import Instant, Moment, Page, RowId, Taken, Text

READ, EDIT = "knowledge.read", "knowledge.edit"
# An article of 50,000 characters, each of them three bytes or an escape.
LARGE = 400 * 1024

Kind = Literal["article", "qa"]
Status = Literal["draft", "published", "archived"]


class EntriesQuery(Page):
    """A page of a brand's entries; without `status` all but the archived. `text` is part of title or body."""

    brand: RowId
    status: Status | None = None
    kind: Kind | None = None
    category: Annotated[Text, Field(max_length=CATEGORY)] | None = None
    text: Annotated[Text, Field(max_length=64)] = ""


class EntryItem(BaseModel):
    """An entry as its newest version reads. `published`: the version that fans see, null for none."""

    id: int
    kind: Kind
    status: Status
    title: str
    category: str
    newest: int
    published: int | None
    external_id: str | None
    author: str
    updated_at: Moment


class EntryList(BaseModel):
    """A page of entries, newest first; `next` goes into `before`, null at the end."""

    items: list[EntryItem]
    next: int | None


class Said(Taken):
    """What an entry says: title or question, Markdown or answer; shown from `valid_from` until before `valid_until`."""

    title: Annotated[Text, Field(min_length=1, max_length=TITLE)]
    body: Annotated[str, Field(min_length=1, max_length=ARTICLE)]
    alternatives: Annotated[
        list[Annotated[Text, Field(min_length=1, max_length=ALTERNATIVE)]], Field(max_length=MOST_ALTERNATIVES)
    ] = Field(default_factory=list)
    category: Annotated[Text, Field(max_length=CATEGORY)] = ""
    valid_from: Instant | None = None
    valid_until: Instant | None = None


class NewEntry(Said):
    """A new entry, a draft at first."""

    brand_id: RowId
    kind: Kind


class ChangedEntry(Said):
    """The next version; `expected` is the newest one its author has seen."""

    expected: Annotated[int, Field(ge=1)]


class EntryVersion(BaseModel):
    """A version with all it says."""

    number: int
    title: str
    body: str
    alternatives: list[str]
    category: str
    valid_from: Moment | None
    valid_until: Moment | None
    author: str
    created_at: Moment


class EntryShown(BaseModel):
    """An entry with its newest version; `published` is the one that fans see, null for none."""

    id: int
    brand_id: int
    kind: Kind
    status: Status
    external_id: str | None
    newest: EntryVersion
    published: EntryVersion | None


class VersionsQuery(Page):
    """A page of versions; `before` is a version's number."""


class VersionList(BaseModel):
    """A page of versions, newest first; `next` goes into `before`, null at the end."""

    items: list[EntryVersion]
    next: int | None


class EntryMade(BaseModel):
    """The new entry."""

    id: int


class Written(BaseModel):
    """The number of the newest version; the expected one when nothing was different."""

    number: int


class Publication(Taken):
    """The version that fans are to see from now on."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1)]


class BrandQuery(Taken):
    """One brand."""

    brand: RowId


class Category(BaseModel):
    """A category and how many entries it has."""

    name: str
    entries: int


class Categories(BaseModel):
    """The categories of a brand."""

    items: list[Category]


@SURFACE.ask("/knowledge/search", permission=READ, errors=[NotFound])
async def entries(call: Call, body: EntriesQuery) -> EntryList:
    """知识列表."""
    found = await queries.entries(
        call.brand(body.brand),
        status=body.status,
        kind=body.kind,
        category=body.category,
        text=body.text,
        before=body.before,
        limit=body.limit + 1,
    )
    shown = found[: body.limit]
    names = await names_of(one.author for one in shown)
    return EntryList(items=[_item(one, names) for one in shown], next=shown[-1].id if len(found) > body.limit else None)


@SURFACE.get("/knowledge/categories", permission=READ, errors=[NotFound])
async def categories(call: Call, query: BrandQuery) -> Categories:
    """知识的分类."""
    found = await queries.categories(call.brand(query.brand))
    return Categories(items=[Category(name=name, entries=count) for name, count in found.items()])


@SURFACE.post("/knowledge/entries", permission=EDIT, status=201, errors=[NotFound, Invalid, Conflict], max_body=LARGE)
async def add_entry(call: Call, body: NewEntry) -> EntryMade:
    """新建知识."""
    brand_id = call.brand(body.brand_id)

    async def change() -> int:
        return await knowledge.create(
            brand_id=brand_id,
            kind=body.kind,
            content=_content(body),
            author=author_of(call),
            key=call.key,
            now=call.now,
        )

    def line(made: int) -> Entry:
        return Entry("knowledge.added", f"knowledge:{made}", body.title, brand_id, after={"kind": body.kind})

    return EntryMade(id=await audit.along(call.actor, change, line, call.now))


@SURFACE.get("/knowledge/entries/{entry_id}", permission=READ, errors=[NotFound])
async def entry(call: Call, entry_id: int) -> EntryShown:
    """一条知识."""
    brand_id = await _brand(call, entry_id)
    found = await queries.entry(brand_id, entry_id)
    names = await names_of(one.author for one in (found.newest, found.published) if one is not None)
    return EntryShown(
        id=entry_id,
        brand_id=brand_id,
        kind=_kind(found.row.kind),
        status=_status(found.row.status),
        external_id=found.row.external_id,
        newest=_version(found.newest, names),
        published=None if found.published is None else _version(found.published, names),
    )


@SURFACE.put("/knowledge/entries/{entry_id}", permission=EDIT, errors=[NotFound, Invalid, Conflict], max_body=LARGE)
async def change_entry(call: Call, entry_id: int, body: ChangedEntry) -> Written:
    """修改知识.

    Fans see it when it is published. 409 `stale_version`: somebody else has written a version since.
    """
    brand_id = await _brand(call, entry_id)

    async def change() -> int:
        return await knowledge.edit(
            brand_id=brand_id,
            entry_id=entry_id,
            content=_content(body),
            expected=body.expected,
            author=author_of(call),
            now=call.now,
        )

    def line(number: int) -> Entry | None:
        if number == body.expected:
            return None
        versions = {"before": {"version": body.expected}, "after": {"version": number}}
        return Entry("knowledge.changed", f"knowledge:{entry_id}", body.title, brand_id, **versions)

    return Written(number=await audit.along(call.actor, change, line, call.now))


@SURFACE.get("/knowledge/entries/{entry_id}/versions", permission=READ, errors=[NotFound])
async def versions(call: Call, entry_id: int, query: VersionsQuery) -> VersionList:
    """知识的历史版本."""
    brand_id = await _brand(call, entry_id)
    before = None if query.before is None else min(query.before, 2**31 - 1)
    found = await queries.versions(brand_id, entry_id, before=before, limit=query.limit + 1)
    shown = found[: query.limit]
    names = await names_of(one.author for one in shown)
    return VersionList(
        items=[_version(one, names) for one in shown], next=shown[-1].number if len(found) > query.limit else None
    )


@SURFACE.post("/knowledge/entries/{entry_id}/publish", permission=EDIT, status=204, errors=[NotFound, Conflict])
async def publish(call: Call, entry_id: int, body: Publication) -> None:
    """发布一个版本；发布旧版本就是回滚."""
    await _turn(call, entry_id, "published", partial(knowledge.publish, version=body.version))


@SURFACE.post("/knowledge/entries/{entry_id}/withdraw", permission=EDIT, status=204, errors=[NotFound])
async def withdraw(call: Call, entry_id: int) -> None:
    """撤回为草稿，粉丝不再看到."""
    await _turn(call, entry_id, "withdrawn", knowledge.withdraw)


@SURFACE.post("/knowledge/entries/{entry_id}/archive", permission=EDIT, status=204, errors=[NotFound])
async def archive(call: Call, entry_id: int) -> None:
    """归档，粉丝不再看到."""
    await _turn(call, entry_id, "archived", knowledge.archive)


@SURFACE.post("/knowledge/entries/{entry_id}/restore", permission=EDIT, status=204, errors=[NotFound])
async def restore(call: Call, entry_id: int) -> None:
    """恢复归档的知识为草稿."""
    await _turn(call, entry_id, "restored", knowledge.restore)


async def _turn(call: Call, entry_id: int, action: str, change: Callable[..., Awaitable[None]]) -> None:
    """Do what changes whether fans see an entry, and write its line; none when it was so already."""
    brand_id = await _brand(call, entry_id)

    async def done() -> tuple[EntryRow, EntryRow]:
        before = (await queries.entry(brand_id, entry_id)).row
        await change(brand_id=brand_id, entry_id=entry_id, now=call.now)
        return before, (await queries.entry(brand_id, entry_id)).row

    def line(rows: tuple[EntryRow, EntryRow]) -> Entry | None:
        before, after = ({"status": row.status, "published": row.published} for row in rows)
        if before == after:
            return None
        return Entry(f"knowledge.{action}", f"knowledge:{entry_id}", rows[1].title, brand_id, before, after)

    await audit.along(call.actor, done, line, call.now)


def author_of(call: Call) -> str:
    """Return who writes, as versions keep it."""
    return f"staff:{call.me.staff_id}"


async def names_of(authors: Iterable[str]) -> dict[str, str]:
    """Return how authors are called; who is none of staff is not among them."""
    ids = {int(one.removeprefix("staff:")): one for one in authors if one.startswith("staff:")}
    return {ids[number]: name for number, name in (await staff.names(ids)).items()}


async def _brand(call: Call, entry_id: int) -> int:
    brand_id = await queries.brand_of_entry(entry_id)
    if brand_id is None:
        raise NotFound("没有这条知识")
    return call.brand(brand_id)


def _content(body: Said) -> Content:
    return Content(
        body.title, body.body, tuple(body.alternatives), body.category, _utc(body.valid_from), _utc(body.valid_until)
    )


def _utc(moment: datetime | None) -> datetime | None:
    # To the second, as it is shown: what was only read and sent back is no change.
    return None if moment is None else moment.replace(microsecond=0)


def _kind(text: str) -> Kind:
    return "article" if text == "article" else "qa"


def _status(text: str) -> Status:
    return "draft" if text == "draft" else "published" if text == "published" else "archived"


def _item(row: EntryRow, names: dict[str, str]) -> EntryItem:
    return EntryItem(
        id=row.id,
        kind=_kind(row.kind),
        status=_status(row.status),
        title=row.title,
        category=row.category,
        newest=row.newest,
        published=row.published,
        external_id=row.external_id,
        author=names.get(row.author, "导入"),
        updated_at=row.updated_at,
    )


def _version(view: VersionView, names: dict[str, str]) -> EntryVersion:
    content = view.content
    return EntryVersion(
        number=view.number,
        title=content.title,
        body=content.body,
        alternatives=list(content.alternatives),
        category=content.category,
        valid_from=content.valid_from,
        valid_until=content.valid_until,
        author=names.get(view.author, "导入"),
        created_at=view.created_at,
    )
