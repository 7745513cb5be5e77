"""A fan who comes back from the bot asks anew: what was answered, promised and counted before is not this time's."""

from typing import Any

import pytest

from scrm.conversations import desk, service
from scrm.conversations.reports import report
from scrm.conversations.shifts import ShiftView
from scrm.conversations.watching import sweep
from scrm.db import Transaction
from tests.conversations.office import Office, open_office, row
from tests.factories import at

HOUR = 3600


async def served_once(hours: bool = False) -> tuple[Office, int, int, Any]:
    """A fan who was answered at once and went back to the bot; from 14:00 on there is nobody, with `hours`."""
    office = await open_office()
    staff = await office.seat()
    if hours:
        shift = ShiftView(staff, "daily", 9 * 60, 14 * 60)
        await desk.set_shifts(brand_id=office.brand, staff_id=staff, shifts=[shift])
    fan = await office.fan("人工")
    conversation = (await office.asks(fan)).conversation_id
    assert (await office.says(conversation, staff, when=10)).allowed
    await service.return_to_bot(conversation_id=conversation, brand_id=office.brand, staff_id=staff, now=at(20))
    return office, staff, conversation, fan


async def test_a_second_promise_can_be_broken(tx_db: Transaction) -> None:
    office, _, conversation, fan = await served_once(hours=True)
    assert (await office.asks(fan, 3 * HOUR)).conversation_id == conversation
    found = await row(conversation)
    assert found["promised_until"] is not None
    late = (found["promised_until"] - at(0)).total_seconds() + 1
    swept = await sweep(at(late))
    assert (swept.risked, swept.broken) == (1, 1)
    total = (await report(brands=[office.brand], since=at(0), until=at(30 * HOUR))).total
    assert (total.promises, total.promises_kept, total.promises_broken) == (1, 0, 1)
    assert (total.asked, total.answered) == (1, 0)


async def test_the_times_of_the_second_time(tx_db: Transaction) -> None:
    office, staff, conversation, fan = await served_once()
    await desk.heartbeat(staff_id=staff, now=at(HOUR))
    await office.asks(fan, HOUR)
    assert (await office.says(conversation, staff, when=HOUR + 30)).allowed
    total = (await report(brands=[office.brand], since=at(0), until=at(2 * HOUR))).total
    assert (total.asked, total.answered, total.waiting, total.first_response) == (1, 1, 0.0, 30.0)


@pytest.mark.parametrize("promised", [True, False])
async def test_who_is_pulled_from_the_bot_was_promised_nothing(tx_db: Transaction, promised: bool) -> None:
    office, staff, conversation, fan = await served_once(hours=True)
    now = 3 * HOUR
    if promised:
        await office.asks(fan, now)
        await service.pull(conversation_id=conversation, brand_id=office.brand, staff_id=staff, now=at(now))
        await service.return_to_bot(
            conversation_id=conversation, brand_id=office.brand, staff_id=staff, now=at(now + 1)
        )
    await service.pull(conversation_id=conversation, brand_id=office.brand, staff_id=staff, now=at(now + 60))
    found = await row(conversation)
    assert [found[name] for name in ("promised_until", "first_response_at", "promise_broken_at")] == [None] * 3
    assert (found["asked_at"], found["assigned_at"]) == (at(now + 60), at(now + 60))


async def test_a_seat_that_went_to_another_brand_leaves_nobody_behind(tx_db: Transaction) -> None:
    office, elsewhere = await open_office(), await open_office()
    staff, other = await office.seat(), await office.seat(0)
    conversation = (await office.asks(await office.fan("人工"))).conversation_id
    assert (await row(conversation))["staff_id"] == staff
    await desk.set_seat(brand_id=elsewhere.brand, staff_id=staff)
    await desk.set_seat(brand_id=office.brand, staff_id=other, capacity=1)
    swept = await sweep(at(5))
    assert (swept.requeued, swept.assigned) == (1, 1)
    assert (await row(conversation))["staff_id"] == other
