"""A worker that dies or stalls while it works on a push: somebody else answers, and nothing is said twice."""

import asyncio

import aiohttp
import pytest

from bot.isolation import LEASE
from bot.recovery import ATTEMPTS, PATIENCE
from bot.replies import Reply, TextReply
from bot.router import Context
from kit.clock import ManualClock
from tests.bot.desk import Desk
from tests.bot.house import BRIEF, House, until
from tests.bot.metered import counted
from tests.bot.platform import Answer, Push
from tests.bot.test_late import follow, text_body

LONGER = LEASE.total_seconds() + 0.1


async def abandoned(house: House, desk: Desk, push: Push) -> None:
    """Let a process accept a push, begin to work on it, and die."""
    dying = await house.server(desk.router)
    desk.close(push.body["Content"])
    request = asyncio.ensure_future(push.to(dying))
    await desk.begun(push.body["Content"])
    await dying.die()
    outcome = (await asyncio.gather(request, return_exceptions=True))[0]
    assert isinstance(outcome, aiohttp.ClientError) or (isinstance(outcome, Answer) and outcome.status == 503)
    desk.open(push.body["Content"])


async def test_a_retry_takes_the_push_of_a_dead_process_over(house: House, desk: Desk, clock: ManualClock) -> None:
    account = await house.account()
    push = account.text("oFan", "慢")
    await abandoned(house, desk, push)
    server = await house.server(desk.router, budget=BRIEF)
    # While the lease lasts the process might still live: wait, then let the platform go.
    assert (await push.to(server)).raw == b"success"
    assert [what for what, _ in desk.log] == ["begun", "cancelled", "ended"]
    clock.advance(seconds=LONGER)
    assert (await push.to(server)).text == "答慢"
    row = await house.push(push)
    assert (row["state"], row["attempts"]) == ("answered", 2)
    assert await house.kinds(account) == ["wechat.text"]
    assert (await push.to(server)).text == "答慢"


async def test_a_message_after_one_of_a_dead_process_waits_only_for_its_lease(
    house: House, desk: Desk, clock: ManualClock
) -> None:
    account = await house.account()
    await abandoned(house, desk, account.text("oFan", "慢"))
    server = await house.server(desk.router, budget=BRIEF)
    clock.advance(seconds=LONGER)
    assert (await account.text("oFan", "下一条").to(server)).text == "答下一条"


async def test_recovery_answers_by_the_door_out_when_no_retry_came(
    own_house: House, desk: Desk, clock: ManualClock
) -> None:
    house = own_house
    account = await house.account()
    push = account.text("oFan", "慢")
    server = await house.server(desk.router)
    await follow(account, server)
    await abandoned(house, desk, push)
    clock.advance(seconds=LEASE.total_seconds() + PATIENCE.total_seconds() - 1)
    assert await server.recover() == 0
    clock.advance(seconds=2)
    assert await server.recover() == 1
    assert await house.outbox(account) == [text_body("答慢")]
    row = await house.push(push)
    assert (row["state"], row["attempts"], row["fields"]) == ("late", 2, None)
    assert await server.recover() == 0
    assert (await push.to(server)).raw == b"success"
    assert await house.outbox(account) == [text_body("答慢")]
    assert await house.kinds(account) == ["wechat.event.subscribe", "wechat.text"]


async def test_recovery_keeps_each_fans_order_and_serves_fans_side_by_side(
    own_house: House, desk: Desk, clock: ManualClock
) -> None:
    house = own_house
    account = await house.account()
    dying = await house.server(desk.router)
    server = await house.server(desk.router)
    desk.close("一")
    requests = []
    for fan in ("oA", "oB"):
        await follow(account, server, fan)
        for text in ("一", "二"):
            clock.advance(seconds=0.001)
            requests.append(asyncio.ensure_future(account.text(fan, text).to(dying)))
            await house.stored(account, len(requests) + 1 + ["oA", "oB"].index(fan))
    await dying.die()
    await asyncio.gather(*requests, return_exceptions=True)
    desk.log.clear()
    clock.advance(seconds=LEASE.total_seconds() + PATIENCE.total_seconds() + 1)
    recovering = asyncio.ensure_future(server.recover())
    # Both fans' first messages wait at the same time.
    await desk.begun("一", times=2)
    desk.open("一")
    assert await recovering == 4
    assert [body["text"]["content"] for body in await house.outbox(account)].count("答二") == 2
    fans = await house.rows(
        "SELECT fan_id, array_agg(body->'text'->>'content' ORDER BY id) AS said FROM outbox GROUP BY fan_id"
    )
    assert [row["said"] for row in fans] == [["答一", "答二"]] * 2


async def test_a_push_that_kills_its_workers_is_given_up(own_house: House, desk: Desk, clock: ManualClock) -> None:
    house = own_house
    account = await house.account()
    push = account.text("oFan", "毒")
    await abandoned(house, desk, push)
    desk.close("毒")
    for attempt in range(2, ATTEMPTS + 1):
        victim = await house.server(desk.router)
        clock.advance(seconds=LEASE.total_seconds() + PATIENCE.total_seconds() + 1)
        resuming = asyncio.ensure_future(victim.recover())
        await desk.begun("毒", times=attempt)
        await victim.die()
        await asyncio.gather(resuming, return_exceptions=True)
    server = await house.server(desk.router)
    clock.advance(seconds=LEASE.total_seconds() + PATIENCE.total_seconds() + 1)
    assert await server.recover() == 1
    row = await house.push(push)
    assert (row["state"], row["reason"], row["attempts"]) == ("failed", "too_many_attempts", ATTEMPTS + 1)
    assert desk.log.count(("begun", "毒")) == ATTEMPTS
    # The fan is not stuck behind it, and its repetition is not begun again.
    assert (await push.to(server)).raw == b"success"
    assert (await account.text("oFan", "好").to(server)).text == "答好"


async def test_a_push_of_an_account_that_is_gone_is_given_up(own_house: House, desk: Desk, clock: ManualClock) -> None:
    house = own_house
    account = await house.account()
    push = account.text("oFan", "慢")
    await abandoned(house, desk, push)
    await house.rows("UPDATE account SET enabled = false RETURNING id")
    server = await house.server(desk.router)
    for attempt in range(ATTEMPTS):
        row = await house.push(push)
        assert (row["state"], row["attempts"]) == ("running", attempt + 1)
        clock.advance(seconds=LEASE.total_seconds() + PATIENCE.total_seconds() + 1)
        assert await server.recover() == 1
    row = await house.push(push)
    assert (row["state"], row["reason"]) == ("failed", "account_gone")


class TestStalled:
    """The worker lives, but was silent for longer than its lease: its number tells that it is no longer wanted."""

    @staticmethod
    def answers_with_a_number(desk: Desk, gates: list[asyncio.Event]) -> None:
        async def act(context: Context) -> Reply:
            turn = len(desk.contexts)
            context.continue_dialogue("desk", f"step of {turn}", {})
            context.later.append(text_body(f"后续{turn}"))
            await gates[turn - 1].wait()
            return TextReply(f"答{turn}")

        desk.acts["慢"] = act

    @pytest.mark.parametrize("where", ["here", "elsewhere"])
    async def test_what_it_does_in_the_end_is_undone(
        self, house: House, desk: Desk, clock: ManualClock, where: str
    ) -> None:
        """`here`: a process may take over from itself; its two tries still go one after the other."""
        account = await house.account()
        first = await house.server(desk.router, budget=BRIEF)
        second = first if where == "here" else await house.server(desk.router)
        await follow(account, first)
        gates = [asyncio.Event(), asyncio.Event()]
        self.answers_with_a_number(desk, gates)
        push = account.text("oFan", "慢")
        late = await push.to(first)
        assert late.raw == b"success"
        clock.advance(seconds=LONGER)
        async with counted("fensi_pushes_total", by=1, kind="wechat.text", outcome="taken_over"):
            retry = asyncio.ensure_future(push.to(second))
            if where == "here":
                await _taken(house, push)
                gates[0].set()
                await desk.begun("慢", times=2)
                gates[1].set()
                answer = await retry
            else:
                await desk.begun("慢", times=2)
                gates[1].set()
                answer = await retry
                gates[0].set()
            await first.idle()
        assert answer.text == "答2"
        said = [body["text"]["content"] for body in await house.outbox(account)]
        assert said == ["后续2"]
        row = await house.push(push)
        assert (row["state"], row["attempts"]) == ("answered", 2)
        steps = await house.rows("SELECT step FROM dialogue WHERE fan_id = $1", row["fan_id"])
        assert steps == [{"step": "step of 2"}]
        assert first.services.engine.busy == second.services.engine.busy == 0

    async def test_two_late_workers_say_it_once(self, house: House, desk: Desk, clock: ManualClock) -> None:
        account = await house.account()
        first, second = [await house.server(desk.router, budget=BRIEF) for _ in range(2)]
        await follow(account, first)
        gates = [asyncio.Event(), asyncio.Event()]
        self.answers_with_a_number(desk, gates)
        push = account.text("oFan", "慢")
        assert (await push.to(first)).raw == b"success"
        clock.advance(seconds=LONGER)
        assert (await push.to(second)).raw == b"success"
        # Both end at the same moment.
        for gate in gates:
            gate.set()
        await asyncio.gather(first.idle(), second.idle())
        said = [body["text"]["content"] for body in await house.outbox(account)]
        assert said == ["答2", "后续2"]
        assert (await house.push(push))["state"] == "late"


async def _taken(house: House, push: Push) -> None:
    async def again() -> bool:
        return bool((await house.push(push))["attempts"] == 2)

    await until(again)


async def test_leases_of_what_is_worked_on_are_kept(house: House, desk: Desk, clock: ManualClock) -> None:
    account = await house.account()
    server = await house.server(desk.router, budget=BRIEF)
    keeper = server.services.tasks.spawn(server.services.engine.keep_leases(), "leases")
    desk.close("慢")
    push = account.text("oFan", "慢")
    request = asyncio.ensure_future(push.to(server))
    await desk.begun("慢")
    clock.advance(seconds=3)

    async def renewed() -> bool:
        return bool((await house.push(push))["lease_until"] == clock.now() + LEASE)

    await until(renewed)
    turns = await house.rows("SELECT lease_until FROM turn WHERE push_key = $1", house.key(push))
    assert turns == [{"lease_until": clock.now() + LEASE}]
    keeper.cancel()
    desk.open("慢")
    await request
    await server.idle()
