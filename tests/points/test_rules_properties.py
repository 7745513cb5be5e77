"""Whatever order events come in, repeated and late: rules come to the same, and to what a few lines of Python say.

FENSI_TEST_EXAMPLES=1000 makes it a long run.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.ids import key_of
from scrm import db
from tests.points.books import audit, make_members
from tests.points.house import LATE, House, define, has, mature, open_house, shanghai

START = shanghai("2026-03-09 00:00")
PEOPLE = 3
Run = Callable[[Coroutine[Any, Any, Any]], Any]

many = settings(
    max_examples=int(os.environ.get("FENSI_TEST_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def run(database_url: str) -> Iterator[Run]:
    """Run coroutines against a database of this test; hypothesis calls no coroutine itself."""
    with asyncio.Runner() as runner:

        async def opened() -> AsyncExitStack:
            stack = AsyncExitStack()
            await stack.enter_async_context(db.database(database_url, pool=2))
            return stack

        context = copy_context()
        stack = runner.run(opened(), context=context)
        yield lambda work: runner.run(work, context=context)
        runner.run(stack.aclose(), context=context)


# Caps

RULES = [
    {"code": "share", "kind": "per_action", "event_kind": "post.shared", "points": 3, "growth": 2, "day_cap_points": 8},
    {"code": "like", "kind": "per_action", "event_kind": "post.liked", "points": 1, "day_cap_points": 2},
    {"code": "liked", "kind": "passive", "event_kind": "post.liked", "points": 2, "growth": 1, "day_cap_points": 5},
]
actions = st.lists(
    st.tuples(st.sampled_from(["post.shared", "post.liked"]), st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1)),
    max_size=14,
)


def expected_of(done: list[tuple[str, int, int]]) -> list[tuple[int, int]]:
    share: Counter[int] = Counter()
    like: Counter[int] = Counter()
    liked: Counter[int] = Counter()
    for kind, actor, author in done:
        if kind == "post.shared":
            share[actor] += 1
        else:
            like[actor] += 1
            liked[author] += actor != author
    return [
        (min(8, 3 * share[n]) + min(2, like[n]) + min(5, 2 * liked[n]), 2 * share[n] + liked[n]) for n in range(PEOPLE)
    ]


def test_the_order_within_a_day_and_repetitions_change_no_total(run: Run) -> None:
    async def prepare() -> House:
        house = await open_house()
        for row in RULES:
            await define(house, row)
        return house

    house = run(prepare())

    async def play(done: list[tuple[str, int, int]], order: list[int]) -> list[tuple[int, int]]:
        people = await make_members(PEOPLE)
        for n in order:
            kind, actor, author = done[n]
            await house.happens(
                kind,
                people[actor],
                START + timedelta(hours=n),
                {"post": "1", "author": people[author]},
                key=key_of("play", people[0], n),
            )
        return [await has(one) for one in people]

    @many
    @given(actions, st.data())
    def holds(done: list[tuple[str, int, int]], data: st.DataObject) -> None:
        every = list(range(len(done)))
        again = data.draw(st.lists(st.sampled_from(every), max_size=6)) if every else []
        order = data.draw(st.permutations(every + again))
        assert run(play(done, order)) == expected_of(done)

    holds()
    run(audit())


# Orders, and their returns

FEN = 9900
returns = st.lists(st.integers(0, FEN), max_size=4)


def test_returns_in_any_order_come_to_what_the_rest_is_worth(run: Run) -> None:
    house = run(open_house("zippo"))

    async def play(member: int, events: list[tuple[str, Any]], pauses: list[int]) -> tuple[int, int]:
        now = START
        for (kind, payload), days in zip(events, pauses, strict=True):
            now += timedelta(days=days)
            await mature(now)
            if kind == "order.received":
                when = START
            elif kind == "order.return_opened":
                when = START + timedelta(days=1)
            else:
                when = START + timedelta(days=2)
            # The same happening has the same key, however often it is told.
            await house.happens(kind, member, when, payload, key=key_of(member, kind, str(payload)), now=now)
        await mature(LATE)
        return await has(member)

    @many
    @given(returns, st.booleans(), st.data())
    def holds(totals: list[int], opened: bool, data: st.DataObject) -> None:
        (member,) = run(make_members(1))
        order = f"T{member}"
        events: list[tuple[str, Any]] = [("order.received", {"order": order, "amount": FEN})]
        events += [("order.returned", {"order": order, "amount": FEN, "returned": total}) for total in totals]
        if opened:
            events += [("order.return_opened", {"order": order}), ("order.return_closed", {"order": order})]
        events += data.draw(st.lists(st.sampled_from(events), max_size=3))
        events = data.draw(st.permutations(events))
        pauses = data.draw(st.lists(st.integers(0, 9), min_size=len(events), max_size=len(events)))
        units = (FEN - max(totals, default=0)) // 1000
        assert run(play(member, events, pauses)) == (units, units)

    holds()
    run(audit())


# Verdicts


def test_the_verdict_that_happened_last_decides_in_whatever_order_it_is_heard(run: Run) -> None:
    house = run(open_house("zippo"))

    async def play(member: int, heard: list[tuple[int, str]], pauses: list[int]) -> tuple[int, int]:
        now = START
        for (hour, verdict), days in zip(heard, pauses, strict=True):
            now += timedelta(days=days)
            await mature(now)
            payload = {"post": f"P{member}", "verdict": verdict, "published_at": START.isoformat()}
            when = START + timedelta(hours=hour)
            await house.happens("post.judged", member, when, payload, key=key_of("verdict", member, hour), now=now)
        await mature(LATE)
        return await has(member)

    @many
    @given(st.lists(st.sampled_from(["approved", "filler"]), min_size=1, max_size=6), st.data())
    def holds(verdicts: list[str], data: st.DataObject) -> None:
        (member,) = run(make_members(1))
        told = list(enumerate(verdicts))
        told += data.draw(st.lists(st.sampled_from(told), max_size=3))
        heard = data.draw(st.permutations(told))
        pauses = data.draw(st.lists(st.integers(0, 9), min_size=len(heard), max_size=len(heard)))
        assert run(play(member, heard, pauses)) == ((2, 5) if verdicts[-1] == "approved" else (0, 0))

    holds()
    run(audit())
