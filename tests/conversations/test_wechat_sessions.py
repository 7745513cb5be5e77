"""Sessions of WeChat's own customer service: whether a fan is asked for anew, or had been asked for already."""

from typing import Any

from scrm.conversations import desk, kf, service
from scrm.conversations.reports import report
from scrm.conversations.shifts import ShiftView
from scrm.db import Transaction
from tests.conversations.office import Office, changes, open_office, row
from tests.factories import at

HOUR = 3600
ASKED = ("asked_at", "assigned_at", "first_response_at", "reason")


async def times(conversation: int) -> list[Any]:
    found = await row(conversation)
    return [found[name] for name in ASKED]


async def began(fan_id: int, when: float) -> int:
    return await kf.session_created(fan_id=fan_id, kf_account="test1@gh_fensi", now=at(when))


async def answered(office: Office) -> tuple[Any, int, int]:
    """A fan who asked at 0, was given somebody at once and answered ten seconds later."""
    staff = await office.seat()
    fan = await office.fan("人工")
    conversation = (await office.asks(fan)).conversation_id
    assert (await office.says(conversation, staff, when=10)).allowed
    return fan, conversation, staff


async def test_one_that_finds_the_fan_with_the_bot_asks_anew(tx_db: Transaction) -> None:
    office = await open_office()
    fan, conversation, staff = await answered(office)
    await service.return_to_bot(conversation_id=conversation, brand_id=office.brand, staff_id=staff, now=at(20))
    assert await began(fan.id, HOUR) == conversation
    assert await times(conversation) == [at(HOUR), at(HOUR), None, "wechat"]
    # Said again, and to another of WeChat's desk: the same session.
    assert await began(fan.id, HOUR + 1) == conversation
    await kf.session_switched(fan_id=fan.id, to_kf_account="test2@gh_fensi", now=at(HOUR + 2))
    assert await times(conversation) == [at(HOUR), at(HOUR), None, "wechat"]
    hour = (await report(brands=[office.brand], since=at(0), until=at(2 * HOUR))).by_hour
    assert {clock: (one.asked, one.answered, one.first_response) for clock, one in hour.items()} == {13: (1, 0, None)}


async def test_a_promise_from_before_the_bot_is_not_this_ones(tx_db: Transaction) -> None:
    office = await open_office()
    staff = await office.seat(present=False)
    shift = ShiftView(staff, "daily", 9 * 60, 11 * 60)
    await desk.set_shifts(brand_id=office.brand, staff_id=staff, shifts=[shift])
    fan = await office.fan("人工")
    conversation = (await office.asks(fan)).conversation_id
    assert (await row(conversation))["promised_until"] is not None
    given = {"conversation_id": conversation, "brand_id": office.brand, "staff_id": staff}
    await service.pull(**given, now=at(5))
    await service.return_to_bot(**given, now=at(10))
    await began(fan.id, 60)
    found = await row(conversation)
    assert (found["promised_until"], found["answer_due_at"], found["waiting_since"]) == (None, None, None)


async def test_one_that_takes_who_waits_keeps_the_moment_they_asked(tx_db: Transaction) -> None:
    office = await open_office()
    await desk.use_wechat_desk(account_id=office.account, enabled=True)
    fan = await office.fan("人工")
    conversation = (await office.asks(fan)).conversation_id
    assert await began(fan.id, 30) == conversation
    assert await times(conversation) == [at(0), at(30), None, "asked"]
    total = (await report(brands=[office.brand], since=at(0), until=at(HOUR))).total
    assert (total.asked, total.waiting) == (1, 30.0)


async def test_one_that_takes_the_fan_from_our_desk_goes_on_with_their_asking(tx_db: Transaction) -> None:
    office = await open_office()
    fan, conversation, _ = await answered(office)
    assert await began(fan.id, 60) == conversation
    assert await times(conversation) == [at(0), at(0), at(10), "asked"]
    assert (await changes(conversation))[-1] == ("assigned", "wechat", "wechat")


async def test_one_that_nobody_asked_for_here(tx_db: Transaction) -> None:
    office = await open_office()
    fan = await office.fan("你好")
    conversation = await began(fan.id, 60)
    assert await times(conversation) == [at(60), at(60), None, "wechat"]
    assert await kf.session_closed(fan_id=fan.id, now=at(90))
    # The next session is a conversation of its own.
    assert await began(fan.id, 120) != conversation
