"""The panel beside a conversation: who the fan is, what they have, what they did, what they were served before."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field

from console.inbox import ANSWER, opened, staff_names
from console.surface import SURFACE, Call
from scrm import db
from scrm.assistant import interests
from scrm.conversations.queries import InboxRow
from scrm.errors import Conflict, Forbidden, Invalid, NotFound
from scrm.members import names, profiles
from scrm.people import person
from scrm.points import summary
from scrm.staff import audit
from scrm.staff.audit import Entry
from scrm.tags import queries as tags
from scrm.tags import service as tagging
from web.shapes import Moment, Taken, Text

ERRORS = (NotFound, Forbidden, Conflict, Invalid)
EVENTS = 20
# What the transcript shows anyway.
_TALK = ("wechat.text", "conversation.")


class FanTag(BaseModel):
    """A tag on the person, or one that could be."""

    id: int
    name: str
    category: str


class Happened(BaseModel):
    """An event of the person's timeline."""

    at: Moment
    title: str
    text: str


class Before(BaseModel):
    """Another conversation with this fan."""

    id: int
    state: str
    opened_at: Moment
    closed_at: Moment | None
    staff: str | None
    summary: str
    rating: int | None


class InterestItem(BaseModel):
    """What they care about, by the evidence of what they wrote."""

    name: str
    times: int
    last_at: Moment


class FanPanel(BaseModel):
    """The fan beside a conversation. `member_id` is the person's member number, `named` whether a nickname is known.

    `phone` is masked unless the caller may see it (members.phone).

    `following` is None at a mini-program, which nobody follows.
    """

    fan_id: int
    member_id: int
    nickname: str
    named: bool
    avatar: str | None
    name: str | None
    phone: str | None
    gender: str | None
    birthday: date | None
    location: str
    following: bool | None
    since: Moment | None
    follow_count: int
    channel: str | None
    account: str
    points: int
    growth: int
    level: str | None
    next_level: str | None
    missing: int
    tags: list[FanTag]
    known_tags: list[FanTag]
    interests: list[InterestItem]
    intents: list[str]
    events: list[Happened]
    conversations: list[Before]


class TagBody(Taken):
    """A tag by name; one that the brand does not have yet is made."""

    name: Annotated[Text, Field(min_length=1, max_length=32)]


class TagDone(BaseModel):
    """Whether this very call changed something, and the tag."""

    changed: bool
    tag_id: int


@SURFACE.get("/inbox/{conversation_id}/fan", permission=ANSWER, errors=[NotFound, Forbidden])
async def fan_panel(call: Call, conversation_id: int) -> FanPanel:
    """粉丝资料."""
    brand_id, row = await opened(call, conversation_id)
    profile = await profiles.of(call.parts.sealer, row.member_id)
    clear = call.me.may("members.phone")
    fan = (await db.fetch(_FAN, row.fan_id))[0]
    who = await person.who(row.member_id, [brand_id])
    worn = (await tags.of_people(brand_id, [who.id])).get(who.id, [])
    async with db.connection() as raw:
        held = await summary.of(raw, row.member_id, brand_id, call.now)
    standing = held.standing
    cares = await interests.interests_of(row.member_id, call.now)
    wants = await interests.intents_of(row.member_id, call.now, limit=3)
    return FanPanel(
        fan_id=row.fan_id,
        member_id=row.person_id,
        nickname=names.called(profile, row.person_id, erased=row.erased),
        named=profile.nickname is not None,
        avatar=profile.avatar,
        name=profile.name if clear else profile.masked_name,
        phone=profile.phone if clear else profile.masked_phone,
        gender=profile.gender,
        birthday=profile.birthday,
        location=profile.location,
        following=None if fan["kind"] == "miniprogram" else row.following,
        since=fan["since"],
        follow_count=fan["follow_count"],
        channel=fan["channel"],
        account=row.account,
        points=held.points.balance - held.points.debt,
        growth=held.growth.balance - held.growth.debt,
        level=standing.level.name if standing else None,
        next_level=standing.next.name if standing and standing.next else None,
        missing=standing.missing if standing else 0,
        tags=[FanTag(id=one.tag_id, name=one.name, category=one.category) for one in worn],
        known_tags=[
            FanTag(id=one.id, name=one.name, category=one.category)
            for one in await tags.of_brand(brand_id)
            if not one.archived
        ],
        interests=[InterestItem(name=one.name, times=one.times, last_at=one.last_at) for one in cares[:6]],
        intents=[name for _, name in wants],
        events=await _events(who),
        conversations=await _before(row, conversation_id),
    )


@SURFACE.post("/inbox/{conversation_id}/tags", permission=ANSWER, errors=ERRORS)
async def put_tag(call: Call, conversation_id: int, body: TagBody) -> TagDone:
    """打标签."""
    brand_id, row = await opened(call, conversation_id)

    async def change() -> TagDone:
        tag_id = await tagging.define(brand_id=brand_id, name=body.name, now=call.now)
        changed = await tagging.put(
            brand_id=brand_id,
            tag_id=tag_id,
            member_id=row.member_id,
            source="staff",
            staff_id=call.me.staff_id,
            now=call.now,
        )
        return TagDone(changed=changed, tag_id=tag_id)

    entry = _tagged("tag.put", row, brand_id, body.name)
    return await audit.along(call.actor, change, lambda done: entry if done.changed else None, call.now)


@SURFACE.delete("/inbox/{conversation_id}/tags/{tag_id}", permission=ANSWER, errors=ERRORS)
async def take_tag(call: Call, conversation_id: int, tag_id: int) -> TagDone:
    """移除标签."""
    brand_id, row = await opened(call, conversation_id)
    called = {one.id: one.name for one in await tags.of_brand(brand_id)}.get(tag_id, str(tag_id))

    async def change() -> TagDone:
        changed = await tagging.take(
            brand_id=brand_id, tag_id=tag_id, member_id=row.member_id, staff_id=call.me.staff_id, now=call.now
        )
        return TagDone(changed=changed, tag_id=tag_id)

    entry = _tagged("tag.taken", row, brand_id, called)
    return await audit.along(call.actor, change, lambda done: entry if done.changed else None, call.now)


def _tagged(action: str, row: InboxRow, brand_id: int, tag: str) -> Entry:
    return Entry(action, f"member:{row.person_id}", names.numbered(row.person_id), brand_id, after={"tag": tag})


_FAN = """
SELECT a.kind, f.follow_count, coalesce(CASE WHEN f.following THEN f.follow_changed_at END, f.created_at) AS since,
       c.name AS channel
FROM fan f JOIN account a ON a.id = f.account_id
LEFT JOIN LATERAL (
    SELECT c.name FROM event e JOIN channel c ON c.account_id = f.account_id AND c.scene = e.payload->>'scene'
    WHERE e.member_id = f.member_id AND e.fan_id = f.id AND e.kind = 'wechat.event.subscribe'
    ORDER BY e.occurred_at LIMIT 1
) c ON true
WHERE f.id = $1
"""


async def _events(who: person.Who) -> list[Happened]:
    return [
        Happened(at=one.occurred_at, title=one.title, text=_about(one.payload))
        for one in await person.happenings(who, limit=3 * EVENTS)
        if not one.kind.startswith(_TALK)
    ][:EVENTS]


def _about(payload: dict[str, object]) -> str:
    for name in ("name", "content", "key", "label", "interest", "intent", "page_path", "scene"):
        if isinstance(value := payload.get(name), str) and value:
            return value[:60]
    return ""


async def _before(row: InboxRow, conversation_id: int) -> list[Before]:
    rows = await db.fetch(
        """
        SELECT id, state, opened_at, closed_at, coalesce(closed_by, staff_id) AS staff_id, summary, rating
        FROM conversation WHERE fan_id = $1 AND id <> $2 ORDER BY id DESC LIMIT 10
        """,
        row.fan_id,
        conversation_id,
    )
    staff = await staff_names([one["staff_id"] for one in rows if one["staff_id"] is not None])
    return [Before.model_validate({**dict(one), "staff": staff.get(one["staff_id"] or 0)}) for one in rows]
