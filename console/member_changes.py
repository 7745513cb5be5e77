"""What staff change about members: tags, points by hand, a merge that was wrong; each leaves a line in the trail."""

from typing import Annotated, Literal

from pydantic import Field

from console.member import known
from console.surface import SURFACE, Call
from scrm.errors import Conflict, Invalid, NotFound
from scrm.members import merging, names
from scrm.people import person
from scrm.points import adjusting
from scrm.points.postings import NotEnough
from scrm.staff import audit
from scrm.staff.audit import Entry
from scrm.tags import queries as tag_queries
from scrm.tags import service as tags
from web.shapes import RowId, Shown, Taken, Text


class TagPut(Taken):
    """The tag to put on."""

    tag_id: RowId


class Adjustment(Taken):
    """How much to give (above zero) or take (below), and why."""

    brand_id: RowId
    asset: Literal["points", "growth"]
    amount: Annotated[int, Field(ge=-adjusting.AT_ONCE, le=adjusting.AT_ONCE)]
    reason: Annotated[Text, Field(min_length=adjusting.REASON[0], max_length=adjusting.REASON[1])]


class Done(Shown):
    """Whether anything changed; false is: it was so already."""

    changed: bool


class SplitDone(Shown):
    """The member numbers that the two homes belong to now; equal where other evidence still holds them together."""

    one: int
    other: int


@SURFACE.post("/members/{member_id}/tags", permission="members.edit", errors=[NotFound, Conflict])
async def put_member_tag(call: Call, member_id: int, body: TagPut) -> Done:
    """给会员打标签."""
    return await _tag(call, member_id, body.tag_id, put=True)


@SURFACE.delete("/members/{member_id}/tags/{tag_id}", permission="members.edit", errors=[NotFound])
async def take_member_tag(call: Call, member_id: int, tag_id: int) -> Done:
    """移除会员的标签."""
    return await _tag(call, member_id, tag_id, put=False)


async def _tag(call: Call, member_id: int, tag_id: int, *, put: bool) -> Done:
    who = await known(call, member_id)
    tag = next((one for one in await tag_queries.words(who.brands) if one.id == tag_id), None)
    if tag is None:
        raise NotFound("没有这个标签", field="tag_id")

    async def change() -> bool:
        more = {"brand_id": tag.brand_id, "tag_id": tag_id, "member_id": who.id}
        if put:
            return await tags.put(**more, source="staff", staff_id=call.me.staff_id, now=call.now)
        return await tags.take(**more, staff_id=call.me.staff_id, now=call.now)

    action = "member.tagged" if put else "member.untagged"
    entry = Entry(action, f"member:{who.id}", names.numbered(who.id), tag.brand_id, after={"tag": tag.name})
    return Done(changed=await audit.along(call.actor, change, lambda changed: entry if changed else None, call.now))


@SURFACE.post("/members/{member_id}/points", permission="points.adjust", errors=[NotFound, NotEnough, Conflict])
async def adjust_points(call: Call, member_id: int, body: Adjustment) -> Done:
    """人工调整积分或成长值."""
    who = await known(call, member_id)
    if body.brand_id not in who.brands:
        raise Invalid("这位会员不属于该品牌", field="brand_id")

    async def change() -> bool:
        return await adjusting.adjust(
            key=call.key,
            brand_id=body.brand_id,
            staff_id=call.me.staff_id,
            member_id=who.id,
            asset=body.asset,
            amount=body.amount,
            reason=body.reason,
            now=call.now,
        )

    after = {"asset": body.asset, "amount": body.amount, "reason": body.reason}
    entry = Entry("points.adjusted", f"member:{who.id}", names.numbered(who.id), body.brand_id, after=after)
    return Done(changed=await audit.along(call.actor, change, lambda changed: entry if changed else None, call.now))


@SURFACE.post("/members/{member_id}/merges/{merge_id}/split", permission="members.edit", errors=[NotFound])
async def split_merge(call: Call, member_id: int, merge_id: int) -> SplitDone:
    """拆分误合并的会员."""
    who = await known(call, member_id)
    merge = next((one for one in await person.merges(who) if one.id == merge_id), None)
    if merge is None:
        raise NotFound("没有这次合并")
    # Both sides have to be the caller's: whoever is theirs on one side only cannot judge the other.
    for home in (merge.one, merge.other):
        await known(call, home)

    async def change() -> tuple[int, int]:
        return await merging.split(merge_id=merge_id, now=call.now)

    def entry(done: tuple[int, int]) -> Entry:
        after = {"merge": merge_id, "evidence": merge.evidence, "members": sorted(set(done))}
        return Entry("member.split", f"member:{who.id}", names.numbered(who.id), min(who.brands), after=after)

    one, other = await audit.along(call.actor, change, entry, call.now)
    return SplitDone(one=one, other=other)
