"""How a question is answered: looked up, found in the knowledge base, written by the model from it, or not at all.

In this order: what a tool answers by itself, the entry that surely answers, a menu of entries that may, the model over
the nearest passages with tools, and a sentence that offers a person. Whatever fails on the way, the fan is told one of
these, and the record says why. The business commands in between are transactions of their own; no network is inside.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog

from kit.chat import ChatModel, Completion, ModelFailure, Offer, Turn
from kit.clock import Clock
from kit.faults import describe
from kit.ids import key_of
from scrm.assistant import answers, phrases, prompting
from scrm.assistant.answers import Outcome, Record
from scrm.assistant.budgets import OverBudget
from scrm.assistant.charging import charged
from scrm.assistant.checking import check
from scrm.assistant.interest_rules import normal
from scrm.assistant.settings import preset_words, settings_of
from scrm.assistant.sources import Found, Knowledge, Passage
from scrm.assistant.tools import Asker, Called, Toolbox, run

log = structlog.get_logger(__name__)

ROUNDS = 3  # times the model is asked for one answer, tool results in between
CALLS_PER_ROUND = 4
TOKENS_OUT = 600
PASSAGES = 4
NOBODY = 0  # no row has this id: who asks in a rehearsal


@dataclass(frozen=True, slots=True)
class Question:
    """What a fan asked, and where; `key` is the push's, `brand` what the brand calls itself there."""

    key: UUID
    brand_id: int
    brand: str
    account_id: int
    fan_id: int
    member_id: int
    text: str
    asked_at: datetime


class Observer(Protocol):
    """Is told how questions ended and what they cost."""

    def answered(self, outcome: str, reason: str, cost_micro: int) -> None:
        """Once per answer."""
        ...


class _Unobserved:
    def answered(self, outcome: str, reason: str, cost_micro: int) -> None: ...


# Judges an answer before it is said: True, it may; False, it may not. Raises when it cannot judge.
Moderate = Callable[[Question, str], Awaitable[bool]]


async def _no_objection(_question: Question, _text: str) -> bool:
    return True


@dataclass(slots=True)
class _Attempt:
    """What the model did for one question."""

    turns: list[Turn]
    calls: list[Called] = field(default_factory=list)
    text: str = ""
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_micro: int = 0


class Assistant:
    """One per process. Without `model` it answers from knowledge and tools alone; without `knowledge` there is none."""

    def __init__(
        self,
        clock: Clock,
        *,
        knowledge: Knowledge | None = None,
        model: ChatModel | None = None,
        tools: Toolbox | None = None,
        moderate: Moderate = _no_objection,
        observer: Observer | None = None,
        seconds: float = 20.0,
    ) -> None:
        self._clock = clock
        self._knowledge = knowledge
        self._model = model
        self._tools = tools or Toolbox()
        self._moderate = moderate
        self._observer = observer or _Unobserved()
        self._seconds = seconds

    @property
    def writes(self) -> bool:
        """Whether there is a model, which writes where no entry answers by itself."""
        return self._model is not None

    def serves(self, brand_id: int) -> bool:
        """Say from memory whether there is anything to answer a brand's fans from."""
        return self._model is not None or (self._knowledge is not None and self._knowledge.covers(brand_id))

    async def answer(self, question: Question) -> Record | None:
        """Answer a question and keep the record; asked again under its key, it is the same answer.

        None where the brand has switched the assistant off. Raises Conflict `account_deleted` when the fan has left
        meanwhile, Unavailable when the database is away.
        """
        if (before := await answers.find(question.key)) is not None:
            return before
        settings = await settings_of(question.brand_id)
        if not settings.enabled:
            return None
        began, now = _seconds(), self._clock.now()
        asker = Asker(question.brand_id, question.account_id, question.fan_id, question.member_id, settings, now)
        record = await self._answer(question, asker)
        took = int((_seconds() - began) * 1000)
        kept = await answers.keep(replace(record, answered_at=self._clock.now(), took_ms=took))
        self._observer.answered(kept.outcome, kept.reason, kept.cost_micro)
        return kept

    async def draft(self, question: Question) -> Record | None:
        """Return what could be said, for a person to edit: nothing is kept of it but what the model cost.

        None where the brand has switched the assistant off. Raises Unavailable when the database is away.
        """
        settings = await settings_of(question.brand_id)
        if not settings.enabled:
            return None
        asker = Asker(
            question.brand_id, question.account_id, question.fan_id, question.member_id, settings, self._clock.now()
        )
        return await self._answer(question, asker)

    async def rehearse(self, *, brand_id: int, brand: str, text: str, key: UUID) -> Record:
        """Answer a question of staff as a fan's, and keep nothing but what the model cost the brand.

        Nobody asks, so tools that look up the asker find nothing of anybody. Works where the assistant is switched
        off, too. Raises Unavailable when the database is away.
        """
        now = self._clock.now()
        asker = Asker(brand_id, NOBODY, NOBODY, NOBODY, await settings_of(brand_id), now)
        question = Question(key, brand_id, brand, NOBODY, NOBODY, NOBODY, text, now)
        began = _seconds()
        record = await self._answer(question, asker)
        return replace(record, took_ms=int((_seconds() - began) * 1000))

    async def _answer(self, question: Question, asker: Asker) -> Record:
        if (looked_up := await self._by_tool(question, asker)) is not None:
            return looked_up
        found = await self._find(question, asker.now)
        passages = found.passages if found is not None else ()
        if found is not None and passages:
            if found.verdict == "answer" and (passages[0].kind == "qa" or self._model is None):
                return self._from_entry(question, passages[0])
            if found.verdict == "menu":
                return self._menu(question, passages)
        if self._model is None:
            return _record(question, "doubt", phrases.UNSURE, reason="unsure")
        safe = [passage for passage in passages if not prompting.gives_orders(f"{passage.title}\n{passage.text}")]
        return await self._by_model(self._model, question, asker, safe)

    async def _find(self, question: Question, now: datetime) -> Found | None:
        if self._knowledge is None or not self._knowledge.covers(question.brand_id):
            return None
        return await self._knowledge.search(question.brand_id, question.text, limit=PASSAGES, now=now)

    async def _by_tool(self, question: Question, asker: Asker) -> Record | None:
        """Look up what a whole question asks for in so many words: no model has to write that."""
        tool = self._tools.answers(normal(question.text).strip(" ，。！？!?.～~"))
        if tool is None or tool.say is None:
            return None
        called = await run(tool, asker, {})
        if called.refused:
            return None
        said = tool.say(json.loads(called.result))
        return _record(question, "self_service", said, tools=[called.as_data()])

    def _from_entry(self, question: Question, passage: Passage) -> Record:
        said = phrases.sourced(passage.text, passage.title)
        return _record(question, "knowledge", said, passages=[_named(passage)])

    def _menu(self, question: Question, passages: Sequence[Passage]) -> Record:
        chosen = list({passage.title: passage for passage in passages}.values())[:3]
        choices = [{**_named(passage), "text": passage.text} for passage in chosen]
        said = phrases.menu([passage.title for passage in chosen])
        return _record(question, "menu", said, passages=[_named(passage) for passage in chosen], choices=choices)

    async def _by_model(
        self, model: ChatModel, question: Question, asker: Asker, passages: Sequence[Passage]
    ) -> Record:
        # A word for this answer alone: wherever it turns up again, the instructions have leaked.
        canary = f"K{key_of('canary', question.key).hex[:10]}"
        rules = prompting.rules_for(question.brand, asker.settings.name, canary)
        attempt = _Attempt(prompting.ask(rules, passages, question.text))

        def ended(outcome: Outcome, said: str, **more: Any) -> Record:
            return _record(
                question,
                outcome,
                said,
                passages=[_named(passage) for passage in passages],
                tools=[call.as_data() for call in attempt.calls],
                written=attempt.text[:4000],
                model=attempt.model,
                tokens_in=attempt.tokens_in,
                tokens_out=attempt.tokens_out,
                cost_micro=attempt.cost_micro,
                **more,
            )

        try:
            await self._converse(model, attempt, asker)
        except OverBudget as over:
            return ended("over_budget", phrases.SPENT if over.whose == "member" else phrases.BUSY, reason=over.whose)
        except ModelFailure as failure:
            log.warning("the model gave no answer", push=question.key.hex[:16], code=failure.code, error=str(failure))
            return ended("failed", phrases.BUSY, reason=failure.code)
        checked = check(
            attempt.text,
            passages=[f"{passage.title}\n{passage.text}" for passage in passages],
            results=[call.result for call in attempt.calls if not call.refused],
            rules=rules,
            canary=canary,
            banned=(*preset_words(), *asker.settings.banned),
        )
        if checked.doubt:
            return ended("doubt", phrases.UNSURE, reason=checked.doubt, detail=checked.detail)
        titles = list(dict.fromkeys(passages[number - 1].title for number in checked.cited))
        said = phrases.generated(checked.text, titles)
        if objection := await self._objection(question, said):
            return ended("doubt", phrases.UNSURE, reason=objection)
        return ended("answered", said, ai=True)

    async def _converse(self, model: ChatModel, attempt: _Attempt, asker: Asker) -> None:
        """Ask, look up what the model wants to know, ask again. Raises OverBudget and ModelFailure."""
        deadline = _seconds() + self._seconds
        for number in range(1, ROUNDS + 1):
            # In the last round it has to make do with what it knows.
            offers = self._tools.offers() if number < ROUNDS else []
            left = deadline - _seconds()
            said = await self._ask(model, attempt, asker, offers, max(0.1, left))
            attempt.text = said.text
            if not said.calls or not offers:
                return
            wanted = said.calls[:CALLS_PER_ROUND]
            attempt.turns.append(Turn("assistant", said.text, calls=wanted))
            for call in wanted:
                called = await self._tools.call(call, asker)
                if called.refused:
                    log.warning("a tool call was refused", reason=called.refused.partition(" ")[0])
                attempt.calls.append(called)
                attempt.turns.append(Turn("tool", called.result, call_id=call.id))

    async def _ask(
        self, model: ChatModel, attempt: _Attempt, asker: Asker, offers: Sequence[Offer], seconds: float
    ) -> Completion:
        said = await charged(
            model,
            attempt.turns,
            offers=offers,
            seconds=seconds,
            purpose="answers",
            asker=asker,
            tokens_out=TOKENS_OUT,
        )
        attempt.model = said.model
        attempt.tokens_in += said.tokens_in
        attempt.tokens_out += said.tokens_out
        attempt.cost_micro += said.cost_micro
        return said

    async def _objection(self, question: Question, said: str) -> str:
        """Return why an answer may not be said after all; empty when it may."""
        try:
            return "" if await self._moderate(question, said) else "moderated"
        except Exception as error:  # noqa: BLE001  # unjudged is unsaid: an account is closed for what its bot says
            log.warning("an answer could not be moderated", push=question.key.hex[:16], error=describe(error))
            return "unjudged"

    async def choose(self, question: Question, choice: Passage) -> Record:
        """Answer what a fan chose from a menu, and keep the record. Raises Conflict `account_deleted`."""
        if (before := await answers.find(question.key)) is not None:
            return before
        record = replace(self._from_entry(question, choice), answered_at=self._clock.now())
        kept = await answers.keep(record)
        self._observer.answered("knowledge", "chosen", 0)
        return kept


def _seconds() -> float:
    return asyncio.get_running_loop().time()


def _named(passage: Passage) -> dict[str, Any]:
    """Return which version of which entry it was, without its text: versions never change."""
    return {
        "entry_id": passage.entry_id,
        "version_id": passage.version_id,
        "kind": passage.kind,
        "title": passage.title,
        "score": round(passage.score, 4),
    }


def _record(question: Question, outcome: Outcome, said: str, **more: Any) -> Record:
    return Record(
        key=question.key,
        brand_id=question.brand_id,
        account_id=question.account_id,
        fan_id=question.fan_id,
        member_id=question.member_id,
        outcome=outcome,
        said=said,
        answered_at=question.asked_at,
        **more,
    )
