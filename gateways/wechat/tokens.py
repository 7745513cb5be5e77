"""Access tokens and tickets: fetched once for all processes, replaced only when the platform refuses them.

The token is the *stable* one (POST /cgi-bin/stable_token): fetching it again gives the same token until five
minutes before its end, so even processes that cannot see each other do not kill each other's. Still one fetch
serves everybody: callers in a process share one flight, processes share a lock and the value in SharedState.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from gateways.wechat.errors import Ambiguous, Unreachable, WeChatError, WeChatFailure
from gateways.wechat.transport import field
from kit.clock import Clock, from_epoch, natural_day
from kit.guard import check_network_allowed
from kit.state import LockTimeout, SharedState, StateUnavailable
from kit.tasks import Tasks

log = structlog.get_logger(__name__)

LOCK_TTL = 30.0  # seconds; longer than a fetch with its retries and a forced one after it
LOCK_WAIT = 15.0
FORCED_PER_DAY = 15  # the platform allows 20 a day and one in 30 s; the rest is left to people
FORCED_APART = 31.0  # seconds
LONGEST_LIFE = 86400.0  # seconds; the platform gives two hours


@dataclass(frozen=True, slots=True)
class Credential:
    """A token or ticket and the moment from which we no longer use it."""

    value: str
    use_until: datetime


def credential_in(answer: Mapping[str, Any], name: str) -> tuple[str, float]:
    """Return the credential called `name` that an answer holds, and its seconds. Raises Ambiguous without it."""
    value = field(answer, name, str)
    try:
        seconds = float(answer["expires_in"])
    except (LookupError, TypeError, ValueError, OverflowError):
        seconds = -1.0
    if not seconds >= 0:  # neither is NaN
        raise Ambiguous("the answer lacks 'expires_in'")
    return value, min(seconds, LONGEST_LIFE)


def lifetime(expires_in: float) -> float:
    """Return for how many seconds we use a credential: up to five minutes before its end, or half when short."""
    return expires_in - 300 if expires_in > 600 else expires_in / 2


class Keeper:
    """Keeps one credential of one account, shared by all processes through `state`.

    `fetch(force)` asks the platform and returns the value and its remaining seconds. When `state` is away the
    credential lives in this process alone, and no call fails for that. `may_force` allows a forced refresh, for
    a token that the platform hands out again after refusing it.
    """

    def __init__(
        self,
        key: str,
        fetch: Callable[[bool], Awaitable[tuple[str, float]]],
        *,
        state: SharedState,
        clock: Clock,
        tasks: Tasks,
        may_force: bool = False,
    ) -> None:
        self._key = key
        self._fetch = fetch
        self._state = state
        self._clock = clock
        self._tasks = tasks
        self._may_force = may_force
        self._mine: Credential | None = None
        self._flight: asyncio.Task[Credential | WeChatFailure] | None = None

    async def get(self) -> str:
        """Return a credential that is believed valid. Raises WeChatError or Unreachable when none can be had."""
        return await self._other_than(None)

    async def at_hand(self) -> bool:
        """Whether some process has a credential that counts; the platform is not asked. Raises StateUnavailable."""
        if (mine := self._mine) is not None and self._usable(mine, None):
            return True
        return await self._shared(None) is not None

    async def renew(self, refused: str) -> str:
        """Return another credential than the one the platform has just refused.

        Another worker's newer one is taken over; only otherwise the platform is asked. Raises WeChatError 40001
        when it insists on the refused one, or whatever get raises.
        """
        return await self._other_than(refused)

    async def _other_than(self, refused: str | None) -> str:
        while True:
            if (mine := self._mine) is not None and self._usable(mine, refused):
                return mine.value
            check_network_allowed("wechat")  # here, because the task does not inherit an open transaction
            # A task of its own: a caller that is cancelled does not take the others' fetch with it.
            if self._flight is None:
                self._flight = self._tasks.spawn(self._fly(refused), "wechat credential")
            result = await asyncio.shield(self._flight)
            if isinstance(result, WeChatFailure):
                raise result.with_traceback(None)
            if result.value != refused:
                return result.value

    def _usable(self, credential: Credential, refused: str | None) -> bool:
        return credential.value != refused and self._clock.now() < credential.use_until

    async def _fly(self, refused: str | None) -> Credential | WeChatFailure:
        try:
            self._mine = await self._agreed(refused)
        except Ambiguous as failure:
            # Asking for a token executes nothing that matters: whoever waits for it surely sent nothing.
            return Unreachable(f"no credential: {failure}")
        except WeChatFailure as failure:
            return failure
        else:
            return self._mine
        finally:
            self._flight = None

    async def _agreed(self, refused: str | None) -> Credential:
        """Return the credential that all processes use, after at most one of them has fetched it."""
        fetched: Credential | None = None
        try:
            if (shared := await self._shared(refused)) is not None:
                return shared
            async with self._state.lock(self._key, LOCK_TTL, LOCK_WAIT):
                if (shared := await self._shared(refused)) is not None:
                    return shared
                fetched = await self._fetched(refused, may_force=self._may_force)
                await self._share(fetched)
        except StateUnavailable:
            log.warning("shared state is away: credential kept in this process", key=self._key)
        except LockTimeout:
            log.warning("another process holds the credential lock too long", key=self._key)
        # Without the others' agreement nothing is forced: the budget of forced refreshes is a common one.
        return fetched or await self._fetched(refused, may_force=False)

    async def _shared(self, refused: str | None) -> Credential | None:
        text = await self._state.get(self._key)
        if text is None:
            return None
        kept = json.loads(text)
        credential = Credential(kept["value"], from_epoch(kept["use_until"]))
        return credential if self._usable(credential, refused) else None

    async def _share(self, credential: Credential) -> None:
        left = (credential.use_until - self._clock.now()).total_seconds()
        if left > 0:
            kept = {"value": credential.value, "use_until": int(credential.use_until.timestamp())}
            await self._state.set(self._key, json.dumps(kept), ttl=left)

    async def _fetched(self, refused: str | None, *, may_force: bool) -> Credential:
        value, expires_in = await self._fetch(False)
        if value == refused and may_force and await self._force_granted():
            value, expires_in = await self._fetch(True)
        if value == refused:
            raise WeChatError(40001, "the platform keeps handing out a credential that it refuses")
        return Credential(value, self._clock.now() + timedelta(seconds=lifetime(expires_in)))

    async def _force_granted(self) -> bool:
        """Take one forced refresh from the common budget of the day; the caller holds the lock."""
        day = f"{self._key}:forced:{natural_day(self._clock.now())}"
        used = int(await self._state.get(day) or 0)
        if used >= FORCED_PER_DAY or not await self._state.set_if_absent(f"{self._key}:forced", "1", ttl=FORCED_APART):
            return False
        await self._state.set(day, str(used + 1), ttl=2 * 86400)
        return True
