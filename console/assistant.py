"""The assistant's record, and its settings: why it answered so, what it may cost and has cost today."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from console.knowledge import READ, BrandQuery
from console.surface import SURFACE, Call
from kit.chat import MICRO
from kit.clock import natural_day
from scrm.assistant import budgets, reviewing
from scrm.assistant.answers import AT_A_LOSS, Outcome
from scrm.assistant.retrieval import Nearness, nearness
from scrm.assistant.reviewing import LogRow
from scrm.assistant.settings import AssistantSettings, Budgets, change_settings, preset_words, settings_of
from scrm.errors import Invalid, NotFound
from scrm.staff import audit
from scrm.staff.audit import Entry
from web.shapes import Moment, Page, RowId, Taken, Text

MANAGE = "assistant.manage"


class Source(BaseModel):
    """A version of an entry that an answer was made from."""

    entry_id: int
    title: str
    score: float
    nearness: Nearness


class Lookup(BaseModel):
    """A tool that was called; `refused` has the reason when nothing was looked up."""

    name: str
    arguments: str
    result: str
    refused: str


class LogQuery(Page):
    """A page of a brand's answers; `outcome` loss: those that helped nobody."""

    brand: RowId
    outcome: Literal["self_service", "knowledge", "menu", "answered", "loss"] | None = None


class LogItem(BaseModel):
    """An answer; `asked` null: the question was erased with the person. `cost_fen` in fen."""

    id: int
    account_id: int
    fan_id: int
    outcome: Outcome
    reason: str
    asked: str | None
    said: str
    ai: bool
    cost_fen: float
    took_ms: int
    answered_at: Moment


class LogList(BaseModel):
    """A page of answers, newest first; `next` goes into `before`, null at the end."""

    items: list[LogItem]
    next: int | None


class LogDetail(BaseModel):
    """Why the bot said what it said; `written` is what the model wrote before it was checked."""

    item: LogItem
    detail: str
    written: str
    sources: list[Source]
    tools: list[Lookup]
    model: str
    tokens_in: int
    tokens_out: int


class BudgetsView(BaseModel):
    """The most that a natural day may cost; money in fen."""

    member_calls: int
    member_tokens: int
    calls: int
    tokens: int
    fen: int
    interests: int


class UsageView(BaseModel):
    """What was used today, calls that are still open at their most; money in fen."""

    calls: int
    tokens: int
    fen: float
    interests: int


class AssistantView(BaseModel):
    """A brand's assistant. `model`: whether one is connected; `preset_banned`: how many words no brand may say."""

    enabled: bool
    name: str
    banned: list[str]
    preset_banned: int
    budgets: BudgetsView
    used: UsageView
    model: bool


class BudgetsInput(Taken):
    """The most that a natural day may cost; money in fen. 0: nothing at all."""

    member_calls: Annotated[int, Field(ge=0, le=10_000)]
    member_tokens: Annotated[int, Field(ge=0, le=100_000_000)]
    calls: Annotated[int, Field(ge=0, le=10_000_000)]
    tokens: Annotated[int, Field(ge=0, le=100_000_000_000)]
    fen: Annotated[int, Field(ge=0, le=1_000_000_000)]
    interests: Annotated[int, Field(ge=0, le=10_000_000)]


class AssistantInput(Taken):
    """A brand's assistant as it is to be."""

    brand_id: RowId
    enabled: bool
    name: Annotated[Text, Field(min_length=1, max_length=64)]
    banned: Annotated[list[Annotated[Text, Field(min_length=1, max_length=64)]], Field(max_length=1000)]
    budgets: BudgetsInput


@SURFACE.get("/assistant/answers", permission=READ, errors=[NotFound])
async def answer_log(call: Call, query: LogQuery) -> LogList:
    """智能客服的应答记录."""
    outcomes = AT_A_LOSS if query.outcome == "loss" else None if query.outcome is None else (query.outcome,)
    found = await reviewing.log(call.brand(query.brand), outcomes=outcomes, before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    return LogList(items=[_logged(one) for one in shown], next=shown[-1].id if len(found) > query.limit else None)


@SURFACE.get("/assistant/answers/{answer_id}", permission=READ, errors=[NotFound])
async def answer_detail(call: Call, answer_id: int) -> LogDetail:
    """为什么这样回答."""
    brand_id = await reviewing.brand_of_answer(answer_id)
    if brand_id is None:
        raise NotFound("没有这条应答记录")
    found = await reviewing.one(call.brand(brand_id), answer_id)
    return LogDetail(
        item=_logged(found.row),
        detail=found.detail,
        written=found.written,
        sources=sources_of(found.passages),
        tools=lookups_of(found.tools),
        model=found.model,
        tokens_in=found.tokens_in,
        tokens_out=found.tokens_out,
    )


@SURFACE.get("/assistant/settings", permission=READ, errors=[NotFound])
async def settings(call: Call, query: BrandQuery) -> AssistantView:
    """智能客服的设置，和今天用了多少预算."""
    brand_id = call.brand(query.brand)
    set_, day = await settings_of(brand_id), natural_day(call.now)
    answers = await budgets.used(brand_id, day)
    interests = await budgets.used(brand_id, day, purpose="interests")
    return AssistantView(
        enabled=set_.enabled,
        name=set_.name,
        banned=list(set_.banned),
        preset_banned=len(preset_words()),
        budgets=BudgetsView.model_validate(set_.budgets.model_dump()),
        used=UsageView(
            calls=answers.calls,
            tokens=answers.tokens,
            fen=answers.cost_micro / MICRO,
            interests=interests.calls,
        ),
        model=call.parts.model,
    )


@SURFACE.put("/assistant/settings", permission=MANAGE, status=204, errors=[NotFound, Invalid])
async def change(call: Call, body: AssistantInput) -> None:
    """修改智能客服的设置；门店和兴趣规则不变."""
    brand_id = call.brand(body.brand_id)
    changes = {
        "enabled": body.enabled,
        "name": body.name,
        "banned": tuple(dict.fromkeys(body.banned)),
        "budgets": Budgets(**body.budgets.model_dump()).model_dump(),
    }

    async def work() -> tuple[AssistantSettings, AssistantSettings]:
        return await change_settings(brand_id=brand_id, changes=changes, now=call.now)

    def line(both: tuple[AssistantSettings, AssistantSettings]) -> Entry | None:
        before, after = (_told(one) for one in both)
        return None if before == after else Entry("assistant.changed", f"brand:{brand_id}", "", brand_id, before, after)

    await audit.along(call.actor, work, line, call.now)


def _told(one: AssistantSettings) -> dict[str, Any]:
    return {"enabled": one.enabled, "name": one.name, "banned": list(one.banned), **one.budgets.model_dump()}


def _logged(row: LogRow) -> LogItem:
    shown = asdict(row)
    return LogItem.model_validate({**shown, "cost_fen": shown.pop("cost_micro") / MICRO})


def sources_of(passages: Any) -> list[Source]:
    """Return what an answer was made from, as it was recorded."""
    return [
        Source(entry_id=one["entry_id"], title=one["title"], score=one["score"], nearness=nearness(one["score"]))
        for one in passages
    ]


def lookups_of(calls: Any) -> list[Lookup]:
    """Return the tools that were called, as they were recorded."""
    return [Lookup.model_validate({name: one[name] for name in Lookup.model_fields}) for one in calls]
