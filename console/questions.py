"""Questions: what the knowledge base and the bot make of one, and those that the bot had no answer to."""

import asyncio
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from console.assistant import Lookup, Source, lookups_of, sources_of
from console.knowledge import EDIT, READ, BrandQuery
from console.surface import SURFACE, Call
from kit.chat import MICRO
from scrm.assistant import phrases, reviewing
from scrm.assistant.answers import Outcome
from scrm.assistant.retrieval import Found, Library, Nearness, Passage, nearness
from scrm.errors import Invalid, NotFound, Unavailable
from scrm.replies import queries as replies
from web.shapes import Moment, RowId, Taken, Text

DAYS = timedelta(days=30)
Verdict = Literal["answer", "menu", "nothing"]
Words = Annotated[Text, Field(min_length=1, max_length=500)]


class QuestionQuery(Taken):
    """A question as a fan would type it."""

    brand: RowId
    text: Words


class SynonymMet(BaseModel):
    """The question's word, and the entry's own for the same."""

    asked: str
    own: str


class PassageFound(BaseModel):
    """A passage that came near: `score` from 0 to 1, no probability, and what it is worth (`nearness`).

    near: enough to answer, related: enough to be offered. `matched` and `synonyms` say why.
    """

    entry_id: int
    kind: Literal["article", "qa"]
    title: str
    anchor: str
    text: str
    score: float
    nearness: Nearness
    similarity: float | None
    matched: list[str]
    synonyms: list[SynonymMet]


class RuleFirst(BaseModel):
    """A keyword rule that answers at an account before the knowledge base is asked."""

    account: str
    pattern: str


class QuestionTried(BaseModel):
    """What the knowledge base makes of a question, and what a fan would see; null: a model would write the answer."""

    verdict: Verdict
    seen: str | None
    passages: list[PassageFound]
    rules: list[RuleFirst]


class RehearsalInput(Taken):
    """A question that the bot is to answer as a fan's; a model is asked at the brand's expense."""

    brand_id: RowId
    text: Words


class Rehearsal(BaseModel):
    """What the bot answered, and why; `cost_fen` in fen."""

    outcome: Outcome
    reason: str
    detail: str
    said: str
    written: str
    ai: bool
    sources: list[Source]
    tools: list[Lookup]
    model: str
    cost_fen: float
    took_ms: int


class UnansweredItem(BaseModel):
    """A question without an answer, asked so often in 30 days; `verdict`: what the knowledge base says to it now."""

    text: str
    times: int
    fans: int
    last_id: int
    last_at: Moment
    verdict: Verdict


class UnansweredList(BaseModel):
    """The 30 most frequent ones."""

    items: list[UnansweredItem]


@SURFACE.ask("/knowledge/question", permission=READ, errors=[NotFound])
async def try_question(call: Call, body: QuestionQuery) -> QuestionTried:
    """测试一个问题：知识库怎样回答，为什么."""
    brand_id = call.brand(body.brand)
    found = await _library(call).test_question(brand_id, body.text, now=call.now)
    return QuestionTried(
        verdict=found.verdict,
        seen=_seen(found, model=call.parts.model),
        passages=[_passage(one) for one in found.passages],
        rules=[
            RuleFirst(account=account.name, pattern=rule.pattern)
            for account in await replies.accounts([brand_id])
            if account.enabled
            and (rule := replies.book_of(await replies.rules(account.id)).for_text(body.text)) is not None
        ],
    )


def _passage(one: Passage) -> PassageFound:
    return PassageFound(
        entry_id=one.entry_id,
        kind=one.kind,
        title=one.title,
        anchor=one.anchor,
        text=one.text,
        score=one.score,
        nearness=nearness(one.score),
        similarity=one.similarity,
        matched=list(one.matched),
        synonyms=[SynonymMet(asked=asked, own=own) for asked, own in one.synonyms],
    )


def _seen(found: Found, *, model: bool) -> str | None:
    """Return what a fan is told without a model; None where one would write it."""
    first = found.passages[0] if found.passages else None
    if found.verdict == "answer" and first is not None and (first.kind == "qa" or not model):
        return phrases.sourced(first.text, first.title)
    if found.verdict == "menu":
        titles = dict.fromkeys(one.title for one in found.passages)
        return phrases.menu(list(titles)[:3])
    return None if model else phrases.UNSURE


@SURFACE.post("/assistant/rehearsal", permission=EDIT, network=True, errors=[NotFound, Invalid])
async def rehearse(call: Call, body: RehearsalInput) -> Rehearsal:
    """让智能客服完整回答一次，不发给任何人.

    503 `no_assistant` where there is nothing to answer from. A model's answer is charged to the brand.
    """
    brand_id = call.brand(body.brand_id)
    bot = call.parts.assistant
    if bot is None or not bot.serves(brand_id):
        raise Unavailable("这个品牌还没有已发布的知识，也没有接入大模型", code="no_assistant")
    (account, *_) = [one.name for one in await replies.accounts([brand_id])] or [""]
    record = await bot.rehearse(brand_id=brand_id, brand=account, text=body.text, key=call.key)
    return Rehearsal(
        outcome=record.outcome,
        reason=record.reason,
        detail=record.detail,
        said=record.said,
        written=record.written,
        ai=record.ai,
        sources=sources_of(record.passages),
        tools=lookups_of(record.tools),
        model=record.model,
        cost_fen=record.cost_micro / MICRO,
        took_ms=record.took_ms,
    )


@SURFACE.get("/assistant/unanswered", permission=READ, errors=[NotFound])
async def unanswered(call: Call, query: BrandQuery) -> UnansweredList:
    """没答上来的问题，近 30 天，按次数排列."""
    brand_id, library = call.brand(query.brand), _library(call)
    found = await reviewing.unanswered(brand_id, since=call.now - DAYS)
    # Somebody may have written the answer since.
    present = await asyncio.gather(*(library.search(brand_id, one.text, now=call.now) for one in found))
    return UnansweredList(
        items=[
            UnansweredItem.model_validate({**asdict(one), "verdict": said.verdict})
            for one, said in zip(found, present, strict=True)
        ]
    )


def _library(call: Call) -> Library:
    if call.parts.library is None:
        raise Unavailable("知识库没有启用", code="no_library")
    return call.parts.library
