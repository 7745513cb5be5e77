"""The assistant's tools: my points, level, redemptions and check-ins, and the brand's stores. All of them read only.

Results name facts in Chinese with their units, as the sentence that tells them will, so that every number of an
answer can be found in them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kit.clock import SHANGHAI
from scrm import db
from scrm.accounts.queries import growth_word
from scrm.assistant.interest_rules import normal
from scrm.assistant.settings import Store
from scrm.assistant.tools import Asker, Tool, Toolbox
from scrm.checkins import queries as checkins
from scrm.gifts import queries as gifts
from scrm.points import levels
from scrm.points import queries as points
from scrm.points.ledger import POINTS, holding, homes_of

STATES = {
    "placed": "待处理",
    "shipped": "已发货",
    "completed": "已完成",
    "cancelled": "已取消",
}
LINES = 5
STORES_TOLD = 8
_MY = r"(?:请?(?:帮我)?(?:查|看|查询|查看)(?:一?下)?)?我?(?:的|有|还有|现在有|目前有)?"


async def my_points(asker: Asker, _given: Mapping[str, str]) -> dict[str, Any]:
    """Return what the asker can spend, owes and will get."""
    async with db.connection() as raw:
        held = await holding(raw, asker.member_id, POINTS, asker.now)
    coming = sum(one.amount for one in await points.coming(asker.member_id, POINTS))
    facts = {"可用积分": f"{held.spendable} 积分"}
    if coming:
        facts["待到账"] = f"{coming} 积分"
    if held.debt:
        facts["待扣回"] = f"{held.debt} 积分"
    return facts


async def my_level(asker: Asker, _given: Mapping[str, str]) -> dict[str, Any]:
    """Return the asker's level, growth, and what the next level asks for."""
    async with db.connection() as raw:
        scheme = await levels.of_brand(raw, asker.brand_id)
        if not scheme:
            return {"会员等级": "本品牌没有设置等级"}
        homes = await homes_of(raw, asker.member_id)
        word = await growth_word(raw, asker.brand_id)
        growth = (await levels.growth_of(raw, homes[:1])).get(homes[0], 0)
    standing = levels.standing(growth, scheme)
    facts = {"会员等级": standing.level.name, word: f"{standing.growth} {word}"}
    if standing.next is not None:
        facts["下一等级"] = standing.next.name
        facts["升级还差"] = f"{standing.missing} {word}"
    if standing.level.benefits:
        facts["等级权益"] = "；".join(standing.level.benefits)
    return facts


async def my_redemptions(asker: Asker, _given: Mapping[str, str]) -> dict[str, Any]:
    """Return the asker's latest redemptions, without their addresses."""
    latest = await gifts.redemptions(asker.member_id, limit=LINES)
    if not latest:
        return {"兑换记录": "还没有兑换过礼品"}
    return {"兑换记录": [_redemption(one) for one in latest]}


def _redemption(one: gifts.RedemptionView) -> str:
    placed = one.placed_at.astimezone(SHANGHAI)
    parts = [f"{placed.month}月{placed.day}日 {one.name}", f"{one.points} 积分", STATES.get(one.state, one.state)]
    if one.shipping_number:
        parts.append(f"{one.shipping_company} {one.shipping_number}")
    return "，".join(parts)


async def my_checkin(asker: Asker, _given: Mapping[str, str]) -> dict[str, Any]:
    """Return whether the asker has checked in today, and their streak."""
    standing = await checkins.standing(asker.member_id, asker.account_id, asker.now)
    return {"今天": "已签到" if standing.done else "还没签到", "连续签到": f"{standing.streak} 天"}


async def stores(asker: Asker, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the brand's stores, those of a place when one is given."""
    where = normal(given.get("place", ""))
    found = [one for one in asker.settings.stores if where in normal(f"{one.name}{one.city}{one.address}")]
    if not found:
        return {"门店": "没有查到门店信息"}
    return {"门店": [_store(one) for one in found[:STORES_TOLD]]}


def _store(one: Store) -> str:
    facts = [one.name, f"{one.city}{one.address}", f"营业时间 {one.hours}" if one.hours else "", one.phone]
    return "，".join(fact for fact in facts if fact)


def _told(head: str) -> Callable[[Mapping[str, Any]], str]:
    """Return what turns facts into lines under a heading."""

    def say(facts: Mapping[str, Any]) -> str:
        lines = [head]
        for name, value in facts.items():
            lines += [f"· {one}" for one in value] if isinstance(value, list) else [f"{name}：{value}"]
        return "\n".join(lines)

    return say


TOOLS = Toolbox(
    [
        Tool(
            "my_points",
            "查询提问者本人的积分：可用积分、待到账、待扣回",
            my_points,
            asks=(rf"{_MY}(?:多少)?积分(?:余额|是多少|有多少|还有多少)?", r"积分(?:查询|余额)"),
            say=_told("为您查到："),
        ),
        Tool(
            "my_level",
            "查询提问者本人的会员等级、成长值、升级还差多少和等级权益",
            my_level,
            asks=(
                rf"{_MY}(?:多少)?(?:会员)?(?:等级|成长值|经验值?)(?:是多少|是什么)?",
                r"我是(?:什么|几级)(?:等级|会员)?",
            ),
            say=_told("为您查到："),
        ),
        Tool(
            "my_redemptions",
            "查询提问者本人最近的礼品兑换记录和发货物流",
            my_redemptions,
            asks=(rf"{_MY}(?:兑换记录|兑换的礼品|兑换物流|兑换订单)(?:到哪了)?",),
            say=_told("您最近的兑换："),
        ),
        Tool(
            "my_checkin",
            "查询提问者本人今天是否签到、连续签到几天",
            my_checkin,
            asks=(r"我?今天签到了?(?:吗|没有?)", r"我?连续签到(?:了)?(?:几|多少)天(?:了)?"),
            say=_told("为您查到："),
        ),
        Tool(
            "stores",
            "查询品牌门店的地址、营业时间和电话",
            stores,
            arguments={"place": "城市、区域或门店名，可不填"},
        ),
    ]
)
