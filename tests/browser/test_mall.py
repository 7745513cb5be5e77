"""The points mall in a real browser: a gift made, stocked and taken off the shelf; a parcel sent, one taken back."""

import pytest
from playwright.async_api import expect

from kit.ids import key_of
from kit.seal import Sealer
from scrm.gifts import addresses, catalogue, service
from scrm.gifts.catalogue import GiftTerms
from tests.bot.house import SECRET_KEY
from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture
from tests.factories import make_account, make_fan, value
from tests.gifts.shop import HOME, earn

pytestmark = pytest.mark.browser


async def test_a_gift_is_made_stocked_redeemed_sent_and_taken_back(desk: Desk) -> None:  # noqa: F811
    account = await make_account(appid="wx-mall-1", kind="miniprogram")
    fan, now = await make_fan(account), desk.clock.now()
    await desk.person("chen.qing", "operator")
    page = await desk.page()
    await page.goto("/console/mall")
    await desk.sign_in(page, "chen.qing")
    await expect(page.get_by_text("还没有积分商品")).to_be_visible()

    await page.get_by_role("button", name="新建商品").click()
    form = page.get_by_role("dialog")
    await form.locator("input[name=name]").fill("白瓷茶盘")
    await form.get_by_label("所需积分").fill("20")
    await form.get_by_label("初始库存").fill("3")
    await form.get_by_label("每人限兑").fill("2")
    await form.locator("[data-test=save-gift]").click()
    row = page.locator("[data-test=gifts] tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("每人限兑 2 件")
    await expect(row).to_contain_text("上架中")

    await row.get_by_role("button", name="库存").click()
    drawer = page.get_by_role("dialog", name="库存：白瓷茶盘")
    await drawer.get_by_label("数量").fill("4")
    await drawer.locator("input[name=reason]").fill("春茶季到货")
    await drawer.locator("[data-test=save-stock]").click()
    moved = drawer.locator("[data-test=movements] tbody tr")
    await expect(moved).to_have_count(2)
    await expect(moved.nth(0)).to_contain_text("+4")
    await expect(moved.nth(0)).to_contain_text("chen.qing")
    await expect(moved.nth(1)).to_contain_text("初始库存")
    await expect(drawer.locator("[data-test=stock-now]")).to_have_text("7")
    await page.keyboard.press("Escape")
    await expect(row.locator("td").nth(2)).to_have_text("7")

    gift = await value("SELECT id FROM gift WHERE name = '白瓷茶盘'")
    await earn(fan, 40, when=now)
    address_id = await addresses.add(Sealer(SECRET_KEY), member_id=fan.member_id, address=HOME, now=now)
    for n in range(2):
        await service.redeem(
            key=key_of("mall", n),
            gift_id=gift,
            member_id=fan.member_id,
            account_id=account,
            fan_id=fan.id,
            now=now,
            address_id=address_id,
        )
    await row.get_by_role("button", name="兑换").click()
    parcels = page.locator("[data-test=redemptions] tbody tr")
    await expect(parcels).to_have_count(2)
    await expect(parcels.nth(0)).to_contain_text("张小明 13812345678")
    await parcels.nth(1).get_by_role("button", name="发货").click()
    await form.get_by_label("快递公司").fill("顺丰速运")
    await form.locator("input[name=number]").fill("SF100200")
    await form.locator("[data-test=save-shipping]").click()
    await expect(parcels.nth(1)).to_contain_text("顺丰速运 SF100200")
    await parcels.nth(1).get_by_role("button", name="已送达").click()
    await page.get_by_role("dialog", name="确认送达").get_by_role("button", name="已送达").click()
    await expect(parcels.nth(1)).to_contain_text("已完成")
    await parcels.nth(0).get_by_role("button", name="取消").click()
    await expect(form).to_contain_text("退回会员 20 积分，仍按原来的到期日，已过期的不退。库存加回一件。")
    await form.locator("input[name=reason]").fill("缺货，抱歉")
    await form.locator("[data-test=save-cancel]").click()
    await expect(parcels.nth(0)).to_contain_text("已取消")
    await expect(parcels.nth(0)).to_contain_text("缺货，抱歉")
    await page.locator("input[name=member]").fill("M12")
    await expect(page.get_by_text("会员号是数字")).to_be_visible()
    await expect(parcels).to_have_count(0)
    await page.locator("input[name=member]").fill("")
    await expect(parcels).to_have_count(2)
    async with page.expect_download() as begun:
        await page.locator("[data-test=to-ship]").click()
    assert (await begun.value).suggested_filename.startswith("待发货-")

    await page.get_by_role("tab", name="商品").click()
    await expect(row.locator("td").nth(4)).to_have_text("1")
    await row.get_by_role("button", name="下架").click()
    await page.get_by_role("dialog", name="下架").get_by_role("button", name="下架").click()
    await expect(row).to_contain_text("已下架")
    assert await value("SELECT enabled FROM gift WHERE id = $1", gift) is False
    assert await value("SELECT stock FROM gift WHERE id = $1", gift) == 6


async def test_codes_are_pasted_one_a_line(desk: Desk) -> None:  # noqa: F811
    account = await make_account(appid="wx-mall-2", kind="miniprogram")
    brand = await value("SELECT brand_id FROM account WHERE id = $1", account)
    terms = GiftTerms(name="茶会席位", price=30)
    await catalogue.create_gift(brand_id=brand, kind="virtual", terms=terms, now=desk.clock.now())
    await desk.person("chen.qing", "operator")
    page = await desk.page()
    await page.goto("/console/mall")
    await desk.sign_in(page, "chen.qing")
    row = page.locator("[data-test=gifts] tbody tr")
    await expect(row).to_contain_text("已兑完")
    await row.get_by_role("button", name="库存").click()
    drawer = page.get_by_role("dialog", name="库存：茶会席位")
    await drawer.locator("textarea").fill("TEA-1\n\n  TEA-2  \nTEA-1")
    await drawer.locator("[data-test=save-codes]").click()
    await expect(page.get_by_text("导入了 2 个兑换码，1 个已经有了")).to_be_visible()
    await expect(drawer.locator("[data-test=stock-now]")).to_have_text("2")
    await expect(drawer.locator("[data-test=movements]")).to_contain_text("导入兑换码")
    await page.keyboard.press("Escape")
    await expect(row).to_contain_text("上架中")
