"""The intake: takes each push once, in its fan's order and within WeChat's time, and answers what was answered before.

Nearly every push begins and ends here, so it is plain calls and no coroutines: a task with its futures and timers
costs more than proving, reading and answering a push. What needs work is handed on to the engine.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any, TypeAlias
from uuid import UUID

from bot.directory import Served
from bot.isolation import LEASE
from bot.replies import Reply
from bot.timeline import may_be_new, payload_of, subject_of
from bot.wire import Message
from kit.clock import Clock, from_epoch
from kit.ids import key_of
from kit.tasks import Tasks
from scrm.errors import Unavailable
from scrm.group_commit import GroupCommit, Waiter
from scrm.pushes.accepting import Accepted, Arrival, accept, accept_at_once
from web import metrics

ReplyWaiter: TypeAlias = Waiter[Reply | None]
# An answer found without asking anybody, and its stored form.
Prepared: TypeAlias = tuple[Reply | None, Mapping[str, Any]]


@dataclass(slots=True, eq=False)
class Underway:
    """A push between its coming and its answer; the group commit tells it how storing it went (a Waiter)."""

    intake: "Intake"
    served: Served
    message: Message
    key: UUID
    arrived: float
    """The loop's time."""
    fan: tuple[int, str] | None
    """None of what happened to the account itself."""
    waiters: list[ReplyWaiter]
    """More than one when the same push comes again meanwhile."""
    prepared: Prepared | None = None
    entered: bool = False
    """The group commit has it."""
    ended: bool = False
    """It is stored, or given up."""

    def done(self) -> bool:
        """Whether the group commit may forget it."""
        return self.ended

    def set_result(self, accepted: Accepted) -> None:
        """Go on: it is stored."""
        self.ended = True
        self.intake.stored(self, accepted)

    def set_exception(self, error: Exception) -> None:
        """End: it is not stored."""
        self.ended = True
        self.intake.not_stored(self, error)

    def tell(self, reply: Reply | None) -> None:
        """Give the answer to all who wait for it."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(reply)

    def fail(self, error: Exception) -> None:
        """Give the error to all who wait for the answer."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


class Intake:
    """One per process. `prepare` finds an answer without asking anybody; `work` finds it after the push is stored.

    `unheard` is told of a push that was stored although its time was over, and it refused; `doubtful` of pushes that
    were refused and may be stored, for the database was lost under way.
    """

    def __init__(
        self,
        clock: Clock,
        tasks: Tasks,
        *,
        budget: float,
        prepare: Callable[[Served, Message, UUID, datetime], Prepared | None],
        work: Callable[[Underway, Accepted], Coroutine[Any, Any, Reply | None]],
        unheard: Callable[[Arrival, Accepted], None],
        doubtful: Callable[[Sequence[Arrival]], None],
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._budget = budget
        self._prepare = prepare
        self._work = work
        self._accept: GroupCommit[Arrival, Accepted] = GroupCommit(
            # While one batch is being committed the next is opened and the one before is sealed.
            accept,
            tasks.spawn,
            lanes=3,
            enough=16,
            at_once=accept_at_once,
            unclaimed=unheard,
            doubtful=doubtful,
        )
        self._last = clock.now() - timedelta(microseconds=1)
        self._underway: dict[UUID, Underway] = {}
        # Of each fan one push is stored at a time, and these wait behind it: commits may overtake each other.
        self._behind: dict[tuple[int, str], list[Underway]] = {}
        # One alarm for all that are to be stored, at the loop's time when the first of them is too late.
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = inf

    def __len__(self) -> int:
        return len(self._underway)

    def begin(self, served: Served, message: Message, arrived: float, waiter: ReplyWaiter) -> None:
        """Tell `waiter`, later, what to answer a push with, None being `success`.

        `arrived` is the loop's time at which the request came in. The exception is Unavailable when the push could not
        be stored in time: it was not accepted, and the platform will bring it again.
        """
        key = key_of("push", served.account.id, message.dedupe_key)
        first = self._underway.get(key)
        if first is not None:
            metrics.PUSH_DUPLICATES.inc()
            first.waiters.append(waiter)
            asyncio.get_running_loop().call_at(arrived + self._budget, _wait_no_longer, waiter)
            return
        openid = subject_of(message)
        fan = None if openid is None else (served.account.id, openid)
        push = self._underway[key] = Underway(self, served, message, key, arrived, fan, [waiter])
        if arrived + self._budget < self._alarm_at:
            self._set_alarm(arrived + self._budget)
        if fan is not None:
            if (behind := self._behind.get(fan)) is not None:
                behind.append(push)
                return
            self._behind[fan] = []
        self._store(push)

    def _store(self, push: Underway) -> None:
        """Hand a push to the next commit, its answer with it where that is found already."""
        served, message, now = push.served, push.message, self._received()
        push.entered = True
        try:
            prepared = push.prepared = self._prepare(served, message, push.key, now)
            arrival = Arrival(
                key=push.key,
                account_id=served.account.id,
                openid=None if push.fan is None else push.fan[1],
                kind=message.kind,
                # A time in the future would keep windows open that are not.
                occurred_at=min(from_epoch(message.created_at), now),
                received_at=now,
                payload=payload_of(message),
                fields=message.fields,
                lease_until=now + LEASE,
                answer=None if prepared is None else prepared[1],
                may_be_new=may_be_new(message),
            )
            self._accept.enter(arrival, push)
        except Exception as error:  # noqa: BLE001  # told to whoever waits, whatever it is
            # In a turn of its own: a whole queue of one fan may come to nothing here, one behind the other.
            asyncio.get_running_loop().call_soon(_give_up, push, error)

    def _received(self) -> datetime:
        """Return now, but no two pushes of a process the same moment: their order is their time's."""
        now = self._clock.now()
        if now <= self._last:
            now = self._last + timedelta(microseconds=1)
        self._last = now
        return now

    def stored(self, push: Underway, accepted: Accepted) -> None:
        """Answer a push that is stored, or have it worked on."""
        self._next_of(push.fan)
        if accepted.fresh and push.prepared is not None and not accepted.running:
            metrics.pushes(push.message.kind, "answered").inc()
            del self._underway[push.key]
            push.tell(push.prepared[0])
        else:
            self._tasks.spawn(self._worked_on(push, accepted), "answer")

    def not_stored(self, push: Underway, error: Exception) -> None:
        """Give a push up that could not be stored."""
        if push.entered:
            self._next_of(push.fan)
        elif push.fan is not None:
            self._behind[push.fan].remove(push)
        del self._underway[push.key]
        push.fail(error)

    def _next_of(self, fan: tuple[int, str] | None) -> None:
        """Let the next push of a fan come up."""
        if fan is None:
            return
        behind = self._behind[fan]
        if behind:
            self._store(behind.pop(0))
        else:
            del self._behind[fan]

    async def _worked_on(self, push: Underway, accepted: Accepted) -> None:
        try:
            reply = await self._work(push, accepted)
        except BaseException as error:
            del self._underway[push.key]
            push.fail(error if isinstance(error, Exception) else Unavailable(code="shutting_down"))
            if not isinstance(error, Exception):
                raise
        else:
            del self._underway[push.key]
            push.tell(reply)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = asyncio.get_running_loop().call_at(at, self._expire)

    def _expire(self) -> None:
        """Give up what is not stored although its time is over."""
        self._alarm, self._alarm_at = None, inf
        now = asyncio.get_running_loop().time()
        for push in list(self._underway.values()):
            if not push.done() and push.arrived + self._budget <= now:
                push.set_exception(Unavailable(code="too_slow"))
        first = min((push.arrived for push in self._underway.values() if not push.done()), default=inf)
        if first + self._budget < self._alarm_at:
            self._set_alarm(first + self._budget)

    def left(self, arrived: float) -> float:
        """Return the seconds left of the time in which a push that came at `arrived` is to be answered."""
        return max(0.0, arrived + self._budget - asyncio.get_running_loop().time())


def _wait_no_longer(waiter: ReplyWaiter) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _give_up(push: Underway, error: Exception) -> None:
    if not push.done():
        push.set_exception(error)
