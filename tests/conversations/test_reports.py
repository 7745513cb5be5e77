"""The service report, number by number, of a small day that was thought out beforehand."""

from datetime import date
from typing import Any

import pytest

from scrm.conversations import closing, desk, service
from scrm.conversations.desk import DeskSettings
from scrm.conversations.reports import BotShare, report
from scrm.conversations.shifts import ShiftView
from scrm.db import Transaction
from tests.conversations.office import Office, open_office
from tests.factories import at, make_account

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

    told = await report(brands=[office.brand], since=at(-HOUR), until=at(DAY))
    total = told.total
    assert (total.asked, total.answered, total.closed, total.rated) == (7, 5, 6, 3)
    assert (total.waiting, total.first_response, total.first_response_median) == (20.0, 50.0, 40.0)
    assert total.resolution == pytest.approx((100 + 200 + 600 + 15 * HOUR + 16 * HOUR) / 5)
    assert total.rating == pytest.approx(11 / 3)
    assert told.scores == {2: 1, 4: 1, 5: 1}
    assert (total.promises, total.promises_kept, total.promises_broken) == (2, 1, 1)
    # Of the three answered in hours the one after 90 s was too late.
    assert (total.answered_in_hours, total.in_time) == (3, 2)
    # Days: five served fans, one waiting, one who left, and three of the bot's.
    assert told.bot == BotShare(fan_days=10, by_bot=3)
    assert told.bot is not None
    assert told.bot.share == 0.3
    assert told.bot_by_day == {date(2026, 3, 9): BotShare(9, 2), date(2026, 3, 10): BotShare(1, 1)}
    assert {hour: figures.asked for hour, figures in told.by_hour.items()} == {12: 2, 13: 1, 14: 2, 19: 2}
    assert (told.by_hour[12].first_response, told.by_hour[19].first_response) == (30.0, None)
    assert sorted(told.by_staff) == [ann, bo]
    assert (told.by_staff[ann].asked, told.by_staff[ann].rating, told.by_staff[ann].resolution) == (2, 4.5, 150.0)
    assert (told.by_staff[bo].asked, told.by_staff[bo].first_response, told.by_staff[bo].rating) == (3, 90.0, 2.0)

    empty = await report(brands=[office.brand], since=at(-DAY), until=at(-HOUR))
    assert (empty.total.asked, empty.total.first_response, empty.bot, empty.by_hour) == (0, None, BotShare(0, 0), {})


async def test_cut_to_an_account_a_skill_or_brands(tx_db: Transaction) -> None:
    office, other = await open_office(), await open_office()
    ann = await office.seat(0, "aftersale")
    second = Office(office.brand, await make_account(brand=await office.name()))
    await desk.set_desk(brand_id=office.brand, settings=DeskSettings(first_response_seconds=10))

    async def served(where: Office, asked: float, answers: float, skill: str = "") -> None:
        fan = await where.fan("人工", when=asked)
        conversation = (await where.asks(fan, asked, skill=skill)).conversation_id
        await service.pull(conversation_id=conversation, brand_id=where.brand, staff_id=ann, now=at(asked + answers))
        assert (await where.says(conversation, ann, when=asked + answers)).allowed

    await served(office, 0, 10)
    await served(office, 60, 20, "aftersale")
    await served(second, DAY, 30, "aftersale")
    await other.asks(await other.fan("人工"), 5)

    async def cut(**by: Any) -> tuple[int, float | None, int, int | None]:
        given: dict[str, Any] = {"brands": [office.brand], "since": at(-HOUR), "until": at(2 * DAY)}
        told = await report(**(given | by))
        total = told.total
        return total.asked, total.first_response, total.in_time, told.bot.fan_days if told.bot else None

    assert await cut() == (3, 20.0, 1, 3)
    assert await cut(account_id=office.account) == (2, 15.0, 1, 2)
    assert await cut(account_id=second.account) == (1, 30.0, 0, 1)
    assert await cut(skill="aftersale") == (2, 25.0, 0, None)
    assert await cut(skill="") == (1, 10.0, 1, None)
    assert await cut(account_id=office.account, skill="aftersale") == (1, 20.0, 0, None)
    assert await cut(brands=[office.brand, other.brand]) == (4, 20.0, 1, 4)
    assert await cut(brands=[]) == (0, None, 0, 0)
    assert await cut(account_id=other.account) == (0, None, 0, 0)
    told = await report(brands=[office.brand], since=at(-HOUR), until=at(2 * DAY))
    assert {day: (one.asked, one.first_response) for day, one in told.by_day.items()} == {
        date(2026, 3, 9): (2, 15.0),
        date(2026, 3, 10): (1, 30.0),
    }


async def test_a_day_begins_at_midnight_in_shanghai(tx_db: Transaction) -> None:
    office = await open_office()
    # The clock starts at noon in Shanghai: a second before midnight, and midnight.
    for moment in (12 * HOUR - 1, 12 * HOUR):
        await office.asks(await office.fan("人工", when=moment), moment)
    told = await report(brands=[office.brand], since=at(0), until=at(DAY))
    assert {day: one.asked for day, one in told.by_day.items()} == {date(2026, 3, 9): 1, date(2026, 3, 10): 1}
    assert {hour: one.asked for hour, one in told.by_hour.items()} == {0: 1, 23: 1}
    first = await report(brands=[office.brand], since=at(0), until=at(12 * HOUR))
    assert (first.total.asked, first.bot) == (1, BotShare(1, 0))
