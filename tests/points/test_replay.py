"""The timeline is the truth: told again to an empty database, it leads to the same points, lots, promises and levels.

A brand lives through random days with late, repeated and broken-off commands. What its timeline then holds is told
once, in its order and without any mishap, to another database. FENSI_TEST_EXAMPLES=500 makes it a long run.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.ids import key_of
from scrm import db
from scrm.errors import DomainError
from scrm.events import service as events
from scrm.gifts import catalogue, service
from scrm.gifts.catalogue import GiftTerms
from scrm.members import merging
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from scrm.points import ledger, maturing
from scrm.points.happenings import TITLES
from tests.conftest import _copy
from tests.factories import SEALER, make_fan
from tests.points.books import audit, merge
from tests.points.house import LONG_AGO, House, define, open_house, shanghai

START = shanghai("2026-03-09 08:00")
PEOPLE = 4  # 0 and 1 may turn out to be one person, and 2 and 3
SHARE = {"code": "share", "kind": "per_action", "event_kind": "post.shared", "points": 6, "growth": 2,
         "day_cap_points": 15, "points_valid_days": 3}  # fmt: skip
Run = Callable[[Awaitable[Any]], Any]


class Broken(Exception):  # noqa: N818  # what happened
    """The transaction around a command breaks off."""


@dataclass(frozen=True)
class World:
    """A database with a brand and a gift; both worlds are made alike, so that ids agree."""

    run: Run
    house: House
    gift: int


@contextmanager
def opened(url: str) -> Iterator[World]:
    with asyncio.Runner() as runner:
        context = copy_context()

        def run(work: Awaitable[Any]) -> Any:
            async def awaited() -> Any:
                return await work

            return runner.run(awaited(), context=context)

        async def prepare() -> World:
            await stack.enter_async_context(db.database(url, pool=2))
            house = await open_house("zippo", brand="重放")
            await define(house, SHARE)
            terms = GiftTerms(name="电子券", price=1)
            gift = await catalogue.create_gift(brand_id=house.brand, kind="virtual", terms=terms, now=LONG_AGO)
            await catalogue.load_codes(SEALER, gift_id=gift, codes=[f"code-{n}" for n in range(5000)], now=LONG_AGO)
            return World(run, house, gift)

        stack = AsyncExitStack()
        yield run(prepare())
        run(stack.aclose())


@pytest.fixture
def worlds(server_url: str, template: str) -> Iterator[tuple[World, World]]:
    """Two databases that know nothing of each other."""
    copy = contextmanager(_copy)
    with (
        copy(server_url, template) as one,
        copy(server_url, template) as other,
        opened(one) as life,
        opened(other) as again,
    ):
        yield life, again


KINDS = sorted(set(TITLES) - {"post.published", "order.return_closed"})
steps = st.tuples(
    st.sampled_from(
        [*KINDS, "post.shared", "order.received", "redeem", "redeem", "cancel", "cancel", "meet", "part", "work"]
    ),
    st.integers(0, PEOPLE - 1),
    st.integers(0, PEOPLE - 1),
    st.integers(0, 3),  # which order, post or code
    st.integers(1, 40),  # hours that pass before it
    st.integers(0, 72),  # hours by which it is told late
    st.booleans(),  # asked for twice
    st.integers(0, 4).map(lambda n: n == 4),  # broken off once before it succeeds
)


class Life:
    """What happens to four people in one world."""

    def __init__(self, world: World, fans: list[FanView]) -> None:
        self.world, self.fans = world, fans
        self.now = START
        self.worked: list[tuple[int, datetime]] = []
        """When workers paid what was due: after which event, and the time."""

    def payload(self, kind: str, other: FanView, n: int) -> dict[str, Any]:
        word = f"{self.fans[0].id}-{n}"
        every: dict[str, dict[str, Any]] = {
            "post.judged": {"post": word, "verdict": "filler" if n == 3 else "approved",
                            "published_at": (self.now - timedelta(hours=80)).isoformat()},
            "order.received": {"order": word, "amount": 9900},
            "order.returned": {"order": word, "amount": 9900, "returned": 2500 * n},
            "order.return_opened": {"order": word},
            "member.referred": {"inviter": other.member_id},
            "product.authenticated": {"code": word},
            "product.fraud": {"code": word},
        }  # fmt: skip
        return every.get(kind, {"post": word, "author": other.member_id} if kind.startswith("post.") else {})

    async def step(self, number: int, what: str, who: FanView, other: FanView, n: int, late: int) -> None:
        key = key_of("life", self.fans[0].id, number)
        match what:
            case "redeem":
                await service.redeem(
                    key=key, gift_id=self.world.gift, member_id=who.member_id, account_id=who.account_id,
                    fan_id=who.id, now=self.now,
                )  # fmt: skip
            case "cancel":
                rows = await db.fetch("SELECT id FROM redemption WHERE member_id = $1 ORDER BY id", who.member_id)
                if rows:
                    await service.cancel(redemption_id=rows[n % len(rows)]["id"], now=self.now)
            case "meet":
                pair = self.fans[:2] if who in self.fans[:2] else self.fans[2:]
                for one in pair:
                    await link_unionid(fan_id=one.id, unionid=str(key), now=self.now)
            case "part":
                rows = await db.fetch(
                    "SELECT id FROM member_merge WHERE $1 IN (kept_id, absorbed_id) AND split_at IS NULL", who.member_id
                )
                for row in rows:
                    await merging.split(merge_id=row["id"], now=self.now)
            case "work":
                await self.work()
            case _:
                await events.append(
                    key=key, kind=what, occurred_at=self.now - timedelta(hours=late), recorded_at=self.now,
                    member_id=who.member_id, account_id=self.world.house.mini, fan_id=None,
                    payload=self.payload(what, other, n),
                )  # fmt: skip

    async def work(self) -> None:
        await maturing.mature_due(now=self.now)
        await ledger.expire_due(now=self.now)

    async def attempt(self, number: int, what: str, *more: Any, broken: bool) -> None:
        try:
            async with db.transaction():
                await self.step(number, what, *more)
                if broken:
                    raise Broken  # noqa: TRY301  # this is what breaks it off
        except (Broken, DomainError):  # a refusal, such as not enough points, leaves no event
            return

    async def live(self, done: list[Any]) -> None:
        for number, (what, who, other, n, hours, late, twice, broken) in enumerate(done):
            self.now += timedelta(hours=hours)
            if broken:
                await self.attempt(number, what, self.fans[who], self.fans[other], n, late, broken=True)
            for _ in range(1 + twice):
                await self.attempt(number, what, self.fans[who], self.fans[other], n, late, broken=False)
            if what == "work":
                last = await db.fetch("SELECT coalesce(max(id), 0) FROM event")
                self.worked.append((last[0][0], self.now))


_TIMELINE = """
SELECT id, key, kind, occurred_at, recorded_at, member_id, account_id, payload FROM event
WHERE id > $1 ORDER BY id
"""


async def tell(world: World, timeline: list[Any], worked: list[tuple[int, datetime]]) -> None:
    """Tell a world what is in a timeline; who paid what was due when is the worker's diary."""
    diary = list(worked)

    async def work(until: float) -> None:
        while diary and diary[0][0] < until:
            now = diary.pop(0)[1]
            await maturing.mature_due(now=now)
            await ledger.expire_due(now=now)

    for event in timeline:
        await work(event["id"])
        await tell_one(event, json.loads(event["payload"]))
    await work(float("inf"))


async def tell_one(event: Any, payload: dict[str, Any]) -> None:
    kind, now = event["kind"], event["recorded_at"]
    if kind in TITLES:
        given = {name: event[name] for name in ("key", "kind", "occurred_at", "recorded_at", "member_id", "account_id")}
        await events.append(**given, fan_id=None, payload=payload)
    elif kind.startswith("gift."):
        origin = ledger.Origin("", "", now)
        key: UUID = service._spend_key(payload["redemption_id"])
        if kind == "gift.redeemed":
            what: dict[str, Any] = {"holder_id": event["member_id"], "asset": ledger.POINTS}
            await ledger.spend(key=key, amount=payload["points"], origin=origin, now=now, **what)
        else:
            await ledger.undo_spend(spend_key=key, origin=origin, now=now)
    elif kind == "member.merged":
        await merge(payload["kept"], [payload["absorbed"]])
    elif kind == "member.split":
        await db.fetch(
            "UPDATE member SET merged_into_id = NULL WHERE id IN ($1, $2)", payload["kept"], payload["absorbed"]
        )


STATE = {
    "entries": """
        SELECT CASE kind WHEN 'expire' THEN NULL ELSE key END, kind, asset, holder_id, amount, rule, rule_version, day,
               recorded_at FROM ledger_entry WHERE holder_id = ANY($1::bigint[])
    """,
    "balances": "SELECT holder_id, asset, balance, debt FROM ledger_balance WHERE holder_id = ANY($1::bigint[])",
    "lots": """
        SELECT e.key, l.holder_id, l.amount, l.remaining, l.earned_at, l.expires_at
        FROM ledger_lot l JOIN ledger_entry e ON e.id = l.entry_id WHERE l.holder_id = ANY($1::bigint[])
    """,
    "promises": """
        SELECT key, holder_id, asset, amount, withdrawn, state, due_at, settled_at, reason FROM pending_award
        WHERE holder_id = ANY($1::bigint[])
    """,
    "explanations": """
        SELECT event_key, rule_id, version, beneficiary_id, asset, planned, given, reason, subject, day, due_at
        FROM award_explanation WHERE beneficiary_id = ANY($1::bigint[])
    """,
    "levels": "SELECT member_id, rank, growth, changed_at FROM member_level WHERE member_id = ANY($1::bigint[])",
    "homes": "SELECT id, merged_into_id FROM member WHERE id = ANY($1::bigint[])",
}


async def state(members: list[int]) -> dict[str, list[str]]:
    return {what: sorted([str(tuple(row)) for row in await db.fetch(sql, members)]) for what, sql in STATE.items()}


def test_the_same_timeline_leads_to_the_same_state(worlds: tuple[World, World]) -> None:
    life, again = worlds

    async def people(world: World) -> list[FanView]:
        return [await make_fan((world.house.service, world.house.mini)[n % 2]) for n in range(PEOPLE)]

    @settings(
        max_examples=int(os.environ.get("FENSI_TEST_EXAMPLES", "20")),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(steps, min_size=10, max_size=40))
    def holds(done: list[Any]) -> None:
        fans = life.run(people(life))
        members = [fan.member_id for fan in fans]
        assert [fan.member_id for fan in again.run(people(again))] == members
        before = life.run(db.fetch("SELECT coalesce(max(id), 0) FROM event"))[0][0]
        lived = Life(life, fans)
        life.run(lived.live(done))
        again.run(tell(again, life.run(db.fetch(_TIMELINE, before)), lived.worked))
        assert again.run(state(members)) == life.run(state(members))

    holds()
    for world in worlds:
        world.run(audit())
