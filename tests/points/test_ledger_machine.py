"""The ledger against a model of it: whatever happens in whatever order, repeated and broken off, both agree.

FENSI_TEST_EXAMPLES=2000 makes it a long run.
"""

import asyncio
import copy
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from kit.ids import key_of
from scrm import db
from scrm.db import connection, transaction
from scrm.members.service import link_unionid
from scrm.points import ledger, maturing
from scrm.points.awards import Award
from scrm.points.postings import GROWTH, POINTS, NotEnough
from scrm.points.queries import coming, holding, statement
from tests.conftest import START
from tests.factories import make_account, make_fan
from tests.points.books import audit, origin, split
from tests.points.model import Model, NotEnoughInModel, Promise

HOMES = 4
TABLES = "ledger_entry, ledger_posting, ledger_lot, ledger_draw, ledger_balance, pending_award"

homes = st.integers(0, HOMES - 1)
assets = st.sampled_from([POINTS, POINTS, GROWTH])
amounts = st.integers(1, 12)
serials = st.integers(0, 25)  # few enough that keys come again
hours_ago = st.integers(0, 72)
# From the moment it is earned: also one that is over before it is booked.
hours_valid = st.none() | st.integers(1, 96)
# Whether the transaction around the command breaks off after it.
breaks = st.integers(0, 5).map(lambda n: n == 0)
given_awards = st.lists(st.tuples(serials, homes, assets, amounts, hours_ago, hours_valid), min_size=1, max_size=5)


class Broken(Exception):  # noqa: N818  # what happened
    """The transaction around a command breaks off."""


def key(kind: str, serial: int) -> UUID:
    return key_of("machine", kind, serial)


class LedgerMachine(RuleBasedStateMachine):
    """Random commands on the real ledger and on the model."""

    runner: asyncio.Runner
    fans: list[int]
    members: list[int]

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.merges = 0
        self.run(db.fetch(f"TRUNCATE {TABLES}"))
        self.run(db.fetch("UPDATE member SET merged_into_id = NULL"))
        self.run(db.fetch("TRUNCATE identity, member_merge"))
        self.model = Model([{home} for home in self.members])

    def run(self, work: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await work

        return self.runner.run(awaited())

    def both(self, real: Callable[[], Awaitable[Any]], modelled: Callable[[], Any], *, broken: bool) -> None:
        """Do the same to both: the same answer or the same refusal, and nothing at all when it breaks off."""

        async def within() -> Any:
            async with transaction():
                answer = await real()
                if broken:
                    raise Broken
            return answer

        async def attempt() -> Any:
            try:
                return await within()
            except (NotEnough, Broken) as error:
                return type(error)

        before = copy.deepcopy(self.model)
        expected: Any
        try:
            expected = modelled()
        except NotEnoughInModel:
            expected, self.model = NotEnough, before
        else:
            if broken:
                expected, self.model = Broken, before
        assert self.run(attempt()) == expected

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(given=given_awards, one_by_one=st.booleans(), broken=breaks)
    def award(self, given: list[Any], one_by_one: bool, broken: bool) -> None:
        awards = []
        for serial, home, asset, amount, ago, valid in given:
            earned_at = self.now - timedelta(hours=ago)
            expires_at = None if valid is None else earned_at + timedelta(hours=valid)
            awards.append(
                Award(key("award", serial), self.members[home], asset, amount, origin(earned_at), self.now, expires_at)
            )

        async def real() -> list[bool]:
            async with connection() as raw:
                if one_by_one:
                    return [await ledger.give(raw, one) for one in awards]
                return await ledger.award_many(raw, awards)

        def modelled() -> list[bool]:
            if not one_by_one:
                # Of two with one key in a batch, only the first is looked at.
                for one in {one.key: one for one in reversed(awards)}.values():
                    self.model.sweep(one.holder_id, one.asset, self.now)
            answers = []
            for one in awards:
                if one_by_one:
                    self.model.sweep(one.holder_id, one.asset, self.now)
                answers.append(
                    self.model.award(
                        one.key, one.holder_id, one.asset, one.amount, one.origin.occurred_at, one.expires_at
                    )
                )
            return answers

        self.both(real, modelled, broken=broken)

    @rule(serial=serials, home=homes, asset=assets, amount=amounts, broken=breaks)
    def spend(self, serial: int, home: int, asset: str, amount: int, broken: bool) -> None:
        what: dict[str, Any] = {"holder_id": self.members[home], "asset": asset, "amount": amount, "now": self.now}
        self.both(
            lambda: ledger.spend(key=key("spend", serial), origin=origin(self.now), **what),
            lambda: self.model.spend(key("spend", serial), self.members[home], asset, amount, self.now),
            broken=broken,
        )

    @precondition(lambda self: self.model.taken)
    @rule(data=st.data(), broken=breaks)
    def undo(self, data: st.DataObject, broken: bool) -> None:
        taken = data.draw(st.sampled_from(list(self.model.taken)))

        async def real() -> bool:
            async with connection() as raw:
                if await raw.fetchval("SELECT kind FROM ledger_entry WHERE key = $1", taken) == "clawback":
                    return await ledger.undo_claw_back(raw, claw_back_key=taken, origin=origin(self.now), now=self.now)
            return await ledger.undo_spend(spend_key=taken, origin=origin(self.now), now=self.now)

        self.both(real, lambda: self.model.undo(taken, key_of("undo", taken), self.now), broken=broken)

    @rule(serial=serials, home=homes, asset=assets, amount=amounts, award=st.none() | serials, broken=breaks)
    def claw_back(self, serial: int, home: int, asset: str, amount: int, award: int | None, broken: bool) -> None:
        award_key = None if award is None else key("award", award)
        self.both(
            lambda: ledger.claw_back(
                key=key("clawback", serial),
                holder_id=self.members[home],
                asset=asset,
                amount=amount,
                origin=origin(self.now),
                now=self.now,
                award_key=award_key,
            ),
            lambda: self.model.claw_back(
                key("clawback", serial), self.members[home], asset, amount, award_key, self.now
            ),
            broken=broken,
        )

    @rule(
        serial=serials,
        home=homes,
        asset=assets,
        amount=amounts,
        hours=st.integers(-20, 60),
        days=st.none() | st.just(2),
    )
    def promise(self, serial: int, home: int, asset: str, amount: int, hours: int, days: int | None) -> None:
        due_at = self.now + timedelta(hours=hours)
        made = maturing.Promise(
            key("promise", serial), self.members[home], asset, amount, origin_of_rule(self.now), f"order:{serial}",
            due_at, self.now, days,
        )  # fmt: skip

        async def real() -> bool:
            async with connection() as raw:
                return await maturing.promise(raw, made)

        self.both(
            real,
            lambda: self.model.promise(made.key, Promise(made.holder_id, asset, amount, due_at, days)),
            broken=False,
        )

    @precondition(lambda self: self.model.promises)
    @rule(data=st.data(), to=st.integers(0, 9), broken=breaks)
    def reduce(self, data: st.DataObject, to: int, broken: bool) -> None:
        promised = data.draw(st.sampled_from(list(self.model.promises)))

        async def real() -> int:
            async with connection() as raw:
                return await maturing.reduce(
                    raw, key=promised, to=to, reason="returned", origin=origin(self.now), now=self.now
                )

        self.both(
            real,
            lambda: self.model.reduce(promised, to, key_of("reduce", promised, to), self.now),
            broken=broken,
        )

    @precondition(lambda self: self.model.promises)
    @rule(data=st.data(), broken=breaks)
    def cancel(self, data: st.DataObject, broken: bool) -> None:
        serial = data.draw(st.sampled_from([n for n in range(26) if key("promise", n) in self.model.promises]))
        promised = key("promise", serial)

        async def real() -> int:
            async with connection() as raw:
                return await maturing.cancel(
                    raw, subject=f"order:{serial}", reason="cancelled", origin=origin(self.now), now=self.now
                )

        self.both(real, lambda: self.model.reduce(promised, 0, key_of("reduce", promised, 0), self.now), broken=broken)

    @rule(broken=breaks)
    def mature(self, broken: bool) -> None:
        self.both(lambda: maturing.mature_due(now=self.now), lambda: self.model.mature(self.now), broken=broken)

    @rule()
    def expire(self) -> None:
        self.run(ledger.expire_due(now=self.now))
        self.model.sweep_all(self.now)
        assert self.run(ledger.expire_due(now=self.now)) == 0

    @rule(one=homes, other=homes)
    def merge(self, one: int, other: int) -> None:
        self.merges += 1
        for place in (one, other):
            person = self.run(link_unionid(fan_id=self.fans[place], unionid=f"u{self.merges}", now=self.now))
        self.model.merge(self.members[one], self.members[other])
        assert person == self.model.person(self.members[one])[0]

    @rule(home=homes)
    def split(self, home: int) -> None:
        own = self.members[home]
        if self.model.person(own)[0] != own:
            self.run(split(own))
            self.model.split(own)

    @invariant()
    def nothing_is_out_of_balance(self) -> None:
        self.run(audit())

    @invariant()
    def both_have_the_same(self) -> None:
        self.run(self.compare())

    async def compare(self) -> None:
        model = self.model
        expected_sums = {
            (home, asset): (model.balance(home, asset), model.debt(home, asset))
            for home in self.members
            for asset in (POINTS, GROWTH)
        }
        rows = await db.fetch("SELECT holder_id, asset, balance, debt FROM ledger_balance")
        found = {(row["holder_id"], row["asset"]): (row["balance"], row["debt"]) for row in rows}
        assert {pair: found.get(pair, (0, 0)) for pair in expected_sums} == expected_sums
        lots = await db.fetch("SELECT e.key, l.remaining FROM ledger_lot l JOIN ledger_entry e ON e.id = l.entry_id")
        assert {row["key"]: row["remaining"] for row in lots} == {lot.award: lot.remaining for lot in model.lots}
        async with connection() as raw:
            for person in model.people:
                for asset in (POINTS, GROWTH):
                    await self.compare_person(raw, sorted(person), asset, expected_sums)

    async def compare_person(
        self, raw: Any, person: list[int], asset: str, sums: dict[tuple[int, str], tuple[int, int]]
    ) -> None:
        balance = sum(sums[home, asset][0] for home in person)
        debt = sum(sums[home, asset][1] for home in person)
        overdue = sum(
            lot.remaining
            for lot in self.model.live(person[0], asset)
            if lot.expires_at is not None and lot.expires_at <= self.now
        )
        held = await holding(raw, person[-1], asset, self.now)
        assert (held.balance, held.debt) == (balance - overdue, debt)
        assert 0 <= held.spendable <= held.balance
        lines = await statement(person[-1], asset, limit=1000)
        assert sum(line.amount for line in lines) == balance - debt
        assert sum(line.owed for line in lines) == -debt
        promised = [p for p in self.model.promises.values() if p.home in person and p.asset == asset]
        assert sorted((one.due_at, one.amount) for one in await coming(person[0], asset, limit=1000)) == sorted(
            (p.due_at, p.left) for p in promised if p.state == "pending"
        )

    def teardown(self) -> None:
        self.run(self.compare_pages())

    async def compare_pages(self) -> None:
        for home in self.members:
            for asset in (POINTS, GROWTH):
                assert [line async for line in paged(home, asset)] == await statement(home, asset, limit=1000)


async def paged(person: int, asset: str) -> Any:
    before = None
    while page := await statement(person, asset, before=before, limit=3):
        for line in page:
            yield line
        before = page[-1].id


def origin_of_rule(now: datetime) -> Any:
    return ledger.Origin("购买", "天猫", now, key_of("order", now), "purchase", 1, now.date())


@pytest.fixture
def machine(database_url: str) -> Iterator[type[LedgerMachine]]:
    """The machine, with a loop on which the test's own database is open, and its people."""

    async def prepare() -> None:
        account = await make_account()
        fans = [await make_fan(account) for _ in range(HOMES)]
        LedgerMachine.fans = [fan.id for fan in fans]
        LedgerMachine.members = [fan.member_id for fan in fans]

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        # The runner keeps one context, so the database stays open in it from one run to the next.
        runner.run(stack.enter_async_context(db.database(database_url, pool=2)))
        runner.run(prepare())
        LedgerMachine.runner = runner
        yield LedgerMachine
        runner.run(stack.aclose())


def test_the_ledger_is_what_its_model_says(machine: type[LedgerMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("FENSI_TEST_EXAMPLES", "25")),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
