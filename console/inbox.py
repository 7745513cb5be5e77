"""The inbox's lists and one conversation: who waits, whose turn it is, what was said, what is left of the window."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from console.sendable import Sendable, sendable
from console.surface import SURFACE, Call
from scrm import db
from scrm.conversations import desk_queries, queries
from scrm.conversations.queries import Cursor, Filter, InboxRow, Line
from scrm.errors import Forbidden, Invalid, NotFound
from scrm.members import names, profiles
from scrm.staff.permissions import SUPERVISE
from web.shapes import Moment, RowId, Taken, Text

ANSWER = "inbox.answer"


class InboxQuery(Taken):
    """A list of a brand's open conversations; `after` is the `next` of the page before."""

    brand: RowId
    view: Literal["mine", "waiting", "all"] = "mine"
    skill: Text | None = Field(default=None, max_length=32)
    account: RowId | None = None
    snoozed: bool | None = None
    search: Text | None = Field(default=None, max_length=32)
    after: str | None = Field(default=None, max_length=64)
    limit: int = Field(default=50, ge=1, le=100)


class BrandQuery(Taken):
    """Of one brand."""

    brand: RowId


class InboxItem(BaseModel):
    """A conversation as a list shows it.

    `nickname` is what the person is called, their member number where no nickname is known.
    `following` is the gate's: also true at a mini-program, and of whoever wrote since they were said to have left.
    """

    id: int
    fan_id: int
    nickname: str
    avatar: str | None
    account_id: int
    account: str
    state: Literal["bot", "waiting", "staff", "closed"]
    desk: Literal["ours", "wechat"]
    skill: str
    staff_id: int | None
    staff: str | None
    reason: str
    waiting_since: Moment | None
    answer_due_at: Moment | None
    alarmed_at: Moment | None
    promised_until: Moment | None
    snoozed_until: Moment | None
    last_at: Moment
    last_from: str
    last_line: str
    unread: int
    following: bool


class InboxPage(BaseModel):
    """A page of a list; `next` None: there is no more."""

    items: list[InboxItem]
    next: str | None


class InboxCounts(BaseModel):
    """The numbers beside the lists; `all` None for whoever does not supervise.

    `unread` and `unanswered` are of mine: what has something unread, and what waits for my answer.
    """

    mine: int
    waiting: int
    all: int | None
    unread: int
    unanswered: int


class ConversationPage(InboxItem):
    """A conversation that was opened; `mine`: the caller has it and may answer, if the gate agrees."""

    brand_id: int
    mine: bool
    sendable: Sendable


class TranscriptQuery(Taken):
    """A page of what was said, newest first; `before` is the `next` of the page after it."""

    before: str | None = Field(default=None, max_length=64)
    limit: int = Field(default=40, ge=1, le=100)


class TranscriptLine(BaseModel):
    """A line: of the fan, the bot, the outbox (`state` of its delivery, `detail` why), a note, or a change.

    An `act` is what a fan did: a menu's entry, a scanned code or a follow, `name` in its body.
    """

    id: str
    at: Moment
    source: Literal["fan", "act", "bot", "outbox", "note", "system"]
    kind: str
    title: str
    body: dict[str, Any]
    state: str
    detail: str
    staff: str | None
    to_staff: str | None


class Transcript(BaseModel):
    """What was said with a fan, newest first, also before this conversation; `next` None: there is no more."""

    items: list[TranscriptLine]
    next: str | None


class SkillItem(BaseModel):
    """A queue."""

    name: str
    title: str


class Colleague(BaseModel):
    """Somebody with a seat."""

    staff_id: int
    name: str
    present: bool
    load: int
    capacity: int
    skills: list[str]


class AccountName(BaseModel):
    """An account to filter by, or the mini-program of a card."""

    id: int
    name: str
    kind: str
    appid: str


class InboxDesk(BaseModel):
    """What the inbox needs around its lists."""

    skills: list[SkillItem]
    colleagues: list[Colleague]
    accounts: list[AccountName]


@SURFACE.ask("/inbox/search", permission=ANSWER, errors=[Forbidden, Invalid, NotFound])
async def inbox_list(call: Call, body: InboxQuery) -> InboxPage:
    """会话列表."""
    if body.view == "all" and not call.me.may(SUPERVISE):
        raise Forbidden("查看全部会话需要“查看全部会话”权限")
    rows = await queries.inbox(
        brand_id=call.brand(body.brand),
        staff_id=call.me.staff_id,
        view=body.view,
        now=call.now,
        after=_cursor(body.after),
        limit=body.limit,
        only=Filter(body.skill, body.account, body.snoozed, body.search or None),
    )
    more = len(rows) == body.limit
    return InboxPage(
        items=[InboxItem.model_validate(one) for one in await _shown(call, rows)],
        next=_written(rows[-1].cursor(body.view)) if more else None,
    )


@SURFACE.get("/inbox/counts", permission=ANSWER, errors=[Invalid, NotFound])
async def inbox_counts(call: Call, query: BrandQuery) -> InboxCounts:
    """各列表的会话数."""
    found = await queries.counts(brand_id=call.brand(query.brand), staff_id=call.me.staff_id, now=call.now)
    everything = found.all if call.me.may(SUPERVISE) else None
    return InboxCounts(
        mine=found.mine, waiting=found.waiting, all=everything, unread=found.unread, unanswered=found.unanswered
    )


@SURFACE.get("/inbox/desk", permission=ANSWER, errors=[Invalid, NotFound])
async def inbox_desk(call: Call, query: BrandQuery) -> InboxDesk:
    """技能组、在线同事与公众号."""
    brand_id = call.brand(query.brand)
    seats = await queries.present(brand_id=brand_id, now=call.now)
    staff = await staff_names([seat["staff_id"] for seat in seats])
    accounts = await db.fetch(
        "SELECT id, name, kind, appid FROM account WHERE brand_id = $1 AND enabled ORDER BY id", brand_id
    )
    return InboxDesk(
        skills=[SkillItem(name=one["name"], title=one["title"]) for one in await desk_queries.skills(brand_id)],
        colleagues=[Colleague(**seat, name=staff[seat["staff_id"]]) for seat in seats if seat["staff_id"] in staff],
        accounts=[AccountName.model_validate(dict(row)) for row in accounts],
    )


@SURFACE.get("/inbox/{conversation_id}", permission=ANSWER, errors=[NotFound, Forbidden])
async def conversation(call: Call, conversation_id: int) -> ConversationPage:
    """一个会话."""
    brand_id, row = await opened(call, conversation_id)
    (shown,) = await _shown(call, [row])
    return ConversationPage.model_validate(
        shown
        | {
            "brand_id": brand_id,
            "mine": row.state == "staff" and row.staff_id == call.me.staff_id,
            "sendable": await sendable(row.fan_id, call.now),
        }
    )


@SURFACE.get("/inbox/{conversation_id}/transcript", permission=ANSWER, errors=[NotFound, Forbidden, Invalid])
async def transcript(call: Call, conversation_id: int, query: TranscriptQuery) -> Transcript:
    """聊天记录."""
    brand_id, _ = await opened(call, conversation_id)
    before = _line_cursor(query.before)
    lines = await queries.transcript(
        conversation_id=conversation_id, brand_id=brand_id, before=before, limit=query.limit
    )
    staff = await staff_names([one for line in lines for one in (line.staff_id, line.to_staff_id) if one is not None])
    return Transcript(
        items=[_line(line, staff) for line in lines],
        next=_written(lines[-1].cursor) if len(lines) == query.limit else None,
    )


async def opened(call: Call, conversation_id: int) -> tuple[int, InboxRow]:
    """Return the brand and the row of a conversation that the caller may look at.

    Raises NotFound, also for another brand's, and Forbidden for what a colleague has unless one supervises.
    """
    brand_id = await brand_of(call, conversation_id)
    row = await queries.one(conversation_id=conversation_id, brand_id=brand_id, staff_id=call.me.staff_id, now=call.now)
    if row is None:
        raise NotFound("没有这个会话")
    if not may_read(call, row.state, row.staff_id):
        raise Forbidden("这个会话由其他同事接待")
    return brand_id, row


def may_read(call: Call, state: str, owner: int | None) -> bool:
    """Whether the caller may read a conversation of their brand: what a colleague has is for whoever supervises."""
    return state != "staff" or owner == call.me.staff_id or call.me.may(SUPERVISE)


async def brand_of(call: Call, conversation_id: int) -> int:
    """Return a conversation's brand. Raises NotFound, also for one of a brand that is not the caller's."""
    rows = await db.fetch("SELECT brand_id FROM conversation WHERE id = $1", conversation_id)
    if not rows or (call.me.brands is not None and rows[0]["brand_id"] not in call.me.brands):
        raise NotFound("没有这个会话")
    return int(rows[0]["brand_id"])


async def staff_names(staff_ids: Sequence[int]) -> dict[int, str]:
    """Return the names of staff by id."""
    rows = await db.fetch("SELECT id, name FROM staff WHERE id = ANY($1::bigint[])", list(set(staff_ids)))
    return {row["id"]: row["name"] for row in rows}


async def _shown(call: Call, rows: Sequence[InboxRow]) -> list[dict[str, Any]]:
    people = await profiles.of_many(call.parts.sealer, list({row.member_id for row in rows})) if rows else {}
    staff = await staff_names([row.staff_id for row in rows if row.staff_id is not None]) if rows else {}
    return [
        {name: getattr(row, name) for name in InboxItem.model_fields if hasattr(row, name)}
        | {
            "nickname": names.called(people[row.member_id], row.person_id, erased=row.erased),
            "avatar": people[row.member_id].avatar,
            "staff": staff.get(row.staff_id or 0),
        }
        for row in rows
    ]


def _line(line: Line, staff: dict[int, str]) -> TranscriptLine:
    return TranscriptLine(
        id=f"{line.source}-{line.id}",
        at=line.at,
        source=line.source,
        kind=line.kind,
        title=line.title,
        body=line.body,
        state=line.state,
        detail=line.detail,
        staff=staff.get(line.staff_id or 0),
        to_staff=staff.get(line.to_staff_id or 0),
    )


def _written(cursor: Cursor | tuple[datetime, int, int]) -> str:
    return "~".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in cursor)


def _cursor(text: str | None, name: str = "after") -> Cursor | None:
    if text is None:
        return None
    try:
        number, moment, last = text.split("~")
        found = int(number), datetime.fromisoformat(moment), int(last)
    except ValueError:
        found = None
    if found is None or found[1].tzinfo is None or not 0 <= found[0] < 10 or not 0 < found[2] < 2**63:
        raise Invalid("应为上一页的 next", field=name)
    return found


def _line_cursor(text: str | None) -> tuple[datetime, int, int] | None:
    if text is None:
        return None
    moment, _, rest = text.partition("~")
    found = _cursor("~".join([rest.partition("~")[0], moment, rest.partition("~")[2]]), "before")
    return None if found is None else (found[1], found[0], found[2])
