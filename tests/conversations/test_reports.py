"""The service report, number by number, of a small day that was thought out beforehand."""

import pytest

from scrm.conversations import closing, desk, service
from scrm.conversations.reports import BotShare, Promises, report
from scrm.conversations.shifts import ShiftView
from scrm.db import Transaction
from tests.conversations.office import open_office
from tests.factories import at

HOUR, DAY = 3600, 24 * 3600


async def test_a_day(tx_db: Transaction) -> None:
    office, other = await open_office(), await open_office()
    ann, bo = await office.seat(0), await office.seat(0)
    for staff in (ann, bo):
        shift = ShiftView(staff, "daily", 9 * 60, 18 * 60)
        await desk.set_shifts(brand_id=office.brand, staff_id=staff, shifts=[shift])
    await other.asks(await other.fan("人工"))

    async def served(asked: float, waits: float, answers: float, ends: float, staff: int, score: int | None) -> None:
        fan = await office.fan("人工", when=asked)
        conversation = (await office.asks(fan, asked)).conversation_id
        await service.pull(conversation_id=conversation, brand_id=office.brand, staff_id=staff, now=at(asked + waits))
        assert (await office.says(conversation, staff, when=asked + answers)).allowed
        await closing.close(conversation_id=conversation, brand_id=office.brand, staff_id=staff, now=at(asked + ends))
        if score:
            await closing.rate(conversation_id=conversation, score=score, now=at(asked + ends + 1))

    # The clock starts at noon in Shanghai.
    await served(0, 10, 20, 100, ann, 5)
    await served(60, 20, 40, 200, ann, 4)
    await served(HOUR, 30, 90, 600, bo, None)
    # In the evening: promised for 09:30 the next morning, one kept and one broken.
    await served(7 * HOUR, 14 * HOUR, 14 * HOUR + 60, 15 * HOUR, bo, 2)
    await served(7 * HOUR, 14 * HOUR, 15 * HOUR, 16 * HOUR, bo, None)
    # One still waits, one went back to the bot, and two were the bot's from the start, one of them on two days.
    waiting = await office.fan("人工", when=2 * HOUR)
    await office.asks(waiting, 2 * HOUR)
    leaving = await office.fan("人工", when=2 * HOUR)
    await office.asks(leaving, 2 * HOUR)
    await closing.leave_queue(fan_id=leaving.id, now=at(2 * HOUR + 30))
    await office.fan("你好", "几点开门", when=HOUR)
    regular = await office.fan("你好", when=HOUR)
    await office.writes(regular, "又来了", 13 * HOUR)

    told = await report(brand_id=office.brand, since=at(-HOUR), until=at(DAY))
    total = told.total
    assert (total.asked, total.answered, total.closed, total.rated) == (7, 5, 6, 3)
    assert (total.waiting, total.first_response, total.first_response_median) == (20.0, 50.0, 40.0)
    assert total.resolution == pytest.approx((100 + 200 + 600 + 15 * HOUR + 16 * HOUR) / 5)
    assert total.rating == pytest.approx(11 / 3)
    assert told.scores == {2: 1, 4: 1, 5: 1}
    assert told.promises == Promises(given=2, kept=1, broken=1)
    # Days: five served fans, one waiting, one who left, and three of the bot's.
    assert told.bot == BotShare(fan_days=10, by_bot=3)
    assert told.bot.share == 0.3
    assert {hour: figures.asked for hour, figures in told.by_hour.items()} == {12: 2, 13: 1, 14: 2, 19: 2}
    assert (told.by_hour[12].first_response, told.by_hour[19].first_response) == (30.0, None)
    assert sorted(told.by_staff) == [ann, bo]
    assert (told.by_staff[ann].asked, told.by_staff[ann].rating, told.by_staff[ann].resolution) == (2, 4.5, 150.0)
    assert (told.by_staff[bo].asked, told.by_staff[bo].first_response, told.by_staff[bo].rating) == (3, 90.0, 2.0)

    empty = await report(brand_id=office.brand, since=at(-DAY), until=at(-HOUR))
    assert (empty.total.asked, empty.total.first_response, empty.bot.share, empty.by_hour) == (0, None, None, {})
