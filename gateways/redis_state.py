"""The shared fast state in Redis, for when more than one process or machine serves."""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from kit.guard import check_network_allowed
from kit.state import PREFIX, LockTimeout, StateUnavailable, check_bucket, check_ttl

DELETE_IF = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

# GCRA in microseconds of Redis' own clock, so that machines whose clocks differ agree.
# KEYS[1] holds the moment until which the bucket's places are spoken for.
# ARGV: span of the n places, span of the burst, longest acceptable wait (-1: any).
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
if full_at < now then full_at = now end
full_at = full_at + tonumber(ARGV[1])
local wait = full_at - tonumber(ARGV[2]) - now
if wait < 0 then wait = 0 end
local longest = tonumber(ARGV[3])
if longest < 0 or wait <= longest then
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
end
return string.format('%.0f', wait)
"""


class RedisState:
    """Satisfies `kit.state.SharedState` on one Redis (or Redis-compatible) server.

    `url` is redis://, rediss:// or unix://; `timeout` in seconds bounds connecting, every command, and waiting
    for a free connection. Commands are never repeated on their own: repeating SET NX after a lost answer would
    report our own value as somebody else's.
    """

    def __init__(self, url: str, timeout: float = 1.0, max_connections: int = 16) -> None:
        self._timeout = timeout
        self._redis = Redis.from_pool(
            BlockingConnectionPool.from_url(
                url,
                max_connections=max_connections,
                timeout=timeout,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                decode_responses=True,
                retry=Retry(NoBackoff(), 0),
                # With these on, redis-py 8.1 hands out connections that the server has closed meanwhile, and
                # every one of the pool fails one command after a restart of Redis.
                maint_notifications_config=MaintNotificationsConfig(enabled=False),
            )
        )
        self._delete_if = self._redis.register_script(DELETE_IF)
        self._take = self._redis.register_script(TAKE)

    async def get(self, key: str) -> str | None:
        """Return the live value of `key`, or None."""
        with self._asking() as redis:
            value: str | None = await redis.get(PREFIX + key)  # type: ignore[assignment]  # decode_responses is on
            return value

    async def set(self, key: str, value: str, ttl: float | None = None) -> None:
        """Store `value` for `ttl` seconds, or for ever."""
        check_ttl(ttl)
        with self._asking() as redis:
            await redis.set(PREFIX + key, value, px=_milliseconds(ttl))

    async def set_if_absent(self, key: str, value: str, ttl: float | None = None) -> bool:
        """Store `value` only where no live value is; say whether it was stored."""
        check_ttl(ttl)
        with self._asking() as redis:
            return bool(await redis.set(PREFIX + key, value, px=_milliseconds(ttl), nx=True))

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        with self._asking() as redis:
            await redis.delete(PREFIX + key)

    async def delete_if(self, key: str, value: str) -> bool:
        """Forget `key` only while it still holds `value`."""
        with self._asking():
            return bool(await self._delete_if(keys=[PREFIX + key], args=[value]))

    @asynccontextmanager
    async def lock(self, name: str, ttl: float, wait: float) -> AsyncIterator[None]:
        """Hold a lock between processes; waiters look again every 5 to 50 milliseconds."""
        key, token = f"lock:{name}", secrets.token_hex(16)
        give_up_at = time.monotonic() + wait
        pause = 0.005
        try:
            while not await self.set_if_absent(key, token, ttl):
                left = give_up_at - time.monotonic()
                if left <= 0:
                    raise LockTimeout(name)
                await asyncio.sleep(min(pause, left))
                pause = min(pause * 2, 0.05)
            yield
        finally:
            # Also after a failed or cancelled attempt, whose SET may have arrived. Where Redis is gone the
            # lock opens by its own expiry, and what the holder did stays done.
            with suppress(StateUnavailable):
                await self.delete_if(key, token)

    async def take(
        self, bucket: str, rate_per_second: float, burst: int, n: int = 1, max_wait: float = math.inf
    ) -> float:
        """Reserve `n` places in a rate bucket and return the seconds to wait before acting."""
        check_bucket(rate_per_second, burst, n)
        place = 1_000_000 / rate_per_second
        longest = -1 if math.isinf(max_wait) else round(max_wait * 1_000_000)
        args = [round(n * place), round(burst * place), longest]
        with self._asking():
            return int(await self._take(keys=[f"{PREFIX}rate:{bucket}"], args=args)) / 1_000_000

    async def publish(self, channel: str, message: str) -> None:
        """Hand `message` to whoever listens right now."""
        with self._asking() as redis:
            await redis.publish(PREFIX + channel, message)

    @asynccontextmanager
    async def subscribe(self, *channels: str) -> AsyncIterator[AsyncIterator[str]]:
        """Listen to channels; the iteration raises StateUnavailable when the connection is lost."""
        if not channels:
            raise ValueError("channels: at least one")
        pubsub = self._redis.pubsub()
        try:
            with self._asking():
                await pubsub.subscribe(*[PREFIX + channel for channel in channels])
                for _ in channels:  # Redis confirms each; from then on nothing is missed
                    if await pubsub.get_message(timeout=self._timeout) is None:
                        raise StateUnavailable("subscription not confirmed in time")
            yield _messages(pubsub)
        finally:
            with suppress(RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis leaves it bare

    async def ping(self) -> None:
        """Return when Redis answers."""
        with self._asking() as redis:
            await redis.ping()

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()

    @contextmanager
    def _asking(self) -> Iterator[Redis]:
        check_network_allowed("redis")
        with _fence():
            yield self._redis


async def _messages(pubsub: PubSub) -> AsyncIterator[str]:
    while True:
        with _fence():
            message: dict[str, Any] | None = await pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
        if message is not None:
            yield message["data"]


@contextmanager
def _fence() -> Iterator[None]:
    """Turn the errors of Redis into StateUnavailable, and give back a cancellation that redis-py has lost.

    It writes by asyncio.wait_for, which in Python 3.11 loses one that arrives together with what it waits for:
    a task cancelled just then would go on, and whoever awaits its end would wait for ever.
    """
    task = asyncio.current_task()
    cancelled_before = task.cancelling() if task else 0
    try:
        yield
    except (RedisError, OSError) as error:
        raise StateUnavailable(f"redis: {type(error).__name__}") from None
    finally:
        if task and task.cancelling() > cancelled_before:
            raise asyncio.CancelledError


def _milliseconds(ttl: float | None) -> int | None:
    return None if ttl is None else max(1, round(ttl * 1000))
