"""Limits of the members' API over two servers and one Redis, and what happens when that Redis goes away."""

import asyncio
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from tortoise.context import TortoiseContext

from simulator.server import SimulatorServer
from tests.conftest import free_port
from tests.e2e.processes import Fensi, Process, until
from tests.e2e.test_api_storm import open_mini
from web.dispatch import Limits, Rate

pytestmark = pytest.mark.e2e
LIMITS = Limits()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis of this test alone, to be killed: its URL and its process."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on the PATH")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0", process
    process.kill()
    process.wait(10)


@dataclass
class Answers:
    """What came of many requests at once, and how many seconds they took."""

    count: Counter[int]
    waits: set[str]
    seconds: float

    def within(self, rate: Rate, status: int) -> bool:
        """Whether as many came through as one bucket lets through in that time, and the others were told to wait."""
        return rate.burst <= self.count[status] <= rate.burst + rate.per_second * self.seconds + 1


@dataclass
class Asker:
    """Asks both servers in turn."""

    servers: list[Process]
    appid: str
    http: aiohttp.ClientSession

    async def many(
        self, count: int, path: str, *, address: str, token: str = "", method: str = "GET", body: object = None
    ) -> Answers:
        seen: Counter[int] = Counter()
        waits: set[str] = set()
        headers = {"X-Forwarded-For": address, "Authorization": f"Bearer {token}"}

        async def one(n: int) -> None:
            url = f"{self.servers[n % len(self.servers)].url}/api/mp/{self.appid}{path}"
            async with self.http.request(method, url, headers=headers, json=body) as answer:
                seen[answer.status] += 1
                if answer.status == 429:
                    assert (await answer.json())["code"] == "too_many_requests"
                    waits.add(answer.headers["Retry-After"])

        began = time.monotonic()
        await asyncio.gather(*map(one, range(count)))
        return Answers(seen, waits, time.monotonic() - began)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_two_servers_share_the_limits_and_stay_open_without_redis(
    db: TortoiseContext,
    fensi: Fensi,
    wechat: SimulatorServer,
    redis: tuple[str, subprocess.Popen[bytes]],
    http: aiohttp.ClientSession,
) -> None:
    url, process = redis

    async def up() -> bool:
        async with Redis.from_url(url) as probe:
            with suppress(RedisError):
                return bool(await probe.ping())
        return False

    await until(up, what="Redis answers")
    account, _, _ = await open_mini(wechat)
    servers = await asyncio.gather(fensi.serve(redis_url=url), fensi.serve(redis_url=url))
    ask = Asker(list(servers), account.appid, http)
    tokens = []
    for n in range(2):
        code = wechat.fan(f"会员{n}").login_code(account)
        sign_in = f"{servers[n].url}/api/mp/{account.appid}/sign-in"
        async with http.post(sign_in, json={"code": code}) as answer:
            tokens.append((await answer.json())["access_token"])

    mine = await ask.many(100, "/points", address="203.0.113.1", token=tokens[0])
    assert mine.within(LIMITS.member, 200), mine
    assert (set(mine.count), mine.waits) == ({200, 429}, {"1"})
    # Another member, from the same address.
    others = await ask.many(10, "/points", address="203.0.113.1", token=tokens[1])
    assert others.count == {200: 10}

    crowd = await ask.many(1200, "/points", address="203.0.113.2", token="nobody's")
    assert crowd.within(LIMITS.address, 401), crowd
    assert set(crowd.count) == {401, 429}
    elsewhere = await ask.many(10, "/points", address="203.0.113.3", token="nobody's")
    assert elsewhere.count == {401: 10}

    guesses = await ask.many(80, "/sign-in", address="203.0.113.4", method="POST", body={"code": "guessed"})
    assert guesses.within(LIMITS.public, 422), guesses
    assert set(guesses.count) == {422, 429}

    process.kill()
    process.wait(10)
    served = await ask.many(100, "/points", address="203.0.113.1", token=tokens[0])
    assert served.count == {200: 100}
    assert all("rate limits are off" in server.log for server in servers)
