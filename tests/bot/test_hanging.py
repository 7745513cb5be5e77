"""A handler that hangs: its fan is told after a while, and neither the next message nor the recovery waits for ever."""

import asyncio

from bot.isolation import LEASE
from bot.recovery import PATIENCE, resume_abandoned
from bot.replies import Reply
from bot.router import Context
from handlers.fallback import APOLOGY
from kit.clock import ManualClock
from tests.bot.desk import Desk
from tests.bot.house import BRIEF, House


async def _hang(_context: Context) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def test_a_handler_that_hangs_is_given_up_and_the_next_message_answered(house: House, desk: Desk) -> None:
    account = await house.account()
    server = await house.server(desk.router, patience=0.3)
    desk.acts["挂起"] = _hang
    async with asyncio.TaskGroup() as group:
        hung = group.create_task(account.text("oFan", "挂起").to(server))
        await desk.begun("挂起")
        after = group.create_task(account.text("oFan", "在吗").to(server))
    assert hung.result().text == APOLOGY.content
    assert after.result().text == "答在吗"


async def test_recovery_does_not_wait_for_what_it_resumes(own_house: House, desk: Desk, clock: ManualClock) -> None:
    house = own_house
    account = await house.account()
    first = await house.server(desk.router, budget=BRIEF)
    desk.close("慢")
    push = account.text("oFan", "慢")
    await push.to(first)
    await first.die()
    clock.advance(seconds=LEASE.total_seconds() + PATIENCE.total_seconds() + 1)
    mine = (await house.server(desk.router)).services
    async with asyncio.timeout(10):
        started = await resume_abandoned(mine.directory, mine.engine, mine.clock, mine.tasks)
    assert len(started) == 1
    await desk.begun("慢", times=2)
    desk.open("慢")
    await asyncio.wait(started)
    assert (await house.push(push))["state"] == "late"
