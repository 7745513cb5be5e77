"""The tea house's own preset: what its table says is what the demo's knowledge tells its fans."""

import pytest

from scrm import db
from scrm.db import Transaction
from scrm.points import levels, rulebook
from tests.contracts.repository import ROOT
from tests.points.house import LATE, House, open_house


@pytest.fixture
async def house(tx_db: Transaction) -> House:
    return await open_house("qingyu")


async def test_the_tea_house_has_rules_of_its_own(house: House) -> None:
    async with db.connection() as raw:
        table = await rulebook.table(raw, house.brand, LATE)
    assert [(one.code, one.name, one.unit, one.points, one.growth, one.system) for one in table] == [
        ("tea.checkin", "每日签到", "次", 1, 3, True),
        ("tea.purchase", "购买茶品与茶具", "10元", 1, 1, True),
        ("tea.note", "发布品茶笔记", "篇", 2, 5, True),
        ("tea.friend", "邀请茶友", "位", 3, 5, True),
        ("tea.tin", "茶罐验真并建档", "罐", 5, 50, True),
    ]


async def test_the_table_is_what_the_knowledge_says(house: House) -> None:
    async with db.connection() as raw:
        worth = {one.code: one for one in await rulebook.table(raw, house.brand, LATE)}
        scheme = await levels.of_brand(raw, house.brand)
    faq = (ROOT / "assets" / "knowledge" / "faq.csv").read_text(encoding="utf-8")
    articles = (ROOT / "assets" / "knowledge" / "articles.md").read_text(encoding="utf-8")
    note, friend, tin = worth["tea.note"], worth["tea.friend"], worth["tea.tin"]
    for sentence in (
        f"每日签到得 {worth['tea.checkin'].points} 积分；购买商品每满 10 元得 {worth['tea.purchase'].points} 积分；",
        f"社区发帖得 {note.points} 积分；邀请好友注册双方各得 {friend.points} 积分；产品验真并建档得 {tin.points} 积分",
        f"您与好友各得 {friend.points} 积分和 {friend.growth} 成长值",
        f"得 {note.points} 积分（5 个自然日内发放）和 {note.growth} 成长值（5 个工作日内发放）",
        f"即时获得 {tin.points} 积分和 {tin.growth} 成长值",
    ):
        assert sentence in faq
    bounds = "，".join(f"{one.name}为 {one.threshold}" for one in scheme)
    assert f"由累计成长值决定：{bounds}。" in articles
    for level in scheme:
        said = next(
            line for line in articles.splitlines() if line.startswith(f"{level.name.removesuffix('会员')}会员：")
        )
        assert [benefit for benefit in level.benefits if benefit not in said.replace("默认顺丰", "顺丰")] == []
