"""What is live in the inbox: at once, only to whom it concerns, across processes, after a gap, for the slow."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from console.live import wanted
from console.surface import COOKIE
from scrm import db as scrm_db
from scrm.conversations.changes import CHANNEL
from scrm.conversations.watching import sweep
from tests.bot.house import until
from tests.console.conftest import Browser, Office, open_office
from tests.console.shop import Shop, open_shop, text
from web.hub import Hub, Notice


@pytest.fixture
async def shop(office: Office) -> Shop:
    """A brand with an account."""
    return await open_shop(office)


class Stream:
    """A browser's stream: its events, one after the other."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.last_id = ""

    async def next(self, *, beats: bool = False) -> tuple[str, dict[str, Any]]:
        """Return the next event and its data; beats only when asked for."""
        name = ""
        async with asyncio.timeout(5):
            while True:
                line = (await self._answer.content.readline()).decode().rstrip("\n")
                key, _, value = line.partition(": ")
                if key == "id":
                    self.last_id = value
                elif key == "event":
                    name = value
                elif key == "data" and (beats or name != "beat"):
                    return name, json.loads(value)

    async def kinds(self, count: int) -> list[str]:
        """Return the kinds of the next events; `resync` is one by itself."""
        found = [await self.next() for _ in range(count)]
        return [data["kind"] if name == "happened" else name for name, data in found]


@asynccontextmanager
async def watching(browser: Browser, brand: int, last: str = "") -> AsyncIterator[Stream]:
    """Listen as a browser does; begun when the first beat has come."""
    headers = {"Cookie": f"{COOKIE}={browser.cookie}"} | ({"Last-Event-ID": last} if last else {})
    url = f"{browser.office.address}/live?brand={brand}"
    async with browser.office.http.get(url, headers=headers) as answer:
        assert answer.status == 200
        stream = Stream(answer)
        assert (await stream.next(beats=True))[0] == "beat"
        yield stream


async def test_a_fans_message_is_there_at_once_for_whom_it_concerns(shop: Shop) -> None:
    agent, other, boss = await shop.agent(), await shop.agent(), await shop.agent("supervisor")
    await connected(shop.office)
    async with (
        watching(agent, shop.brand) as mine,
        watching(other, shop.brand) as theirs,
        watching(boss, shop.brand) as everything,
    ):
        await shop.waiting()
        for stream in (mine, theirs, everything):
            assert await stream.kinds(2) == ["opened", "handed_over"]
        await agent.post("/inbox/presence", {"brand": shop.brand})
        assert await mine.kinds(1) == ["assigned"]
        assert await everything.kinds(1) == ["assigned"]
        (row,) = await shop.office.rows("SELECT id FROM conversation ORDER BY id DESC LIMIT 1")
        assert (await agent.post(f"/inbox/{row['id']}/messages", text("您好"))).status == 200
        assert await mine.kinds(1) == ["message"]
        assert await everything.kinds(1) == ["message"]
        await boss.post(f"/inbox/{row['id']}/typing")
        assert await mine.next() == (
            "happened",
            {
                "conversation": row["id"],
                "kind": "typing",
                "state": "staff",
                "staff_id": await agent.me(),
                "name": (await boss.get("/me")).body["name"],
            },
        )
        # The colleague heard nothing of all that, but hears of the next who waits.
        await shop.waiting("第二位")
        found = await theirs.next()
        assert (found[0], found[1]["kind"], found[1]["conversation"]) == ("happened", "opened", row["id"] + 1)


HUBS = """
FROM pg_stat_activity
WHERE application_name = 'fensi hub' AND datname = current_database() AND query LIKE 'LISTEN%'
"""


async def connected(office: Office, count: int = 1) -> None:
    """Wait until so many processes listen."""

    async def all_listen() -> bool:
        return len(await office.rows(f"SELECT 1 {HUBS}")) >= count

    await until(all_listen)


def test_who_is_told_what() -> None:
    heard = {"brand": 1, "conversation": 5, "kind": "message", "state": "staff", "staff": 7, "named": [8]}

    def told(staff_id: int, *, brand: int = 1, supervises: bool = False, **more: Any) -> bool:
        return wanted(heard | more, brand_id=brand, staff_id=staff_id, supervises=supervises)

    assert [told(one) for one in (7, 8, 9)] == [True, True, False]
    assert told(9, supervises=True)
    assert told(9, state="waiting", staff=None)
    assert not told(7, brand=2)
    assert not told(7, brand=2, supervises=True)
    assert not told(7, by=7)


async def test_two_brands_hear_nothing_of_each_other(shop: Shop) -> None:
    stranger = await shop.office.signed_in("admin", [shop.office.brands[1]])
    refused = await stranger.get(f"/live?brand={shop.brand}")
    assert refused.said == (404, "not_found")
    await connected(shop.office)
    async with watching(stranger, shop.office.brands[1]) as stream:
        await shop.waiting()
        told = {"brand": shop.office.brands[1], "conversation": 1, "kind": "message", "state": "waiting"}
        await scrm_db.fetch("SELECT pg_notify($1, $2)", CHANNEL, json.dumps(told))
        assert (await stream.next())[1]["conversation"] == 1


async def test_a_second_process_hears_what_the_first_one_did(office: Office) -> None:
    second, server = await open_office(office.house, office.http, office.clock)
    try:
        shop = await open_shop(office)
        boss = await shop.agent("supervisor")
        elsewhere = second.browser()
        elsewhere.cookie, elsewhere.csrf = boss.cookie, boss.csrf
        await connected(office, 2)
        async with watching(boss, shop.brand) as here, watching(elsewhere, shop.brand) as there:
            _, conversation = await shop.waiting()
            assert await here.kinds(2) == await there.kinds(2) == ["opened", "handed_over"]
            await elsewhere.post("/inbox/presence", {"brand": shop.brand})
            assert await here.kinds(1) == await there.kinds(1) == ["assigned"]
            await elsewhere.post(f"/inbox/{conversation}/messages", text("您好"))
            assert await here.kinds(1) == ["message"]
    finally:
        await server.close()


async def test_who_comes_back_goes_on_and_who_comes_from_elsewhere_reads_anew(shop: Shop) -> None:
    boss = await shop.agent("supervisor")
    await connected(shop.office)
    async with watching(boss, shop.brand) as stream:
        await shop.waiting()
        assert await stream.kinds(2) == ["opened", "handed_over"]
        last = stream.last_id
    await shop.waiting("第二位")
    async with watching(boss, shop.brand, last) as stream:
        assert await stream.kinds(2) == ["opened", "handed_over"]
    async with watching(boss, shop.brand, "0badcafe-3") as stream:
        assert await stream.kinds(1) == ["resync"]


async def test_a_lost_connection_comes_back_and_says_so(shop: Shop) -> None:
    boss = await shop.agent("supervisor")
    await connected(shop.office)
    async with watching(boss, shop.brand) as stream:
        cut = f"SELECT pg_terminate_backend(pid) {HUBS}"
        await shop.office.rows(cut)
        assert await stream.kinds(1) == ["resync"]
        await shop.waiting()
        assert await stream.kinds(2) == ["opened", "handed_over"]


async def test_a_slow_reader_is_told_to_read_anew_and_costs_no_more_than_its_queue() -> None:
    hub = Hub("postgresql://nobody@127.0.0.1:9/none", (CHANNEL,))
    with hub.listening(lambda heard: heard["brand"] == 1, limit=3) as slow, hub.listening(lambda _: True) as quick:
        for n in range(5):
            hub._hear(None, 0, CHANNEL, json.dumps({"brand": 1, "n": n}))
            hub._hear(None, 0, CHANNEL, json.dumps({"brand": 2, "n": n}))
        hub._hear(None, 0, CHANNEL, "not json")
        hub._hear(None, 0, CHANNEL, "[1]")
        # Three were queued; the fourth made it one word, the fifth follows that.
        first, second = await slow.next(), await slow.next()
        assert (first.heard, second.heard) == (None, {"brand": 1, "n": 4})
        assert not slow._waiting
        assert [(await quick.next()).heard for _ in range(10)] == [
            {"brand": brand, "n": n} for n in range(5) for brand in (1, 2)
        ]
        assert len(hub) == 2
        number = second.number
    assert len(hub) == 0
    with hub.listening(lambda _: True, since=number) as back:
        assert [one.heard for one in back._waiting] == [{"brand": 2, "n": 4}]
    with hub.listening(lambda _: True, since=f"{hub._epoch}-999") as ahead:
        assert list(ahead._waiting) == [Notice(f"{hub._epoch}-10", None)]


async def test_a_browser_that_is_gone_gives_its_conversations_back(shop: Shop) -> None:
    agent = await shop.agent()
    _, conversation = await shop.waiting()
    await agent.post("/inbox/presence", {"brand": shop.brand})
    async with watching(agent, shop.brand) as stream:
        await connected(shop.office)
        shop.clock.advance(seconds=59)
        await sweep(shop.clock.now())
        assert (await agent.get(f"/inbox/{conversation}")).body["state"] == "staff"
        shop.clock.advance(seconds=2)
        await sweep(shop.clock.now())
        assert (await agent.get(f"/inbox/{conversation}")).body["state"] == "waiting"
        kinds = [(await stream.next())[1]["kind"]]
        while "requeued" not in kinds:
            kinds.append((await stream.next())[1]["kind"])
