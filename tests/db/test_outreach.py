"""The door out: decided once, counted truly, claimed in order, handed over at most once."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise.context import TortoiseContext

from kit.delivery import Outcome
from kit.ids import key_of
from scrm.accounts.models import Account
from scrm.db import Transaction, fetch
from scrm.errors import NotFound
from scrm.members.queries import FanView
from scrm.outreach import service as outreach
from scrm.outreach.gate import Verdict
from scrm.outreach.queries import Stuck, oldest_pending, stuck
from scrm.outreach.service import Outgoing
from tests.db.door import BODY, claim, say, settle, start, states, talking
from tests.factories import CLICK, TEXT, UNFOLLOW, at, happens, make_account, make_fan, make_follower, value


class TestSay:
    async def test_what_is_allowed_is_decided_recorded_and_put_in_the_outbox(self, tx_db: Transaction) -> None:
        account = await make_account()
        fan = await talking(account)
        assert await say(fan, "a") == Verdict(True, "window:message")
        (decision,) = await fetch("SELECT * FROM outreach_decision")
        assert (decision["key"], decision["account_id"], decision["fan_id"], decision["member_id"]) == (
            key_of("say", "a"),
            account,
            fan.id,
            fan.member_id,
        )
        assert (decision["purpose"], decision["allowed"], decision["decided_at"]) == ("answer", True, at(1))
        assert json.loads(decision["facts"]) == {
            "account_kind": "service",
            "verified": True,
            "enabled": True,
            "following": True,
            "windows": [{"scene": "message", "closes_at": at(48 * 3600).isoformat(), "left": 5}],
            "now": at(1).isoformat(),
            "silenced": False,
            "refused": None,
        }
        (message,) = await fetch("SELECT * FROM outbox")
        assert (message["decision_id"], message["account_id"], message["fan_id"]) == (decision["id"], account, fan.id)
        assert (message["state"], message["due_at"], message["attempts"]) == ("pending", at(1), 0)
        assert json.loads(message["body"]) == BODY

    async def test_a_refusal_is_recorded_and_nothing_is_sent(self, tx_db: Transaction) -> None:
        fan = await make_fan(await make_account())
        assert await say(fan, "a") == Verdict(False, "not_following")
        assert await value("SELECT count(*) FROM outreach_decision WHERE NOT allowed AND reason = 'not_following'") == 1
        assert await states() == []

    async def test_the_same_key_is_decided_once(self, tx_db: Transaction) -> None:
        fan = await make_follower(await make_account(), at(-10_000_000))
        assert await say(fan, "a") == Verdict(False, "window_closed")
        await happens(fan, TEXT, at(1))
        assert await say(fan, "a", at(2)) == Verdict(False, "window_closed")
        assert await say(fan, "b", at(2)) == Verdict(True, "window:message")
        assert await say(fan, "b", at(10_000_000)) == Verdict(True, "window:message")
        assert await value("SELECT count(*) FROM outreach_decision") == 2
        assert len(await states()) == 1

    @pytest.mark.parametrize(
        ("account", "reason"),
        [
            ({"verified": False}, "no_capability"),
            ({"kind": "subscription"}, "window:message"),
            ({"kind": "miniprogram", "verified": False}, "window:message"),
        ],
    )
    async def test_the_kind_of_account_decides(self, tx_db: Transaction, account: dict[str, Any], reason: str) -> None:
        assert (await say(await talking(await make_account(**account)), "a")).reason == reason

    async def test_a_disabled_account_says_nothing(self, tx_db: Transaction) -> None:
        account = await make_account()
        fan = await talking(account)
        await Account.filter(id=account).update(enabled=False)
        assert await say(fan, "a") == Verdict(False, "account_disabled")

    async def test_windows_close_by_the_platforms_clock_less_a_margin(self, tx_db: Transaction) -> None:
        fan = await talking(await make_account())
        assert (await say(fan, "a", at(48 * 3600 - 3))).reason == "window:message"
        assert (await say(fan, "b", at(48 * 3600 - 2))).reason == "window_closed"

    async def test_every_act_of_the_timeline_opens_its_window(self, tx_db: Transaction) -> None:
        fan = await make_follower(await make_account(), at(0))
        assert [(await say(fan, n, at(1))).reason for n in range(4)] == ["window:follow"] * 3 + ["count_exhausted"]
        await happens(fan, CLICK, at(2))
        assert (await say(fan, "click", at(3))).reason == "window:menu"
        await happens(fan, TEXT, at(4))
        assert (await say(fan, "text", at(5))).reason == "window:message"

    async def test_a_tapped_menu_message_counts_as_a_click(self, tx_db: Transaction) -> None:
        fan = await make_follower(await make_account(), at(-10_000_000))
        await happens(fan, TEXT, at(0), {"content": "满意", "menu_id": "101"})
        assert [(await say(fan, n, at(1))).reason for n in range(4)] == ["window:menu"] * 3 + ["count_exhausted"]
        assert (await say(fan, "later", at(60))).reason == "window_closed"
        await happens(fan, TEXT, at(70), {"content": "满意"})
        await happens(fan, TEXT, at(80), {"content": "满意", "menu_id": "101"})
        assert [(await say(fan, f"wrote {n}", at(81))).reason for n in range(5)] == ["window:message"] * 5
        assert (await say(fan, "wrote", at(82))).reason == "count_exhausted"

    async def test_whoever_writes_follows_until_they_are_known_to_have_left(self, tx_db: Transaction) -> None:
        """A follower from before our time, one who left, and one whose return never reached us."""
        fan = await make_fan(await make_account())
        assert (await say(fan, "before", at(0))).reason == "not_following"
        await happens(fan, TEXT, at(1))
        assert (await say(fan, "wrote", at(2))).reason == "window:message"
        await happens(fan, UNFOLLOW, at(3))
        assert (await say(fan, "left", at(4))).reason == "not_following"
        await happens(fan, TEXT, at(5))
        assert (await say(fan, "wrote again", at(6))).reason == "window:message"

    async def test_another_fans_words_open_nothing(self, tx_db: Transaction) -> None:
        account = await make_account()
        await talking(account)
        assert (await say(await make_follower(account, at(-100)), "a")).reason == "window_closed"

    @pytest.mark.parametrize(
        ("state", "counts"),
        [("sent", True), ("unknown", True), ("sending", True), ("refused", False), ("failed", False)],
    )
    async def test_what_may_have_arrived_counts(self, tx_db: Transaction, state: str, counts: bool) -> None:
        fan = await talking(await make_account())
        for n in range(5):
            await say(fan, n)
        assert (await say(fan, "sixth")).reason == "count_exhausted"
        await tx_db.connection.execute("UPDATE outbox SET state = $1 WHERE id = (SELECT min(id) FROM outbox)", state)
        assert (await say(fan, "seventh")).reason == ("count_exhausted" if counts else "window:message")

    async def test_many_at_once_cannot_exceed_the_count(self, db: TortoiseContext) -> None:
        fan = await talking(await make_account())
        said = await asyncio.gather(*(say(fan, n) for n in range(20)))
        assert sorted(verdict.reason for verdict in said) == ["count_exhausted"] * 15 + ["window:message"] * 5
        assert len(await states()) == 5

    async def test_the_same_key_at_once_is_said_once(self, db: TortoiseContext) -> None:
        fan = await talking(await make_account())
        said = await asyncio.gather(*(say(fan, "a") for _ in range(10)))
        assert set(said) == {Verdict(True, "window:message")}
        assert len(await states()) == 1

    async def test_an_unknown_fan_is_refused(self, tx_db: Transaction) -> None:
        with pytest.raises(NotFound):
            await outreach.say(key=key_of("x"), fan_id=0, body=BODY, purpose="answer", now=at(0))
        assert await value("SELECT count(*) FROM outreach_decision") == 0


class TestClaim:
    async def test_one_of_a_fan_at_a_time_in_the_order_said(self, tx_db: Transaction) -> None:
        account = await make_account()
        one, other = await talking(account), await talking(account)
        for n, fan in enumerate((one, one, other, one)):
            await say(fan, n, body={"n": n})
        first = await claim(2)
        assert [(item.fan_id, item.openid, item.body["n"], item.attempts) for item in first] == [
            (one.id, one.openid, 0, 0),
            (other.id, other.openid, 2, 0),
        ]
        assert await claim(2) == []
        assert await start(first[0], now=2) == [None]
        assert await claim(2) == []
        await settle(first[0], Outcome.SENT, 3)
        assert [item.body["n"] for item in await claim(3)] == [1]

    async def test_what_is_planned_for_later_holds_nobody_up_and_a_retry_does(self, tx_db: Transaction) -> None:
        fan = await talking(await make_account())
        await say(fan, "later", due_at=at(100), body={"n": "later"})
        await say(fan, "now", body={"n": "now"})
        await say(fan, "next", body={"n": "next"})
        (now,) = await claim(2)
        assert now.body["n"] == "now"
        await start(now, now=2)
        await settle(now, Outcome.RETRY, 3, retry_after=10)
        assert await claim(12.9) == []
        (again,) = await claim(13)
        assert (again.body["n"], again.attempts) == ("now", 1)
        await start(again, now=13)
        await settle(again, Outcome.SENT, 14)
        assert [item.body["n"] for item in await claim(14)] == ["next"]

    async def test_two_workers_at_once_share_without_overlap(self, db: TortoiseContext) -> None:
        account = await make_account()
        fans = [await talking(account) for _ in range(20)]
        for fan in fans:
            await say(fan, (fan.id, 0))
            await say(fan, (fan.id, 1))
        parts = await asyncio.gather(*(claim(2, limit=6) for _ in range(8)))
        claimed = [item for part in parts for item in part]
        assert len({item.id for item in claimed}) == len(claimed)
        assert len({item.fan_id for item in claimed}) == len(claimed)
        assert {item.fan_id for item in claimed} | {item.fan_id for item in await claim(2)} == {fan.id for fan in fans}

    async def test_waiting_is_measured(self, tx_db: Transaction) -> None:
        fan = await talking(await make_account())
        assert await oldest_pending(at(100)) == 0.0
        await say(fan, "a", at(10))
        await say(fan, "later", at(10), due_at=at(1000))
        assert await oldest_pending(at(100)) == 90.0
        assert await oldest_pending(at(100), without=[fan.account_id]) == 0.0

    async def test_accounts_that_wait_for_somebody_are_told_with_the_latest_refusal(self, tx_db: Transaction) -> None:
        account, other = await make_account(), await make_account()
        first, second, third = [await talking(each) for each in (account, account, other)]
        for fan in (first, second, third):
            await say(fan, fan.id)
        await say(first, "behind", at(3))
        await say(second, "planned", at(3), due_at=at(500))
        for item, now, code in zip(await claim(2), (2, 4, 6), (40164, 40125, 45011), strict=True):
            await start(item, now=now)
            await settle(item, Outcome.RETRY, now, code=code, retry_after=30)
        assert await stuck({40125, 40164}, now=at(20)) == {account: Stuck(account, 40125, 3)}
        assert await stuck({40164}, now=at(20)) == {account: Stuck(account, 40164, 3)}
        assert await stuck({45009}, now=at(20)) == {}
        assert await stuck({40125}, now=at(34 + 299)) == {account: Stuck(account, 40125, 3)}
        # Nobody has tried for long: no worker runs, which is another trouble.
        assert await stuck({40125}, now=at(34 + 300)) == {}


class TestSending:
    async def claimed(self, fan: FanView, key: object = "a", now: float = 2) -> Outgoing:
        await say(fan, key)
        (item,) = await claim(now)
        return item

    async def test_the_gate_is_asked_again(self, tx_db: Transaction) -> None:
        fan = await talking(await make_account())
        item = await self.claimed(fan)
        await happens(fan, UNFOLLOW, at(3))
        assert await start(item, now=4) == ["not_following"]
        assert await states() == [("refused", "not_following")]
        assert await value("SELECT lease_until FROM outbox") is None

    async def test_a_window_may_close_on_the_way(self, tx_db: Transaction) -> None:
        item = await self.claimed(await talking(await make_account()))
        await tx_db.connection.execute("UPDATE outbox SET lease_until = $1", at(10_000_000))
        assert await start(item, now=48 * 3600) == ["window_closed"]
        assert await states() == [("refused", "window_closed")]

    async def test_the_last_place_is_its_own(self, tx_db: Transaction) -> None:
        """All five are sent: each is counted against those said before it, not against itself or later ones."""
        fan = await talking(await make_account())
        for n in range(5):
            await say(fan, n)
        for _ in range(5):
            (item,) = await claim(2)
            assert await start(item, now=2) == [None]
            await settle(item, Outcome.SENT, 3)
        assert await states() == [("sent", "")] * 5

    async def test_a_claim_that_ran_out_is_lost(self, tx_db: Transaction) -> None:
        item = await self.claimed(await talking(await make_account()))
        assert await start(item, now=32) == ["lost"]
        assert await outreach.recover(now=at(32)) == (1, 0)
        assert await start(item, now=32) == ["lost"]
        assert await states() == [("pending", "")]

    async def test_two_workers_with_one_message_hand_it_over_once(self, db: TortoiseContext) -> None:
        item = await self.claimed(await talking(await make_account()))
        outcomes = await asyncio.gather(*(start(item, now=3) for _ in range(5)))
        assert sorted(str(outcome) for (outcome,) in outcomes) == ["None"] + ["lost"] * 4
        assert await value("SELECT attempts FROM outbox") == 1

    @pytest.mark.parametrize(
        ("outcome", "state"),
        [
            (Outcome.SENT, "sent"),
            (Outcome.REFUSED, "refused"),
            (Outcome.FAILED, "failed"),
            (Outcome.UNKNOWN, "unknown"),
            (Outcome.RETRY, "pending"),
        ],
    )
    async def test_how_it_ended_is_recorded(self, tx_db: Transaction, outcome: Outcome, state: str) -> None:
        item = await self.claimed(await talking(await make_account()))
        await start(item, now=2)
        await settle(item, outcome, 5, code=45015, detail="d" * 300, platform_id="p", retry_after=7)
        (row,) = await fetch("SELECT state, code, detail, platform_id, lease_until, due_at, sent_at FROM outbox")
        assert tuple(row) == (
            state,
            45015,
            "d" * 256,
            "p",
            None,
            at(12) if outcome is Outcome.RETRY else at(1),
            at(5) if outcome is Outcome.SENT else None,
        )

    async def test_a_final_state_is_never_left(self, tx_db: Transaction) -> None:
        item = await self.claimed(await talking(await make_account()))
        await start(item, now=2)
        await settle(item, Outcome.UNKNOWN, 3)
        await settle(item, Outcome.SENT, 4)
        assert await start(item, now=4) == ["lost"]
        assert await outreach.recover(now=at(1000)) == (0, 0)
        assert await claim(1000) == []
        assert await states() == [("unknown", "")]

    async def test_what_dead_workers_left_is_settled(self, tx_db: Transaction) -> None:
        account = await make_account()
        items = [await self.claimed(await talking(account), n) for n in range(3)]
        await start(items[0], now=2)
        await start(items[1], now=2, lease=60)
        assert await outreach.recover(now=at(31)) == (0, 0)
        assert await outreach.recover(now=at(32)) == (1, 1)
        assert await states() == [("unknown", "worker stopped while sending"), ("sending", ""), ("pending", "")]
        assert await outreach.recover(now=at(32)) == (0, 0)

    async def test_a_delivery_report_is_noted_on_its_message(self, tx_db: Transaction) -> None:
        account = await make_account()
        fan = await talking(account)
        item = await self.claimed(fan)
        await start(item, now=2)
        await settle(item, Outcome.SENT, 3, platform_id="200163836")
        await happens(fan, "wechat.event.templatesendjobfinish", at(4), {"msg_id": "1", "status": "other"})
        await happens(fan, "wechat.event.templatesendjobfinish", at(5), {"msg_id": "200163836", "status": "success"})
        assert await states() == [("sent", "success")]


FINAL = {"sent", "refused", "failed", "unknown"}
STEPS = st.one_of(
    st.tuples(st.just("claim"), st.integers(1, 3)),
    st.tuples(st.just("start"), st.integers(0, 9)),
    st.tuples(st.just("settle"), st.sampled_from(list(Outcome))),
    st.tuples(st.just("wait"), st.sampled_from([1, 29, 31])),
    st.tuples(st.just("die"), st.none()),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(said=st.lists(st.integers(0, 2), min_size=1, max_size=8), steps=st.lists(STEPS, min_size=5, max_size=40))
async def test_workers_that_claim_send_die_and_recover_in_any_order(
    tx_db: Transaction, said: list[int], steps: list[tuple[str, Any]]
) -> None:
    """Handed over again only after a retry, never ahead of an earlier one of the fan, and final is final."""
    await tx_db.connection.execute("DELETE FROM outbox")
    account = await make_account()
    fans = [await talking(account) for _ in range(3)]
    for n, who in enumerate(said):
        await say(fans[who], (account, n))
    now = 2.0
    claimed: list[Outgoing] = []
    sending: list[Outgoing] = []
    handed_over: list[Outgoing] = []
    may_go_again: set[int] = set()
    final: dict[int, str] = {}
    for step, argument in steps:
        if step == "claim":
            claimed += await claim(now, limit=argument)
        elif step == "start" and claimed:
            item = claimed.pop(argument % len(claimed))
            if await start(item, now=now) == [None]:
                assert all(other.id != item.id for other in handed_over) or item.id in may_go_again
                assert not [other for other in handed_over if other.fan_id == item.fan_id and other.id > item.id]
                may_go_again.discard(item.id)
                handed_over.append(item)
                sending.append(item)
        elif step == "settle" and sending:
            item = sending.pop(0)
            await settle(item, argument, now)
            if argument is Outcome.RETRY and item.id not in final:
                may_go_again.add(item.id)
        elif step == "wait":
            now += argument
        elif step == "die":
            claimed, sending = [], []
            await outreach.recover(now=at(now))
        for row in await fetch("SELECT id, state FROM outbox"):
            assert final.get(row["id"], row["state"]) == row["state"]
            if row["state"] in FINAL:
                final[row["id"]] = row["state"]
