"""Whom WeChat refused it would refuse again: we do so first, until an act of theirs opens a window."""

import asyncio
import json

import pytest
from tortoise.context import TortoiseContext

from kit.delivery import Delivery, Outcome
from scrm import db as scrm_db
from scrm.db import Transaction
from scrm.members.queries import FanView
from scrm.outreach import service as outreach
from scrm.outreach.erasing import forget
from scrm.outreach.gate import Verdict
from scrm.outreach.service import Outgoing
from tests.db.door import claim, say, settle, start, states, talking
from tests.factories import CLICK, FOLLOW, TEXT, UNFOLLOW, at, happens, make_account, value


async def refused(fan: FanView, code: int | None, outcome: Outcome = Outcome.REFUSED, key: str = "a") -> None:
    await say(fan, key)
    (item,) = await claim(2)
    assert await start(item, now=2) == [None]
    await settle(item, outcome, 3.5, code=code)


@pytest.mark.parametrize("code", [40003, 43004, 43101, 48002, 50002, 45015, 45047])
@pytest.mark.parametrize("act", [TEXT, CLICK, FOLLOW])
async def test_the_next_message_is_refused_by_us_until_they_act(tx_db: Transaction, code: int, act: str) -> None:
    account = await make_account()
    fan, other = await talking(account), await talking(account)
    await refused(fan, code)
    for now in (4, 60, 40 * 3600):
        assert await say(fan, ("again", now), at(now)) == Verdict(False, f"refused:{code}")
    facts = json.loads(await value("SELECT facts FROM outreach_decision ORDER BY id DESC LIMIT 1"))
    assert (facts["refused"], facts["following"]) == (code, True)
    assert (await say(other, "other", at(4))).allowed
    await happens(fan, act, at(40 * 3600 + 1))
    assert (await say(fan, "acted", at(40 * 3600 + 2))).allowed


async def test_what_waits_is_refused_when_its_turn_comes(tx_db: Transaction) -> None:
    fan = await talking(await make_account())
    for n in ("a", "b", "c"):
        await say(fan, n)
    await refused(fan, 43004)
    (item,) = await claim(4)
    assert await start(item, now=4) == ["refused:43004"]
    await happens(fan, TEXT, at(5))
    (item,) = await claim(6)
    assert await start(item, now=6) == [None]
    assert await states() == [("refused", ""), ("refused", "refused:43004"), ("sending", "")]


@pytest.mark.parametrize(
    ("code", "reason"), [(45015, "refused:45015"), (45047, "refused:45047"), (43004, "window:message")]
)
async def test_a_click_renews_no_grant_of_words(tx_db: Transaction, code: int, reason: str) -> None:
    """Whoever is reached again is reached as before, but what is used up needs an act of its own kind."""
    fan = await talking(await make_account())
    await refused(fan, code)
    await happens(fan, CLICK, at(10))
    assert (await say(fan, "click", at(11))).allowed
    assert (await say(fan, "a minute later", at(75))).reason == reason


async def test_an_act_that_came_before_lifts_nothing_however_its_time_is_rounded(tx_db: Transaction) -> None:
    fan = await talking(await make_account())
    await happens(fan, TEXT, at(3))
    await refused(fan, 45047)
    assert (await say(fan, "before", at(3.8))).reason == "refused:45047"
    # The platform tells whole seconds: this one was written after the refusal, in the same second.
    await happens(fan, TEXT, at(3), recorded=at(3.9))
    assert (await say(fan, "after", at(4))).reason == "window:message"


async def test_a_mark_says_nothing_where_nothing_is_open(tx_db: Transaction) -> None:
    fan = await talking(await make_account())
    await refused(fan, 45015)
    assert (await say(fan, "days later", at(49 * 3600))).reason == "window_closed"
    await happens(fan, UNFOLLOW, at(49 * 3600))
    assert (await say(fan, "gone", at(49 * 3600 + 1))).reason == "not_following"


@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.FAILED, 45002), (Outcome.UNKNOWN, None), (Outcome.REFUSED, None)]
)
async def test_other_ends_mark_nobody(tx_db: Transaction, outcome: Outcome, code: int | None) -> None:
    fan = await talking(await make_account())
    await refused(fan, code, outcome)
    assert (await say(fan, "next", at(4))).allowed


async def test_the_later_of_two_refusals_holds(tx_db: Transaction) -> None:
    fan = await talking(await make_account())
    await refused(fan, 45047)
    await happens(fan, TEXT, at(5))
    await say(fan, "b", at(6))
    (item,) = await claim(6)
    await start(item, now=6)
    await settle(item, Outcome.REFUSED, 7, code=48002)
    assert (await say(fan, "next", at(8))).reason == "refused:48002"


async def test_an_end_that_is_said_twice_marks_once(tx_db: Transaction) -> None:
    """A worker whose words' fate is unknown says them again, and the fan may have acted meanwhile."""
    fan = await talking(await make_account())
    await say(fan, "a")
    (item,) = await claim(2)
    await start(item, now=2)
    await settle(item, Outcome.REFUSED, 3, code=45047)
    await happens(fan, TEXT, at(4))
    await settle(item, Outcome.REFUSED, 5, code=45047)
    assert (await say(fan, "next", at(6))).allowed


async def test_marking_many_meets_erasing_them(db: TortoiseContext) -> None:
    """Both lock fans before messages: neither waits for the other in a circle."""
    account = await make_account()
    fans = [await talking(account) for _ in range(8)]
    for fan in fans:
        await say(fan, fan.id)
    items = await claim(2)
    for item in items:
        await start(item, now=2)

    async def settled(some: list[Outgoing]) -> None:
        async with scrm_db.transaction() as tx:
            await outreach.settle(
                tx.connection, [(item.id, Delivery(Outcome.REFUSED, code=48002), at(3)) for item in some]
            )

    async def forgotten(fan: FanView) -> None:
        async with scrm_db.transaction() as tx:
            await tx.connection.execute("SELECT FROM fan WHERE id = $1 FOR NO KEY UPDATE", fan.id)
            await forget(tx.connection, [fan.id])

    await asyncio.gather(settled(items), settled(items[::-1]), *(forgotten(fan) for fan in fans))
    # Whichever came first of each: none is under way any more, and none was erased without its end.
    assert {state for state, _ in await states()} <= {"refused", "unknown"}
    assert await value("SELECT count(*) FROM outbox WHERE body <> '{}'") == 0
