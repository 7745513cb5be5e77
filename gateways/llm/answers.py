"""Reads what a model's server answered, believing nothing: a wrong shape is ModelBroken, never a KeyError."""

import math
from typing import Any, Protocol

from kit.chat import Completion, ModelBroken, ToolCall, tokens_at_most

# More calls than this in one answer are no plan but a fault.
CALLS_MOST = 8
ARGUMENTS_MOST = 2000
# Ten times what any model reads; from there on a count is a mistake, and several of them would not fit a column.
TOKENS_MOST = 10**7


class Priced(Protocol):
    """What an answer is charged by."""

    @property
    def name(self) -> str:
        """The model as its provider calls it."""
        ...

    def price(self, tokens_in: int, tokens_out: int) -> int:
        """Return what so many tokens cost, in millionths of a fen."""
        ...


def read_completion(data: Any, model: Priced) -> Completion:
    """Return the answer of /chat/completions. Raises ModelBroken."""
    choices = data.get("choices") if isinstance(data, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(message, dict):
        raise ModelBroken("the answer has no message")
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise ModelBroken("the message's content is no text")
    calls = _calls(message.get("tool_calls"))
    text = _storable(content or "").strip()
    usage = data.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tokens_in, tokens_out = _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))
    if tokens_out == 0:
        tokens_out = tokens_at_most(text, *(call.arguments for call in calls))
    named = _storable(data["model"]) if isinstance(data.get("model"), str) else ""
    return Completion(
        text=text,
        calls=calls,
        model=named[:64] or model.name,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_micro=model.price(tokens_in, tokens_out),
    )


def _calls(given: Any) -> tuple[ToolCall, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > CALLS_MOST:
        raise ModelBroken("tool_calls is no list, or too long a one")
    calls = []
    for n, one in enumerate(given):
        function = one.get("function") if isinstance(one, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        arguments = function.get("arguments", "") if isinstance(function, dict) else None
        if not isinstance(name, str) or not isinstance(arguments, str) or len(arguments) > ARGUMENTS_MOST:
            raise ModelBroken(f"tool_calls[{n}] is none")
        call_id = one.get("id")
        named = _storable(call_id) if isinstance(call_id, str) else ""
        calls.append(ToolCall(named or f"call-{n}", _storable(name)[:64], _storable(arguments)))
    return tuple(calls)


def _storable(text: str) -> str:
    """Return a text without NUL and halves of characters: JSON can say them, no table and no message can."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < TOKENS_MOST else 0


def read_embeddings(data: Any, count: int) -> list[list[float]]:
    """Return the vectors of /embeddings in the order of the texts. Raises ModelBroken."""
    rows = data.get("data") if isinstance(data, dict) else None
    if not isinstance(rows, list) or len(rows) != count:
        raise ModelBroken("not as many vectors as texts")
    vectors: list[list[float] | None] = [None] * count
    for row in rows:
        index, vector = (row.get("index"), row.get("embedding")) if isinstance(row, dict) else (None, None)
        if type(index) is not int or not 0 <= index < count or not isinstance(vector, list) or not vector:
            raise ModelBroken("a vector is none")
        if not all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in vector):
            raise ModelBroken("a vector holds what is no number")
        vectors[index] = [float(x) for x in vector]
    whole = [vector for vector in vectors if vector is not None]
    if len(whole) != count or len({len(vector) for vector in whole}) != 1:
        raise ModelBroken("vectors are missing or of different lengths")
    return whole
