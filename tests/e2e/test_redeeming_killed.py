"""One of two processes is killed in the middle of a redemption storm: nothing is lost, nothing is done twice."""

import asyncio
import sys
from collections import Counter

import pytest
from tortoise.context import TortoiseContext

from scrm.db import fetch
from tests.e2e.processes import ROOT
from tests.factories import value
from tests.gifts.shop import open_shop, stock
from tests.gifts.test_storm import crowd
from tests.points.books import audit

pytestmark = pytest.mark.e2e
FANS, GIFTS, PRICE, WORTH = 400, 250, 10, 12


async def start(url: str, gift_id: int, share: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.e2e.redeeming_process",
        url,
        str(gift_id),
        str(share),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )


async def answers(process: asyncio.subprocess.Process, most: int = FANS) -> dict[int, str]:
    """Read what fans were told, at most so many of them."""
    told: dict[int, str] = {}
    assert process.stdout is not None
    while len(told) < most and (line := await process.stdout.readline()):
        fan, said = line.decode().split()
        told[int(fan)] = said
    return told


async def test_kill_in_a_redemption_storm(db: TortoiseContext, database_url: str) -> None:
    shop = await open_shop()
    fans = await crowd(shop, FANS, worth=WORTH)
    gift = await shop.gift("virtual", stock=GIFTS, price=PRICE, per_person=1)

    doomed, survivor = await start(database_url, gift, 0), await start(database_url, gift, 1)
    before = await answers(doomed, most=30)
    doomed.kill()
    before |= await answers(doomed)  # what it had still said
    await doomed.wait()
    told = await answers(survivor)
    # The phones of those whose process died ask again, with their old keys.
    again = await start(database_url, gift, 0)
    told |= await answers(again)
    assert (await survivor.wait(), await again.wait()) == (0, 0)

    assert 30 <= len(before) < FANS / 2, "it was to be killed in the middle"
    assert set(told) == {fan.id for fan in fans}
    assert {fan: said for fan, said in before.items() if told[fan] != said} == {}
    assert Counter(told.values()) == {"done": GIFTS, "sold_out": FANS - GIFTS}
    rows = await fetch(
        "SELECT r.fan_id, c.id FROM redemption r JOIN gift_code c ON c.redemption_id = r.id AND c.state = 'given'"
    )
    winners = {fan for fan, said in told.items() if said == "done"}
    assert {row["fan_id"] for row in rows} == winners
    assert (len(rows), len({row["id"] for row in rows}), await stock(gift)) == (GIFTS, GIFTS, 0)
    left = {row["holder_id"]: row["balance"] for row in await fetch("SELECT holder_id, balance FROM ledger_balance")}
    assert left == {fan.member_id: WORTH - PRICE if fan.id in winners else WORTH for fan in fans}
    assert await value("SELECT count(*) FROM event WHERE kind = 'gift.redeemed'") == GIFTS
    await audit()
