"""Delivers customer-service messages for the door out, and says in outreach's words how each attempt ended."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, time, timedelta
from typing import Any

import structlog

from gateways.wechat.clients import WeChatClients
from gateways.wechat.errors import Action, Ambiguous, Rejected, Unreachable, WeChatError, WeChatFailure, policy
from gateways.wechat.transport import field
from kit.clock import SHANGHAI
from kit.delivery import Delivery, Outcome, Sender
from kit.memory_state import MemoryState
from kit.state import SharedState, StateUnavailable

log = structlog.get_logger(__name__)

PASSING = 5.0  # seconds until a retry after passing trouble
MINUTE = 60.0
MENDING = 30.0  # seconds until an account is tried again that waits for somebody to act
ALERT_AGAIN = timedelta(minutes=10)
# For so long it is remembered that an account rested, and that nothing has gone through since, seconds.
REMEMBERED = 24 * 3600.0
# Whoever probes an account has its answer within this, or another one probes, seconds: more than a delivery may take.
PROBE = 20.0
ASKED_AGAIN = 1.0  # seconds until the others ask whether the probe went through
PROBED = " probed"  # in the state, after the moment until which an account rests: one message first, then all

_OUTCOMES = {
    Action.RETRY_LATER: Outcome.RETRY,
    Action.REFRESH_TOKEN: Outcome.RETRY,
    Action.QUOTA_DAY: Outcome.RETRY,
    Action.QUOTA_MINUTE: Outcome.RETRY,
    Action.USER_REFUSED: Outcome.REFUSED,
    Action.WINDOW_CLOSED: Outcome.REFUSED,
    Action.ALERT: Outcome.RETRY,
    Action.CONTENT: Outcome.FAILED,
    Action.FATAL: Outcome.FAILED,
    Action.ALREADY_DONE: Outcome.SENT,
}
# After these nobody sends for the account for a while.
_STOPPING = frozenset({Action.QUOTA_DAY, Action.QUOTA_MINUTE, Action.ALERT})
# These are about the message or its fan: the account itself is let through.
_THROUGH = frozenset({Outcome.SENT, Outcome.REFUSED, Outcome.FAILED})


class WeChatMessenger:
    """Satisfies `scrm.outreach.ports.Messenger`.

    `rate` messages a second per account on average and `burst` at once, over all processes; `admit` waits up
    to `patience` seconds for a place and says how long beyond that. `mending` is how long an account rests after a
    refusal that only a person can mend, seconds. When it is due again one message probes it, of all processes that
    share the state; the others follow when WeChat has let that one through.
    """

    def __init__(
        self,
        clients: WeChatClients,
        *,
        rate: float = 50.0,
        burst: int = 50,
        patience: float = 2.0,
        mending: float = MENDING,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clients = clients
        self._rate = rate
        self._burst = burst
        self._patience = patience
        self._mending = mending
        self._sleep = sleep
        self._quiet_until: dict[tuple[int, int], datetime] = {}  # by account and errcode
        self._alone = MemoryState()  # keeps this process to the rate while the shared state is away
        self._probes: dict[int, str] = {}  # what this process probes, by account: its mark in the state

    async def admit(self, sender: Sender) -> float:
        """Take a place under the account's rate, waiting for it a little; else return the seconds until one is free.

        While a quota is spent that is until its end: a minute, or midnight in Shanghai. While somebody has to mend the
        account, it is until the next try. A rested account has one place, whose message has to be delivered next,
        until that went through.
        """
        try:
            return await self._admit(self._clients.state, sender)
        except StateUnavailable:
            return await self._admit(self._alone, sender)

    async def _admit(self, state: SharedState, sender: Sender) -> float:
        word = await state.get(_stopped(sender)) or ""
        if (stopped := self._left(word)) > 0:
            return stopped
        probed = word.endswith(PROBED)
        if probed:
            probe = secrets.token_hex(8)
            if not await state.set_if_absent(_probing(sender), probe, ttl=PROBE):
                return ASKED_AGAIN
            self._probes[sender.account_id] = probe
        wait = await state.take(f"wechat:send:{sender.account_id}", self._rate, self._burst, max_wait=self._patience)
        if wait > self._patience:
            if probed:
                await self._leave(sender)
            return wait
        if wait > 0:
            await self._sleep(wait)
        return 0.0

    async def deliver(self, sender: Sender, openid: str, message: Mapping[str, Any]) -> Delivery:
        """Send `message` (a customer-service body without `touser`) once, with a place taken before."""
        delivery = await self._deliver(sender, openid, message)
        if sender.account_id in self._probes:
            if delivery.outcome in _THROUGH:
                await self._go_on(sender)
            else:
                await self._stop(sender, delivery.retry_after or PASSING, PROBED)
            await self._leave(sender)
        return delivery

    async def _deliver(self, sender: Sender, openid: str, message: Mapping[str, Any]) -> Delivery:
        try:
            answer = await self._clients.for_account(sender).kf.send(openid, message)
            field(answer, "errcode", int)
        except WeChatError as error:
            return await self._refusal(sender, error)
        except WeChatFailure as failure:
            return _no_answer(failure)
        return Delivery(Outcome.SENT, code=0, platform_id=str(answer["msgid"]) if "msgid" in answer else None)

    async def _refusal(self, sender: Sender, error: WeChatError) -> Delivery:
        action = policy(error.errcode)
        outcome = _OUTCOMES[action]
        if action is Action.ALERT:
            self._alert(sender, error.errcode)
        retry_after = None
        if action is Action.QUOTA_DAY:
            retry_after = until_midnight(self._clients.clock.now())
        elif outcome is Outcome.RETRY:
            retry_after = {Action.RETRY_LATER: PASSING, Action.ALERT: self._mending}.get(action, MINUTE)
        if retry_after is not None and action in _STOPPING:
            await self._stop(sender, retry_after, PROBED if action is Action.ALERT else "")
        return Delivery(outcome, error.errcode, error.errmsg, retry_after, whole_account=action is Action.ALERT)

    def _alert(self, sender: Sender, errcode: int) -> None:
        """Call somebody to act, in the log of each process only now and then: messages may come in thousands."""
        self._clients.observer.on_alert(sender.account_id, errcode)
        now, told = self._clients.clock.now(), (sender.account_id, errcode)
        if now >= self._quiet_until.get(told, now):
            self._quiet_until[told] = now + ALERT_AGAIN
            log.error("WeChat refuses until somebody acts", account=sender.account_id, errcode=errcode)

    async def _stop(self, sender: Sender, seconds: float, then: str) -> None:
        """Let nobody ask for the account meanwhile: every refused call counts too. `then`: PROBED, or all at once."""
        until = self._clients.clock.now().timestamp() + seconds
        ttl = seconds + (REMEMBERED if then == PROBED else 0)
        for state in (self._alone, self._clients.state):
            with suppress(StateUnavailable):
                # What was under way when the day was over may still be told of the minute.
                if self._left(await state.get(_stopped(sender)) or "") < seconds:
                    await state.set(_stopped(sender), f"{until}{then}", ttl=ttl)

    async def _go_on(self, sender: Sender) -> None:
        """Let everybody send for the account again."""
        for state in (self._alone, self._clients.state):
            with suppress(StateUnavailable):
                await state.delete(_stopped(sender))

    async def _leave(self, sender: Sender) -> None:
        """End this process's probe, so that the next one need not wait for its time."""
        probe = self._probes.pop(sender.account_id, "")
        for state in (self._alone, self._clients.state):
            with suppress(StateUnavailable):
                await state.delete_if(_probing(sender), probe)

    def _left(self, word: str) -> float:
        until = word.removesuffix(PROBED)
        return max(float(until) - self._clients.clock.now().timestamp(), 0.0) if until else 0.0


def _no_answer(failure: WeChatFailure) -> Delivery:
    match failure:
        case Unreachable():
            return Delivery(Outcome.RETRY, detail=str(failure), retry_after=PASSING)
        case Rejected():
            return Delivery(Outcome.RETRY, detail=str(failure), retry_after=MINUTE)
        case Ambiguous():
            return Delivery(Outcome.UNKNOWN, detail=str(failure))
        case _:
            raise AssertionError(failure)


def _stopped(sender: Sender) -> str:
    # Not "stopped", whose value processes of the version before read as a bare number, also while they are replaced.
    return f"wechat:resting:{sender.account_id}:custom/send"


def _probing(sender: Sender) -> str:
    return f"wechat:probing:{sender.account_id}:custom/send"


def until_midnight(now: datetime) -> float:
    """Return the seconds until the day ends in Shanghai, where WeChat's daily quotas are counted."""
    tomorrow = now.astimezone(SHANGHAI).date() + timedelta(days=1)
    return (datetime.combine(tomorrow, time(), SHANGHAI) - now).total_seconds()
