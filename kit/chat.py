"""What is asked of a language model and what it answers, in words that the business and its gateway share.

ModelFailure                 the model gave no answer; `code` says why
├── ModelAway                surely not asked: no connection, or the breaker is open
├── ModelBusy                turned away: its rate limit, or too many of ours wait, or for too long
├── ModelTimeout             no answer within the time given
├── ModelRefused             the request itself was refused: key, model name, content
└── ModelBroken              an error of its own, or an answer that cannot be read
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

MICRO = 1_000_000
"""Millionths of a fen in a fen: a price per million tokens times tokens is exact in them."""


class ModelFailure(Exception):  # noqa: N818  # a condition that callers plan for, not a defect
    """No answer. The message holds neither the key nor a word of what was asked.

    `again`: a second attempt may well succeed, and cannot do any harm.
    """

    code = "failed"

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class ModelAway(ModelFailure):
    """Surely not asked."""

    code = "away"


class ModelBusy(ModelFailure):
    """Turned away for now."""

    code = "busy"


class ModelTimeout(ModelFailure):
    """No answer within the time given."""

    code = "timeout"


class ModelRefused(ModelFailure):
    """The request itself was refused; asking again will not help."""

    code = "refused"


class ModelBroken(ModelFailure):
    """An error of the model's server, or an answer that is none."""

    code = "broken"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants to have called; `arguments` is JSON as the model wrote it, checked by nobody yet."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a chat. `calls` belong to the assistant's, `call_id` to a tool's result."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool the model may ask for; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said, and what it cost: `cost_micro` in millionths of a fen."""

    text: str
    calls: tuple[ToolCall, ...]
    model: str
    tokens_in: int
    tokens_out: int
    cost_micro: int


class ChatModel(Protocol):
    """A language model."""

    @property
    def name(self) -> str:
        """The model as its provider calls it."""
        ...

    def price(self, tokens_in: int, tokens_out: int) -> int:
        """Return what so many tokens cost, in millionths of a fen."""
        ...

    async def chat(
        self, turns: Sequence[Turn], *, tools: Sequence[Offer] = (), max_tokens: int, seconds: float
    ) -> Completion:
        """Ask once and wait at most `seconds`. Raises ModelFailure."""
        ...


def tokens_at_most(*texts: str) -> int:
    """Return more tokens than these texts have: one per character; real ones are about 0.6 of it in Chinese."""
    return sum(len(text) for text in texts)
