"""Workers are killed again and again while they sweep the service desk: everything is done, and done once."""

import asyncio
import random
import sys
from collections import Counter

import pytest
from tortoise.context import TortoiseContext

from scrm.conversations import desk, service
from scrm.conversations.shifts import ShiftView
from scrm.db import fetch
from tests.conversations.office import open_office
from tests.e2e.processes import ROOT
from tests.factories import at

pytestmark = pytest.mark.e2e
EACH = 60
DAY = 24 * 3600


async def start(url: str, when: float) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.e2e.sweeping_process",
        url,
        at(when).isoformat(),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )


async def test_kill_in_the_middle_of_sweeps(db: TortoiseContext, database_url: str) -> None:
    office = await open_office()
    gone = await office.seat(0)
    # Answered and quiet for a day: to be closed, with a closing message each.
    idle = []
    for _ in range(EACH):
        fan = await office.fan("人工")
        conversation = (await office.asks(fan)).conversation_id
        await service.pull(conversation_id=conversation, brand_id=office.brand, staff_id=gone, now=at(1))
        assert (await office.says(conversation, gone, when=2)).allowed
        idle.append(conversation)
    # Promised for the afternoon, never answered, their owner gone: to be taken back, alarmed, counted as broken.
    await desk.set_shifts(brand_id=office.brand, staff_id=gone, shifts=[ShiftView(gone, "daily", 14 * 60, 18 * 60)])
    owed = []
    for _ in range(EACH):
        conversation = (await office.asks(await office.fan("人工", when=3), 3)).conversation_id
        await service.pull(conversation_id=conversation, brand_id=office.brand, staff_id=gone, now=at(4))
        owed.append(conversation)
    # Put off until an hour ago.
    asleep = owed[::3]
    for conversation in asleep:
        await service.snooze(
            conversation_id=conversation, brand_id=office.brand, staff_id=gone, until=at(DAY), now=at(5)
        )
    # Two who come to work when all that falls due: the day after, at half past two.
    now = DAY + 3 * 3600
    back = []
    for _ in range(2):
        staff = await office.seat(20, now=at(now))
        await desk.set_shifts(
            brand_id=office.brand, staff_id=staff, shifts=[ShiftView(staff, "daily", 14 * 60, 18 * 60)]
        )
        back.append(staff)

    chance, killed = random.Random(9), 0
    for _ in range(12):
        doomed = [await start(database_url, now) for _ in range(2)]
        assert doomed[0].stdout is not None
        for _ in range(chance.randint(1, 2)):
            await doomed[0].stdout.readline()
        for process in doomed:
            if process.returncode is None:
                process.kill()
                killed += 1
            await process.wait()
    survivor = await start(database_url, now)
    assert await survivor.wait() == 0
    assert killed >= 12, "they were to be killed in the middle"

    rows = {row["id"]: row for row in await fetch("SELECT * FROM conversation")}
    assert {rows[c]["state"] for c in idle} == {"closed"}
    assert Counter(rows[c]["staff_id"] for c in owed) == {back[0]: 20, back[1]: 20, None: EACH - 40}
    assert {rows[c]["promise_broken_at"] for c in owed} == {at(now)}
    counted = Counter(
        (row["conversation_id"], row["kind"])
        for row in await fetch("SELECT conversation_id, kind FROM conversation_change")
    )
    for conversation in idle:
        assert (counted[conversation, "closed"], counted[conversation, "overdue"]) == (1, 0)
    for conversation in owed:
        once = {
            kind: counted[conversation, kind] for kind in ("requeued", "overdue", "promise_risked", "promise_broken")
        }
        assert set(once.values()) == {1}
        assert counted[conversation, "woken"] == (conversation in asleep)
        # By hand before, and now by the clock if there was room.
        assert counted[conversation, "assigned"] == (1 if rows[conversation]["staff_id"] is None else 2)
    messages = await fetch("SELECT conversation_id FROM conversation_message WHERE kind = 'closing'")
    assert sorted(row["conversation_id"] for row in messages) == idle
    (events,) = await fetch("SELECT count(*) AS n FROM event WHERE kind LIKE 'conversation.%'")
    assert events["n"] == sum(counted.values())
