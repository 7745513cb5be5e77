"""A brand with a mini-program, members with points, and gifts, made through the real commands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kit.ids import key_of
from scrm import db
from scrm.accounts.models import Account
from scrm.gifts import addresses, catalogue, service
from scrm.gifts.addresses import Address
from scrm.gifts.catalogue import GiftTerms
from scrm.gifts.service import Redeemed
from scrm.members.queries import FanView
from scrm.points import ledger
from tests.conftest import START
from tests.factories import SEALER, make_account, make_fan, value

HOME = Address("张小明", "13812345678", "浙江省杭州市上城区", "湖滨路88号2单元")
PLATFORM = "小程序"


@dataclass(frozen=True)
class Shop:
    """One mini-program and its brand."""

    account_id: int
    brand_id: int

    async def member(self, points: int = 0, *, expires_at: datetime | None = None) -> FanView:
        """Make a fan of the mini-program who has so many points."""
        fan = await make_fan(self.account_id)
        if points:
            await earn(fan, points, expires_at=expires_at)
        return fan

    async def gift(self, kind: str = "physical", *, stock: int = 5, **terms: Any) -> int:
        """Put a gift into the mall: 手机壳 for 10 points unless said otherwise."""
        given: dict[str, Any] = {"name": "手机壳", "price": 10} | terms
        made = await catalogue.create_gift(
            brand_id=self.brand_id,
            kind=kind,
            terms=GiftTerms(**given),
            stock=stock if kind == "physical" else 0,
            now=START,
        )
        if kind == "virtual" and stock:
            codes = [f"{made}-{n}" for n in range(stock)]
            await catalogue.load_codes(SEALER, gift_id=made, codes=codes, now=START)
        return made

    async def redeem(self, fan: FanView, gift_id: int, word: object, *, now: datetime = START, **more: Any) -> Redeemed:
        """Redeem a gift under a key of this word."""
        return await service.redeem(
            key=key_of("test", word),
            gift_id=gift_id,
            member_id=fan.member_id,
            account_id=self.account_id,
            fan_id=fan.id,
            now=now,
            **more,
        )


async def open_shop() -> Shop:
    account_id = await make_account(kind="miniprogram")
    brand_id = await Account.get(id=account_id).values_list("brand_id", flat=True)
    assert isinstance(brand_id, int)
    return Shop(account_id, brand_id)


async def earn(
    fan: FanView,
    amount: int,
    *,
    when: datetime = START,
    expires_at: datetime | None = None,
    asset: str = ledger.POINTS,
) -> None:
    """Give a fan's member points, or growth."""
    await ledger.award(
        key=key_of("earned", fan.id, asset, amount, when, expires_at),
        holder_id=fan.member_id,
        asset=asset,
        amount=amount,
        origin=ledger.Origin("活动奖励", PLATFORM, when),
        now=when,
        expires_at=expires_at,
    )


async def points(fan: FanView, now: datetime = START) -> int:
    """Return what the fan's person has to spend."""
    async with db.connection() as raw:
        return (await ledger.holding(raw, fan.member_id, ledger.POINTS, now)).spendable


async def live_at(fan: FanView, address: Address = HOME, *, default: bool = False) -> int:
    """Give the fan's member an address."""
    return await addresses.add(SEALER, member_id=fan.member_id, address=address, now=START, default=default)


async def stock(gift_id: int) -> int:
    """Return a gift's stock."""
    left: int = await value("SELECT stock FROM gift WHERE id = $1", gift_id)
    return left


async def kinds_of(fan: FanView) -> list[str]:
    """Return what happened at the fan's home about gifts, in order."""
    rows = await db.fetch(
        "SELECT kind FROM event WHERE member_id = $1 AND kind LIKE 'gift.%' ORDER BY id", fan.member_id
    )
    return [row["kind"] for row in rows]
