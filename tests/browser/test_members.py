"""The members' pages in a real browser: filter, tags for many with undo, a person's points and a split, export."""

import json
import re
from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from kit.ids import key_of
from scrm.conversations.service import request_person
from scrm.db import fetch
from scrm.members import profiles
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from scrm.points import ledger
from scrm.points.ledger import Origin
from scrm.tags import batches, service
from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture
from tests.factories import SEALER, TEXT, happens, make_account, make_fan, value

pytestmark = pytest.mark.browser


async def people(at: Desk, n: int = 3) -> list[FanView]:
    """Make people with nicknames; the first is two members merged, has points, and wrote something."""
    account = await make_account(appid="wx-members-1")
    mini = await make_account(kind="miniprogram", appid="wx-members-2")
    now = at.clock.now()
    fans = [await make_fan(account) for _ in range(n)]
    for n, fan in enumerate(fans):
        who = {"member_id": fan.member_id, "account_id": account, "fan_id": fan.id}
        await profiles.update(SEALER, **who, changes={"nickname": f"茶友{n}", "city": "杭州"}, now=now)
    for fan in (fans[0], await make_fan(mini)):
        await link_unionid(fan_id=fan.id, unionid="u", now=now)
    origin = Origin("每日签到", "公众号", now)
    await ledger.award(key=key_of("t"), holder_id=fans[0].member_id, asset="points", amount=40, origin=origin, now=now)
    await happens(fans[0], TEXT, now + timedelta(seconds=5), {"content": "龙井还有吗"})
    brand = await value("SELECT brand_id FROM account WHERE id = $1", account)
    await service.define(brand_id=brand, name="老客", now=now)
    return fans


async def enter(at: Desk, path: str, login: str = "chen.qing") -> Page:
    """Open a page as somebody; chen.qing is made, an administrator."""
    if login == "chen.qing":
        await at.person(login, "admin")
    page = await at.page()
    await page.goto(f"/console{path}")
    await at.sign_in(page, login)
    return page


async def at_work(at: Desk, login: str, permissions: list[str]) -> None:
    """Make somebody with a role of their own."""
    await at.person(login, "viewer")
    role = await value(
        "INSERT INTO role (name, permissions, created_at) VALUES ($1, $2::jsonb, $3) RETURNING id",
        login,
        json.dumps(permissions),
        at.clock.now(),
    )
    await fetch("UPDATE staff SET role_id = $2 WHERE login = $1", login, role)


async def test_a_filter_finds_and_a_batch_tags_and_is_undone(desk: Desk) -> None:  # noqa: F811
    fans = await people(desk)
    page = await enter(desk, "/members")
    await expect(page.get_by_text("共 3 位会员")).to_be_visible()
    await page.fill("input[name=nickname]", "茶友2")
    await page.press("input[name=nickname]", "Enter")
    await expect(page.get_by_text("共 1 位会员")).to_be_visible()
    await expect(page.locator(".people tbody tr")).to_have_count(1)
    await page.get_by_role("button", name="清空筛选").click()
    await expect(page.locator(".people tbody tr")).to_have_count(3)

    await page.locator("[data-test=batch]").click()
    await expect(page.get_by_text("将对筛选出的全部 3 位会员操作")).to_be_visible()
    await page.locator("[data-test=batch-tag]").click()
    await page.get_by_role("option", name="老客").click()
    await page.locator("[data-test=begin]").click()
    shown = page.locator("[data-test=progress]")
    await expect(shown).to_contain_text("正在打上“老客”：0 / 3")
    batch = await value("SELECT id FROM tag_batch")
    while await batches.work_some(batch_id=batch, now=desk.clock.now()):
        pass
    await expect(shown).to_contain_text("已为 3 位会员打上“老客”")
    await expect(page.locator(".people tbody").get_by_text("老客")).to_have_count(3)
    await shown.get_by_role("button", name="撤销").click()
    await expect(shown).to_contain_text("正在撤销")
    while await batches.work_some(batch_id=batch, now=desk.clock.now()):
        pass
    await expect(shown).to_contain_text("已撤销：3 位会员恢复原样")
    await expect(page.locator(".people tbody").get_by_text("老客")).to_have_count(0)

    async with page.expect_download() as waiting:
        await page.locator("[data-test=export]").click()
    download = await waiting.value
    assert re.fullmatch(r"会员-20260309-1200\.csv", download.suggested_filename)
    text = (await download.path()).read_text(encoding="utf-8-sig")
    assert [line.split(",")[2] for line in text.splitlines()] == ["昵称", "茶友2", "茶友1", "茶友0"]
    assert str(fans[0].member_id) in text


async def test_who_is_hidden_by_a_filter_is_in_no_batch(desk: Desk) -> None:  # noqa: F811
    fans = await people(desk)
    page = await enter(desk, "/members")
    rows = page.locator(".people tbody tr")
    await rows.filter(has_text="茶友0").locator(".el-checkbox").click()
    await expect(page.get_by_text("已选 1 位")).to_be_visible()
    await page.fill("input[name=nickname]", "茶友2")
    await page.press("input[name=nickname]", "Enter")
    await expect(rows).to_have_count(1)
    await expect(page.get_by_text("共 1 位会员")).to_be_visible()
    await rows.locator(".el-checkbox").click()
    await expect(page.get_by_text("已选 1 位")).to_be_visible()
    async with page.expect_request(lambda one: one.url.endswith("/tag-batches") and one.method == "POST") as begun:
        await page.locator("[data-test=batch]").click()
        await expect(page.get_by_text("对所选的 1 位会员操作。")).to_be_visible()
        await page.locator("[data-test=batch-tag]").click()
        await page.get_by_role("option", name="老客").click()
        await page.locator("[data-test=begin]").click()
    assert json.loads((await begun.value).post_data or "")["members"] == [fans[2].member_id]
    # Nor does anybody who was ticked come back with the filter gone.
    await page.get_by_role("button", name="清空筛选").click()
    await expect(rows).to_have_count(3)
    await expect(page.locator(".people tbody .el-checkbox.is-checked")).to_have_count(0)


async def test_a_persons_page_adjusts_tags_and_splits(desk: Desk) -> None:  # noqa: F811
    fans = await people(desk)
    page = await enter(desk, "/members")
    await page.locator(".people tbody tr").filter(has_text="茶友0").get_by_text("茶友0").click()
    await expect(page).to_have_url(re.compile(rf"/console/members/{fans[0].member_id}$"))
    await expect(page.get_by_role("heading", name="茶友0")).to_be_visible()
    await expect(page.locator("[data-test=timeline]")).to_contain_text("龙井还有吗")

    await page.get_by_role("tab", name="积分日志").click()
    await expect(page.locator("[data-test=statement]")).to_contain_text("+40")
    await page.locator("[data-test=adjust]").click()
    await page.get_by_role("dialog").get_by_text("扣减", exact=True).click()
    await page.fill("input[name=amount]", "15")
    await page.fill("textarea[name=reason]", "重复发放")
    await page.locator("[data-test=save-adjust]").click()
    await expect(page.locator("[data-test=statement]")).to_contain_text("人工调整：重复发放")
    await expect(page.locator("[data-test=statement]")).to_contain_text("−15")
    await expect(page.locator(".sums")).to_contain_text("25")

    await page.locator("[data-test=tags]").get_by_role("button", name="标签").click()
    await page.get_by_role("option", name="老客").click()
    await expect(page.locator("[data-test=tags]")).to_contain_text("老客")

    await page.get_by_role("tab", name="身份与合并").click()
    await expect(page.locator("[data-test=merges]")).to_contain_text("相同的微信 UnionID")
    await page.locator("[data-test=merges]").get_by_role("button", name="拆分").click()
    await page.get_by_role("button", name="确认拆分").click()
    await expect(page.get_by_text(re.compile(r"已拆分为会员 \d+ 和会员 \d+"))).to_be_visible()
    await page.get_by_role("button", name="知道了").click()
    await expect(page.locator("[data-test=merges]")).to_contain_text("拆分")
    assert len(await fetch("SELECT 1 FROM member WHERE merged_into_id IS NOT NULL")) == 0
    assert [
        row["action"] for row in await fetch("SELECT action FROM audit WHERE action ~ '^(points|member)' ORDER BY id")
    ] == ["points.adjusted", "member.tagged", "member.split"]


async def test_the_inbox_and_a_members_page_lead_to_each_other(desk: Desk) -> None:  # noqa: F811
    account = await make_account(appid="wx-members-1")
    fan = await make_fan(account)
    await happens(fan, TEXT, desk.clock.now(), {"content": "在吗"})
    conversation = (await request_person(fan_id=fan.id, reason="rule", now=desk.clock.now())).conversation_id
    # The inbox shows the first brand while none is chosen.
    await fetch("UPDATE conversation SET brand_id = (SELECT min(id) FROM brand) WHERE id = $1", conversation)
    await fetch("UPDATE account SET brand_id = (SELECT min(id) FROM brand) WHERE id = $1", account)
    page = await enter(desk, f"/inbox?c={conversation}")
    name, why = f"会员 {fan.member_id}", "微信不再提供粉丝的昵称，本人在小程序填写后显示"
    await expect(page.locator("[data-test=chat-name]")).to_have_text(name)
    await expect(page.locator("[data-test=fan-name]")).to_have_text(name)
    await expect(page.get_by_role("complementary", name="粉丝资料")).to_contain_text(why)
    await page.get_by_role("link", name="会员资料").click()
    await expect(page).to_have_url(re.compile(rf"/console/members/{fan.member_id}$"))
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    await expect(page.locator("[data-test=unnamed]")).to_have_text(why)
    await page.get_by_role("tab", name="会话").click()
    await page.get_by_title("打开会话").click()
    await expect(page).to_have_url(re.compile(rf"/console/inbox\?c={conversation}$"))
    await expect(page.locator("[data-test=fan-name]")).to_have_text(name)

    # Who may not see members has no way there; who does not answer fans reads of the conversation and has no link.
    await at_work(desk, "li.na", ["inbox.answer", "inbox.supervise"])
    clerk = await enter(desk, f"/inbox?c={conversation}", "li.na")
    await expect(clerk.locator("[data-test=fan-name]")).to_have_text(name)
    await expect(clerk.get_by_role("link", name="会员资料")).to_have_count(0)
    await desk.person("zhou.yi", "viewer")
    viewer = await enter(desk, f"/members/{fan.member_id}?tab=talks", "zhou.yi")
    await expect(viewer.get_by_role("cell", name="人工接待中")).to_be_visible()
    await expect(viewer.get_by_title("打开会话")).to_have_count(0)
