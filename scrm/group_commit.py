"""Group commit: commands of one kind that arrive within a moment share a transaction, each with its own outcome.

It is the tool of the hot paths (callbacks, sending, the ledger): what a commit costs is paid once for all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

import asyncpg

from kit.guard import no_network
from scrm.db import RETRYABLE, Connection, Lent
from scrm.errors import Unavailable

C = TypeVar("C")
R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)

# Commands that may wait in one process for their commit; beyond that the caller is told at once.
QUEUE_LIMIT = 10_000
# How long a lane that has nothing to do keeps its connection: under load the next batch comes sooner.
LINGER_SECONDS = 0.02


class Waiter(Protocol[R_contra]):
    """Whoever is told what came of a command: a future, or something cheaper. It is told once, and must not raise."""

    def done(self) -> bool:
        """Whether it has been told, or no longer waits."""
        ...

    def set_result(self, result: R_contra, /) -> None:
        """Tell it the outcome."""
        ...

    def set_exception(self, exception: Exception, /) -> None:
        """Tell it why there is none."""
        ...


class GroupCommit(Generic[C, R]):
    """Commands of one kind that arrive while a commit is under way share the next one.

    No waiting is added: an idle lane starts at once, so a lone command costs what it would alone, and under
    load the batch grows to what arrived during the last commit, at most `limit`. When a batch fails, for any
    reason but an absent database, every command is run again alone, so one bad row fails alone. A caller that
    is cancelled does not take its batch with it.

    `at_once`, if given, is tried first, outside a transaction: a single statement that either does what `run`
    would and returns its outcomes, or changes nothing and returns None. It saves BEGIN and COMMIT.

    `unclaimed`, if given, is told of commands that were done although their callers had given up waiting meanwhile.
    `doubtful`, if given, is told of commands whose connection broke under way, as their callers are told Unavailable:
    they may have been done all the same.

    With several `lanes`, one batch is prepared while another is being committed; a lane sets out as soon as
    `enough` commands wait. Lanes may overtake each other: who needs an order submits one after the other.
    """

    def __init__(
        self,
        run: Callable[[Connection, Sequence[C]], Awaitable[Sequence[R]]],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        *,
        limit: int = 256,
        lanes: int = 2,
        enough: int = 256,
        at_once: Callable[[Connection, Sequence[C]], Awaitable[Sequence[R] | None]] | None = None,
        unclaimed: Callable[[C, R], None] | None = None,
        doubtful: Callable[[Sequence[C]], None] | None = None,
    ) -> None:
        self._run = run
        self._at_once = at_once
        self._unclaimed = unclaimed
        self._doubtful = doubtful
        self._spawn = spawn
        self._limit = limit
        self._lanes = self._free_lanes = lanes
        self._enough = min(enough, limit)
        self._waiting: list[tuple[C, Waiter[R]]] = []
        # A lane has set out to take what waits: one at a time, or the others would find nothing.
        self._gathering = False
        # Lanes without work; True wakes one.
        self._resting: list[asyncio.Future[bool]] = []

    async def submit(self, item: C) -> R:
        """Return the outcome of `item` once its transaction is durable; raises what that transaction raised."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.enter(item, future)
        return await future

    def enter(self, item: C, waiter: Waiter[R]) -> None:
        """Tell `waiter` what `submit` returns or raises; one that is done early withdraws `item` if it still waits."""
        if len(self._waiting) >= QUEUE_LIMIT:
            raise Unavailable(code="overloaded")
        self._waiting.append((item, waiter))
        if not self._gathering:
            self._set_out()

    def _set_out(self) -> None:
        """Send a lane for what waits, unless all are busy: then the first that is done takes it."""
        while self._resting:
            lane = self._resting.pop()
            if not lane.done():
                self._gathering = True
                lane.set_result(True)
                return
        if self._free_lanes:
            self._gathering = True
            self._free_lanes -= 1
            self._spawn(self._lane(), "group-commit")

    async def _lane(self) -> None:
        batch: list[tuple[C, Waiter[R]]] = []
        lent = Lent()
        try:
            more = True
            while more:
                batch = await self._gather()
                self._gathering = False
                if self._waiting:
                    self._set_out()
                if batch:
                    await self._commit(batch, lent)
                more = self._takes_over() or await self._rest() or self._takes_over()
        except BaseException:
            # Cancelled, as at shutdown: whoever waits, also for a next batch, is told so and not left waiting.
            self._gathering = False
            _fail([*batch, *self._waiting], Unavailable(code="shutting_down"))
            self._waiting = []
            raise
        finally:
            self._free_lanes += 1
            await lent.give_back()

    def _takes_over(self) -> bool:
        """Say whether something waits that no lane has set out for: then the one that asks has."""
        if not self._waiting or self._gathering:
            return False
        self._gathering = True
        return True

    async def _rest(self) -> bool:
        """Wait a moment to be sent out again; returns whether that was so."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[bool] = loop.create_future()
        self._resting.append(woken)
        timer = loop.call_later(LINGER_SECONDS, self._rested, woken)
        more = await woken
        timer.cancel()
        return more

    def _rested(self, woken: asyncio.Future[bool]) -> None:
        if not woken.done():
            self._resting.remove(woken)
            woken.set_result(False)

    async def _gather(self) -> list[tuple[C, Waiter[R]]]:
        """Take the next batch out of what waits."""
        # As long as every turn of the loop brings more, let it: what is on its way comes with this batch.
        before = 0
        while before < len(self._waiting) < self._enough:
            before = len(self._waiting)
            await asyncio.sleep(0)
        # Who has given up waiting was told no; doing it all the same would only delay the others.
        waiting = [(item, waiter) for item, waiter in self._waiting if not waiter.done()]
        # Of a long queue each lane takes its share.
        size = min(self._limit, max(self._enough, -(-len(waiting) // self._lanes)))
        self._waiting = waiting[size:]
        return waiting[:size]

    async def _commit(self, batch: list[tuple[C, Waiter[R]]], lent: Lent) -> None:
        try:
            outcomes = await self._transaction([item for item, _ in batch], lent)
        except Unavailable as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001  # handed to the caller, whatever it is
            if len(batch) == 1:
                _fail(batch, Unavailable(code="busy") if isinstance(error, asyncpg.LockNotAvailableError) else error)
                return
            for single in batch:
                await self._commit([single], lent)
        else:
            for (item, waiter), outcome in zip(batch, outcomes, strict=True):
                if not waiter.done():
                    waiter.set_result(outcome)
                elif self._unclaimed is not None:
                    self._unclaimed(item, outcome)

    async def _transaction(self, items: list[C], lent: Lent) -> Sequence[R]:
        for attempt in range(1, 4):
            begun = False
            try:
                with no_network():
                    if self._at_once is not None:
                        async with lent as raw:
                            begun = True
                            if (done := await self._at_once(raw, items)) is not None:
                                return done
                    async with lent.committing() as raw:
                        begun = True
                        return await self._run(raw, items)
            except Unavailable:
                if begun and self._doubtful is not None:
                    self._doubtful(items)
                raise
            except RETRYABLE:
                if attempt == 3:
                    raise
                await asyncio.sleep(0.005 * attempt)
        raise AssertionError("unreachable")


def _fail(batch: Sequence[tuple[Any, Waiter[Any]]], error: Exception) -> None:
    for _, waiter in batch:
        if not waiter.done():
            waiter.set_exception(error)
