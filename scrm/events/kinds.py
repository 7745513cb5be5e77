"""The registry of event kinds: what each is called, and what follows from it in the same transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from scrm.db import Connection


@dataclass(frozen=True, slots=True)
class Appended:
    """An event that has just been appended, as its consequences see it."""

    key: UUID
    kind: str
    occurred_at: datetime
    member_id: int | None
    account_id: int | None
    fan_id: int | None
    payload: Mapping[str, Any]
    recorded_at: datetime


Consequence: TypeAlias = Callable[[Connection, Sequence[Appended]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event. `title` is what staff read on a timeline; `consequence` runs with the append."""

    name: str
    title: str
    consequence: Consequence | None = None


_KINDS: dict[str, Kind] = {}


def register(name: str, title: str, consequence: Consequence | None = None) -> Kind:
    """Add a kind; registering a name twice raises ValueError, so that no two features share one unknowingly."""
    if name in _KINDS:
        raise ValueError(f"event kind {name!r} is registered already")
    kind = _KINDS[name] = Kind(name, title, consequence)
    return kind


def listen(kind: Kind, consequence: Consequence, *, before: bool = False) -> None:
    """Let a higher noun act on a lower one's event, after whatever follows from it already, or `before` it."""
    first = get(kind.name).consequence

    async def both(raw: Connection, events: Sequence[Appended]) -> None:
        for each in (consequence, first) if before else (first, consequence):
            if each is not None:
                await each(raw, events)

    _KINDS[kind.name] = replace(kind, consequence=both)


def get(name: str) -> Kind:
    """Return a registered kind; raises ValueError naming the unknown one (a bug of the caller)."""
    try:
        return _KINDS[name]
    except KeyError:
        raise ValueError(f"event kind {name!r} is not registered") from None


def every() -> list[Kind]:
    """Return all kinds by name, for contract tests and documentation."""
    return sorted(_KINDS.values(), key=lambda kind: kind.name)
