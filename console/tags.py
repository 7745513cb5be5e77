"""Tags: a brand's words with how many have them, and tags put on, or taken off, many members at once."""

from typing import Annotated, Literal

from pydantic import Field

from console.members import READ, Asked
from console.surface import SURFACE, BrandPage, Call
from scrm.errors import Conflict, Invalid, NotFound
from scrm.people import tagging
from scrm.people.search import Wanted
from scrm.staff import audit
from scrm.staff.audit import Entry
from scrm.tags import batches, queries, service
from scrm.tags.batches import BatchView
from web.shapes import Moment, RowId, Shown, Taken, Text

EDIT = "members.edit"
MOST_CHOSEN = 1000
Word = Annotated[Text, Field(min_length=1, max_length=service.LONGEST)]


class TagItem(Shown):
    """A tag of a brand, with how many people have it."""

    id: int
    brand_id: int
    name: str
    category: str
    archived: bool
    people: int
    created_at: Moment


class TagList(Shown):
    """The tags of the caller's brands."""

    items: list[TagItem]


class TagQuery(Taken):
    """Of one brand, or of all that the caller works for."""

    brand: RowId | None = None


class TagNew(Taken):
    """A new tag; one that was archived comes back."""

    brand_id: RowId
    name: Word
    category: Annotated[Text, Field(max_length=service.LONGEST)] = ""


class TagChange(Taken):
    """The tag's name and category."""

    name: Word
    category: Annotated[Text, Field(max_length=service.LONGEST)] = ""


class TagMade(Shown):
    """The tag's id."""

    id: int


class BatchNew(Taken):
    """A tag for the members chosen, or, without `members`, for all whom `filter` means."""

    tag_id: RowId
    action: Literal["put", "take"]
    members: Annotated[list[RowId], Field(min_length=1, max_length=MOST_CHOSEN)] | None = None
    filter: Asked | None = None


class BatchItem(Shown):
    """A batch and how far it is."""

    id: int
    brand_id: int
    tag_id: int
    tag: str
    action: Literal["put", "take"]
    staff_id: int
    state: Literal["running", "done", "undoing", "undone"]
    total: int
    done: int
    changed: int
    undone: int
    created_at: Moment
    finished_at: Moment | None


class BatchList(Shown):
    """A page of batches, newest first."""

    items: list[BatchItem]
    next: int | None


@SURFACE.get("/tags", permission=READ)
async def tag_list(call: Call, query: TagQuery) -> TagList:
    """标签与人数."""
    return TagList(items=[TagItem.model_validate(one) for one in await queries.of_brands(call.within(query.brand))])


@SURFACE.post("/tags", permission=EDIT, errors=[NotFound])
async def add_tag(call: Call, body: TagNew) -> TagMade:
    """新建标签."""
    brand = call.brand(body.brand_id)

    async def change() -> int:
        return await service.define(brand_id=brand, name=body.name, category=body.category, now=call.now)

    def entry(made: int) -> Entry:
        return Entry("tag.added", f"tag:{made}", body.name, brand, after={"name": body.name, "category": body.category})

    return TagMade(id=await audit.along(call.actor, change, entry, call.now))


@SURFACE.put("/tags/{tag_id}", permission=EDIT, status=204, errors=[NotFound, Conflict])
async def change_tag(call: Call, tag_id: int, body: TagChange) -> None:
    """修改标签名称与分类."""
    tag = await _mine(call, tag_id)

    async def change() -> None:
        await service.rename(brand_id=tag.brand_id, tag_id=tag_id, name=body.name, category=body.category)

    before, after = {"name": tag.name, "category": tag.category}, {"name": body.name, "category": body.category}
    entry = Entry("tag.changed", f"tag:{tag_id}", body.name, tag.brand_id, before=before, after=after)
    await audit.along(call.actor, change, lambda _: entry, call.now)


@SURFACE.post("/tags/{tag_id}/archive", permission=EDIT, status=204, errors=[NotFound])
async def archive_tag(call: Call, tag_id: int) -> None:
    """停用标签."""
    tag = await _mine(call, tag_id)

    async def change() -> bool:
        return await service.archive(brand_id=tag.brand_id, tag_id=tag_id, now=call.now)

    entry = Entry("tag.archived", f"tag:{tag_id}", tag.name, tag.brand_id)
    await audit.along(call.actor, change, lambda changed: entry if changed else None, call.now)


@SURFACE.get("/tag-batches", permission=READ)
async def batch_list(call: Call, query: BrandPage) -> BatchList:
    """批量打标签的记录."""
    found = await batches.latest(call.within(query.brand), before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    return BatchList(
        items=[BatchItem.model_validate(one) for one in shown],
        next=shown[-1].id if len(found) > query.limit else None,
    )


@SURFACE.get("/tag-batches/{batch_id}", permission=READ)
async def batch_progress(call: Call, batch_id: int) -> BatchItem:
    """一次批量打标签的进度."""
    return BatchItem.model_validate(await _batch(call, batch_id))


@SURFACE.post("/tag-batches", permission=EDIT, errors=[NotFound, Conflict])
async def begin_batch(call: Call, body: BatchNew) -> BatchItem:
    """批量打标签或移除标签."""
    tag = await _mine(call, body.tag_id)
    if (body.members is None) == (body.filter is None):
        raise Invalid("请选择会员，或给出筛选条件", field="members")
    if body.filter is not None:
        wanted = body.filter.wanted([tag.brand_id])
    else:
        wanted = Wanted(brands=[tag.brand_id], people=body.members)

    async def change() -> BatchView:
        return await tagging.begin(
            call.parts.sealer,
            key=call.key,
            brand_id=tag.brand_id,
            tag_id=tag.id,
            action=body.action,
            wanted=wanted,
            staff_id=call.me.staff_id,
            now=call.now,
        )

    def entry(made: BatchView) -> Entry:
        after = {"tag": tag.name, "action": body.action, "filter": wanted.named, "total": made.total}
        return Entry("tag.batch_begun", f"batch:{made.id}", tag.name, tag.brand_id, after=after)

    return BatchItem.model_validate(await audit.along(call.actor, change, entry, call.now))


@SURFACE.post("/tag-batches/{batch_id}/undo", permission=EDIT, errors=[NotFound, Conflict])
async def undo_batch(call: Call, batch_id: int) -> BatchItem:
    """撤销一次批量打标签."""
    batch = await _batch(call, batch_id)

    async def change() -> bool:
        return await batches.undo(batch_id=batch_id, now=call.now)

    entry = Entry("tag.batch_undone", f"batch:{batch_id}", batch.tag, batch.brand_id, after={"changed": batch.changed})
    await audit.along(call.actor, change, lambda changed: entry if changed else None, call.now)
    return BatchItem.model_validate(await batches.one(batch_id))


async def _mine(call: Call, tag_id: int) -> queries.Word:
    tag = next((one for one in await queries.words(call.within(None)) if one.id == tag_id), None)
    if tag is None:
        raise NotFound("没有这个标签", field="tag_id")
    return tag


async def _batch(call: Call, batch_id: int) -> BatchView:
    batch = await batches.one(batch_id)
    call.brand(batch.brand_id)
    return batch
