"""Pushes: accepted once, one turn at a time, one answer, taken over when their worker dies."""

import asyncio
import random
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.db import Connection, Transaction, database, fetch
from scrm.events import kinds
from scrm.group_commit import GroupCommit
from scrm.members import queries
from scrm.members.service import ENSURE_FANS
from scrm.pushes import accepting, repetitions
from scrm.pushes import service as pushes
from scrm.pushes.accepting import Accepted, Arrival
from scrm.pushes.service import Abandoned, DialogueChange, Held, RunningDialogue
from tests.factories import FOLLOW, SCAN, TEXT, again, at, make_account, make_fan, value

ANSWER = {"type": "text", "content": "你好"}


async def _fails(_raw: Connection, events: Any) -> None:
    if any(event.payload.get("fail") for event in events):
        raise asyncpg.CheckViolationError("no")


kinds.register("test.push", "测试", _fails)


def arrival(key: object, account: int, openid: str | None = "o1", **changes: Any) -> Arrival:
    given: dict[str, Any] = {
        "key": key if isinstance(key, UUID) else key_of("push", key),
        "account_id": account,
        "openid": openid,
        "kind": TEXT,
        "occurred_at": at(0),
        "received_at": at(1),
        "payload": {"content": "hi"},
        "fields": {"Content": "hi"},
        "lease_until": at(31),
        "answer": ANSWER,
    }
    return Arrival(**(given | changes))


async def accept(*arrivals: Arrival) -> list[Accepted]:
    async with scrm_db.transaction() as tx:
        return await accepting.accept(tx.connection, arrivals)


async def accept_running(
    account: int, key: object, received_at: datetime | None = None, openid: str = "o1"
) -> Accepted:
    (accepted,) = await accept(arrival(key, account, openid, answer=None, received_at=received_at or at(1)))
    assert accepted.fresh
    assert accepted.running
    return accepted


async def look(*keys: object) -> list[tuple[str, dict[str, Any] | None, str] | None]:
    async with scrm_db.connection() as raw:
        states = await repetitions.look(raw, [key_of("push", key) for key in keys])
    return [(state.state, state.answer, state.reason) if state else None for state in states]


async def finish(key: object, fan_id: int | None, **changes: Any) -> bool:
    given: dict[str, Any] = {"attempts": 1, "state": "answered", "answer": ANSWER, "now": at(2)}
    return await pushes.finish(key=key_of("push", key), fan_id=fan_id, **(given | changes))


async def count(table: str) -> int:
    return int(await value(f"SELECT count(*) FROM {table}"))  # noqa: S608  # a table's name, from the test


class TestAccept:
    async def test_a_fresh_push_of_an_unknown_fan_makes_everything_at_once(self, tx_db: Transaction) -> None:
        account = await make_account()
        (accepted,) = await accept(arrival("a", account))
        fan = await queries.fan_of(account, "o1")
        assert fan is not None
        assert accepted == Accepted(fresh=True, running=False, fan_id=fan.id, member_id=fan.member_id)
        assert await look("a") == [("answered", ANSWER, "")]
        (event,) = await fetch("SELECT key, kind, occurred_at, recorded_at, member_id, account_id, fan_id FROM event")
        assert tuple(event) == (key_of("push", "a"), TEXT, at(0), at(1), fan.member_id, account, fan.id)
        # What a person wrote is kept once, on the timeline; the push keeps it only while somebody works on it.
        assert await value("SELECT fields FROM push") is None

    async def test_the_same_push_again_changes_nothing_and_finds_the_first_answer(self, tx_db: Transaction) -> None:
        account = await make_account()
        (first,) = await accept(arrival("a", account, kind=FOLLOW))
        (second,) = await accept(arrival("a", account, kind=FOLLOW, answer={"type": "text", "content": "other"}))
        assert second == Accepted(fresh=False, running=False, fan_id=first.fan_id, member_id=first.member_id)
        assert await look("a", "never") == [("answered", ANSWER, ""), None]
        fan = await queries.fan_of(account, "o1")
        assert fan is not None
        assert fan.follow_count == 1

    async def test_the_same_push_twice_in_one_batch_counts_once(self, tx_db: Transaction) -> None:
        account = await make_account()
        known = await make_fan(account, "known")
        accepted = await accept(
            arrival("a", account, "new"),
            arrival("b", account, "known"),
            arrival("a", account, "new"),
            arrival("c", account, "new"),
            arrival("b", account, "known"),
        )
        assert [each.fresh for each in accepted] == [True, True, False, True, False]
        new = accepted[0].fan_id
        assert [each.fan_id for each in accepted] == [new, known.id, new, new, known.id]
        assert (await count("event"), await count("push"), await count("fan")) == (3, 3, 2)

    async def test_different_fans_and_accounts_are_kept_apart(self, tx_db: Transaction) -> None:
        one, other = await make_account(), await make_account()
        accepted = await accept(*(arrival((a, o), a, o) for a in (one, other) for o in ("o1", "o2")))
        assert [each.fresh for each in accepted] == [True] * 4
        assert len({each.fan_id for each in accepted}) == 4

    async def test_what_is_about_the_account_has_no_fan(self, tx_db: Transaction) -> None:
        account = await make_account()
        accepted = await accept(arrival("a", account, None, kind="wechat.event.masssendjobfinish"))
        assert accepted == [Accepted(fresh=True, running=False, fan_id=None, member_id=None)]
        assert await count("fan") == 0
        assert tuple((await fetch("SELECT account_id, fan_id, member_id FROM event"))[0]) == (account, None, None)

    async def test_without_an_answer_it_is_running_with_its_fields(self, tx_db: Transaction) -> None:
        account = await make_account()
        await accept_running(account, "a")
        assert await look("a") == [("running", None, "")]
        (row,) = await fetch("SELECT fields::text, attempts, lease_until, received_at FROM push")
        assert tuple(row) == ('{"Content": "hi"}', 1, at(31), at(1))

    async def test_an_unknown_account_is_refused_whole(self, db: TortoiseContext) -> None:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await accept(arrival("a", 404))
        assert (await count("event"), await count("member"), await count("event_key")) == (0, 0, 0)


class TestGuards:
    """A prepared answer stands only while nothing of the same fan comes first."""

    async def test_another_push_has_the_turn(self, tx_db: Transaction) -> None:
        account = await make_account()
        first = await accept_running(account, "a")
        assert first.fan_id is not None
        assert await pushes.take_turn(first.fan_id, key_of("push", "a"), now=at(1), lease_until=at(10))
        (during,) = await accept(arrival("b", account, received_at=at(9)))
        (expired,) = await accept(arrival("c", account, received_at=at(100_000)))
        (other,) = await accept(arrival("d", account, "o2", received_at=at(9)))
        assert [each.running for each in (during, expired, other)] == [True, False, False]
        assert await look("b", "c") == [("running", None, ""), ("answered", ANSWER, "")]

    async def test_a_dialogue_is_running(self, tx_db: Transaction) -> None:
        account = await make_account()
        first = await accept_running(account, "a")
        await finish("a", first.fan_id, dialogue=DialogueChange("survey", "name", {"n": 1}, at(60)))
        (during,) = await accept(arrival("b", account, received_at=at(59)))
        (expired,) = await accept(arrival("c", account, received_at=at(60)))
        assert [each.running for each in (during, expired)] == [True, False]

    async def test_an_answer_is_held(self, tx_db: Transaction) -> None:
        account = await make_account()
        first = await accept_running(account, "a")
        await finish("a", first.fan_id, hold=[ANSWER])
        (next_,) = await accept(arrival("b", account))
        assert next_.running


class TestConcurrency:
    async def test_overlapping_batches_in_two_pools_count_every_push_once(self, database_url: str) -> None:
        """Thirty batches of pushes of new and known fans, each push in several of them, half a pool each."""
        rng = random.Random(7)
        async with database(database_url):
            account = await make_account()
            known = [await make_fan(account, f"o{n}") for n in range(0, 40, 2)]
        arrivals = [
            arrival(
                n,
                account,
                f"o{n % 40}",
                kind=(FOLLOW, SCAN, TEXT)[n % 3],
                payload={"scene": f"s{n % 5}"},
                occurred_at=at(n),
            )
            for n in range(200)
        ]

        async def process(seed: int) -> list[list[Accepted]]:
            mine = random.Random(seed)
            async with database(database_url, pool=5):
                tasks = Tasks()
                group: GroupCommit[list[Arrival], list[Accepted]] = GroupCommit(
                    _accept_lists, tasks.spawn, limit=1, lanes=5
                )
                batches = [mine.sample(arrivals, 60) for _ in range(15)]
                outcomes = await asyncio.gather(*(group.submit(batch) for batch in batches))
                await tasks.drain(5)
            return [outcome for outcome in outcomes if sum(each.fresh for each in outcome)]

        fresh = sum(
            each.fresh
            for outcomes in await asyncio.gather(process(rng.randrange(1000)), process(rng.randrange(1000)))
            for outcome in outcomes
            for each in outcome
        )
        async with database(database_url):
            events = await count("event")
            assert fresh == events == await count("push") == await count("event_key")
            assert (await count("fan"), await count("member")) == (40, 40)
            follows = await value("SELECT count(*) FROM event WHERE kind = $1", FOLLOW)
            assert await value("SELECT sum(follow_count) FROM fan") == follows
            assert await count("channel") == 5
            assert (await again(known[0])).following
            assert await value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0

    async def test_the_same_push_at_once_has_one_winner_and_one_answer(self, database_url: str) -> None:
        async with database(database_url):
            account = await make_account()
            answers = [{"type": "text", "content": str(n)} for n in range(10)]
            outcomes = await asyncio.gather(*(accept(arrival("a", account, answer=answer)) for answer in answers))
            winners = [n for n, (each,) in enumerate(outcomes) if each.fresh]
            assert len(winners) == 1
            assert await look("a") == [("answered", answers[winners[0]], "")]
            assert (await count("fan"), await count("member"), await count("event")) == (1, 1, 1)

    async def test_strangers_whom_another_process_is_making_are_waited_for(self, db: TortoiseContext) -> None:
        account = await make_account()
        async with scrm_db.connection() as theirs, scrm_db.connection() as ours:
            opened = theirs.transaction()
            await opened.start()
            await theirs.execute(ENSURE_FANS, [account], ["o2"], at(0))
            arrivals = [arrival(n, account, f"o{n}") for n in (1, 2, 2, 3)]
            storing = asyncio.create_task(accepting.accept_at_once(ours, arrivals))
            while not await value("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110  # theirs to tell
                await asyncio.sleep(0.01)
            await opened.commit()
            accepted = await storing
        assert accepted is not None
        assert [each.fresh for each in accepted] == [True, True, False, True]
        fans = await fetch("SELECT id, member_id, created_at FROM fan ORDER BY openid")
        assert [(each.fan_id, each.member_id) for each in accepted] == [tuple(fans[n])[:2] for n in (0, 1, 1, 2)]
        assert [fan["created_at"] for fan in fans] == [at(1), at(0), at(1)]
        # Nobody is left over from the first attempt.
        assert (await count("member"), await count("event"), await count("push")) == (3, 3, 3)

    async def test_one_bad_push_fails_alone_in_its_group_commit(self, db: TortoiseContext) -> None:
        account = await make_account()
        tasks = Tasks()
        group = GroupCommit(accepting.accept, tasks.spawn, lanes=1)
        bad = {
            "no such account": arrival("x", 404),
            "nul": arrival("y", account, payload={"content": "\x00"}),
            "openid": arrival("z", account, "o" * 65),
            "consequence": arrival("w", account, kind="test.push", payload={"fail": True}),
        }
        good = [arrival(n, account, f"o{n}") for n in range(8)]
        mixed = [*good[:4], *bad.values(), *good[4:]]
        outcomes = await asyncio.gather(*(group.submit(each) for each in mixed), return_exceptions=True)
        assert [isinstance(outcome, Exception) for outcome in outcomes] == [False] * 4 + [True] * 4 + [False] * 4
        assert (await count("event"), await count("push")) == (8, 8)
        await tasks.drain(5)


async def _accept_lists(raw: Connection, items: Any) -> list[list[Accepted]]:
    return [await accepting.accept(raw, item) for item in items]


class TestTurns:
    async def test_one_at_a_time_and_a_dead_holder_loses_it(self, tx_db: Transaction) -> None:
        fan = await make_fan(await make_account())
        a, b = key_of("a"), key_of("b")
        assert await pushes.take_turn(fan.id, a, now=at(0), lease_until=at(10)) is True
        assert await pushes.take_turn(fan.id, b, now=at(9), lease_until=at(20)) is False
        assert await pushes.take_turn(fan.id, a, now=at(9), lease_until=at(15)) is True
        assert await pushes.take_turn(fan.id, b, now=at(14), lease_until=at(20)) is False
        assert await pushes.take_turn(fan.id, b, now=at(15), lease_until=at(25)) is True
        assert await pushes.take_turn(fan.id, a, now=at(16), lease_until=at(25)) is False

    async def test_many_at_once_have_one_winner(self, db: TortoiseContext) -> None:
        fan = await make_fan(await make_account())
        taken = await asyncio.gather(
            *(pushes.take_turn(fan.id, key_of(n), now=at(0), lease_until=at(10)) for n in range(10))
        )
        assert sorted(taken) == [False] * 9 + [True]

    async def test_finishing_gives_back_only_its_own_turn(self, tx_db: Transaction) -> None:
        account = await make_account()
        first = await accept_running(account, "a")
        assert first.fan_id is not None
        await pushes.take_turn(first.fan_id, key_of("push", "a"), now=at(1), lease_until=at(10))
        await pushes.take_turn(first.fan_id, key_of("push", "b"), now=at(11), lease_until=at(20))
        assert await finish("a", first.fan_id) is True
        assert await value("SELECT push_key FROM turn") == key_of("push", "b")

    async def test_renewing_keeps_push_and_turn(self, tx_db: Transaction) -> None:
        account = await make_account()
        first = await accept_running(account, "a")
        assert first.fan_id is not None
        await pushes.take_turn(first.fan_id, key_of("push", "a"), now=at(1), lease_until=at(10))
        await pushes.renew([key_of("push", "a")], lease_until=at(60))
        assert await value("SELECT lease_until FROM turn") == await value("SELECT lease_until FROM push") == at(60)
        assert await pushes.take_over(now=at(59), lease_until=at(90)) == []


class TestTakingOver:
    async def test_pushes_whose_worker_died_are_claimed_once_oldest_first(self, tx_db: Transaction) -> None:
        account = await make_account()
        accepted = [await accept_running(account, n, at(10 - n), f"o{n}") for n in range(3)]
        assert await pushes.take_over(now=at(30), lease_until=at(60)) == []
        taken = await pushes.take_over(now=at(31), lease_until=at(60), limit=2)
        assert taken == [
            Abandoned(
                key_of("push", n),
                account,
                accepted[n].fan_id,
                accepted[n].member_id,
                {"Content": "hi"},
                2,
                at(10 - n),
            )
            for n in (2, 1)
        ]
        assert [push.key for push in await pushes.take_over(now=at(31), lease_until=at(60))] == [key_of("push", 0)]
        assert await pushes.take_over(now=at(31), lease_until=at(60)) == []

    async def test_one_push_alone_is_claimed_by_its_key(self, tx_db: Transaction) -> None:
        account = await make_account()
        for n in range(2):
            await accept_running(account, n)
        wanted = key_of("push", 1)
        assert [p.key for p in await pushes.take_over(now=at(40), lease_until=at(60), key=wanted)] == [wanted]
        assert await pushes.take_over(now=at(40), lease_until=at(60), key=wanted) == []

    async def test_two_sweepers_at_once_share_without_overlap(self, db: TortoiseContext) -> None:
        account = await make_account()
        await accept(*(arrival(n, account, f"o{n}", answer=None) for n in range(50)))
        halves = await asyncio.gather(*(pushes.take_over(now=at(40), lease_until=at(60), limit=10) for _ in range(5)))
        keys = [push.key for half in halves for push in half]
        assert len(keys) == len(set(keys)) == 50

    async def test_who_was_taken_over_from_can_no_longer_finish(self, tx_db: Transaction) -> None:
        account = await make_account()
        first = await accept_running(account, "a")
        (taken,) = await pushes.take_over(now=at(40), lease_until=at(60))
        late = DialogueChange("survey", "x", {}, at(99))
        assert await finish("a", first.fan_id, attempts=1, dialogue=late, hold=[ANSWER]) is False
        assert await look("a") == [("running", None, "")]
        assert (await count("dialogue"), await count("held_reply")) == (0, 0)
        assert (
            await finish("a", first.fan_id, attempts=taken.attempts, state="late", answer=None, reason="slow") is True
        )
        assert await look("a") == [("late", None, "slow")]
        assert await finish("a", first.fan_id, attempts=taken.attempts) is False

    async def test_a_push_about_the_account_is_taken_over_too(self, tx_db: Transaction) -> None:
        account = await make_account()
        await accept(arrival("a", account, None, answer=None))
        (taken,) = await pushes.take_over(now=at(40), lease_until=at(60))
        assert (taken.fan_id, taken.member_id) == (None, None)
        assert await finish("a", None, attempts=2, state="failed", answer=None, reason="x" * 80) is True
        assert await look("a") == [("failed", None, "x" * 64)]


class TestAnswers:
    async def test_a_dialogue_goes_step_by_step_and_ends(self, tx_db: Transaction) -> None:
        account = await make_account()
        steps = [DialogueChange("survey", "name", {}, at(60)), DialogueChange("survey", "city", {"name": "李"}, at(90))]
        for n, step in enumerate([*steps, DialogueChange(None)]):
            accepted = await accept_running(account, n)
            assert accepted.fan_id is not None
            await finish(n, accepted.fan_id, dialogue=step)
            running = await pushes.dialogue_of(accepted.fan_id, at(50))
            assert running == (RunningDialogue("survey", step.step, dict(step.data or {})) if step.name else None)

    async def test_a_dialogue_whose_time_is_up_is_none(self, tx_db: Transaction) -> None:
        accepted = await accept_running(await make_account(), "a")
        assert accepted.fan_id is not None
        await finish("a", accepted.fan_id, dialogue=DialogueChange("survey", "name", {}, at(60)))
        assert await pushes.dialogue_of(accepted.fan_id, at(59)) is not None
        assert await pushes.dialogue_of(accepted.fan_id, at(60)) is None

    async def test_held_replies_are_released_once_oldest_first(self, tx_db: Transaction) -> None:
        account = await make_account()
        first = await accept_running(account, "a")
        assert first.fan_id is not None
        replies = [{"type": "text", "content": word} for word in ("一", "二")]
        await finish("a", first.fan_id, state="late", answer=None, hold=replies)
        held = await pushes.held_for(first.fan_id, at(60))
        assert [each.reply for each in held] == replies
        await accept_running(account, "b")
        assert await finish("b", first.fan_id, attempts=9, released=[held[0].id]) is False
        assert await pushes.held_for(first.fan_id, at(60)) == held
        assert await finish("b", first.fan_id, released=[held[0].id]) is True
        assert await pushes.held_for(first.fan_id, at(60)) == [Held(held[1].id, replies[1])]


class TestHousekeeping:
    async def test_finished_pushes_are_pruned_and_their_events_and_keys_stay(self, tx_db: Transaction) -> None:
        account = await make_account()
        await accept(*(arrival(n, account, f"o{n}", received_at=at(n)) for n in range(4)))
        await accept_running(account, "running", at(0), "o9")
        assert await pushes.prune(before=at(3), limit=2) == 2
        assert await pushes.prune(before=at(3)) == 1
        assert await pushes.prune(before=at(3)) == 0
        assert [state and state[0] for state in await look(0, 1, 2, 3, "running")] == [
            None,
            None,
            None,
            "answered",
            "running",
        ]
        assert await count("event") == 5
        # A repetition after days finds its key: nothing happens twice, only the answer is gone.
        (repeated,) = await accept(arrival(0, account, "o0"))
        assert repeated.fresh is False
        assert await look(0) == [None]

    async def test_malformed_pushes_are_kept_up_to_a_number_per_account(self, tx_db: Transaction) -> None:
        await tx_db.connection.execute(
            "INSERT INTO malformed_push (account_id, reason, body_sealed, received_at) "
            "SELECT 1 + n % 2, 'old', 'sealed', $1 FROM generate_series(1, 2 * $2::int) AS n",
            at(0),
            pushes.MALFORMED_KEPT,
        )
        await pushes.keep_malformed(account_id=1, reason="r" * 70, body_sealed="new", received_at=at(1))
        rows = await fetch(
            "SELECT account_id, count(*) AS n, max(reason) AS reason FROM malformed_push GROUP BY 1 ORDER BY 1"
        )
        assert [tuple(row) for row in rows] == [
            (1, pushes.MALFORMED_KEPT, "r" * 64),
            (2, pushes.MALFORMED_KEPT, "old"),
        ]
        assert await value("SELECT min(id) FROM malformed_push WHERE account_id = 1") > await value(
            "SELECT min(id) FROM malformed_push WHERE account_id = 2"
        )


class TestWithdraw:
    """An answer no request carried is taken back, unless a repetition was told it: never both."""

    async def withdraw(self, fan_id: int | None, **changes: Any) -> str | None:
        assert fan_id is not None
        given: dict[str, Any] = {"state": "late", "reason": "", "hold": [], "now": at(9)}
        return await repetitions.withdraw(key=key_of("push", "a"), fan_id=fan_id, **(given | changes))

    async def test_once_and_then_nobody_is_told_it(self, tx_db: Transaction) -> None:
        (accepted,) = await accept(arrival("a", await make_account()))
        assert await self.withdraw(accepted.fan_id) == "late"
        assert await self.withdraw(accepted.fan_id) is None
        assert await look("a") == [("late", None, "")]

    async def test_not_after_somebody_was_told_unless_all_of_them_had_gone(self, tx_db: Transaction) -> None:
        (accepted,) = await accept(arrival("a", await make_account()))
        for _ in range(2):
            assert await look("a") == [("answered", ANSWER, "")]
        await repetitions.untold(key=key_of("push", "a"))
        assert await self.withdraw(accepted.fan_id, hold=[ANSWER]) is None
        assert await value("SELECT state FROM push") == "answered"
        assert await count("held_reply") == 0
        await repetitions.untold(key=key_of("push", "a"))
        assert await self.withdraw(accepted.fan_id) == "late"

    async def test_not_while_it_is_worked_on(self, tx_db: Transaction) -> None:
        running = await accept_running(await make_account(), "a")
        assert await look("a") == [("running", None, "")]
        assert await self.withdraw(running.fan_id) is None

    async def test_what_failed_stays_so_for_its_reason(self, tx_db: Transaction) -> None:
        running = await accept_running(await make_account(), "a")
        assert await finish("a", running.fan_id, state="failed", reason="handler:KeyError")
        assert await self.withdraw(running.fan_id, reason="no_capability") == "failed"
        assert await look("a") == [("failed", None, "handler:KeyError")]

    async def test_what_may_not_be_sent_waits(self, tx_db: Transaction) -> None:
        (accepted,) = await accept(arrival("a", await make_account()))
        assert accepted.fan_id is not None
        assert await self.withdraw(accepted.fan_id, reason="busy", hold=[ANSWER]) == "late"
        assert await look("a") == [("late", None, "busy")]
        assert [held.reply for held in await pushes.held_for(accepted.fan_id, at(10))] == [ANSWER]

    async def test_both_at_once_at_two_machines(self, db: TortoiseContext) -> None:
        account = await make_account()
        for n in range(20):
            (accepted,) = await accept(arrival(n, account))
            assert accepted.fan_id is not None
            taking = repetitions.withdraw(
                key=key_of("push", n), fan_id=accepted.fan_id, state="late", reason="", hold=[], now=at(9)
            )
            told, taken = await asyncio.gather(look(n), taking)
            assert (told, taken) in [([("answered", ANSWER, "")], None), ([("late", None, "")], "late")]
