"""A brand with rules, two accounts and members; things happen to them through the timeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import scrm.points.happenings  # noqa: F401  # registers the events that rules look at
from kit.clock import SHANGHAI
from kit.ids import key_of
from scrm import db
from scrm.events import service as events
from scrm.points import explanations, levels, maturing, rulebook
from scrm.points.ledger import GROWTH, POINTS, holding
from tests.factories import make_account, value

_serial = count(1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=SHANGHAI)
LATE = datetime(2030, 1, 1, tzinfo=SHANGHAI)


def shanghai(text: str) -> datetime:
    """Return a moment in Shanghai, such as "2026-09-30 15:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@dataclass(frozen=True, slots=True)
class House:
    """A brand with a service account and a mini-program."""

    brand: int
    service: int
    mini: int

    async def happens(
        self,
        kind: str,
        member: int,
        when: datetime,
        payload: Mapping[str, Any] | None = None,
        *,
        key: UUID | None = None,
        now: datetime | None = None,
        account: int | None = None,
    ) -> UUID:
        """Append an event with its consequences and return its key."""
        key = key or key_of("test event", next(_serial))
        await events.append(
            key=key,
            kind=kind,
            occurred_at=when,
            recorded_at=now or when,
            member_id=member,
            account_id=account or self.mini,
            fan_id=None,
            payload=payload or {},
        )
        return key

    async def explained(self, key: UUID) -> list[tuple[str, int, str, int, int, str]]:
        """Return what the rules did about an event: (rule, beneficiary, asset, planned, given, reason)."""
        async with db.connection() as raw:
            return [
                (e.rule, e.beneficiary_id, e.asset, e.planned, e.given, e.reason)
                for e in await explanations.of_event(raw, key)
            ]


async def open_house(*presets: str, brand: str | None = None) -> House:
    """Make a brand with these presets, in force since 2020."""
    name = brand or f"品牌 {next(_serial)}"
    service = await make_account(brand=name)
    mini = await make_account(kind="miniprogram", brand=name)
    brand_id = await value("SELECT brand_id FROM account WHERE id = $1", mini)
    for preset in presets:
        await rulebook.install_preset(brand_id, preset, LONG_AGO)
    return House(brand_id, service, mini)


async def define(house: House, row: Mapping[str, Any], now: datetime = LONG_AGO, **changes: Any) -> int:
    """Write a rule and return its version; what a row does not say is of no interest to the test."""
    given = {"module": "测试", "name": "规则", "points": 0, "growth": 0} | dict(row)
    return await rulebook.define(brand_id=house.brand, draft=rulebook.check(given), now=now, **changes)


async def mature(now: datetime) -> int:
    """Pay what is due and return how many awards that were."""
    return await maturing.mature_due(now=now)


async def has(member: int, now: datetime = LATE) -> tuple[int, int]:
    """Return a person's points and growth, less what they owe."""
    async with db.connection() as raw:
        points, growth = await holding(raw, member, POINTS, now), await holding(raw, member, GROWTH, now)
    return points.balance - points.debt, growth.balance - growth.debt


async def coming(member: int) -> list[tuple[str, int, datetime]]:
    """Return what is promised to a member: (asset, amount, when), the soonest first."""
    rows = await db.fetch(
        """
        SELECT asset, amount - withdrawn AS amount, due_at FROM pending_award
        WHERE holder_id = $1 AND state = 'pending' ORDER BY due_at, asset
        """,
        member,
    )
    return [(row["asset"], row["amount"], row["due_at"]) for row in rows]


async def level(house: House, member: int) -> str:
    """Return the name of a person's level."""
    async with db.connection() as raw:
        growth = await levels.growth_of(raw, [member])
        return levels.standing(next(iter(growth.values())), await levels.of_brand(raw, house.brand)).level.name
