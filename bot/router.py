"""Routing: which handler answers a push, and what a handler is given.

A handler takes a Context and returns a Reply, None (say nothing) or UNHANDLED (not mine, try the next).
A plain function answers from what it was given; its answer is stored together with the push. A coroutine
function may also call the business, and runs after the push is safely stored. That difference is the whole
performance model: see docs/subsystems/callback.md.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from bot.replies import Reply
from bot.wire import Message, UserMessage
from scrm.accounts.service import AccountView
from scrm.assistant.answering import Assistant
from scrm.outreach.gate import Purpose
from scrm.pushes.service import DialogueChange, RunningDialogue
from scrm.replies.rules import RuleBook


class Sentinel(Enum):
    """What is neither a reply nor silence."""

    UNHANDLED = "unhandled"  # this handler has nothing to do with the push
    NEEDS_WORK = "needs work"  # no plain function answered before a coroutine's turn came


UNHANDLED: Final = Sentinel.UNHANDLED
NEEDS_WORK: Final = Sentinel.NEEDS_WORK
# A plain function that finds a coroutine is needed after all returns NEEDS_WORK while `context.fan_id` is None, and
# an awaitable when it is asked again.
Answer: TypeAlias = Reply | Sentinel | None


@dataclass(frozen=True, slots=True)
class Parts:
    """What handlers work with besides the business they import; composed once per process (app/services.py)."""

    assistant: Assistant | None = None


NO_PARTS: Final = Parts()


@dataclass(slots=True)
class Context:
    """What a handler knows about the push, and what it wants besides its reply.

    `fan_id` and `member_id` are None for plain functions, which run before the fan is looked up, and for
    pushes about the account itself.
    """

    account: AccountView
    message: Message
    key: UUID
    now: datetime
    rules: RuleBook
    fan_id: int | None = None
    member_id: int | None = None
    dialogue: RunningDialogue | None = None
    # Customer-service bodies to send after the reply, in order.
    later: list[Mapping[str, Any]] = field(default_factory=list)
    change: DialogueChange | None = None
    # "service" for what is said on behalf of the staff: it is said although the bot is silent for this fan.
    purpose: Purpose = "answer"
    parts: Parts = NO_PARTS

    def continue_dialogue(self, name: str, step: str, data: Mapping[str, Any], minutes: float = 10) -> None:
        """Start a dialogue, or go on to its next step; forgotten after `minutes` without an answer."""
        self.change = DialogueChange(name, step, data, self.now + timedelta(minutes=minutes))

    def end_dialogue(self) -> None:
        """End the dialogue."""
        self.change = DialogueChange(None)


Handler: TypeAlias = Callable[[Any], Answer | Awaitable[Answer]]
# Looks at a message and says at once whether a handler wants it.
Wants: TypeAlias = Callable[[Any], bool]
# Looks at a push's circumstances and says at once whether a handler has anything to work with.
Given: TypeAlias = Callable[[Context], bool]


# A handler, when it applies, and whether it is a coroutine function.
_Entry: TypeAlias = tuple[Handler, Wants | None, Given | None, bool]


class Router:
    """One feature's handlers. Each file of `handlers/` makes one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.handlers: list[tuple[type[Message], Handler, Wants | None, Given | None]] = []
        self.dialogues: dict[str, Handler] = {}

    def on(
        self, *types: type[Message], when: Wants | None = None, given: Given | None = None
    ) -> Callable[[Handler], Handler]:
        """Register a handler for message types; a base type stands for all its subtypes.

        A coroutine function that wants only some of them says so by `when`: the others then stay with the plain
        functions, which answer without waiting. One that needs something that not every account has, such as
        knowledge to answer from, says so by `given`.
        """

        def register(handler: Handler) -> Handler:
            self.handlers.extend((cls, handler, when, given) for cls in types)
            return handler

        return register

    def dialogue(self, name: str) -> Callable[[Handler], Handler]:
        """Register the handler that gets what a fan writes while the dialogue `name` is running."""

        def register(handler: Handler) -> Handler:
            if name in self.dialogues:
                raise ValueError(f"dialogue {name!r} is registered already")
            self.dialogues[name] = handler
            return handler

        return register


class Dispatcher:
    """All routers in the order they are asked."""

    def __init__(self, routers: Iterable[Router]) -> None:
        self.routers = list(routers)
        self._handlers = [entry for router in self.routers for entry in router.handlers]
        self._dialogues = {name: handler for router in self.routers for name, handler in router.dialogues.items()}
        self._by_type: dict[type[Message], list[_Entry]] = {}

    def now(self, context: Context) -> Reply | Literal[Sentinel.NEEDS_WORK] | None:
        """Ask plain functions only; NEEDS_WORK as soon as a coroutine would be next."""
        for handler, wants, given, waits in self._for(type(context.message)):
            if (wants is not None and not wants(context.message)) or (given is not None and not given(context)):
                continue
            if waits:
                return NEEDS_WORK
            answer = handler(context)
            if answer is not UNHANDLED:
                return answer  # type: ignore[return-value]  # a plain function returns no awaitable
        return None

    async def run(self, context: Context) -> Reply | None:
        """Ask the running dialogue, then every handler in order, until one has an answer."""
        candidates = [
            handler
            for handler, wants, given, _ in self._for(type(context.message))
            if (wants is None or wants(context.message)) and (given is None or given(context))
        ]
        if context.dialogue is not None and isinstance(context.message, UserMessage):
            handler = self._dialogues.get(context.dialogue.name)
            if handler is not None:
                candidates.insert(0, handler)
        for handler in candidates:
            answer = handler(context)
            if inspect.isawaitable(answer):
                answer = await answer
            if not isinstance(answer, Sentinel):
                return answer
        return None

    def _for(self, cls: type[Message]) -> list[_Entry]:
        found = self._by_type.get(cls)
        if found is None:
            found = self._by_type[cls] = [
                (handler, wants, given, inspect.iscoroutinefunction(handler))
                for wanted, handler, wants, given in self._handlers
                if issubclass(cls, wanted)
            ]
        return found
