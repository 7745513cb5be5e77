"""Silence as it is stored: nothing but its own end lifts it, in whatever order transactions commit."""

import asyncio

import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm import db as scrm_db
from scrm.db import Transaction, transaction
from scrm.outreach import service as outreach
from scrm.outreach.gate import Purpose, Verdict
from scrm.pushes import silence
from scrm.pushes.service import DialogueChange, change_dialogue, dialogue_of
from tests.factories import TEXT, at, happens, make_account, make_follower

STEP = DialogueChange("preferences", "city", {"interest": "新品"}, at(600))
END = DialogueChange(None)


async def running(fan_id: int) -> str | None:
    found = await dialogue_of(fan_id, at(1))
    return found.name if found else None


@pytest.mark.parametrize("change", [STEP, END])
async def test_no_dialogue_replaces_or_ends_it(tx_db: Transaction, change: DialogueChange) -> None:
    fan = await make_follower(await make_account())
    raw = tx_db.connection
    await change_dialogue(raw, fan.id, STEP)
    for _ in range(2):
        await silence.begin(raw, fan.id)
    await change_dialogue(raw, fan.id, change)
    assert (await running(fan.id), await silence.holds(raw, fan.id)) == (silence.PERSON, True)
    await silence.end(raw, fan.id)
    assert (await running(fan.id), await silence.holds(raw, fan.id)) == (None, False)
    # Its end is no end of anything else.
    await change_dialogue(raw, fan.id, STEP)
    await silence.end(raw, fan.id)
    assert await running(fan.id) == "preferences"


async def test_a_step_that_was_stored_meanwhile_does_not_lift_it(db: TortoiseContext) -> None:
    """An answer looked, saw no silence, and stores its dialogue while the taking is being committed."""
    fan = await make_follower(await make_account())
    looked, taken = asyncio.Event(), asyncio.Event()

    async def answers() -> None:
        async with transaction() as tx:
            assert not await silence.holds(tx.connection, fan.id)
            looked.set()
            await taken.wait()
            await change_dialogue(tx.connection, fan.id, STEP)

    async def takes() -> None:
        await looked.wait()
        async with transaction() as tx:
            await silence.begin(tx.connection, fan.id)
        taken.set()

    await asyncio.gather(answers(), takes())
    assert await running(fan.id) == silence.PERSON


async def test_the_gate_stops_answers_and_lets_people_speak(tx_db: Transaction) -> None:
    fan = await make_follower(await make_account())
    await happens(fan, TEXT, at(0))
    body = {"msgtype": "text", "text": {"content": "您好"}}

    async def say(n: int, purpose: Purpose) -> Verdict:
        return await outreach.say(key=key_of("silence", n), fan_id=fan.id, body=body, purpose=purpose, now=at(1))

    await silence.begin(tx_db.connection, fan.id)
    assert await say(1, "answer") == Verdict(False, "with_person")
    assert (await say(2, "service")).allowed
    await silence.end(tx_db.connection, fan.id)
    assert (await say(3, "answer")).allowed
    assert len(await scrm_db.fetch("SELECT 1 FROM outbox")) == 2
