"""The engine: takes an opened push to its one answer, within WeChat's time, whatever else happens.

The cases (quick answers, work, duplicates here and elsewhere, lateness, dead workers) are told in
docs/subsystems/callback.md, each with the test that proves it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog

from bot.directory import Served
from bot.intake import Intake, Prepared, ReplyWaiter, Underway
from bot.isolation import LEASE, Turns
from bot.late import Composed, Finished, TakenOver, compose, finish, send_unheard, takes_passive
from bot.push_events import ClickEvent, ScanEvent, SubscribeEvent
from bot.replies import TEXT_LIMIT, Reply, TextReply, from_data, to_data
from bot.router import NEEDS_WORK, NO_PARTS, Context, Dispatcher, Parts
from bot.wire import Message, UserMessage
from kit.clock import Clock
from kit.faults import describe
from kit.tasks import Tasks
from scrm.errors import Unavailable
from scrm.group_commit import GroupCommit
from scrm.outreach.gate import Purpose
from scrm.pushes import service as pushes
from scrm.pushes.accepting import Accepted, Arrival
from scrm.pushes.repetitions import State, look, owe, owe_doubtful, untold
from web import metrics

log = structlog.get_logger(__name__)

# WeChat hangs up after 5 s; what is left after these is the way there and back.
BUDGET_SECONDS = 4.5
# A passive answer that is being written when the budget ends is waited for this much longer.
GRACE_SECONDS = 0.3
# An answer stored too late for its request leaves by the door out, unless a repetition takes it. Pauses between tries.
UNHEARD_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
# A worker sees to it after these, whether the process died over them or could not reach the database.
OWED = timedelta(seconds=40)
# Where the database was lost under way it is asked after these whether it has the pushes, until it answers.
DOUBTFUL_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
# The platform's repetitions come first: they take the answer back with them.
REPEATED = timedelta(seconds=10)
# A handler that takes longer has hung; its fan's next messages wait for it, and must not wait for ever.
HANDLER_SECONDS = 60.0

# In answer to these a fan sees what we say; to an unfollow or a report they would not.
HEARS = (UserMessage, SubscribeEvent, ScanEvent, ClickEvent)
NOTHING: Mapping[str, Any] = {"type": "none"}


@dataclass(slots=True)
class Job:
    """A push somebody is working on."""

    served: Served
    message: Message
    key: UUID
    fan_id: int | None
    member_id: int | None
    attempts: int
    # Whether the request is still open: the answer may go back in it. Closed at the deadline, and for pushes
    # taken over from a dead worker.
    passive: bool
    # A passive answer is being committed: the deadline waits for it a little.
    finishing: bool = False
    # It took longer still: no request will carry what is being committed, unless a repetition comes upon it.
    unheard: bool = False


class Engine:
    """One per process. `apology` is what a fan is told when a handler breaks."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        clock: Clock,
        tasks: Tasks,
        *,
        apology: Reply,
        budget: float = BUDGET_SECONDS,
        patience: float = HANDLER_SECONDS,
        parts: Parts = NO_PARTS,
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._tasks = tasks
        self._apology = apology
        self._budget = budget
        self._patience = patience
        self._parts = parts
        self._intake = Intake(
            clock,
            tasks,
            budget=budget,
            prepare=self._prepare,
            work=self._work_on,
            unheard=self._unheard,
            doubtful=self._doubtful,
        )
        self._look: GroupCommit[UUID, State | None] = GroupCommit(look, tasks.spawn, lanes=1, unclaimed=self._untold)
        self._turns = Turns(clock)
        self._jobs: dict[UUID, Job] = {}

    def begin(self, served: Served, message: Message, arrived: float, waiter: ReplyWaiter) -> None:
        """Tell `waiter` what to answer a push with; see `Intake.begin`."""
        self._intake.begin(served, message, arrived, waiter)

    def _prepare(self, served: Served, message: Message, key: UUID, now: datetime) -> Prepared | None:
        """Return an answer found without asking anybody, and its stored form; None when work is needed."""
        context = Context(served.account, message, key, now, served.rules, parts=self._parts)
        try:
            reply = self._dispatcher.now(context)
        except Exception as error:  # noqa: BLE001  # met again, and answered, when the work is done
            log.error("handler failed", push=key.hex[:16], kind=message.kind, error=describe(error))
            return None
        if reply is NEEDS_WORK or context.later or context.change is not None:
            return None
        if reply is None:
            return None, NOTHING
        if not takes_passive(served.account, reply):
            return None
        if isinstance(reply, TextReply) and len(reply.content) * 4 > TEXT_LIMIT < len(reply.content.encode()):
            return None
        return reply, _stored(reply)

    async def _work_on(self, push: Underway, accepted: Accepted) -> Reply | None:
        """Find the answer of a push that is stored, whoever stored it."""
        if not accepted.fresh:
            metrics.PUSH_DUPLICATES.inc()
            return await self._answered_elsewhere(push, accepted)
        job = Job(push.served, push.message, push.key, accepted.fan_id, accepted.member_id, attempts=1, passive=True)
        return await self._work_in_time(job, push.arrived)

    async def _work_in_time(self, job: Job, arrived: float) -> Reply | None:
        work = self._tasks.spawn(self._work(job), "push")
        done, _ = await asyncio.wait({work}, timeout=self._intake.left(arrived))
        if not done and job.finishing:
            done, _ = await asyncio.wait({work}, timeout=GRACE_SECONDS)
            if not done:
                # The answer is about to be stored as given. Let the platform ask again and perhaps find it.
                job.unheard = True
                raise Unavailable(code="too_slow")
        if done:
            return work.result()
        job.passive = False
        metrics.DEADLINE_MISSES.inc()
        return None

    async def resume(self, served: Served, message: Message, push: pushes.Abandoned) -> None:
        """Work on a push whose worker died; its answer leaves by the door out."""
        await self._work(
            Job(served, message, push.key, push.fan_id, push.member_id, attempts=push.attempts, passive=False)
        )

    async def _work(self, job: Job) -> Reply | None:
        """Run the handlers when it is this push's turn, and store what came of it."""
        self._jobs[job.key] = job
        # All that is logged while this task works is told apart by the push's key, on every machine that sees it.
        structlog.contextvars.bind_contextvars(request_id=job.key.hex[:16])
        try:
            if job.fan_id is not None:
                await self._turns.wait_for(job.fan_id, job.key)
            return await self._handle(job)
        finally:
            if job.fan_id is not None:
                self._turns.given_back(job.fan_id)
            # Unless this process has taken its own push over meanwhile, after stalling for a whole lease.
            if self._jobs.get(job.key) is job:
                del self._jobs[job.key]

    async def _handle(self, job: Job) -> Reply | None:
        now = self._clock.now()
        served = job.served
        context = Context(
            served.account, job.message, job.key, now, served.rules, job.fan_id, job.member_id, parts=self._parts
        )
        failed = ""
        reply: Reply | None
        try:
            if job.fan_id is not None:
                context.dialogue = await pushes.dialogue_of(job.fan_id, now)
            async with asyncio.timeout(self._patience):
                reply = await self._dispatcher.run(context)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # a fan who wrote gets a sentence, whatever broke
            log.error("handler failed", push=job.key.hex[:16], kind=job.message.kind, error=describe(error))
            failed = f"handler:{type(error).__name__}"
            reply = self._apology
            # What it had arranged so far goes with it: half a feature is worse than none.
            context.later.clear()
            context.change = None
        # What waited from before is the bot's, and is not mixed with what the staff have to say.
        speaks = job.fan_id is not None and isinstance(job.message, HEARS) and context.purpose == "answer"
        held = await pushes.held_for(job.fan_id, now) if speaks and job.fan_id is not None else []
        composed = compose(reply, context, held, failed)
        return await self._finish(job, composed)

    async def _finish(self, job: Job, composed: Composed) -> Reply | None:
        passive = job.finishing = job.passive
        try:
            finished = await finish(job.key, job.fan_id, job.attempts, composed, passive=passive, now=self._clock.now())
        except TakenOver:
            finished = Finished("taken_over", None)
        finally:
            job.finishing = False
        if job.unheard:
            self._send_unheard(job.message.kind, job.key, job.fan_id, finished, composed.purpose)
        else:
            metrics.PUSHES.labels(job.message.kind, finished.state).inc()
        return finished.passive

    def _unheard(self, arrival: Arrival, accepted: Accepted) -> None:
        """See to a push that was stored after all, when those who brought it had been refused."""
        # Where work is needed nothing was prepared: whoever recovers what is abandoned does it.
        if accepted.fresh and not accepted.running:
            stored = Finished("answered", read_answer(arrival.answer))
            self._send_unheard(arrival.kind, arrival.key, accepted.fan_id, stored, "answer")

    def _doubtful(self, arrivals: Sequence[Arrival]) -> None:
        """See to pushes that were refused and may be stored, answers and all, for the database was lost under way."""
        # What needs work is recovered with what is abandoned; without an answer there is nothing to be heard.
        answered = {one.key: one.received_at for one in arrivals if read_answer(one.answer) is not None}

        async def owe_them() -> None:
            for pause in DOUBTFUL_SECONDS:
                await asyncio.sleep(pause)
                with suppress(Unavailable):
                    await owe_doubtful(accepted=answered, due_at=self._clock.now() + REPEATED)
                    return
            log.error("answers that may be stored unheard were given up", pushes=len(answered))

        if answered:
            self._tasks.spawn(owe_them(), "doubtful")

    def _send_unheard(self, kind: str, key: UUID, fan_id: int | None, finished: Finished, purpose: Purpose) -> None:
        """Have an answer sent by the door out that no request carried, unless a repetition is told it."""

        async def send() -> str:
            if fan_id is None or finished.passive is None:
                return finished.state
            with suppress(Unavailable):  # then nobody but this process knows of it
                await owe(key=key, purpose=purpose, due_at=self._clock.now() + OWED)
            for pause in UNHEARD_SECONDS:
                await asyncio.sleep(pause)
                # Again, for a repetition that was told it may have been gone by then, and the database may be away.
                with suppress(TakenOver, Unavailable):
                    return await send_unheard(key, fan_id, finished.passive, purpose=purpose, now=self._clock.now())
            return finished.state

        async def count() -> None:
            metrics.PUSHES.labels(kind, await send()).inc()

        self._tasks.spawn(count(), "unheard")

    def _untold(self, key: UUID, state: State | None) -> None:
        """Take back that a repetition was told an answer, when it was gone by then."""
        if state is not None and state.answer is not None:
            self._tasks.spawn(untold(key=key), "untold")

    async def _answered_elsewhere(self, push: Underway, accepted: Accepted) -> Reply | None:
        """Find the answer of a push that another process accepted, or take it over when that one died."""
        try:
            async with asyncio.timeout(self._intake.left(push.arrived)):
                state = await self._look.submit(push.key)
        except TimeoutError:
            raise Unavailable(code="too_slow") from None  # nobody knows how it stands: let the platform ask again
        try:
            async with asyncio.timeout(self._intake.left(push.arrived)):
                found = await self._ended_or_taken_over(push.key, state)
        except TimeoutError:
            # Somebody works on it, so nobody needs to bring it again: what is said to it leaves by the door out.
            return None
        if not isinstance(found, pushes.Abandoned):
            return read_answer(found.answer) if found else None
        job = Job(
            push.served, push.message, push.key, accepted.fan_id, accepted.member_id, found.attempts, passive=True
        )
        return await self._work_in_time(job, push.arrived)

    async def _ended_or_taken_over(self, key: UUID, state: State | None) -> State | pushes.Abandoned | None:
        """Wait until a push has come to its end, or is ours to work on; None when it is no longer kept."""
        pause = 0.01
        while state is not None and state.state == "running":
            now = self._clock.now()
            if pause > 0.1 and (taken := await pushes.take_over(now=now, lease_until=now + LEASE, key=key, limit=1)):
                return taken[0]
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.2)
            state = await self._look.submit(key)
        return state

    async def keep_leases(self) -> None:
        """Renew the leases of what this process works on, for ever."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            if self._jobs:
                try:
                    await pushes.renew(sorted(self._jobs), lease_until=self._clock.now() + LEASE)
                except Exception as error:  # noqa: BLE001  # without leases every long push would be taken over
                    log.warning("leases not renewed", jobs=len(self._jobs), error=describe(error))

    @property
    def busy(self) -> int:
        """How many pushes are being worked on."""
        return len(self._jobs) + len(self._intake)


@lru_cache(maxsize=256)  # a brand says the same words to many
def _stored(reply: Reply) -> Mapping[str, Any]:
    return to_data(reply)


def read_answer(data: Mapping[str, Any] | None) -> Reply | None:
    """Return a stored answer."""
    return None if data is None or data.get("type") == "none" else from_data(data)
