"""A conversation between the bot, the queue and people: each command once, with its reason, and the bot silent."""

from typing import Any

import pytest

from kit.ids import key_of
from scrm.conversations import closing, desk, lines, service, watching
from scrm.conversations.watching import sweep
from scrm.db import Transaction, fetch
from scrm.errors import Conflict, Invalid, NotFound
from tests.conversations.office import Office, changes, open_office, outbox, row, silent, state
from tests.factories import SOMEBODY, at, make_staff, value

CONNECTED = "已为您接通人工客服，请直接描述您的问题。"
SCORE = "本次人工服务已结束，感谢您的咨询！\n请为本次服务打分：回复 1 到 5 的数字，5 分为非常满意。"


async def code_of(doing: object, kind: type[Exception] = Conflict) -> str:
    with pytest.raises(kind) as refused:
        await doing  # type: ignore[misc]  # a coroutine
    return refused.value.code  # type: ignore[attr-defined, no-any-return]  # a DomainError


class TestAsking:
    async def test_nobody_there_the_fan_waits_and_the_bot_is_silent(self, tx_db: Transaction) -> None:
        office = await open_office()
        fan, other = await office.fan("怎么退货", "人工"), await office.fan("人工")
        first = await office.asks(fan)
        assert (first.state, first.desk, first.says) == (
            "waiting", "ours", "正在为您转接人工客服，请稍候，您可以先描述问题。"
        )  # fmt: skip
        second = await office.asks(other, 1)
        assert second.says == "正在为您转接人工客服，前面还有 1 位，请稍候，您可以先描述问题。"
        assert await silent(fan.id)
        assert await changes(first.conversation_id) == [("opened", "fan", ""), ("handed_over", "fan", "asked")]
        found = await row(first.conversation_id)
        assert (found["asked_at"], found["waiting_since"], found["answer_due_at"]) == (at(0), at(0), at(45))
        assert (found["heard"], found["last_from"], found["last_line"]) == (2, "fan", "人工")
        # What was answered passively is not in the outbox.
        assert await outbox(fan.id) == []
        events = await fetch(
            "SELECT kind FROM event WHERE fan_id = $1 AND kind LIKE 'conversation.%' ORDER BY id", fan.id
        )
        assert [event["kind"] for event in events] == ["conversation.opened", "conversation.handed_over"]

    async def test_somebody_free_has_it_at_once(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat()
        handoff = await office.asks(await office.fan("人工"))
        assert (handoff.state, handoff.says) == ("staff", CONNECTED)
        assert await state(handoff.conversation_id) == ("staff", staff)

    async def test_the_push_that_asked_gets_the_words_again_another_gets_none(self, tx_db: Transaction) -> None:
        office = await open_office()
        fan, key = await office.fan("人工"), key_of("push", "one")
        first = await office.asks(fan, asked_by=key)
        assert await office.asks(fan, 1, asked_by=key) == first
        again = await office.asks(fan, 2)
        assert (again.conversation_id, again.says) == (first.conversation_id, None)
        await office.seat(now=at(3))
        await sweep(at(3))
        # Its worker died and somebody has it meanwhile.
        assert (await office.asks(fan, 3, asked_by=key)).says == CONNECTED
        assert await value("SELECT count(*) FROM conversation WHERE fan_id = $1", fan.id) == 1

    async def test_without_a_push_the_message_leaves_by_the_door_out_once(self, tx_db: Transaction) -> None:
        office = await open_office()
        fan = await office.fan("你好")
        for second in range(3):
            handoff = await office.asks(fan, second, asked_by=None)
            assert handoff.says is None
        assert await outbox(fan.id) == ["正在为您转接人工客服，请稍候，您可以先描述问题。"]

    async def test_every_handover_without_a_push_is_said(self, tx_db: Transaction) -> None:
        office = await open_office()
        fan = await office.fan("你好")
        for minute in range(3):
            handoff = await office.asks(fan, 60 * minute, asked_by=None)
            assert (await office.asks(fan, 60 * minute, asked_by=None)).conversation_id == handoff.conversation_id
            staff = await office.seat(now=at(60 * minute + 1))
            given = {"conversation_id": handoff.conversation_id, "brand_id": office.brand, "staff_id": staff}
            await service.pull(**given, now=at(60 * minute + 2))
            await service.return_to_bot(**given, now=at(60 * minute + 3))
            await desk.leave(staff_id=staff, now=at(60 * minute + 4))
        assert await outbox(fan.id) == ["正在为您转接人工客服，请稍候，您可以先描述问题。"] * 3
        said = "SELECT count(*) FROM conversation_message WHERE conversation_id = $1 AND kind = 'handoff'"
        assert await value(said, handoff.conversation_id) == 3

    async def test_an_unknown_skill_is_the_general_queue(self, tx_db: Transaction) -> None:
        office = await open_office()
        handoff = await office.asks(await office.fan("人工"), skill="nobody")
        assert (await row(handoff.conversation_id))["skill"] == ""

    async def test_unsure_twice_within_minutes(self, tx_db: Transaction) -> None:
        office = await open_office()
        fan = await office.fan("在吗")

        async def unsure(n: int, minute: float) -> bool:
            done = await service.bot_unsure(fan_id=fan.id, push_key=key_of("push", n), now=at(60 * minute))
            return done is not None

        assert [await unsure(1, 0), await unsure(1, 1)] == [False, False], "the same push is one doubt"
        assert await unsure(2, 11) is False, "ten minutes are over"
        assert await unsure(3, 12) is True
        (found,) = await fetch("SELECT id, reason FROM conversation WHERE fan_id = $1", fan.id)
        assert found["reason"] == "unsure"
        assert await changes(found["id"]) == [("opened", "fan", ""), ("handed_over", "bot", "unsure")]
        # What was doubted before a conversation with a person ended counts no more.
        await closing.close(
            conversation_id=found["id"], brand_id=office.brand, staff_id=await make_staff(), now=at(60 * 13)
        )
        assert await unsure(4, 14) is False


class TestTaking:
    async def test_from_the_queue_and_from_the_bot(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat(0)
        handoff = await office.asks(await office.fan("人工"))
        fan = await office.fan("你好")
        for _ in range(2):
            await service.pull(
                conversation_id=handoff.conversation_id, brand_id=office.brand, staff_id=staff, now=at(1)
            )
        assert await state(handoff.conversation_id) == ("staff", staff)
        assert (await sweep(at(60))).requeued == 0, "taking something is a sign of life"
        pulled = [
            await service.pull_fan(fan_id=fan.id, brand_id=office.brand, staff_id=staff, now=at(2)) for _ in range(2)
        ]
        assert pulled[0] == pulled[1]
        assert await state(pulled[0]) == ("staff", staff)
        assert await silent(fan.id)
        # Somebody took them: there is nothing to announce.
        assert await outbox(fan.id) == []
        assert await changes(pulled[0]) == [("opened", "staff", ""), ("assigned", "staff", "pulled")]

    async def test_what_is_refused(self, tx_db: Transaction) -> None:
        office, others = await open_office(), await open_office()
        staff, rival, stranger = await office.seat(0), await office.seat(0), await others.seat(0)
        fan = await office.fan("人工")
        taken = (await office.asks(fan)).conversation_id

        def pull(who: int, brand: int = office.brand) -> object:
            return service.pull(conversation_id=taken, brand_id=brand, staff_id=who, now=at(1))

        await pull(staff)  # type: ignore[misc]  # a coroutine
        assert await code_of(pull(rival)) == "taken"
        assert await code_of(pull(99), NotFound) == "no_seat"
        assert await code_of(pull(stranger, others.brand), NotFound) == "not_found"
        assert await code_of(pull(stranger), NotFound) == "no_seat"
        foreign = service.pull_fan(fan_id=fan.id, brand_id=others.brand, staff_id=stranger, now=at(1))
        assert await code_of(foreign, NotFound) == "not_found"
        await closing.close(conversation_id=taken, brand_id=office.brand, staff_id=staff, now=at(2))
        assert await code_of(pull(rival)) == "closed"
        assert await state(taken) == ("closed", staff)

    async def test_only_the_owner_speaks_and_passes_on(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff, rival = await office.seat(), await office.seat(0)
        conversation = (await office.asks(await office.fan("人工"))).conversation_id
        given: dict[str, Any] = {
            "conversation_id": conversation,
            "brand_id": office.brand,
            "staff_id": rival,
            "now": at(1),
        }
        assert await code_of(office.says(conversation, rival)) == "not_owner"
        assert await code_of(service.transfer(**given, key=key_of(1), to_skill="")) == "not_owner"
        assert await code_of(service.return_to_bot(**given)) == "not_owner"
        assert await code_of(service.snooze(**given, until=at(9))) == "not_owner"
        assert await code_of(closing.close(**given)) == "not_owner"
        assert await state(conversation) == ("staff", staff)


class TestPassingOn:
    async def test_to_somebody_present(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff, colleague, gone = await office.seat(), await office.seat(0), await office.seat(0, present=False)
        conversation = (await office.asks(await office.fan("人工"))).conversation_id
        given: dict[str, Any] = {
            "conversation_id": conversation,
            "brand_id": office.brand,
            "now": at(1),
            "note": "要开发票",
        }
        assert await code_of(service.transfer(**given, staff_id=staff, key=key_of(1), to_staff_id=gone)) == "absent"
        assert (
            await code_of(service.transfer(**given, staff_id=staff, key=key_of(1), to_staff_id=staff), Invalid)
            == "invalid"
        )
        for _ in range(2):
            await service.transfer(**given, staff_id=staff, key=key_of(1), to_staff_id=colleague)
        assert await state(conversation) == ("staff", colleague)
        assert (await changes(conversation))[-1] == ("transferred", "staff", "")
        (note,) = await fetch("SELECT text, staff_id, to_staff_id FROM conversation_change WHERE kind = 'transferred'")
        assert dict(note) == {"text": "要开发票", "staff_id": staff, "to_staff_id": colleague}

    async def test_to_a_skill_it_does_not_come_straight_back(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat(5, "售后")
        conversation = (await office.asks(await office.fan("人工"))).conversation_id
        given: dict[str, Any] = {
            "conversation_id": conversation,
            "brand_id": office.brand,
            "staff_id": staff,
            "now": at(1),
        }
        with pytest.raises(Invalid):
            await service.transfer(**given, key=key_of(2), to_skill="没有")
        await service.transfer(**given, key=key_of(2), to_skill="售后")
        found = await row(conversation)
        assert (found["state"], found["skill"], found["priority"], found["waiting_since"]) == (
            "waiting", "售后", 1, at(0)
        )  # fmt: skip
        # Nobody else came.
        await sweep(at(2))
        assert await state(conversation) == ("staff", staff)

    async def test_back_to_the_bot(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat()
        fan = await office.fan("人工")
        conversation = (await office.asks(fan)).conversation_id
        given: dict[str, Any] = {"conversation_id": conversation, "brand_id": office.brand, "staff_id": staff}
        for second in (1, 2):
            await service.return_to_bot(**given, now=at(second))
        assert await state(conversation) == ("bot", None)
        assert not await silent(fan.id)
        # The same conversation goes back into the queue.
        assert (await office.asks(fan, 3)).conversation_id == conversation

    async def test_put_off_until_a_time_or_a_message(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat(1)
        fan = await office.fan("人工")
        conversation = (await office.asks(fan)).conversation_id
        await office.says(conversation, staff, when=1)
        given: dict[str, Any] = {"conversation_id": conversation, "brand_id": office.brand, "staff_id": staff}
        with pytest.raises(Invalid):
            await service.snooze(**given, until=at(1), now=at(1))
        await service.snooze(**given, until=at(30), now=at(1))
        # It takes no room meanwhile.
        second = (await office.asks(await office.fan("人工"), 2)).conversation_id
        assert await state(second) == ("staff", staff)
        assert (await sweep(at(29))).woken == 0
        assert (await sweep(at(30))).woken == 1
        await service.snooze(**given, until=at(3000), now=at(31))
        await office.writes(fan, "在吗", 40, heard=True)
        assert (await row(conversation))["snoozed_until"] is None
        await service.snooze(**given, until=at(3000), now=at(41))
        await service.wake(**given, now=at(42))
        assert [kind for kind, _, _ in await changes(conversation)][-6:] == ["snoozed", "woken"] * 3


class TestSpeaking:
    async def test_what_is_said_once_with_the_gates_verdict(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat()
        fan = await office.fan("人工")
        conversation = (await office.asks(fan)).conversation_id
        for _ in range(3):
            assert (await office.says(conversation, staff, "有什么可以帮您？", 5, key="a")).allowed
        assert await outbox(fan.id) == ["有什么可以帮您？"]
        found = await row(conversation)
        assert (found["first_response_at"], found["answer_due_at"]) == (at(5), None)
        assert (found["last_from"], found["last_line"], found["last_at"]) == ("staff", "有什么可以帮您？", at(5))
        for n in range(4):
            assert (await office.says(conversation, staff, f"第{n}条", 6)).allowed
        refused = await office.says(conversation, staff, "第五条", 7)
        assert (refused.allowed, refused.reason) == (False, "count_exhausted")
        assert (await row(conversation))["last_line"] == "第3条"

    async def test_a_window_that_closed_is_told(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat()
        conversation = (await office.asks(await office.fan("人工"))).conversation_id
        refused = await office.says(conversation, staff, "您好", 48 * 3600)
        assert (refused.allowed, refused.reason) == (False, "window_closed")
        assert (await row(conversation))["first_response_at"] is None

    async def test_content_is_checked_by_field(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat()
        conversation = (await office.asks(await office.fan("人工"))).conversation_id
        for content, field in [
            ({"type": "text", "content": " "}, "reply.content"),
            ({"type": "text", "content": "长" * 683}, "reply.content"),
            ({"type": "handoff", "skill": ""}, "reply"),
            ({"type": "image"}, "reply.media_id"),
        ]:
            with pytest.raises(Invalid) as refused:
                await lines.send_message(
                    conversation_id=conversation, brand_id=office.brand, staff_id=staff, key=key_of(1),
                    content=content, now=at(1),
                )  # fmt: skip
            assert refused.value.field == field

    async def test_a_message_makes_an_answer_due_and_an_answer_clears_it(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat()
        fan = await office.fan("人工")
        conversation = (await office.asks(fan)).conversation_id
        await office.says(conversation, staff, when=5)
        await office.writes(fan, "还在吗", 100, heard=True)
        await office.writes(fan, "？", 120, heard=True)
        assert (await row(conversation))["answer_due_at"] == at(145)
        assert (await row(conversation))["heard"] == 3
        await desk.heartbeat(staff_id=staff, now=at(100))
        assert [(await sweep(at(s))).overdue for s in (144, 145, 146)] == [0, 1, 0]
        await office.says(conversation, staff, when=150)
        assert (await row(conversation))["answer_due_at"] is None


class TestEnding:
    async def test_one_closing_message_and_the_bot_speaks_again(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat()
        fan = await office.fan("人工")
        conversation = (await office.asks(fan)).conversation_id
        await office.says(conversation, staff, "好的", 1)
        given: dict[str, Any] = {
            "conversation_id": conversation,
            "brand_id": office.brand,
            "staff_id": staff,
            "summary": " 已退款 ",
        }
        assert [await closing.close(**given, now=at(n)) for n in (2, 3)] == [True, False]
        assert await outbox(fan.id) == ["好的", SCORE]
        assert not await silent(fan.id)
        found = await row(conversation)
        assert (found["close_reason"], found["closed_by"], found["summary"], found["closed_at"]) == (
            "staff", staff, "已退款", at(2)
        )  # fmt: skip
        assert [await closing.rate(conversation_id=conversation, score=s, now=at(9)) for s in (5, 1)] == [True, False]
        assert (await row(conversation))["rating"] == 5
        # A closed one is never opened again.
        assert (await office.asks(fan, 10)).conversation_id != conversation

    async def test_who_was_never_answered_is_asked_for_no_score(self, tx_db: Transaction) -> None:
        office = await open_office()
        fan = await office.fan("人工")
        conversation = (await office.asks(fan)).conversation_id
        assert await closing.leave_queue(fan_id=fan.id, now=at(1))
        assert not await closing.leave_queue(fan_id=fan.id, now=at(2))
        assert await outbox(fan.id) == ["好的，已为您转回智能助手。需要时回复“人工”即可再次找到我们。"]
        assert (await changes(conversation))[-1] == ("closed", "fan", "fan")
        assert await value("SELECT count(*) FROM dialogue WHERE fan_id = $1", fan.id) == 0

    async def test_a_fan_who_leaves_is_told_nothing(self, tx_db: Transaction) -> None:
        office = await open_office()
        fan = await office.fan("人工")
        conversation = (await office.asks(fan)).conversation_id
        assert [await closing.fan_left(fan_id=fan.id, now=at(n)) for n in (1, 2)] == [True, False]
        assert (await state(conversation), await outbox(fan.id), await silent(fan.id)) == (("closed", None), [], False)

    async def test_idle_ones_end_but_never_what_waits_for_an_answer(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat()
        answered, unanswered = await office.fan("人工"), await office.fan("人工")
        quiet = (await office.asks(answered)).conversation_id
        owed = (await office.asks(unanswered)).conversation_id
        await office.says(quiet, staff, when=1)
        day = 24 * 3600
        await desk.heartbeat(staff_id=staff, now=at(day))
        assert (await sweep(at(day))).closed == 0
        assert (await sweep(at(day + 1))).closed == 1
        assert (await sweep(at(day + 2))).closed == 0
        assert (await state(quiet), await state(owed)) == (("closed", staff), ("staff", staff))
        assert (await row(quiet))["close_reason"] == "idle"
        assert await outbox(answered.id) == ["您好", SCORE]

    async def test_ending_one_makes_room_for_the_next(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat(1)
        first = (await office.asks(await office.fan("人工"))).conversation_id
        second = (await office.asks(await office.fan("人工"), 1)).conversation_id
        assert await state(second) == ("waiting", None)
        await closing.close(conversation_id=first, brand_id=office.brand, staff_id=staff, now=at(2))
        assert await state(second) == ("staff", staff)


class TestPresence:
    async def test_who_is_gone_loses_what_they_had_and_it_is_next(self, tx_db: Transaction) -> None:
        office = await open_office()
        gone = await office.seat(2)
        first, second = [(await office.asks(await office.fan("人工"), n)).conversation_id for n in (0, 1)]
        third = (await office.asks(await office.fan("人工"), 2)).conversation_id
        assert [await state(c) for c in (first, second, third)] == [("staff", gone)] * 2 + [("waiting", None)]
        assert (await sweep(at(59))).requeued == 0
        assert (await sweep(at(60))).requeued == 2
        assert (await sweep(at(61))).requeued == 0
        # In their old order, and before the one that never had anybody.
        back = await office.seat(1, now=at(70))
        await sweep(at(70))
        assert [await state(c) for c in (first, second, third)] == [("staff", back)] + [("waiting", None)] * 2
        assert (await changes(first))[-2:] == [("requeued", "clock", "absent"), ("assigned", "clock", "")]

    async def test_signing_out_is_leaving(self, tx_db: Transaction) -> None:
        office = await open_office()
        staff = await office.seat()
        conversation = (await office.asks(await office.fan("人工"))).conversation_id
        await desk.leave(staff_id=staff, now=at(5))
        await sweep(at(5))
        assert await state(conversation) == ("waiting", None)
        assert await desk.heartbeat(staff_id=staff, now=at(6)) == at(66)
        with pytest.raises(NotFound):
            await desk.heartbeat(staff_id=SOMEBODY, now=at(6))


class TestAssigning:
    async def test_least_load_then_who_was_given_nothing_for_longest(self, tx_db: Transaction) -> None:
        office = await open_office()
        first, second = await office.seat(2), await office.seat(2)
        owners = [await state((await office.asks(await office.fan("人工"), n)).conversation_id) for n in range(5)]
        assert owners == [("staff", s) for s in (first, second, first, second)] + [("waiting", None)]

    async def test_a_skill_waits_for_somebody_who_has_it(self, tx_db: Transaction) -> None:
        office = await open_office()
        general = await office.seat(5)
        await desk.set_skill(brand_id=office.brand, name="售后", title="售后")
        special = (await office.asks(await office.fan("人工"), skill="售后")).conversation_id
        simple = (await office.asks(await office.fan("人工"), 1)).conversation_id
        assert (await state(special), await state(simple)) == (("waiting", None), ("staff", general))
        able = await office.seat(5, "售后")
        await sweep(at(2))
        assert await state(special) == ("staff", able)

    async def test_brands_are_apart(self, tx_db: Transaction) -> None:
        office, other = await open_office(), await open_office()
        await other.seat()
        conversation = (await office.asks(await office.fan("人工"))).conversation_id
        await sweep(at(1))
        assert await state(conversation) == ("waiting", None)


async def test_settings_and_their_fields(tx_db: Transaction) -> None:
    office: Office = await open_office()
    await desk.set_desk(brand_id=office.brand, settings=desk.DeskSettings(first_response_seconds=20, idle_minutes=1))
    staff = await office.seat()
    conversation = (await office.asks(await office.fan("人工"))).conversation_id
    assert (await row(conversation))["answer_due_at"] == at(20)
    await office.says(conversation, staff, when=1)
    assert (await watching.sweep(at(61))).closed == 1
    with pytest.raises(Invalid) as refused:
        await desk.set_desk(brand_id=office.brand, settings=desk.DeskSettings(rating_minutes=0))
    assert refused.value.field == "rating_minutes"
