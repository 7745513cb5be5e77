"""Points and growth: what a member has, the statement line by line, and what is still to come."""

from uuid import UUID

from pydantic import Field

from miniprogram_api.surface import SURFACE, Asset, Call, Moment, Page, Shown, Taken
from scrm import db
from scrm.points import queries, summary


class HoldingView(Shown):
    """What there is, what is owed, and what may be spent."""

    balance: int
    debt: int
    spendable: int


class Holdings(Shown):
    """Points and growth."""

    points: HoldingView
    growth: HoldingView


class StatementQuery(Page):
    """A page of the statement of one asset."""

    asset: Asset = "points"


class Line(Shown):
    """A line of a statement: the signed amount, what for, where; `event_key` links it to what happened."""

    id: int
    occurred_at: Moment
    amount: int
    owed: int
    kind: str
    description: str
    platform: str
    event_key: UUID | None
    rule: str


class Statement(Shown):
    """A page of a statement, newest first; `next` goes into `before` for the following page, null at the end."""

    items: list[Line]
    next: int | None


class ComingLine(Shown):
    """An award that matures later (待到账)."""

    id: int
    due_at: Moment
    amount: int
    description: str


class ComingQuery(Taken):
    """What is to come of one asset, the soonest first."""

    asset: Asset = "points"
    limit: int = Field(default=20, ge=1, le=100)


class Coming(Shown):
    """What is still to come, the soonest first."""

    items: list[ComingLine]


@SURFACE.get("/points")
async def points(call: Call) -> Holdings:
    """积分和成长值余额."""
    async with db.connection() as raw:
        mine = await summary.of(raw, call.me.member_id, call.account.brand_id, call.now)
    return Holdings.model_validate(mine)


@SURFACE.get("/points/statement")
async def statement(call: Call, query: StatementQuery) -> Statement:
    """积分或成长值明细."""
    lines = await queries.statement(call.me.member_id, query.asset, before=query.before, limit=query.limit + 1)
    shown = lines[: query.limit]
    return Statement.model_validate({"items": shown, "next": shown[-1].id if len(lines) > query.limit else None})


@SURFACE.get("/points/coming")
async def coming(call: Call, query: ComingQuery) -> Coming:
    """待到账的积分或成长值."""
    found = await queries.coming(call.me.member_id, query.asset, limit=query.limit)
    return Coming.model_validate({"items": found})
