"""The demo brand's members' club: gifts to redeem, and what the people with a phone bought and did before today.

Everything goes through the business's own commands with its time in the past, so one fan of the simulated phone is
one member, in the chat and in the mini-program.
"""

import random
from datetime import datetime, timedelta
from typing import Any

from app.demo_data import Demo
from kit.ids import key_of
from kit.seal import Sealer
from scrm import db
from scrm.checkins import service as checkins
from scrm.db import Transaction, command
from scrm.events import service as events
from scrm.gifts import addresses, catalogue
from scrm.gifts import service as gifts
from scrm.gifts.addresses import Address
from scrm.gifts.catalogue import GiftTerms
from scrm.members.queries import FanView, fan_of
from scrm.members.service import link_unionid
from scrm.points.maturing import mature_due
from scrm.pushes.accepting import Arrival, accept

PICTURES = "/assets/demo/gifts"
SEED = 20261123
MEMBER_FOR = 29  # days
LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that are mistaken for each other


def unionid_of(n: int) -> str:
    """Return the unionid of the n-th person with a phone, counted from 1."""
    return f"u-phone-{n}"


def openid_of(n: int) -> str:
    """Return the openid of the n-th person with a phone at the mini-program."""
    return f"omPhone{n:021}"


async def ensure(demo: Demo, sealer: Sealer, now: datetime) -> bool:
    """Make the club if it is not there yet; says whether it was made just now."""
    if await db.fetch("SELECT 1 FROM gift WHERE brand_id = $1 LIMIT 1", demo.miniprogram.brand_id):
        return False
    await _make(demo, sealer, now)
    return True


@command
async def _make(tx: Transaction, demo: Demo, sealer: Sealer, now: datetime) -> None:
    # All or nothing, as the rest of the demo.
    brand = demo.miniprogram.brand_id
    chance = random.Random(SEED)  # noqa: S311  # demo codes, the same for everybody
    await checkins.set_policy(brand_id=brand, cards_per_month=2)
    made: dict[str, int] = {}
    for gift in demo.data["gifts"]:
        terms = GiftTerms(
            gift["name"],
            gift["price"],
            per_person=gift.get("per_person"),
            level=gift.get("level"),
            picture=f"{PICTURES}/{gift['picture']}",
        )
        made[gift["name"]] = await catalogue.create_gift(
            brand_id=brand, kind=gift["kind"], terms=terms, stock=gift.get("stock", 0), now=now - timedelta(days=30)
        )
        if codes := gift.get("codes"):
            await catalogue.load_codes(
                sealer,
                gift_id=made[gift["name"]],
                codes=[_code(gift["prefix"], chance) for _ in range(codes)],
                now=now - timedelta(days=30),
            )
    for n, nickname in enumerate(demo.data["fans"], 1):
        if past := demo.data["pasts"].get(nickname):
            await _live(demo, sealer, await _person(tx, demo, n, now), past, made, now)


def _code(prefix: str, chance: random.Random) -> str:
    return f"{prefix}-{''.join(chance.choices(LETTERS, k=4))}-{''.join(chance.choices(LETTERS, k=4))}"


async def _person(tx: Transaction, demo: Demo, n: int, now: datetime) -> FanView:
    """Return a person of the phone, who has used the mini-program before."""
    account, at = demo.miniprogram, (now - timedelta(days=MEMBER_FOR)).replace(microsecond=0)
    entered = Arrival(
        key=key_of("demo", account.appid, openid_of(n)),
        account_id=account.id,
        openid=openid_of(n),
        kind="wechat.event.user_enter_tempsession",
        occurred_at=at,
        received_at=at,
        payload={"session_from": "首页"},
        fields={},
        lease_until=at,
        answer={"type": "none"},
    )
    await accept(tx.connection, [entered])
    fan = await fan_of(account.id, openid_of(n))
    assert fan is not None  # noqa: S101  # accepting a push makes its fan
    await link_unionid(fan_id=fan.id, unionid=unionid_of(n), now=now)
    return fan


async def _live(
    demo: Demo, sealer: Sealer, fan: FanView, past: dict[str, Any], made: dict[str, int], now: datetime
) -> None:
    """Let a person's past happen: orders, what they earned, check-ins, a redemption, a return, in this order."""
    account_id, member_id = demo.miniprogram.id, fan.member_id

    async def happened(kind: str, order: dict[str, Any], days_ago: int, payload: dict[str, Any]) -> None:
        at = now - timedelta(days=days_ago)
        await events.append(
            key=key_of("demo", kind, order["order"]),
            kind=kind,
            occurred_at=at,
            recorded_at=at,
            member_id=member_id,
            account_id=account_id,
            fan_id=fan.id,
            payload={"order": order["order"], "amount": order["fen"], "platform": "小程序"} | payload,
        )

    for order in past.get("orders", []):
        await happened("order.received", order, order["days_ago"], {})
    await mature_due(now=now)
    for days_ago in past.get("checkins", []):
        at = now - timedelta(days=days_ago)
        await checkins.check_in(member_id=member_id, account_id=account_id, fan_id=fan.id, occurred_at=at, now=at)
    if wanted := past.get("redeemed"):
        at = now - timedelta(days=wanted["days_ago"])
        address_id = await addresses.add(sealer, member_id=member_id, address=Address(**past["address"]), now=at)
        await gifts.redeem(
            key=key_of("demo", "redeem", fan.openid),
            gift_id=made[wanted["gift"]],
            member_id=member_id,
            account_id=account_id,
            fan_id=fan.id,
            now=at,
            address_id=address_id,
        )
    for order in past.get("orders", []):
        if (returned := order.get("returned_days_ago")) is not None:
            await happened("order.returned", order, returned, {"returned": order["fen"]})
