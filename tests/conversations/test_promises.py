"""Outside service hours: what is promised, that it is kept or counted, and that the staff are told in time."""

import pytest

from scrm.conversations import closing, desk
from scrm.conversations.shifts import ShiftView
from scrm.conversations.watching import sweep
from scrm.db import Transaction
from tests.conversations.office import Office, changes, open_office, row, state
from tests.factories import at

# The tests' clock starts on a Monday at noon in Shanghai; service begins at two.
HOUR = 3600
OPENS = 2 * HOUR
PROMISED = OPENS + 1800


async def closed_office() -> tuple[Office, int]:
    office = await open_office()
    staff = await office.seat(now=at(0))
    shift = ShiftView(staff, "workdays", 14 * 60, 18 * 60)
    await desk.set_shifts(brand_id=office.brand, staff_id=staff, shifts=[shift])
    return office, staff


async def test_kept(tx_db: Transaction) -> None:
    office, staff = await closed_office()
    handoff = await office.asks(await office.fan("人工"))
    assert handoff.says == (
        "现在不是人工服务时间，您的问题已记下，客服会在今天 14:30 前回复您。\n"
        "您可以继续留言；回复“机器人”可由智能助手继续为您服务。"
    )
    conversation = handoff.conversation_id
    found = await row(conversation)
    assert (found["state"], found["promised_until"], found["answer_due_at"]) == ("waiting", at(PROMISED), at(PROMISED))
    # Present, but not on duty; and no alarm before the promise is due.
    await desk.heartbeat(staff_id=staff, now=at(OPENS - 1))
    swept = await sweep(at(OPENS - 1))
    assert (swept.assigned, swept.overdue, swept.risked) == (0, 0, 0)
    assert (await sweep(at(OPENS))).assigned == 1
    assert await state(conversation) == ("staff", staff)
    assert (await office.says(conversation, staff, when=PROMISED)).allowed
    await desk.heartbeat(staff_id=staff, now=at(PROMISED))
    swept = await sweep(at(PROMISED + 1))
    assert (swept.broken, swept.risked) == (0, 0)
    assert (await row(conversation))["promise_broken_at"] is None


@pytest.mark.parametrize("answered", [True, False])
async def test_at_risk_then_broken_each_told_once(tx_db: Transaction, answered: bool) -> None:
    office, staff = await closed_office()
    conversation = (await office.asks(await office.fan("人工"))).conversation_id
    assert [(await sweep(at(s))).risked for s in (PROMISED - 601, PROMISED - 600, PROMISED - 1)] == [0, 1, 0]
    await desk.heartbeat(staff_id=staff, now=at(PROMISED))
    assert (await sweep(at(PROMISED))).broken == 0
    if answered:
        # Later than promised, and before anybody looked.
        assert (await office.says(conversation, staff, when=PROMISED + 1)).allowed
    assert [(await sweep(at(PROMISED + s))).broken for s in (1, 2)] == ([0, 0] if answered else [1, 0])
    assert (await row(conversation))["promise_broken_at"] == at(PROMISED + 1)
    assert [c for c in await changes(conversation) if c[0] == "promise_broken"] == [
        ("promise_broken", "clock", "late" if answered else "none")
    ]


async def test_a_fan_who_does_not_wait_was_not_let_down(tx_db: Transaction) -> None:
    office, _ = await closed_office()
    early, late = await office.fan("人工"), await office.fan("人工")
    first, second = [(await office.asks(fan)).conversation_id for fan in (early, late)]
    await closing.leave_queue(fan_id=early.id, now=at(PROMISED))
    await closing.leave_queue(fan_id=late.id, now=at(PROMISED + 1))
    assert (await sweep(at(PROMISED + 2))).broken == 0
    assert ((await row(first))["promise_broken_at"], (await row(second))["promise_broken_at"]) == (
        None,
        at(PROMISED + 1),
    )


async def test_the_moment_is_told_as_people_say_it(tx_db: Transaction) -> None:
    office, staff = await closed_office()

    async def told(seconds: float) -> str:
        fan = await office.fan("人工", when=seconds)
        says = (await office.asks(fan, seconds)).says
        assert says is not None
        return says.partition("客服会在")[2].partition("前回复您")[0]

    assert await told(6 * HOUR) == "明天 14:30 "
    friday = 4 * 24 * HOUR + 6 * HOUR
    assert await told(friday) == " 3月16日（周一）14:30 "
    # Before 清明: Saturday to Monday are rest, Tuesday is worked.
    assert await told(25 * 24 * HOUR + 6 * HOUR) == " 4月7日（周二）14:30 "
    await desk.set_shifts(
        brand_id=office.brand, staff_id=staff, shifts=[ShiftView(staff, "date", 540, 600, at(-24 * HOUR).date())]
    )
    assert (await office.asks(await office.fan("人工"))).says == (
        "人工客服暂时不在，您的问题已记下，客服上线后会尽快回复您。\n回复“机器人”可由智能助手继续为您服务。"
    )


async def test_a_message_at_night_is_due_in_the_morning(tx_db: Transaction) -> None:
    office, staff = await closed_office()
    await desk.heartbeat(staff_id=staff, now=at(OPENS))
    fan = await office.fan("人工", when=OPENS)
    conversation = (await office.asks(fan, OPENS)).conversation_id
    await office.says(conversation, staff, when=OPENS + 5)
    evening = 7 * HOUR
    await office.writes(fan, "还有个问题", evening, heard=True)
    assert (await row(conversation))["answer_due_at"] == at(24 * HOUR + PROMISED)


async def test_the_first_answer_has_forty_five_seconds(tx_db: Transaction) -> None:
    office = await open_office()
    conversation = (await office.asks(await office.fan("人工"))).conversation_id
    assert [(await sweep(at(s))).overdue for s in (44, 45, 46)] == [0, 1, 0]
    assert (await row(conversation))["alarmed_at"] == at(45)
    assert (await changes(conversation))[-1] == ("overdue", "clock", "")
