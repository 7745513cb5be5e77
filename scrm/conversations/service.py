"""Commands that move a conversation between the bot, the queue and people.

While it waits or somebody has it, the bot is silent for the fan (scrm.pushes.silence): the transaction that changes
the state changes that, too. docs/subsystems/conversations.md lists the cases.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from kit.ids import key_of
from scrm.conversations import words
from scrm.conversations.assigning import assign, give
from scrm.conversations.changes import UNSURE, Row, again, change, lock, lock_fan, lock_open, record
from scrm.conversations.desk import DeskSettings, hours_of, known_skill, renew, settings_of
from scrm.conversations.lines import latest, say_text
from scrm.conversations.own_words import texts_of
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid, NotFound
from scrm.events.kinds import Appended
from scrm.events.service import add
from scrm.pushes import silence

Reason = Literal["asked", "unsure", "rule", "pulled", "wechat"]
LONGEST_SNOOZE = timedelta(days=30)
# What belongs to one time that a person is asked for: who comes back from the bot asks anew.
ANEW = dict.fromkeys(
    ("assigned_at", "first_response_at", "alarmed_at", "promised_until", "promise_risked_at", "promise_broken_at")
)


@dataclass(frozen=True, slots=True)
class Handoff:
    """What asking for a person came to.

    `says` is the handoff message, for the one push that asked for this conversation to be answered with; None for any
    other. `desk` is "wechat" where the push is to be answered by handing it to WeChat's customer service.
    """

    conversation_id: int
    state: str
    desk: str
    says: str | None


@command
async def request_person(
    tx: Transaction,
    *,
    fan_id: int,
    reason: Reason,
    now: datetime,
    asked_by: UUID | None = None,
    asked_at: datetime | None = None,
    skill: str = "",
) -> Handoff:
    """Hand a fan over to people; who waits or has somebody already stays where they are.

    `asked_by` is the key of the push that asks, `asked_at` its moment. Without a push the handoff message leaves by
    the door out, in this transaction. A skill the brand does not have becomes the general queue: no fan is lost to a
    rule's mistake. Raises NotFound for an unknown fan.
    """
    return await _request(tx.connection, fan_id, reason, now, asked_by, asked_at, skill)


async def _request(
    raw: Connection,
    fan_id: int,
    reason: Reason,
    now: datetime,
    asked_by: UUID | None,
    asked_at: datetime | None,
    skill: str,
) -> Handoff:
    fan = await lock_fan(raw, fan_id)
    if asked_by is not None and (done := await _asked_before(raw, fan_id, asked_by, now)):
        return done
    row = await lock_open(raw, fan_id)
    if row is not None and row["state"] != "bot":
        return Handoff(row["id"], row["state"], row["desk"], None)
    if not await known_skill(raw, fan["brand_id"], skill):
        skill = ""
    if row is None:
        row = await open_one(raw, fan, now, asked_at or now, "fan" if reason != "rule" else "bot")
    theirs = await raw.fetchval("SELECT EXISTS (SELECT FROM wechat_desk WHERE account_id = $1)", row["account_id"])
    settings = await settings_of(raw, row["brand_id"])
    opens = now if theirs else (await hours_of(raw, row["brand_id"])).opens(now)
    # WeChat's own desk has its own clocks.
    promised, due = (None, None) if theirs else _times(settings, opens, now)
    asked: dict[str, object] = {
        "state": "waiting",
        "desk": "wechat" if theirs else "ours",
        "reason": reason,
        "skill": skill,
        "asked_by": asked_by,
        "asked_at": now,
        "waiting_since": now,
        "priority": 0,
        "promised_until": promised,
        "answer_due_at": due,
    }
    await change(raw, row["id"], **(ANEW | asked))
    await silence.begin(raw, fan_id)
    handover = await record(
        raw, row, "handed_over", "bot" if reason in {"rule", "unsure"} else "fan", now, reason=reason, skill=skill
    )
    if promised is not None:
        await record(raw, row, "promised", "clock", now, text=promised.isoformat())
    await latest(raw, row["id"])
    if not theirs:
        await assign(raw, row["brand_id"], now)
    row = await again(raw, row["id"])
    says = await _handoff_words(raw, row, opens, now)
    if asked_by is None and not theirs:
        await say_text(raw, row, key_of("conversation-handoff", row["id"], handover), "handoff", says, now)
    return Handoff(row["id"], row["state"], row["desk"], says if asked_by is not None else None)


def _times(settings: DeskSettings, opens: datetime | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return (promised until, answer due at) for service that is on, begins later, or is not in sight."""
    if opens is None:
        return None, None
    if opens > now:
        promised = opens + timedelta(minutes=settings.promise_minutes)
        return promised, promised
    return None, now + timedelta(seconds=settings.first_response_seconds)


async def _asked_before(raw: Connection, fan_id: int, asked_by: UUID, now: datetime) -> Handoff | None:
    """Find what this very push asked for already: its worker died before it was answered."""
    row = await raw.fetchrow("SELECT * FROM conversation WHERE fan_id = $1 AND asked_by = $2", fan_id, asked_by)
    if row is None:
        return None
    opens = (await hours_of(raw, row["brand_id"])).opens(now) if row["desk"] == "ours" else now
    says = await _handoff_words(raw, row, opens, now) if row["state"] in {"waiting", "staff"} else None
    return Handoff(row["id"], row["state"], row["desk"], says)


async def _handoff_words(raw: Connection, row: Row, opens: datetime | None, now: datetime) -> str:
    texts = await texts_of(raw, row["account_id"])
    if row["state"] == "staff":
        return texts["connected"]
    if row["promised_until"] is not None:
        return words.promise(row["promised_until"], now, texts)
    if opens is None:
        return texts["no_hours"]
    ahead = await raw.fetchval(
        """
        SELECT count(*) FROM conversation
        WHERE brand_id = $1 AND state = 'waiting' AND desk = 'ours' AND skill = $2
          AND (-priority, waiting_since, id) < (-$3::int, $4::timestamptz, $5::bigint)
        """,
        row["brand_id"],
        row["skill"],
        row["priority"],
        row["waiting_since"],
        row["id"],
    )
    return words.handoff(ahead, texts)


async def open_one(raw: Connection, fan: Row, now: datetime, heard_since: datetime, actor: str) -> Row:
    """Open a conversation in state bot for a fan who is locked and has none open."""
    conversation_id = await raw.fetchval(
        """
        INSERT INTO conversation (brand_id, account_id, fan_id, member_id, state, opened_at, heard_since, last_at)
        VALUES ($1, $2, $3, $4, 'bot', $5, $6, $5) RETURNING id
        """,
        fan["brand_id"],
        fan["account_id"],
        fan["fan_id"],
        fan["member_id"],
        now,
        min(heard_since, now),
    )
    row = await again(raw, conversation_id)
    await record(raw, row, "opened", actor, now)  # type: ignore[arg-type]  # one of the actors
    return row


@command
async def bot_unsure(
    tx: Transaction, *, fan_id: int, push_key: UUID, now: datetime, asked_at: datetime | None = None
) -> Handoff | None:
    """Note that the bot has no good answer to a push; the second time within minutes a person is asked for.

    Returns the handoff, or None the first time: then the bot itself says something. Doubts before the last
    conversation with a person ended do not count.
    """
    raw = tx.connection
    fan = await lock_fan(raw, fan_id)
    event = Appended(
        key_of("bot-unsure", push_key), UNSURE.name, now, fan["member_id"], fan["account_id"], fan_id, {}, now
    )
    await add(raw, event)
    settings = await settings_of(raw, fan["brand_id"])
    doubts = await raw.fetchval(
        """
        SELECT count(*) FROM event
        WHERE member_id = $1 AND fan_id = $2 AND kind = $3 AND occurred_at > $4
          AND occurred_at > coalesce((SELECT max(closed_at) FROM conversation WHERE fan_id = $2), '-infinity')
        """,
        fan["member_id"],
        fan_id,
        UNSURE.name,
        now - timedelta(minutes=settings.unsure_minutes),
    )
    return await _request(raw, fan_id, "unsure", now, push_key, asked_at, "") if doubts >= 2 else None


async def check_seat(raw: Connection, brand_id: int, staff_id: int) -> None:
    """Raise NotFound unless somebody has a seat at a brand."""
    if not await raw.fetchval(
        "SELECT EXISTS (SELECT FROM seat WHERE staff_id = $1 AND brand_id = $2)", staff_id, brand_id
    ):
        raise NotFound("这位员工还没有客服坐席", code="no_seat")


@command
async def pull(tx: Transaction, *, conversation_id: int, brand_id: int, staff_id: int, now: datetime) -> None:
    """Let one of the staff take a conversation from the queue or the bot, also beyond their capacity.

    Of several at once one has it, the others get Conflict `taken`. Raises Conflict `closed`, `wechat_desk`, NotFound.
    """
    raw = tx.connection
    await check_seat(raw, brand_id, staff_id)
    row = await lock(raw, conversation_id, brand_id)
    await _take(raw, row, staff_id, now)


@command
async def pull_fan(tx: Transaction, *, fan_id: int, brand_id: int, staff_id: int, now: datetime) -> int:
    """Let one of the staff take a fan, whatever state they are in, and return the conversation's id.

    Raises as `pull` does, and NotFound for a fan of another brand.
    """
    raw = tx.connection
    await check_seat(raw, brand_id, staff_id)
    fan = await lock_fan(raw, fan_id)
    if fan["brand_id"] != brand_id:
        raise NotFound("没有这位粉丝")
    row = await lock_open(raw, fan_id) or await open_one(raw, fan, now, now, "staff")
    await _take(raw, row, staff_id, now)
    return int(row["id"])


async def _take(raw: Connection, row: Row, staff_id: int, now: datetime) -> None:
    if row["state"] == "closed":
        raise Conflict("会话已经结束", code="closed")
    if row["desk"] == "wechat":
        raise Conflict("这个会话由微信客服接待", code="wechat_desk")
    if row["state"] == "staff":
        if row["staff_id"] == staff_id:
            return
        raise Conflict("会话已被其他客服接待", code="taken")
    if row["state"] == "bot":
        await change(raw, row["id"], **ANEW, reason="pulled", asked_at=now)
        await silence.begin(raw, row["fan_id"])
        row = await again(raw, row["id"])
    await give(raw, row, staff_id, now)
    # Whoever takes something is there, whatever their browser's lease says.
    await renew(raw, staff_id, now)
    await record(raw, row, "assigned", "staff", now, staff_id=staff_id, to_staff_id=staff_id, reason="pulled")
    await latest(raw, row["id"])


def check_owner(row: Row, staff_id: int) -> None:
    """Raise Conflict `closed` or `not_owner` unless somebody has the conversation now."""
    if row["state"] == "closed":
        raise Conflict("会话已经结束", code="closed")
    if row["state"] != "staff" or row["staff_id"] != staff_id:
        raise Conflict("会话不由您接待，请先接入", code="not_owner")


@command
async def transfer(
    tx: Transaction,
    *,
    conversation_id: int,
    brand_id: int,
    staff_id: int,
    key: UUID,
    now: datetime,
    to_staff_id: int | None = None,
    to_skill: str | None = None,
    note: str = "",
) -> bool:
    """Pass a conversation on to somebody who is present, or to the queue of a skill ("" is the general one).

    `key` is the request's: said again it changes nothing, and False is returned. Raises Conflict `not_owner`,
    `absent`, Invalid naming the field, NotFound.
    """
    raw = tx.connection
    if (to_staff_id is None) == (to_skill is None):
        raise Invalid("请选择转给客服或技能组", field="to_staff_id")
    row = await lock(raw, conversation_id, brand_id)
    key = key_of("transfer", conversation_id, key)
    if await raw.fetchval("SELECT EXISTS (SELECT FROM conversation_change WHERE key = $1)", key):
        return False
    check_owner(row, staff_id)
    said = {"staff_id": staff_id, "text": note[:2000], "key": key}
    if to_staff_id is not None:
        if to_staff_id == staff_id:
            raise Invalid("不能转给自己", field="to_staff_id")
        await check_seat(raw, brand_id, to_staff_id)
        present = await raw.fetchval(
            "SELECT present_until > $2 FROM seat WHERE staff_id = $1 FOR NO KEY UPDATE", to_staff_id, now
        )
        if not present:
            raise Conflict("对方不在线", code="absent")
        await give(raw, row, to_staff_id, now)
        await record(raw, row, "transferred", "staff", now, to_staff_id=to_staff_id, **said)  # type: ignore[arg-type]  # by name
        return True
    skill = to_skill or ""
    if not await known_skill(raw, brand_id, skill):
        raise Invalid("没有这个技能组", field="to_skill")
    since = row["waiting_since"] or now
    await change(
        raw, row["id"], state="waiting", staff_id=None, skill=skill, priority=1, waiting_since=since, snoozed_until=None
    )
    await record(raw, row, "transferred", "staff", now, skill=skill, **said)  # type: ignore[arg-type]  # same
    await assign(raw, brand_id, now, avoid={conversation_id: staff_id})
    return True


@command
async def return_to_bot(tx: Transaction, *, conversation_id: int, brand_id: int, staff_id: int, now: datetime) -> None:
    """Give a fan back to the bot, the conversation staying open. Raises Conflict `not_owner`, `closed`, NotFound."""
    raw = tx.connection
    row = await lock(raw, conversation_id, brand_id)
    if row["state"] == "bot":
        return
    check_owner(row, staff_id)
    await change(
        raw, row["id"], state="bot", staff_id=None, waiting_since=None, snoozed_until=None, answer_due_at=None,
        alarmed_at=None,
    )  # fmt: skip
    await silence.end(raw, row["fan_id"])
    await record(raw, row, "returned", "staff", now, staff_id=staff_id)
    await assign(raw, brand_id, now)


@command
async def snooze(
    tx: Transaction, *, conversation_id: int, brand_id: int, staff_id: int, until: datetime, now: datetime
) -> None:
    """Put a conversation off until a moment, or until the fan writes; it takes no room meanwhile.

    Raises Invalid for a moment that is past or more than 30 days ahead, Conflict `not_owner`, NotFound.
    """
    raw = tx.connection
    if not now < until <= now + LONGEST_SNOOZE:
        raise Invalid("请选择 30 天内的时间", field="until")
    row = await lock(raw, conversation_id, brand_id)
    check_owner(row, staff_id)
    if row["snoozed_until"] == until:
        return
    await change(raw, row["id"], snoozed_until=until)
    await record(raw, row, "snoozed", "staff", now, staff_id=staff_id, text=until.isoformat())
    await assign(raw, brand_id, now)


@command
async def wake(tx: Transaction, *, conversation_id: int, brand_id: int, staff_id: int, now: datetime) -> None:
    """Take a conversation up again before its time. Raises Conflict `not_owner`, NotFound."""
    raw = tx.connection
    row = await lock(raw, conversation_id, brand_id)
    check_owner(row, staff_id)
    if row["snoozed_until"] is not None:
        await change(raw, row["id"], snoozed_until=None)
        await record(raw, row, "woken", "staff", now, staff_id=staff_id)
