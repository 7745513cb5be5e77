"""Delivering the outbox: claim what is due, say durably that it is being sent, send it once, record how it ended.

A message is handed to the platform only between two durable states, `sending` and its end, so whatever stops a
worker in between leaves a message that is never sent again by itself: it ends as `unknown`.
docs/subsystems/outreach.md lists the cases.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Protocol

import structlog

from kit.clock import Clock
from kit.tasks import Tasks, set_within
from scrm.accounts.service import AccountView
from scrm.errors import Unavailable
from scrm.group_commit import GroupCommit
from scrm.outreach import service as outreach
from scrm.outreach.gate import DISABLED
from scrm.outreach.ports import Delivery, Messenger, Outcome, Sender
from scrm.outreach.service import Outgoing
from worker.link import Link, Stopping

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
# A claim, and after it a send, must be over within this, else another worker settles it. A delivery is cut off
# after half of it, beyond the messenger's own limit of ten seconds; a sixth is how often dead leases are looked for.
LEASE = timedelta(seconds=30)
# While the database is away what is known of a message is held on to, this long at most.
SETTLE_SECONDS = 600.0
PAUSE_SECONDS = 0.2
# The longest time between two attempts at one message, seconds.
LONGEST_RETRY = 300.0
# An account without a free place is asked again after this at the latest, seconds.
LONGEST_PAUSE = 60.0
UNSERVED_SECONDS = 5.0


class Observer(Protocol):
    """Is told what became of messages, for metrics."""

    def delivered(self, outcome: str, seconds: float) -> None:
        """A claimed message came to an end or a pause: an Outcome's value, `gate`, `lost` or `no_place`."""
        ...

    def recovered(self, given_back: int, unknown: int) -> None:
        """What dead workers left was settled."""
        ...


class OutboxWorker:
    """Delivers due messages of all accounts, `sending` of them at a time, until told to stop.

    `accounts` gives the accounts as they are now, by id. `url` is the database's, for the connection that
    listens. Create it where the database is open.
    """

    def __init__(
        self,
        url: str,
        messenger: Messenger,
        accounts: Callable[[], Mapping[int, AccountView]],
        clock: Clock,
        tasks: Tasks,
        observer: Observer,
        *,
        sending: int = 64,
        lease: timedelta = LEASE,
    ) -> None:
        self._url = url
        self._messenger = messenger
        self._accounts = accounts
        self._clock = clock
        self._tasks = tasks
        self._observer = observer
        self._sending = sending
        self._lease = lease
        self._under_way: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        # Accounts without a place under their rate or quota, and until when to leave them alone.
        self._paused: dict[int, float] = {}
        self._starts = GroupCommit(outreach.start_sending, tasks.spawn)
        self._settles = GroupCommit(outreach.settle, tasks.spawn)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set, then end what is under way; what was not begun stays in the outbox."""
        link = Link(self._url, stop, name="fensi outbox")
        waker = self._tasks.spawn(self._wake_at(stop), "outbox-stop")
        recover_at = monotonic()
        try:
            with suppress(Stopping):
                await link.add_listener("fensi_outbox", lambda _payload: self._wake.set())
                while not stop.is_set():
                    self._wake.clear()
                    if monotonic() >= recover_at and await self._recover():
                        recover_at = monotonic() + self._lease.total_seconds() / 6
                    if await self._claim():
                        continue
                    if not await set_within(self._wake, POLL_SECONDS):
                        # Notices a lost connection, and waits here while the database is away.
                        await link.execute("SELECT 1")
        finally:
            self._stopping = True
            waker.cancel()
            await link.close()
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=self._lease.total_seconds() / 2 + 5)

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _recover(self) -> bool:
        try:
            given_back, unknown = await outreach.recover(now=self._clock.now())
        except Exception as error:  # noqa: BLE001  # nothing may end this loop; the next round tries again
            log.warning("outbox not recovered", error=type(error).__name__)
            return False
        if given_back or unknown:
            log.warning("messages of a lost worker settled", given_back=given_back, unknown=unknown)
            self._observer.recovered(given_back, unknown)
        return True

    async def _claim(self) -> bool:
        """Begin as many due messages as there is room for; say whether asking again at once makes sense.

        Nothing is claimed to lie about: what is claimed begins at once, so claims never run out in a queue.
        """
        room = self._sending - len(self._under_way)
        if room <= 0:
            return False
        now = self._clock.now()
        try:
            claimed = await outreach.claim(
                now=now, lease_until=now + self._lease, limit=room, without=self._paused_accounts()
            )
        except Exception as error:  # noqa: BLE001  # same
            log.warning("outbox not claimed", error=type(error).__name__)
            return False
        for message in claimed:
            task = self._tasks.spawn(self._deliver(message), "outbox-deliver")
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        return len(claimed) == room

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        # A place is free, and this fan's next message may be due.
        self._wake.set()

    def _paused_accounts(self) -> list[int]:
        """Return the accounts that have no place free now, forgetting those that do again."""
        self._paused = {account: until for account, until in self._paused.items() if until > monotonic()}
        return list(self._paused)

    async def _admitted(self, message: Outgoing) -> Sender | str:
        """Take a place for a message; without one give it back or end it, and return the word for the observer."""
        account = self._accounts().get(message.account_id)
        if account is None:
            # Disabled, added a moment ago, or its secrets do not open now: it may be served again.
            return await self._without_place(message, UNSERVED_SECONDS)
        sender = Sender(account.id, account.kind, account.appid, account.secret)
        pause = await self._messenger.admit(sender)
        return sender if pause <= 0 else await self._without_place(message, pause)

    async def _without_place(self, message: Outgoing, pause: float) -> str:
        """Give a message back and leave its account alone for some seconds, unless its time is over by now."""
        with suppress(Unavailable):  # then the claim runs out by itself
            if await outreach.refuse_or_put_back(message_id=message.id, now=self._clock.now()) is not None:
                return "gate"
        self._paused[message.account_id] = monotonic() + min(pause, LONGEST_PAUSE)
        return "no_place"

    async def _deliver(self, message: Outgoing) -> None:
        began = monotonic()
        try:
            sender = await self._admitted(message)
        except Exception as error:  # noqa: BLE001  # nothing was begun; the claim runs out and it is tried again
            log.error("message not admitted", message=message.id, error=type(error).__name__)
            return
        if isinstance(sender, str):
            self._observer.delivered(sender, monotonic() - began)
            return
        refused = await self._begin(message)
        if refused == DISABLED:
            # Disabled a moment ago, before this process knew: it was put back.
            self._paused[message.account_id] = monotonic() + UNSERVED_SECONDS
        if refused is not None:
            word = {"lost": "lost", DISABLED: "no_place"}.get(refused, "gate")
            self._observer.delivered(word, monotonic() - began)
            return
        asked_at = self._clock.now()
        delivery = storable(spaced(await self._send(sender, message), message.attempts + 1))
        await self._settle(message, delivery, asked_at)
        self._observer.delivered(delivery.outcome.value, monotonic() - began)

    async def _begin(self, message: Outgoing) -> str | None:
        """Say that the message is being sent; None when it may go, else why not."""
        while True:
            now = self._clock.now()
            try:
                return await self._starts.submit((message.id, now, now + self._lease))
            except Unavailable:
                # If the words got through all the same, asking again finds the message begun: lost, then unknown.
                if self._stopping:
                    return "lost"
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001  # not surely begun, so not sent; the lease settles it
                log.error("message not begun", message=message.id, error=type(error).__name__)
                return "lost"

    async def _send(self, sender: Sender, message: Outgoing) -> Delivery:
        try:
            async with asyncio.timeout(self._lease.total_seconds() / 2):
                return await self._messenger.deliver(sender, message.openid, message.body)
        except Exception as error:  # noqa: BLE001  # a messenger that breaks may have sent all the same
            log.error("messenger failed", message=message.id, error=type(error).__name__)
            return Delivery(Outcome.UNKNOWN, detail=type(error).__name__)

    async def _settle(self, message: Outgoing, delivery: Delivery, asked_at: datetime) -> None:
        give_up_at = monotonic() + SETTLE_SECONDS
        while True:
            try:
                # A refusal is of the moment it was asked for: what the fan has done since is not what it is about.
                at = asked_at if delivery.outcome is Outcome.REFUSED else self._clock.now()
                await self._settles.submit((message.id, delivery, at))
            except Unavailable:
                # Saying an end twice is harmless. A retry said twice could reach a later attempt of the same
                # message, so it is said once; unsaid, the message ends as unknown.
                if delivery.outcome is Outcome.RETRY or monotonic() > give_up_at:
                    return
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001  # the lease settles it
                log.error("message not settled", message=message.id, error=type(error).__name__)
                return
            else:
                return


def spaced(delivery: Delivery, attempt: int) -> Delivery:
    """Space the retries of a message further and further apart.

    Nothing but time ends them: when the fan's window closes, the gate refuses the message with that reason.
    """
    if delivery.outcome is not Outcome.RETRY or delivery.whole_account:
        return delivery
    # While an account rests, attempts go up into the thousands, and so far no power can be taken.
    pause = min(2.0 ** min(attempt, 16), LONGEST_RETRY)
    return replace(delivery, retry_after=max(delivery.retry_after or 0.0, pause))


def storable(delivery: Delivery) -> Delivery:
    """Leave out what PostgreSQL would refuse: one bad word of a platform must not unsettle a whole batch."""

    def clean(text: str) -> str:
        return text.replace("\0", "").encode("utf-8", "replace").decode()

    return replace(
        delivery,
        code=delivery.code if delivery.code is not None and abs(delivery.code) < 2**31 else None,
        detail=clean(delivery.detail),
        platform_id=clean(delivery.platform_id) if delivery.platform_id else None,
    )
