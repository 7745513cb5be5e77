"""A simulated week: fans at random, staff who come, go and crash, workers that die; the promises of the desk hold.

Seven days in some thousand steps on a clock that is handed in, against a real PostgreSQL. After every step two
workers sweep at once, and then: nobody waits whom somebody could have, each has one owner, the bot is silent for
exactly those whom people have or are awaited by. In the end every closing, handoff and promise is accounted for.
"""

import asyncio
import os
import random
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tortoise.context import TortoiseContext

from kit.clock import SHANGHAI
from kit.ids import key_of
from scrm.conversations import closing, desk, lines, service
from scrm.conversations.service import Handoff
from scrm.conversations.shifts import ShiftView, on_duty
from scrm.conversations.watching import sweep
from scrm.db import fetch
from scrm.errors import Conflict, Unavailable
from scrm.members.queries import FanView
from scrm.outreach import service as outreach
from tests.conversations.office import Office, open_office
from tests.factories import TEXT, at, happens, make_follower

STEPS = int(os.environ.get("FENSI_WEEK_STEPS", "1000"))
MONDAY = datetime(2026, 3, 9, tzinfo=SHANGHAI)
WEEK = timedelta(days=7)
BODY = {"msgtype": "text", "text": {"content": "智能助手的回答"}}


class Week:
    """The world of one run, and what it has seen."""

    def __init__(self, seed: int, office: Office) -> None:
        self.random = random.Random(seed)
        self.office = office
        self.now = MONDAY
        self.fans: list[FanView] = []
        self.shifts: list[ShiftView] = []
        self.capacity: dict[int, int] = {}
        self.skills: dict[int, set[str]] = {}
        self.present: set[int] = set()
        # Lease of those who crashed: nobody renews it.
        self.until: dict[int, datetime] = {}
        self.greeted: Counter[int] = Counter()
        self.answers: Counter[tuple[bool, bool]] = Counter()
        self.done: Counter[str] = Counter()

    async def open(self) -> None:
        day = ((12 * 60, 13 * 60),)
        plans = [
            ("workdays", 9 * 60, 18 * 60, day, ("售后",)),
            ("workdays", 9 * 60, 18 * 60, day, ()),
            ("daily", 12 * 60, 21 * 60, (), ("售后",)),
            ("daily", 22 * 60, 30 * 60, (), ()),
            ("restdays", 10 * 60, 17 * 60, (), ()),
        ]
        for n, (pattern, starts, ends, breaks, skills) in enumerate(plans):
            staff_id = await self.office.seat(1 + n % 3, *skills, present=False)
            shift = ShiftView(staff_id, pattern, starts, ends, breaks=breaks)
            await desk.set_shifts(brand_id=self.office.brand, staff_id=staff_id, shifts=[shift])
            self.shifts.append(shift)
            self.capacity[staff_id], self.skills[staff_id] = 1 + n % 3, set(skills)
        settings = desk.DeskSettings(idle_minutes=600, promise_minutes=45)
        await desk.set_desk(brand_id=self.office.brand, settings=settings)
        for _ in range(60):
            self.fans.append(await make_follower(self.office.account, MONDAY - timedelta(days=90)))

    # --- what people do ------------------------------------------------------------------------------------

    async def writes(self) -> None:
        fan = self.random.choice(self.fans)
        await happens(fan, TEXT, self.now, {"content": "在吗"})
        await lines.heard(fan_id=fan.id, now=self.now)
        # A push is repeated, and a worker that took over does it again.
        await lines.heard(fan_id=fan.id, now=self.now)

    async def asks(self) -> None:
        fan, key = self.random.choice(self.fans), self._uuid()
        await happens(fan, TEXT, self.now, {"content": "人工"})
        skill = self.random.choice(["", "", "售后"])
        by_push = self.random.random() < 0.9
        told = await asyncio.gather(
            *(
                service.request_person(
                    fan_id=fan.id, reason="asked", now=self.now, asked_by=key if by_push else None, skill=skill
                )
                for _ in range(2)
            )
        )
        # Both are one push at two machines: they say the same, and one of them is what the push is answered with.
        assert len({(one.conversation_id, one.says is None) for one in told}) == 1
        if told[0].says is not None:
            self.greeted[told[0].conversation_id] += 1

    async def doubts(self) -> None:
        fan = self.random.choice(self.fans)
        await happens(fan, TEXT, self.now, {"content": "？？"})
        for _ in range(2):
            done = await service.bot_unsure(fan_id=fan.id, push_key=self._uuid(), now=self.now)
            if done is not None and done.says is not None:
                self.greeted[done.conversation_id] += 1

    async def bot_answers(self) -> None:
        """Try to say something for the bot: it may exactly when no person has the fan or is awaited."""
        fan = self.random.choice(self.fans)
        await happens(fan, TEXT, self.now, {"content": "几点开门"})
        await lines.heard(fan_id=fan.id, now=self.now)
        rows = await fetch("SELECT state FROM conversation WHERE fan_id = $1 AND state <> 'closed'", fan.id)
        silent = bool(rows) and rows[0]["state"] in {"waiting", "staff"}
        verdict = await outreach.say(key=self._uuid(), fan_id=fan.id, body=BODY, purpose="answer", now=self.now)
        self.answers[silent, verdict.allowed] += 1

    async def comes(self) -> None:
        staff_id = self.random.choice(self.office.staff)
        self.present.add(staff_id)
        self.until.pop(staff_id, None)
        await desk.heartbeat(staff_id=staff_id, now=self.now)

    async def goes(self) -> None:
        if self.present:
            staff_id = self.random.choice(sorted(self.present))
            self.present.discard(staff_id)
            if self.random.random() < 0.5:
                await desk.leave(staff_id=staff_id, now=self.now)
            else:
                self.until[staff_id] = self.now + desk.PRESENCE

    async def works(self) -> None:
        """Let somebody who is there do something with something they have, or take something."""
        if not self.present:
            return
        staff_id = self.random.choice(sorted(self.present))
        rows = await fetch("SELECT id FROM conversation WHERE staff_id = $1 AND state = 'staff'", staff_id)
        given: dict[str, Any] = {"brand_id": self.office.brand, "staff_id": staff_id, "now": self.now}
        if not rows or self.random.random() < 0.1:
            waiting = await fetch("SELECT id FROM conversation WHERE state <> 'closed' ORDER BY id")
            if waiting:
                with suppress(Conflict):
                    await service.pull(conversation_id=self.random.choice(waiting)["id"], **given)
            return
        given["conversation_id"] = self.random.choice(rows)["id"]
        act = self.random.choices(["says", "close", "transfer", "skill", "snooze", "bot"], [10, 5, 1, 1, 1, 1])[0]
        self.done[act] += 1
        if act == "says":
            content = {"type": "text", "content": "好的"}
            key = self._uuid()
            await asyncio.gather(*(lines.send_message(content=content, key=key, **given) for _ in range(2)))
        elif act == "close":
            assert sorted(await asyncio.gather(*(closing.close(**given) for _ in range(2)))) == [False, True]
        elif act == "transfer":
            with suppress(Conflict):
                others = [other for other in self.office.staff if other != staff_id]
                await service.transfer(to_staff_id=self.random.choice(others), key=self._uuid(), **given)
        elif act == "skill":
            await service.transfer(to_skill=self.random.choice(["", "售后"]), key=self._uuid(), **given)
        elif act == "snooze":
            await service.snooze(until=self.now + timedelta(minutes=self.random.randint(1, 300)), **given)
        else:
            await service.return_to_bot(**given)

    async def rates(self) -> None:
        rows = await fetch("SELECT id FROM conversation WHERE state = 'closed' AND rating IS NULL ORDER BY id LIMIT 1")
        for row in rows:
            await closing.rate(conversation_id=row["id"], score=self.random.randint(1, 5), now=self.now)

    async def leaves(self) -> None:
        fan = self.random.choice(self.fans)
        await closing.leave_queue(fan_id=fan.id, now=self.now)

    def _uuid(self) -> UUID:
        return key_of("week", self.random.random())

    # --- what holds ----------------------------------------------------------------------------------------

    async def step(self) -> None:
        self.now += timedelta(seconds=self.random.expovariate(STEPS / WEEK.total_seconds()))
        for staff_id in sorted(self.present):
            await desk.heartbeat(staff_id=staff_id, now=self.now)
        acts = [self.writes, self.asks, self.doubts, self.bot_answers, self.comes, self.goes, self.works, self.rates]
        acts.append(self.leaves)
        await self.random.choices(acts, [6, 5, 1, 4, 3, 2, 12, 1, 0.3])[0]()
        if self.random.random() < 0.05:
            await self.dies()
        await asyncio.gather(sweep(self.now), sweep(self.now))
        # What one worker left because the other had it locked.
        await sweep(self.now)
        await self.check()

    async def dies(self) -> None:
        """Let a worker be cut off somewhere in its sweep."""
        dying = asyncio.create_task(sweep(self.now))
        for _ in range(self.random.randint(1, 30)):
            await asyncio.sleep(0)
        dying.cancel()
        with suppress(asyncio.CancelledError):
            await dying

    def there(self) -> set[int]:
        crashed = {staff_id for staff_id, until in self.until.items() if until > self.now}
        return self.present | crashed

    async def check(self) -> None:
        rows = await fetch(
            "SELECT id, fan_id, state, staff_id, skill, snoozed_until, answer_due_at, alarmed_at, promised_until, "
            "first_response_at, promise_broken_at, promise_risked_at FROM conversation WHERE state <> 'closed'"
        )
        asleep = {row["id"] for row in rows if row["snoozed_until"] and row["snoozed_until"] > self.now}
        load = Counter(row["staff_id"] for row in rows if row["state"] == "staff" and row["id"] not in asleep)
        free = {
            staff_id
            for staff_id in self.there() & on_duty(self.shifts, self.now, {})
            if load[staff_id] < self.capacity[staff_id]
        }
        left = [
            row["id"]
            for row in rows
            if row["state"] == "waiting" and any(not row["skill"] or row["skill"] in self.skills[s] for s in free)
        ]
        assert left == [], "somebody who is free leaves a fan waiting"
        # An owner who is gone has lost it, unless it sleeps.
        assert {r["id"] for r in rows if r["state"] == "staff" and r["staff_id"] not in self.there()} <= asleep
        silent = {row["fan_id"] for row in rows if row["state"] in {"waiting", "staff"}}
        dialogues = await fetch("SELECT fan_id FROM dialogue WHERE name = 'person'")
        assert {row["fan_id"] for row in dialogues} == silent
        for row in rows:
            if row["state"] in {"waiting", "staff"}:
                assert row["answer_due_at"] is None or row["answer_due_at"] > self.now or row["alarmed_at"] is not None
                if row["promised_until"] and row["promised_until"] < self.now and row["first_response_at"] is None:
                    assert row["promise_broken_at"] is not None
                    assert row["promise_risked_at"] is not None


async def account(week: Week) -> None:
    """Count, at the end, what may be there once."""
    rows = await fetch("SELECT * FROM conversation ORDER BY id")
    changes = await fetch("SELECT conversation_id, kind FROM conversation_change ORDER BY id")
    changed = Counter((row["conversation_id"], row["kind"]) for row in changes)
    # A promise is broken once each time a person is asked for; who was given back to the bot asks anew.
    with_bot: dict[int, bool] = defaultdict(lambda: True)
    broken: dict[int, int] = defaultdict(int)
    for row in changes:
        one, kind = row["conversation_id"], row["kind"]
        if kind == "handed_over" or (kind == "assigned" and with_bot[one]):
            broken[one] = 0
        if kind in {"handed_over", "assigned", "returned"}:
            with_bot[one] = kind == "returned"
        broken[one] += kind == "promise_broken"
        assert broken[one] <= 1
    said = Counter(
        (row["conversation_id"], row["kind"])
        for row in await fetch("SELECT conversation_id, kind FROM conversation_message WHERE kind <> 'staff'")
    )
    for row in rows:
        closed = int(row["state"] == "closed")
        assert changed[row["id"], "opened"] == 1
        assert changed[row["id"], "closed"] == closed
        assert changed[row["id"], "rated"] == int(row["rating"] is not None)
        assert broken[row["id"]] == int(row["promise_broken_at"] is not None)
        # At most one closing message, and none for an open one; the gate may have refused it (48 hours, five).
        decided = await fetch(
            "SELECT allowed, reason FROM outreach_decision WHERE key = $1", key_of("conversation-closing", row["id"])
        )
        assert len(decided) == int(closed and row["asked_at"] is not None)
        assert said[row["id"], "closing"] == sum(one["allowed"] for one in decided)
        # One message for each handover: by the push that asked, or by the door out; none for who was pulled.
        handed = await fetch(
            "SELECT id FROM conversation_change WHERE conversation_id = $1 AND kind = 'handed_over'", row["id"]
        )
        by_door = await fetch(
            "SELECT allowed FROM outreach_decision WHERE key = ANY($1::uuid[])",
            [key_of("conversation-handoff", row["id"], one["id"]) for one in handed],
        )
        assert week.greeted[row["id"]] + len(by_door) == len(handed)
        # A promise is kept, counted as broken, or ended before its time.
        if row["promised_until"] is not None and changed[row["id"], "promised"] == 1:
            answered = row["first_response_at"]
            if answered is not None and answered <= row["promised_until"]:
                assert row["promise_broken_at"] is None
            elif answered is not None:
                assert row["promise_broken_at"] is not None
    events = await fetch(
        "SELECT count(*) AS n FROM event WHERE kind LIKE 'conversation.%' AND kind <> 'conversation.bot_unsure'"
    )
    assert events[0]["n"] == sum(changed.values())
    assert week.answers[True, True] == 0, "the bot spoke while a person had the fan"
    doubled = await fetch("SELECT fan_id FROM conversation WHERE state <> 'closed' GROUP BY fan_id HAVING count(*) > 1")
    assert doubled == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [20260309, 7])
async def test_a_week(db: TortoiseContext, seed: int) -> None:
    week = Week(seed, await open_office())
    await week.open()
    while week.now < MONDAY + WEEK:
        await week.step()
    await account(week)
    rows = await fetch("SELECT state, count(*) AS n FROM conversation GROUP BY 1")
    totals = {row["state"]: row["n"] for row in rows}
    # The week was one in which all of this happened.
    kinds = {row["kind"] for row in await fetch("SELECT DISTINCT kind FROM conversation_change")}
    assert kinds >= {
        "opened", "handed_over", "promised", "assigned", "transferred", "requeued", "returned", "snoozed", "woken",
        "overdue", "promise_risked", "promise_broken", "closed", "rated",
    }  # fmt: skip
    assert totals["closed"] > STEPS / 30
    assert week.answers[True, False] > STEPS / 150
    assert week.answers[False, True] > STEPS / 60
    assert week.done["says"] > STEPS / 30


async def test_twenty_pull_the_same_at_once(db: TortoiseContext) -> None:
    """Each of thirty waiting conversations has one owner, the others hear that it is taken; no deadlock."""
    office = await open_office()
    staff = [await office.seat(0) for _ in range(20)]
    waiting = [(await office.asks(await office.fan("人工"), n)).conversation_id for n in range(30)]

    refusals: set[str] = set()

    async def pulls(who: int) -> list[int]:
        mine = []
        for conversation in random.Random(who).sample(waiting, len(waiting)):
            try:
                await service.pull(conversation_id=conversation, brand_id=office.brand, staff_id=who, now=office_now())
                mine.append(conversation)
            except Conflict as refused:
                refusals.add(refused.code)
        return mine

    got = dict(zip(staff, await asyncio.gather(*(pulls(who) for who in staff)), strict=True))
    assert refusals == {"taken"}
    assert sorted(c for mine in got.values() for c in mine) == sorted(waiting)
    rows = await fetch("SELECT id, staff_id FROM conversation WHERE state = 'staff'")
    assert {row["id"]: row["staff_id"] for row in rows} == {c: who for who, mine in got.items() for c in mine}
    counted = await fetch("SELECT count(*) AS n FROM conversation_change WHERE kind = 'assigned'")
    assert counted[0]["n"] == 30
    deadlocks = await fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks[0]["deadlocks"] == 0


async def test_ten_assigners_at_once_respect_capacity(db: TortoiseContext) -> None:
    office = await open_office()
    waiting = [(await office.asks(await office.fan("人工"), n)).conversation_id for n in range(40)]
    staff = [await office.seat(3) for _ in range(8)]
    await asyncio.gather(*(sweep(office_now()) for _ in range(10)))
    await sweep(office_now())
    rows = await fetch("SELECT id, staff_id FROM conversation WHERE state = 'staff' ORDER BY waiting_since")
    assert [row["id"] for row in rows] == waiting[:24], "who waited longest"
    assert Counter(row["staff_id"] for row in rows) == dict.fromkeys(staff, 3)


def office_now() -> datetime:
    """A moment at which those who took their seats are still present."""
    return at(50)


async def test_two_hundred_ask_at_once_and_nobody_is_turned_away(db: TortoiseContext) -> None:
    """They do not queue up for the seats: whom nobody could look at at once, the sweep gives somebody."""
    office = await open_office()
    staff = [await office.seat(20) for _ in range(10)]
    fans = [await office.fan("人工") for _ in range(200)]

    async def asks(fan: FanView) -> Handoff:
        # On a busy machine the last wait too long for a connection; then the platform brings their push again.
        for _ in range(2):
            with suppress(Unavailable):
                return await office.asks(fan, 1, asked_by=key_of("ask", fan.id))
        return await office.asks(fan, 1, asked_by=key_of("ask", fan.id))

    told = await asyncio.gather(*map(asks, fans))
    assert {one.state for one in told} <= {"waiting", "staff"}
    assert all(one.says for one in told)
    await sweep(office_now())
    rows = await fetch("SELECT staff_id, count(*) AS n FROM conversation WHERE state = 'staff' GROUP BY 1")
    assert {row["staff_id"]: row["n"] for row in rows} == dict.fromkeys(staff, 20)
