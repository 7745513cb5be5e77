"""What was said and why is forgotten after its time: what is over, and nothing that somebody still needs."""

from datetime import timedelta

from kit.clock import ManualClock
from kit.ids import key_of
from scrm.db import Transaction, fetch
from scrm.members.queries import FanView
from scrm.outreach import pruning
from scrm.outreach import service as outreach
from scrm.outreach.gate import Purpose
from scrm.outreach.pruning import Pruned
from tests.factories import TEXT, at, happens, make_account, make_fan, make_follower
from worker import schedules
from worker.schedules import Services

BODY = {"msgtype": "text", "text": {"content": "你好"}}
DAY = 86_400
YEAR = 365 * DAY


async def talker(account: int) -> FanView:
    """A follower who wrote something at the start."""
    fan = await make_follower(account, at(0))
    await happens(fan, TEXT, at(0))
    return fan


async def said(
    fan: FanView,
    key: str,
    seconds: float,
    state: str = "sent",
    due: float | None = None,
    purpose: Purpose = "answer",
) -> None:
    """Say something then, which came to this state; a fan without a window is refused by the gate."""
    verdict = await outreach.say(
        key=key_of("say", key),
        fan_id=fan.id,
        body=BODY,
        purpose=purpose,
        now=at(seconds),
        due_at=None if due is None else at(due),
    )
    if verdict.allowed:
        sent = "CASE WHEN $2::varchar = 'sent' THEN created_at END"
        await fetch(
            f"""
            UPDATE outbox o SET state = $2::varchar, sent_at = {sent} FROM outreach_decision d
            WHERE d.id = o.decision_id AND d.key = $1
            """,  # noqa: S608  # our own text
            key_of("say", key),
            state,
        )


async def left() -> list[str]:
    """Return what is still known, oldest first: the states of messages, and why there are none."""
    rows = await fetch(
        """
        SELECT coalesce(o.state, d.reason) AS state FROM outreach_decision d
        LEFT JOIN outbox o ON o.decision_id = d.id ORDER BY d.decided_at, d.id
        """
    )
    return [row["state"] for row in rows]


async def run(seconds: float, outreach_kept: timedelta = timedelta(days=365)) -> None:
    given = Services(ManualClock(at(seconds)), outreach_kept=outreach_kept)
    await schedules.registry.jobs["outreach.prune"].work({}, given)


async def test_what_is_over_goes_after_a_year_and_what_is_not_stays(tx_db: Transaction) -> None:
    account = await make_account()
    stranger, fan = await make_fan(account), await talker(account)
    await said(stranger, "never", 1)
    for n, state in enumerate(("sent", "refused", "failed", "unknown", "pending", "claimed", "sending")):
        await said(await talker(account), f"old {state}", 2 + n, state)
    # Planned for long after it was decided on.
    await said(fan, "planned", 20, "failed", due=300 * DAY)
    stay = ["pending", "claimed", "sending", "failed"]
    await run(YEAR)
    assert await left() == ["not_following", "sent", "refused", "failed", "unknown", *stay]
    await run(YEAR + 60)
    assert await left() == stay
    # Again, it changes nothing.
    await run(YEAR + 60)
    assert await left() == stay
    await run(YEAR + 301 * DAY)
    assert await left() == stay[:3]


async def test_how_long_is_set(tx_db: Transaction) -> None:
    await said(await talker(await make_account()), "a", 1)
    await run(30 * DAY, outreach_kept=timedelta(days=30))
    assert await left() == ["sent"]
    await run(30 * DAY + 2, outreach_kept=timedelta(days=30))
    assert await left() == []
    assert ("5 4 * * *", "outreach.prune") in schedules.registry.schedules


async def test_what_staff_said_stays(tx_db: Transaction) -> None:
    """Its words stand nowhere else, and belong to the conversation."""
    account = await make_account()
    for n in range(5):
        await said(await talker(account), f"{n}", n, purpose="service" if n in {1, 3} else "answer")
    # Two at a time: what stays holds nobody up.
    pruned, gone = await pruning.prune(before=at(60), limit=2), []
    while pruned.next is not None:
        gone.append((pruned.decisions, pruned.messages))
        pruned = await pruning.prune(before=at(60), after=pruned.next, limit=2)
    assert [*gone, (pruned.decisions, pruned.messages)] == [(1, 1), (1, 1), (1, 1)]
    assert await left() == ["sent", "sent"]
    assert await pruning.prune(before=at(60)) == Pruned(0, 0, None)


async def test_counts_are_what_they_were(tx_db: Transaction) -> None:
    fan = await talker(await make_account())
    now = 30 * DAY
    await said(fan, "long ago", 1)
    await happens(fan, TEXT, at(now))
    for n in range(4):
        await said(fan, f"{n}", now + n)
    await run(now + 10, outreach_kept=timedelta(days=30))
    assert await left() == ["sent"] * 4
    verdicts = [
        await outreach.say(key=key_of("last", n), fan_id=fan.id, body=BODY, purpose="answer", now=at(now + 20))
        for n in range(2)
    ]
    # Five for a message; asked again under a key that is known, the first verdict stands.
    assert [one.reason for one in verdicts] == ["window:message", "count_exhausted"]
    await said(fan, "3", now + 30)
    assert len(await left()) == 6
