"""Both implementations of the shared state keep one and the same promise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from gateways.redis_state import RedisState
from kit.guard import NetworkInTransactionError, no_network
from kit.memory_state import MemoryState
from kit.state import LockTimeout, SharedState, StateUnavailable


@pytest.fixture(params=["memory", "redis"])
async def state(request: pytest.FixtureRequest) -> AsyncIterator[SharedState]:
    made: SharedState = (
        MemoryState() if request.param == "memory" else RedisState(request.getfixturevalue("redis_url"), timeout=10)
    )
    yield made
    await made.close()


async def until_gone(state: SharedState, key: str) -> None:
    async with asyncio.timeout(5):
        while True:
            if await state.get(key) is None:
                return
            await asyncio.sleep(0.005)


class TestSharedState:
    async def test_values(self, state: SharedState, unique: str) -> None:
        assert await state.get(unique) is None
        await state.set(unique, "粉丝", ttl=60)
        assert await state.get(unique) == "粉丝"
        assert await state.set_if_absent(unique, "other", ttl=60) is False
        assert await state.delete_if(unique, "other") is False
        assert await state.get(unique) == "粉丝"
        assert await state.delete_if(unique, "粉丝") is True
        assert await state.delete_if(unique, "粉丝") is False
        assert await state.set_if_absent(unique, "new", ttl=60) is True
        await state.delete(unique)
        await state.delete(unique)
        assert await state.get(unique) is None
        await state.ping()

    async def test_a_value_expires_and_its_place_is_free_again(self, state: SharedState, unique: str) -> None:
        await state.set(unique, "short", ttl=0.03)
        await until_gone(state, unique)
        assert await state.set_if_absent(unique, "next", ttl=60) is True
        await state.set(unique, "for ever")
        assert await state.get(unique) == "for ever"
        await state.delete(unique)

    async def test_of_many_at_once_one_is_first(self, state: SharedState, unique: str) -> None:
        won = await asyncio.gather(*[state.set_if_absent(unique, str(i), ttl=60) for i in range(100)])
        assert won.count(True) == 1
        assert await state.get(unique) == str(won.index(True))

    async def test_bad_arguments_name_the_field(self, state: SharedState, unique: str) -> None:
        with pytest.raises(ValueError, match=r"^ttl:"):
            await state.set(unique, "x", ttl=0)
        with pytest.raises(ValueError, match=r"^rate_per_second:"):
            await state.take(unique, 0, 1)
        with pytest.raises(ValueError, match=r"^burst:"):
            await state.take(unique, 1, 0)
        with pytest.raises(ValueError, match=r"^n:"):
            await state.take(unique, 1, 1, n=0)
        with pytest.raises(ValueError, match=r"^channels:"):
            async with state.subscribe():
                pass

    async def test_lock_lets_one_in_at_a_time(self, state: SharedState, unique: str) -> None:
        inside, most, done = 0, 0, 0

        async def work() -> None:
            nonlocal inside, most, done
            async with state.lock(unique, ttl=10, wait=10):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1
                done += 1

        await asyncio.gather(*[work() for _ in range(20)])
        assert (most, done) == (1, 20)

    async def test_lock_that_is_not_free_in_time(self, state: SharedState, unique: str) -> None:
        async with state.lock(unique, ttl=10, wait=0):
            with pytest.raises(LockTimeout):
                async with state.lock(unique, ttl=10, wait=0):
                    pass
            with pytest.raises(LockTimeout):
                async with state.lock(unique, ttl=10, wait=0.02):
                    pass
            async with state.lock(unique + "other", ttl=10, wait=0):
                pass
        async with state.lock(unique, ttl=10, wait=0):
            pass

    async def test_a_holder_that_overstays_does_not_open_its_successors_lock(
        self, state: SharedState, unique: str
    ) -> None:
        first_in, second_in, first_out = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def overstay() -> None:
            async with state.lock(unique, ttl=0.05, wait=0):
                first_in.set()
                await second_in.wait()
            first_out.set()

        async def succeed() -> None:
            await first_in.wait()
            async with state.lock(unique, ttl=10, wait=5):
                second_in.set()
                await first_out.wait()
                with pytest.raises(LockTimeout):
                    async with state.lock(unique, ttl=10, wait=0):
                        pass

        await asyncio.gather(overstay(), succeed())

    async def test_a_cancelled_waiter_leaves_the_lock_usable(self, state: SharedState, unique: str) -> None:
        async with state.lock(unique, ttl=10, wait=0):

            async def wait() -> None:
                async with state.lock(unique, ttl=10, wait=10):
                    pass

            waiter = asyncio.create_task(wait())
            await asyncio.sleep(0.01)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
        async with state.lock(unique, ttl=10, wait=0):
            pass

    async def test_a_cancellation_is_not_lost_at_whatever_moment_it_comes(
        self, state: SharedState, unique: str
    ) -> None:
        """asyncio.wait_for of Python 3.11, which redis-py writes by, loses one that meets the end of the writing."""
        await state.get(unique)  # a connection that is open
        for turns in range(200):
            asking = asyncio.create_task(state.get(unique))
            for _ in range(turns):
                await asyncio.sleep(0)
            if asking.done():
                break
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        assert await state.get(unique) is None

    async def test_lock_opens_when_its_holder_fails(self, state: SharedState, unique: str) -> None:
        with pytest.raises(ZeroDivisionError):
            async with state.lock(unique, ttl=10, wait=0):
                raise ZeroDivisionError
        async with state.lock(unique, ttl=10, wait=0):
            pass

    async def test_rate_bucket_lets_the_burst_through_then_spaces(self, state: SharedState, unique: str) -> None:
        waits = [await state.take(unique, rate_per_second=0.5, burst=3) for _ in range(6)]
        assert waits[:3] == [0.0, 0.0, 0.0]
        assert waits[3:] == [pytest.approx(2, abs=0.5), pytest.approx(4, abs=0.5), pytest.approx(6, abs=0.5)]
        assert await state.take(unique + "other", rate_per_second=0.5, burst=3) == 0.0

    async def test_rate_bucket_takes_several_and_keeps_nothing_beyond_max_wait(
        self, state: SharedState, unique: str
    ) -> None:
        assert await state.take(unique, 0.5, burst=4, n=4) == 0.0
        for _ in range(3):
            assert await state.take(unique, 0.5, burst=4, max_wait=1) == pytest.approx(2, abs=0.5)
        assert await state.take(unique, 0.5, burst=4, max_wait=10) == pytest.approx(2, abs=0.5)
        assert await state.take(unique, 0.5, burst=4, max_wait=10) == pytest.approx(4, abs=0.5)

    async def test_rate_bucket_under_concurrency_gives_out_exactly_the_burst(
        self, state: SharedState, unique: str
    ) -> None:
        waits = await asyncio.gather(*[state.take(unique, 0.01, burst=50, max_wait=0) for _ in range(200)])
        assert waits.count(0.0) == 50

    async def test_listeners_hear_their_channels(self, state: SharedState, unique: str) -> None:
        await state.publish(unique, "before anybody listens")
        async with state.subscribe(unique, unique + "b") as first, state.subscribe(unique) as second:
            await state.publish(unique, "一")
            await state.publish(unique + "b", "2")
            await state.publish(unique, "3")
            async with asyncio.timeout(5):
                assert [await anext(first) for _ in range(3)] == ["一", "2", "3"]
                assert [await anext(second) for _ in range(2)] == ["一", "3"]
        await state.publish(unique, "after everybody left")


class Road:
    """A TCP road to a Redis that can be closed and opened again at the same place."""

    def __init__(self, redis_url: str) -> None:
        self._target = urlsplit(redis_url)
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._travels: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return self._target._replace(netloc=f"127.0.0.1:{self._port}").geturl()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._travel, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._travels)
        await self._server.wait_closed()

    async def _travel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._travels.add(task)
        far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        self._writers -= {writer, far_writer}
        self._travels.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


class TestMemoryState:
    async def test_lock_is_given_in_the_order_of_asking(self) -> None:
        state, order = MemoryState(), list[int]()

        async def work(i: int) -> None:
            async with state.lock("fan", ttl=10, wait=10):
                order.append(i)
                await asyncio.sleep(0)

        await asyncio.gather(*[work(i) for i in range(50)])
        assert order == list(range(50))

    async def test_memory_stays_flat_under_short_lived_keys(self) -> None:
        now = 0.0
        state = MemoryState(monotonic=lambda: now)
        for i in range(10_000):
            now = float(i)
            await state.set(f"k{i}", "x", ttl=10)
            await state.take(f"b{i}", 1, burst=5)
            async with state.lock(f"l{i}", ttl=10, wait=0):
                pass
        assert len(state._values) == 10
        assert len(state._buckets) <= 5
        assert len(state._locks) == 0
        assert len(state._expiries) <= 15


class TestRedisState:
    async def test_two_connections_share_one_lock_and_one_bucket(self, redis_url: str, unique: str) -> None:
        one, two = RedisState(redis_url), RedisState(redis_url)
        async with one.lock(unique, ttl=10, wait=0):
            with pytest.raises(LockTimeout):
                async with two.lock(unique, ttl=10, wait=0.02):
                    pass
        assert await one.take(unique, 0.01, burst=1, max_wait=0) == 0.0
        assert await two.take(unique, 0.01, burst=1, max_wait=0) > 0
        await one.close()
        await two.close()

    async def test_a_dead_redis_surfaces_as_unavailable(self, unused_tcp_port: int) -> None:
        state = RedisState(f"redis://:a-password@127.0.0.1:{unused_tcp_port}/0")
        for attempt in (state.get("k"), state.set_if_absent("k", "v"), state.take("b", 1, 1), state.ping()):
            with pytest.raises(StateUnavailable) as caught:
                await attempt
            assert "a-password" not in str(caught.value)
        with pytest.raises(StateUnavailable):
            async with state.lock("l", ttl=1, wait=1):
                pass
        with pytest.raises(StateUnavailable):
            async with state.subscribe("c"):
                pass
        await state.close()

    async def test_a_redis_that_comes_back_is_used_again(self, redis_url: str, unique: str) -> None:
        road = Road(redis_url)
        await road.open()
        state = RedisState(road.url)
        await asyncio.gather(*[state.set(unique, "kept", ttl=60) for _ in range(8)])
        async with state.subscribe(unique) as listener:
            await road.close()
            with pytest.raises(StateUnavailable):
                await anext(listener)
        for _ in range(10):
            with pytest.raises(StateUnavailable):
                await state.get(unique)
        await road.open()
        assert await asyncio.gather(*[state.get(unique) for _ in range(8)]) == ["kept"] * 8
        await state.close()
        await road.close()

    async def test_a_silent_redis_is_given_up_in_time(self) -> None:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        state = RedisState(f"redis://127.0.0.1:{port}/0", timeout=0.1)
        async with asyncio.timeout(10):
            with pytest.raises(StateUnavailable):
                await state.get("k")
        await state.close()
        server.close()
        await server.wait_closed()

    async def test_never_called_inside_a_transaction(self, redis_url: str) -> None:
        state = RedisState(redis_url)
        with no_network(), pytest.raises(NetworkInTransactionError):
            await state.get("k")
        await state.close()
