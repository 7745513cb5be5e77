"""Tools: what the model may look up. Read-only, about the one who asks, on a list that nothing else gets on to.

Whose points and level are looked up is bound by the code that asks; no argument names a person. Whatever the model
writes as arguments is checked here; what does not fit is refused, recorded and told to the model as an error.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kit.chat import Offer, ToolCall
from kit.faults import describe
from scrm.assistant.prompting import gives_orders, neutral
from scrm.assistant.settings import AssistantSettings
from scrm.errors import Unavailable

ARGUMENT_MOST = 40
RESULT_MOST = 2000


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and at whose account; bound by us, never by the model."""

    brand_id: int
    account_id: int
    fan_id: int
    member_id: int
    settings: AssistantSettings
    now: datetime


Run = Callable[[Asker, Mapping[str, str]], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing that may be looked up.

    `arguments` are optional texts by name with what they mean. `run` returns facts by Chinese names, numbers with
    their units, so that an answer can be compared with them. `asks` are whole questions, as folded patterns, that this
    tool answers by itself, and `say` the sentence for it.
    """

    name: str
    description: str
    run: Run
    arguments: Mapping[str, str] = field(default_factory=dict)
    asks: Sequence[str] = ()
    say: Callable[[Mapping[str, Any]], str] | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """A call as it is recorded: `refused` has the reason when nothing was looked up."""

    name: str
    arguments: str
    result: str
    refused: str = ""

    def as_data(self) -> dict[str, str]:
        """Return the record as JSON data."""
        return {"name": self.name, "arguments": self.arguments, "result": self.result, "refused": self.refused}


class Toolbox:
    """The allow-list."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._asked = [(re.compile(pattern), tool) for tool in self._tools.values() for pattern in tool.asks]

    def offers(self) -> list[Offer]:
        """Return the tools as a model is offered them."""
        return [
            Offer(
                tool.name,
                tool.description,
                {
                    "type": "object",
                    "properties": {name: {"type": "string", "description": d} for name, d in tool.arguments.items()},
                    "additionalProperties": False,
                },
            )
            for tool in self._tools.values()
        ]

    def answers(self, question: str) -> Tool | None:
        """Return the tool that answers a folded question by itself, without any model."""
        return next((tool for pattern, tool in self._asked if pattern.fullmatch(question)), None)

    async def call(self, call: ToolCall, asker: Asker) -> Called:
        """Look up what the model asked for, or refuse. Raises Unavailable when the database is away."""
        kept = call.arguments[:200]
        tool = self._tools.get(call.name)
        if tool is None:
            return _refused(call.name, kept, "unknown_tool")
        try:
            given = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError):
            return _refused(call.name, kept, "garbage_arguments")
        if not isinstance(given, dict) or not all(
            name in tool.arguments and isinstance(value, str) and len(value) <= ARGUMENT_MOST
            for name, value in given.items()
        ):
            return _refused(call.name, kept, "wrong_arguments")
        return await run(tool, asker, given, kept)


async def run(tool: Tool, asker: Asker, given: Mapping[str, str], kept: str = "{}") -> Called:
    """Run a tool; what breaks inside is a refusal, so that one lookup does not cost the whole answer."""
    try:
        facts = await tool.run(asker, {name: neutral(value, ARGUMENT_MOST) for name, value in given.items()})
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001  # the model is told that it failed; the record says where
        return _refused(tool.name, kept, "broken", describe(error))
    result = json.dumps(facts, ensure_ascii=False)
    if len(result) > RESULT_MOST:
        return _refused(tool.name, kept, "too_large")
    if gives_orders(result):
        return _refused(tool.name, kept, "gives_orders")
    return Called(tool.name, kept, result)


def _refused(name: str, arguments: str, why: str, detail: str = "") -> Called:
    return Called(name, arguments, json.dumps({"error": why}), refused=f"{why} {detail}".strip()[:200])
