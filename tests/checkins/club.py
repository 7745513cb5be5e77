"""A brand with two channels, its rules, and people who check in, made through the real commands."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from kit.clock import SHANGHAI
from scrm import db
from scrm.accounts.models import Account
from scrm.checkins import service
from scrm.checkins.service import CheckedIn
from scrm.db import transaction
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from scrm.points import ledger
from scrm.points.rulebook import install_preset
from tests.conftest import START
from tests.factories import make_account, make_fan

TODAY = date(2026, 3, 9)
DAY = timedelta(days=1)
LONG_AGO = START - timedelta(days=100)


def clock(day: date, time: str = "12:00:00") -> datetime:
    """Return a moment of the clock in Shanghai."""
    return datetime.fromisoformat(f"{day} {time}").replace(tzinfo=SHANGHAI).astimezone(UTC)


@dataclass(frozen=True)
class Club:
    """An official account and a mini-program of one brand, with Zippo's rules in force since long ago."""

    brand_id: int
    service_account: int
    miniprogram: int

    async def person(self) -> tuple[FanView, FanView]:
        """Make one person: a fan of the official account and a fan of the mini-program."""
        fans = await self.two()
        await self.link(*fans)
        return fans

    async def two(self) -> tuple[FanView, FanView]:
        """Make the same two fans while nobody knows yet that they are one."""
        return await make_fan(self.service_account), await make_fan(self.miniprogram)

    async def link(self, *fans: FanView) -> None:
        """Find out that fans are one person."""
        for fan in fans:
            await link_unionid(fan_id=fan.id, unionid=f"union-{fans[0].id}", now=START)


async def open_club() -> Club:
    official, mini = await make_account(), await make_account(kind="miniprogram")
    brand_id = await Account.get(id=official).values_list("brand_id", flat=True)
    assert isinstance(brand_id, int)
    await install_preset(brand_id, "zippo", LONG_AGO, since=LONG_AGO)
    return Club(brand_id, official, mini)


async def check_in(fan: FanView, when: datetime = START, now: datetime | None = None) -> CheckedIn:
    """Check a fan in at a moment."""
    return await service.check_in(
        member_id=fan.member_id, account_id=fan.account_id, fan_id=fan.id, occurred_at=when, now=now or when
    )


async def make_up(fan: FanView, day: date, now: datetime = START) -> int:
    """Use a make-up card."""
    return await service.make_up(member_id=fan.member_id, account_id=fan.account_id, fan_id=fan.id, day=day, now=now)


async def has(fan: FanView, now: datetime = START) -> tuple[int, int]:
    """Return the person's points and growth, each less what is owed."""
    async with db.connection() as raw:
        points = await ledger.holding(raw, fan.member_id, ledger.POINTS, now)
        growth = await ledger.holding(raw, fan.member_id, ledger.GROWTH, now)
    return points.balance - points.debt, growth.balance - growth.debt


async def split(fan: FanView) -> None:
    """Take the last merge of a fan's home member back, as a split does: only pointers move."""
    async with transaction() as tx:
        await tx.connection.execute("UPDATE member SET merged_into_id = NULL WHERE id = $1", fan.member_id)
