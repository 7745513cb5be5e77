"""The demo's month at the service desk: what two hundred members asked, what the assistant and the staff answered.

Everything goes through the business's own commands with its time in the past: texts arrive, the assistant answers from
the published knowledge, people are asked for, assigned, answered in time or late, closed and rated. The platform knows
nothing of these fans: what is said to them counts as delivered.
"""

import json
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.demo_data import KNOWLEDGE, Demo, happened, openids
from app.demo_desk import PLACES
from kit.clock import SHANGHAI
from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db
from scrm.assistant.answering import Assistant, Question
from scrm.assistant.answers import AT_A_LOSS
from scrm.assistant.retrieval import Library
from scrm.conversations import closing, desk, lines, service, words
from scrm.conversations.shifts import ShiftView
from scrm.db import Connection, Transaction, command
from scrm.outreach import service as outreach
from scrm.outreach.ports import Delivery, Outcome
from scrm.pushes.accepting import Accepted, Arrival
from scrm.pushes.service import DialogueChange, finish
from scrm.selfservice.tools import TOOLS
from scrm.staff.queries import staff_by_login

DAYS = 30
SEED = 20261125
LOOKED_UP = ("我的积分", "我的等级", "今天签到了吗")
# When people write, by the hour in Shanghai; 李娜 served from nine to ten in the evening until now.
BY_HOUR = (1, 1, 0, 0, 0, 0, 1, 2, 4, 9, 12, 11, 8, 8, 10, 10, 9, 8, 7, 8, 10, 9, 5, 2)
UNTIL_NOW = ("daily", 9 * 60, 22 * 60)


@dataclass
class _Fan:
    id: int
    openid: str
    since: datetime
    # Nobody asks two things at once.
    busy_until: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.busy_until = self.since + timedelta(minutes=5)


@dataclass
class _Month:
    """What a month is made with; `now` moves through the past, and is the assistant's clock."""

    demo: Demo
    chance: random.Random
    staff: dict[str, int]
    questions: list[str]
    assistant: Assistant = field(init=False)
    moment: datetime = field(init=False)

    def now(self) -> datetime:
        return self.moment

    def later(self, least: float, most: float) -> datetime:
        """Let between `least` and `most` seconds pass."""
        self.moment += timedelta(seconds=round(self.chance.uniform(least, most)))
        return self.moment


async def ensure(demo: Demo, now: datetime) -> bool:
    """Make the month if it is not there yet; says whether it was made just now. All or nothing."""
    there = """
        SELECT FROM conversation c JOIN fan f ON f.id = c.fan_id WHERE c.account_id = $1 AND f.openid = ANY($2) LIMIT 1
    """
    if await db.fetch(there, demo.service.id, openids(demo.service)):
        return False
    people = {login: found.id for login in PLACES if (found := await staff_by_login(login))}
    asked = [json.loads(line)["question"] for line in (KNOWLEDGE / "evaluation.jsonl").read_text().splitlines()]
    chance = random.Random(SEED)  # noqa: S311  # a pretend past, the same for everybody
    month = _Month(demo, chance, people, asked)
    library = Library(Tasks())
    await library.refresh()
    month.assistant = Assistant(month, knowledge=library, tools=TOOLS)
    await _live(month, now)
    return True


@command
async def _live(tx: Transaction, month: _Month, now: datetime) -> None:
    demo, chance = month.demo, month.chance
    rows = await tx.connection.fetch(
        "SELECT id, openid, created_at FROM fan WHERE account_id = $1 AND openid = ANY($2) AND following ORDER BY id",
        demo.service.id,
        openids(demo.service),
    )
    fans = [_Fan(row["id"], row["openid"], row["created_at"]) for row in rows]
    clerk = month.staff["li.na"]
    await _serves(demo, clerk, *UNTIL_NOW)
    for at, talks in _moments(chance, now):
        free = [fan for fan in fans if fan.busy_until < at]
        if not free:
            continue
        fan, month.moment = chance.choice(free), at
        await (_talk(tx.connection, month, fan) if talks else _ask(month, fan))
        fan.busy_until = month.moment + timedelta(hours=1)
    place = PLACES["li.na"]
    await _serves(demo, clerk, place.pattern, place.starts, place.ends)


async def _serves(demo: Demo, staff_id: int, pattern: str, starts: int, ends: int) -> None:
    shift = ShiftView(staff_id, pattern, starts, ends)
    await desk.set_shifts(brand_id=demo.service.brand_id, staff_id=staff_id, shifts=[shift])


def _moments(chance: random.Random, now: datetime) -> list[tuple[datetime, bool]]:
    """Return when somebody asks something, and whether a person is to answer; in order, all of it over by now."""
    today = now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    moments = []
    for days_ago in range(DAYS, -1, -1):
        day = today - timedelta(days=days_ago)
        kinds = [True] * chance.randint(1, 4) + [False] * chance.randint(3, 6)
        for talks in kinds:
            hour = chance.choices(range(24), BY_HOUR)[0]
            at = day + timedelta(hours=hour, seconds=chance.randrange(3600))
            # What is asked at night is answered in the morning: the last night's is left out.
            if at < now - timedelta(hours=14 if hour >= 21 or hour < 9 else 1):
                moments.append((at, talks))
    return sorted(moments)


# --- the assistant ----------------------------------------------------------------------------------------


async def _ask(month: _Month, fan: _Fan) -> None:
    """Let a fan ask something that the assistant answers, or not."""
    chance, demo = month.chance, month.demo
    text = chance.choice(LOOKED_UP) if chance.random() < 0.12 else chance.choice(month.questions)
    arrival, accepted = await _writes(month, fan, text)
    assert accepted.member_id is not None  # noqa: S101  # a fan is somebody
    account, at = demo.service, month.now()
    record = await month.assistant.answer(
        Question(arrival.key, account.brand_id, account.name, account.id, fan.id, accepted.member_id, text, at)
    )
    assert record is not None  # noqa: S101  # the demo's assistant is on
    if record.outcome in AT_A_LOSS:
        await service.bot_unsure(fan_id=fan.id, push_key=arrival.key, now=at)
    await _answered(arrival, accepted, at, record.said)


async def _writes(month: _Month, fan: _Fan, text: str) -> tuple[Arrival, Accepted]:
    """Let a text of a fan arrive; whoever calls this ends its push."""
    account, at = month.demo.service, month.now()
    key = key_of("demo-month", account.appid, fan.openid, at.isoformat())
    arrival = Arrival(key, account.id, fan.openid, "wechat.text", at, at, {"content": text}, {}, at)
    (accepted,) = await happened([arrival])
    return arrival, accepted


async def _answered(
    arrival: Arrival, accepted: Accepted, at: datetime, said: str | None, dialogue: DialogueChange | None = None
) -> None:
    answer = {"type": "none"} if said is None else {"type": "text", "content": said}
    await finish(
        key=arrival.key,
        fan_id=accepted.fan_id,
        attempts=1,
        state="answered",
        answer=answer,
        now=at,
        dialogue=dialogue,
    )


# --- the staff --------------------------------------------------------------------------------------------


async def _talk(raw: Connection, month: _Month, fan: _Fan) -> None:
    """Let a fan ask for a person, and be answered, thanked and asked for a score; or give up waiting."""
    chance, demo = month.chance, month.demo
    story = chance.choice(demo.data["desk"]["talks"])
    logins = [login for login in ("li.na", "wang.qiang") if not story["skill"] or login == _able(story["skill"])]
    owner = month.staff[chance.choice(logins)]
    if chance.random() < 0.6:  # somebody sits there and is given the fan at once
        await desk.heartbeat(staff_id=owner, now=month.now())
    month.later(1, 4)
    arrival, accepted = await _writes(month, fan, story["skill"] if story["skill"] == "售后" else "人工")
    handoff = await service.request_person(
        fan_id=fan.id,
        reason="rule" if story["skill"] == "售后" else "asked",
        now=month.now(),
        asked_by=arrival.key,
        asked_at=month.now(),
        skill=story["skill"],
    )
    await _answered(arrival, accepted, month.now(), handoff.says)
    month.later(4, 15)
    await _tells(month, fan, story["asks"])
    row = await raw.fetchrow("SELECT staff_id, promised_until FROM conversation WHERE id = $1", handoff.conversation_id)
    if row["staff_id"] is None and row["promised_until"] is None and chance.random() < 0.08:
        month.later(60, 300)
        await closing.leave_queue(fan_id=fan.id, now=month.now())
    else:
        await _serve(month, fan, story, handoff.conversation_id, row["staff_id"] or owner, row["promised_until"])
    await _delivered(raw, month.now())


def _able(skill: str) -> str:
    return "wang.qiang" if skill == "投诉" else "li.na"


async def _serve(
    month: _Month, fan: _Fan, story: dict[str, Any], conversation_id: int, owner: int, promised_until: datetime | None
) -> None:
    chance, brand = month.chance, month.demo.service.brand_id
    if promised_until is not None:
        # Half an hour before that service begins; one in eight is forgotten until it is late.
        month.moment = promised_until - timedelta(minutes=30)
        month.later(*((1900, 3600) if chance.random() < 0.12 else (60, 1500)))
    else:
        month.later(*((50, 240) if chance.random() < 0.15 else (3, 28)))
    here: dict[str, Any] = {"conversation_id": conversation_id, "brand_id": brand, "staff_id": owner}
    await service.pull(**here, now=month.now())
    for n, answer in enumerate(story["answers"]):
        month.later(5, 15) if n == 0 else month.later(40, 240)
        content = {"type": "text", "content": answer}
        await lines.send_message(**here, key=key_of("demo", conversation_id, n), content=content, now=month.now())
    month.later(15, 120)
    await _tells(month, fan, story["thanks"])
    month.later(20, 300)
    await closing.close(**here, now=month.now(), summary=story["summary"])
    if chance.random() < 0.62:
        month.later(10, 400)
        score = chance.choices([5, 4, 3, 2, 1], [60, 26, 8, 3, 3])[0]
        arrival, accepted = await _writes(month, fan, str(score))
        await closing.rate(conversation_id=conversation_id, score=score, now=month.now())
        await _answered(arrival, accepted, month.now(), words.thanks(score), DialogueChange(None))


async def _tells(month: _Month, fan: _Fan, text: str) -> None:
    """Let a fan write to whoever looks after them."""
    arrival, accepted = await _writes(month, fan, text)
    await lines.heard(fan_id=fan.id, now=month.now())
    await _answered(arrival, accepted, month.now(), None)


async def _delivered(raw: Connection, now: datetime) -> None:
    """Let what has just been said arrive, one after the other: two of one fan are never on their way at once."""
    lease, second = now + timedelta(minutes=1), timedelta(seconds=1)
    while claimed := [one.id for one in await outreach.claim(now=now, lease_until=lease)]:
        rows = await raw.fetch("SELECT id, created_at FROM outbox WHERE id = ANY($1) ORDER BY id", claimed)
        await outreach.start_sending(raw, [(row["id"], now, lease) for row in rows])
        await outreach.settle(raw, [(row["id"], Delivery(Outcome.SENT), row["created_at"] + second) for row in rows])
