"""Putting an answer together, and sending it one of two ways: back in the request, or by the door out.

One passive reply is all a push may get: what is longer than 2048 bytes, what a handler adds, and what waited
from an earlier push is spread over this reply and what follows it. An account without customer-service
messages keeps what follows for the fan's next message, as does any account what WeChat's counts have no room for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from bot.replies import TEXT_LIMIT, Reply, TextReply, TransferReply, from_data, split_text, to_customer_message, to_data
from bot.router import Context
from kit.ids import key_of
from scrm.accounts.service import AccountView
from scrm.db import Transaction, command
from scrm.outreach import service as outreach
from scrm.outreach.gate import Purpose
from scrm.pushes import service as pushes
from scrm.pushes import silence
from scrm.pushes.repetitions import withdraw
from scrm.pushes.service import DialogueChange, Held

BETWEEN_HELD_AND_NEW = "\n\n"
# What an account may never send, or no more of before the fan acts again, goes with the answer to their next message.
WAITS = frozenset({"no_capability", "count_exhausted"})
# A passive reply is still on its way back when what follows it is stored, and must not be overtaken by it.
BEHIND = timedelta(seconds=1)


def takes_passive(account: AccountView, reply: Reply) -> bool:
    """Tell whether the platform takes a reply in the request: of a mini-program nothing but a transfer."""
    return account.kind != "miniprogram" or isinstance(reply, TransferReply)


@dataclass(frozen=True, slots=True)
class Part:
    """What one message can hold: of a reply, of one that waited (`held` is its id), or a body that a handler adds."""

    reply: Reply | None
    body: Mapping[str, Any] | None = None
    held: int | None = None


@dataclass(frozen=True, slots=True)
class Composed:
    """An answer ready to go: the passive reply with the parts it is made of, and the parts that follow it."""

    passive: Reply | None
    first: tuple[Part, ...]
    following: tuple[Part, ...]
    change: DialogueChange | None
    failed: str
    purpose: Purpose = "answer"

    def silenced(self) -> "Composed":
        """Return what is left when the bot may say nothing: what was held stays held."""
        return Composed(None, (), (), None, self.failed)


def compose(reply: Reply | None, context: Context, held: Sequence[Held], failed: str) -> Composed:
    """Put together what this push is answered with."""
    parts = [Part(from_data(item.reply), held=item.id) for item in held]
    if reply is not None:
        parts += [Part(part) for part in _parts(reply)]
    first: list[Part] = []
    passive: Reply | None = None
    while parts and (longer := _joined(context.account, passive, parts[0])) is not None:
        passive = longer
        first.append(parts.pop(0))
    parts += [Part(None, body=body) for body in context.later]
    return Composed(passive, tuple(first), tuple(parts), context.change, failed, context.purpose)


def _joined(account: AccountView, passive: Reply | None, part: Part) -> Reply | None:
    """Return the passive reply with one more part in it; None where that does not go."""
    reply = part.reply
    if reply is None or not takes_passive(account, reply):
        return None
    if passive is None:
        return reply
    if isinstance(reply, TextReply) and isinstance(passive, TextReply):
        both = passive.content + BETWEEN_HELD_AND_NEW + reply.content
        if len(both.encode()) <= TEXT_LIMIT:
            return TextReply(both, ai=passive.ai or reply.ai)
    return None


def _parts(reply: Reply) -> list[Reply]:
    if not isinstance(reply, TextReply):
        return [reply]
    return [TextReply(part, ai=reply.ai) for part in split_text(reply.content)]


class TakenOver(Exception):  # noqa: N818  # a signal, not an error
    """Another worker owns the push, or a request its answer, by now: what this one did is undone."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a push ended: its state, and what goes back in the request."""

    state: str
    passive: Reply | None


@command
async def finish(
    tx: Transaction,
    key: UUID,
    fan_id: int | None,
    attempts: int,
    composed: Composed,
    *,
    passive: bool,
    now: datetime,
) -> Finished:
    """Store how a push ended and send off what does not go back in the request.

    With `passive` the first part is taken as given back in the request; without, the request is gone and
    everything leaves by the door out. A bot's answer to a fan whom a person has taken meanwhile is dropped. Raises
    TakenOver, and does nothing, when another worker owns the push.
    """
    quiet = fan_id is not None and composed.purpose == "answer" and await silence.holds(tx.connection, fan_id)
    if quiet:
        composed = composed.silenced()
    parts = composed.following if passive else composed.first + composed.following
    goes_first = passive and composed.passive is not None
    said = await _say(key, fan_id, parts, now, due_at=now + BEHIND if goes_first else now, purpose=composed.purpose)
    if passive:
        said.released += [part.held for part in composed.first if part.held is not None]
    failed = bool(composed.failed) or (said.lost and not passive)
    state = "failed" if failed else "answered" if passive else "late"
    answer = None
    if passive:
        answer = {"type": "none"} if composed.passive is None else to_data(composed.passive)
    mine = await pushes.finish(
        key=key,
        fan_id=fan_id,
        attempts=attempts,
        state=state,
        answer=answer,
        reason=composed.failed or said.reason or ("with_person" if quiet else ""),
        now=now,
        dialogue=composed.change,
        hold=said.kept,
        released=said.released,
    )
    if not mine:
        raise TakenOver
    return Finished(state, composed.passive if passive else None)


@command
async def send_unheard(
    tx: Transaction, key: UUID, fan_id: int, reply: Reply, *, purpose: Purpose = "answer", now: datetime
) -> str:
    """Send an answer by the door out that was stored as given in the request, but too late for any request.

    Returns the state the push ends in. Raises TakenOver, and does nothing, when a repetition was told it meanwhile.
    """
    said = await _say(key, fan_id, [Part(reply)], now, due_at=now, purpose=purpose, name="push-answer-unheard")
    state = "failed" if said.lost else "late"
    ended = await withdraw(key=key, fan_id=fan_id, state=state, reason=said.reason, hold=said.kept, now=now)
    if ended is None:
        raise TakenOver
    return ended


@dataclass(slots=True)
class _Said:
    # Replies that could not be said yet, and the ids of held ones that need not wait any longer.
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    reason: str = ""
    lost: bool = False


async def _say(
    key: UUID,
    fan_id: int | None,
    parts: Sequence[Part],
    now: datetime,
    due_at: datetime,
    purpose: Purpose,
    name: str = "push-answer",
) -> _Said:
    said = _Said()
    if fan_id is None:
        return said
    for n, part in enumerate(parts):
        body = part.body if part.reply is None else to_customer_message(part.reply)
        if body is not None:
            verdict = await outreach.say(
                key=key_of(name, key, n), fan_id=fan_id, body=body, purpose=purpose, now=now, due_at=due_at
            )
            # What the staff's desk says is of this moment: with the fan's next message it would be wrong.
            if verdict.reason in WAITS and part.reply is not None and purpose == "answer":
                if part.held is None:
                    said.kept.append(to_data(part.reply))
                continue
            if not verdict.allowed:
                said.reason = verdict.reason
                said.lost = True
        if part.held is not None:
            said.released.append(part.held)
    return said
