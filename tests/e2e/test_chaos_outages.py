"""PostgreSQL, Redis and WeChat's API gone for a while: pushes are refused at once or kept, and all recovers alone."""

import asyncio
import os
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from tortoise.context import TortoiseContext

from kit.clock import SystemClock
from kit.ids import key_of
from scrm import db as scrm_db
from scrm.migrate import migrate
from scrm.outreach import service as outreach
from simulator.fan import Pushed, ScriptedFan
from simulator.server import SimulatorServer
from tests.conftest import free_port
from tests.e2e.postgres import Server
from tests.e2e.postgres import server as postgres
from tests.e2e.processes import MANUAL, Fensi, Process, Shop, nothing_open, open_shop, until

pytestmark = pytest.mark.e2e

BUDGET, FROZEN_SECONDS = "2.5", 4.0
NOT_READY = {"status": "not ready", "database": "away"}
AWAY_SECONDS = float(os.environ.get("FENSI_TEST_AWAY_SECONDS", "6"))


async def readiness(server: Process) -> tuple[int, dict[str, str]]:
    """Return what /readyz says."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        session.get(server.url + "/readyz") as response,
    ):
        found: dict[str, str] = await response.json()
        return response.status, found


async def fan_ids(shop: Shop) -> dict[str, int]:
    rows = await scrm_db.fetch("SELECT openid, id FROM fan WHERE account_id = $1", shop.id)
    return {row["openid"]: row["id"] for row in rows}


async def say(shop: Shop, fan: ScriptedFan, text: str) -> None:
    """Put a customer-service message into the outbox."""
    fan_id = (await fan_ids(shop))[fan.openid(shop.account)]
    body = {"msgtype": "text", "text": {"content": text}}
    now = SystemClock().now()
    verdict = await outreach.say(key=key_of(fan_id, text), fan_id=fan_id, body=body, purpose="service", now=now)
    assert verdict.allowed, verdict


async def outbox(shop: Shop) -> Counter[str]:
    rows = await scrm_db.fetch("SELECT state, count(*) FROM outbox WHERE account_id = $1 GROUP BY state", shop.id)
    return Counter({row["state"]: row["count"] for row in rows})


@pytest.mark.timeout(180)
async def test_postgresql_killed_and_back(tmp_path: Path, wechat: SimulatorServer) -> None:
    async with postgres() as database:
        await migrate(database.url)
        fensi = Fensi(tmp_path, database.url, wechat.url)
        try:
            async with scrm_db.database(database.url):
                await survive(database, fensi, wechat)
        except AssertionError as error:
            for process in fensi.processes:
                error.add_note(f"--- {process.name}\n{process.log[-4000:]}")
            raise
        finally:
            await fensi.remove()


async def survive(database: Server, fensi: Fensi, wechat: SimulatorServer) -> None:
    shop = await open_shop(wechat)
    # The simulated WeChat goes on asking, however often it gets no answer.
    wechat.wechat.callbacks.timing.markfail_after = 10**9
    one, two = await fensi.serve(reply_budget=BUDGET), await fensi.serve(reply_budget=BUDGET)
    worker = await fensi.work()
    wechat.wechat.faults.add_callback(times=None, urls=shop.answered_by(one, two))

    receivers = shop.fans(60)
    for push in await asyncio.gather(*(fan.text(shop.account, "营业时间") for fan in receivers)):
        assert push.outcome == "replied"
    wechat.wechat.faults.add_api(path="/cgi-bin/message/custom/send", times=None, delay=0.5)
    messages = [f"消息{n}" for n in range(3)]
    stop = asyncio.Event()
    writers = shop.fans(20)
    load = asyncio.create_task(chatter(shop, writers, stop))
    for text in messages:
        for fan in receivers:
            await say(shop, fan, text)
    await until(lambda: delivered(shop, 70), what="70 messages on their way")

    # Gone: nobody listens.
    await database.kill()
    gone = wechat.world.clock.ms()
    await asyncio.sleep(AWAY_SECONDS / 2)
    assert [await readiness(server) for server in (one, two)] == [(503, {**NOT_READY, "state": "ok"})] * 2
    await asyncio.sleep(AWAY_SECONDS / 2)
    back = wechat.world.clock.ms()
    await database.start()
    await until(lambda: ready(one, two), 5, "both servers are ready again")
    await answered_again(shop)
    # Frozen: connections are open, and nothing answers.
    database.freeze()
    await asyncio.sleep(FROZEN_SECONDS)
    database.thaw()
    await until(lambda: ready(one, two), 5, "both servers are ready again")
    await answered_again(shop)
    stop.set()
    pushed = await load
    await asyncio.sleep(2)  # what is really being sent ends
    await pass_leases()
    await until(nothing_open, 20, "every push and message has ended")
    assert all(process.alive for process in (one, two, worker))

    log = list(wechat.wechat.callbacks.log)
    while_gone = [record for record in log if gone + 200 < record.at - record.ms and record.at < back]
    assert len(while_gone) > 20
    assert {record.status for record in while_gone} == {503}
    assert max(record.ms for record in while_gone) < 1000
    # Never silence, never a 500: WeChat always knew in time.
    assert {record.status for record in log} == {200, 503}
    assert max(record.ms for record in log) < 4000

    rows = await scrm_db.fetch(
        "SELECT payload ->> 'msg_id' AS id, count(*) FROM event WHERE kind = 'wechat.text' GROUP BY 1"
    )
    stored = {row["id"]: row["count"] for row in rows}
    assert set(stored.values()) == {1}
    assert {str(record.body["MsgId"]) for record in log if record.status == 200} <= set(stored)
    # Whoever was answered has heard it, in the reply or by the door out, and nobody heard anything twice.
    sent = {
        row["openid"]: row["count"]
        for row in await scrm_db.fetch(
            "SELECT f.openid, count(*) FROM outbox o JOIN fan f ON f.id = o.fan_id WHERE o.state = 'sent' GROUP BY 1"
        )
    }
    for fan, pushes in zip(writers, pushed, strict=True):
        replied = sum(push.outcome == "replied" for push in pushes)
        assert len(shop.heard(fan)) == replied + sent.get(fan.openid(shop.account), 0)
    told = await scrm_db.fetch(
        "SELECT f.openid, o.body #>> '{text,content}' AS text, o.state FROM outbox o JOIN fan f ON f.id = o.fan_id"
    )
    states = {(row["openid"], row["text"]): row["state"] for row in told}
    for fan in receivers:
        heard = Counter(shop.heard(fan)[1:])
        assert heard <= Counter(messages)
        for text in messages:
            state = states[fan.openid(shop.account), text]
            assert (state, heard[text]) in {("sent", 1), ("unknown", 0), ("unknown", 1)}


async def pass_leases() -> None:
    """Let the leases of what nobody works on any more run out, which would take half a minute."""
    now = SystemClock().now()
    await scrm_db.fetch("UPDATE outbox SET lease_until = $1 WHERE state IN ('claimed', 'sending') RETURNING 1", now)
    long_ago = now - timedelta(minutes=1)
    await scrm_db.fetch("UPDATE push SET lease_until = $1 WHERE state = 'running' RETURNING 1", long_ago)
    await scrm_db.fetch("UPDATE turn SET lease_until = $1 RETURNING 1", long_ago)


async def chatter(shop: Shop, fans: list[ScriptedFan], stop: asyncio.Event) -> list[list[Pushed]]:
    """Let fans write, each a moment after the answer, until told to stop."""
    rng = random.Random(3)

    async def writes(fan: ScriptedFan) -> list[Pushed]:
        pushed = []
        while not stop.is_set():
            pushed.append(await fan.text(shop.account, rng.choice(["营业时间", "兴趣", "退出"])))
            await asyncio.sleep(rng.random() * 0.4)
        return pushed

    return await asyncio.gather(*map(writes, fans))


async def answered_again(shop: Shop) -> None:
    """Wait until a push that comes after now is answered."""
    now = shop.wechat.world.clock.ms()

    async def answered() -> bool:
        return any(record.status == 200 and record.at > now for record in shop.wechat.wechat.callbacks.log)

    await until(answered, 5, "a push is answered again")


async def delivered(shop: Shop, count: int) -> bool:
    return shop.sends() >= count


async def ready(*servers: Process) -> bool:
    return [(await readiness(server))[0] for server in servers] == [200] * len(servers)


class RedisServer:
    """A Redis of one test alone, to be killed and started again; it keeps nothing."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._arguments = [
            binary,
            "--port",
            str(free_port()),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(folder),
        ]
        self.url = f"redis://127.0.0.1:{self._arguments[2]}/0"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(*self._arguments, stdout=asyncio.subprocess.DEVNULL)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[RedisServer]:
    """Run a Redis while the block runs; skips where none is installed."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on the PATH")
    made = RedisServer(binary, folder)
    await made.start()
    try:
        yield made
    finally:
        await made.kill()


async def test_redis_killed_and_back(
    db: TortoiseContext, tmp_path: Path, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_shop(wechat)
    tokens = "/cgi-bin/stable_token"

    async def fetched() -> int:
        return sum(1 for call in wechat.wechat.quotas.made(tokens))

    async with redis(tmp_path) as state:
        server, worker = await fensi.serve(redis_url=state.url), await fensi.work(redis_url=state.url)
        shop.answered_by(server)
        fan, other = shop.fans(2)

        async def all_is_well(text: str, whom: ScriptedFan) -> None:
            """A reply comes back at once, and what follows it by the door out."""
            before = len(shop.heard(whom))
            pushed = await whom.text(shop.account, "手册")
            assert (pushed.outcome, pushed.attempts) == ("replied", 1), text
            assert pushed.ms < 1000, text
            await until(lambda: heard(shop, whom, before + 2), 30, f"{text}: both parts of the answer")
            assert "".join(shop.heard(whom)[before:]) == MANUAL, text

        await all_is_well("with Redis", fan)
        assert await readiness(server) == (200, {"status": "ok", "database": "ok", "state": "ok"})
        assert await fetched() == 1

        await state.kill()
        await all_is_well("without Redis", fan)
        assert await readiness(server) == (200, {"status": "ok", "database": "ok", "state": "away"})
        wechat.wechat.tokens.revoke(shop.account.appid)
        await all_is_well("without Redis, and with a token that died", other)
        # Else the next message to this fan waits until it is known what became of the last.
        await until(nothing_open, what="nothing is on its way any more")
        # A worker that never saw Redis serves as well.
        await worker.kill()
        await fensi.work(redis_url=state.url)
        await all_is_well("started without Redis", other)
        without = await fetched()

        await state.start()
        await until(lambda: state_is(server, "ok"), 10, "Redis is noticed again")
        await all_is_well("with Redis again", fan)
        await fensi.work(redis_url=state.url)
        await all_is_well("with one more worker", other)
        assert await fetched() <= without + 2
        await until(nothing_open, what="every message has ended")
    assert await outbox(shop) == Counter(sent=6)


async def heard(shop: Shop, fan: ScriptedFan, count: int) -> bool:
    return len(shop.heard(fan)) >= count


async def state_is(server: Process, word: str) -> bool:
    return (await readiness(server))[1]["state"] == word


SEND = "/cgi-bin/message/custom/send"


async def test_wechat_busy_slow_or_cut_off(db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer) -> None:
    """-1 is tried again; after a silence nobody knows, so nobody sends again, and the fan never hears it twice."""
    faults = wechat.wechat.faults
    await fensi.work()
    server = await fensi.serve()
    shops = {name: await open_shop(wechat, name) for name in ("忙", "全忙", "慢", "断前", "断后", "坏")}
    fans = {name: shop.fans(2) for name, shop in shops.items()}
    appids = {name: shop.account.appid for name, shop in shops.items()}
    faults.add_api(path=SEND, appid=appids["忙"], errcode=-1, times=2)
    # For a while nothing works.
    everything = faults.add_api(path="*", appid=appids["全忙"], errcode=-1, times=None)
    # Silent for longer than our ten seconds.
    faults.add_api(path=SEND, appid=appids["慢"], delay=12, times=1)
    faults.add_api(path=SEND, appid=appids["断前"], drop="before", times=1)
    faults.add_api(path=SEND, appid=appids["断后"], drop="after", times=1)
    faults.add_api(path=SEND, appid=appids["坏"], status=500, times=1)
    began = wechat.world.clock.time()
    for name, shop in shops.items():
        shop.answered_by(server)
        for fan in fans[name]:
            assert (await fan.text(shop.account, "手册")).outcome == "replied"
    # Pushes are answered whatever the API does.
    assert wechat.world.clock.time() - began < 5

    async def both_were_refused() -> bool:
        refused = "SELECT count(*) AS n FROM outbox WHERE account_id = $1 AND code = -1"
        return bool((await scrm_db.fetch(refused, shops["全忙"].id))[0]["n"] == 2)

    await until(both_were_refused, what="both messages were refused")
    everything.times = 0
    await until(nothing_open, 25, "every message has ended")

    ends = {name: await outbox(shop) for name, shop in shops.items()}
    once_unknown = Counter(sent=1, unknown=1)
    assert ends == {
        "忙": Counter(sent=2), "全忙": Counter(sent=2),
        "慢": once_unknown, "断前": once_unknown, "断后": once_unknown, "坏": once_unknown,
    }  # fmt: skip
    told = {name: sorted(len(shop.heard(fan)) for fan in fans[name]) for name, shop in shops.items()}
    assert told == {
        "忙": [2, 2], "全忙": [2, 2], "慢": [1, 2], "断前": [1, 2], "断后": [2, 2], "坏": [1, 2]
    }  # fmt: skip
    assert {name: shop.sends() for name, shop in shops.items()} == {
        "忙": 4, "全忙": 2, "慢": 2, "断前": 2, "断后": 2, "坏": 2
    }  # fmt: skip
    rows = await scrm_db.fetch("SELECT detail FROM outbox WHERE state = 'unknown' ORDER BY detail")
    kinds = ["HTTP 500", "ServerDisconnectedError", "ServerDisconnectedError", "TimeoutError"]
    assert [row["detail"] for row in rows] == [f"{SEND}: {kind}" for kind in kinds]
