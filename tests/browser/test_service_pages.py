"""Reports, rota, words and the wall in a real browser, with numbers that were thought out beforehand."""

import csv
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from scrm.conversations import closing, desk_queries, service
from scrm.conversations import desk as seats
from scrm.db import fetch
from tests.browser import test_console
from tests.browser.test_console import Desk
from tests.conftest import START
from tests.conversations import office as desks
from tests.factories import at

pytestmark = pytest.mark.browser
desk = test_console.desk

HOUR = 3600


async def opened(desk: Desk, login: str, path: str) -> Page:
    """A page of somebody's at a path; the browser's clock stands where ours does."""
    page = await desk.page()
    await page.clock.set_fixed_time(START)
    await page.goto(f"/console{path}")
    await desk.sign_in(page, login)
    return page


async def tea_house(desk: Desk) -> tuple[desks.Office, int]:
    """The house's brand, its administrator, and 李娜 with a seat for what comes after a sale."""
    (account,) = await fetch("SELECT id, brand_id FROM account")
    where = desks.Office(account["brand_id"], account["id"])
    await desk.person("chen.qing", "admin")
    await desk.person("li.na", "agent")
    (clerk,) = await fetch("UPDATE staff SET name = '李娜' WHERE login = 'li.na' RETURNING id")
    await seats.set_skill(brand_id=where.brand, name="aftersale", title="售后")
    await seats.set_seat(brand_id=where.brand, staff_id=clerk["id"], capacity=4, skills=["aftersale"])
    return where, clerk["id"]


async def served(where: desks.Office, staff: int, asked: float, answers: float, skill: str, score: int) -> None:
    fan = await where.fan("人工", when=asked)
    conversation = (await where.asks(fan, asked, skill=skill)).conversation_id
    given = {"conversation_id": conversation, "brand_id": where.brand, "staff_id": staff}
    await service.pull(**given, now=at(asked + answers / 2))
    assert (await where.says(conversation, staff, when=asked + answers)).allowed
    await closing.close(**given, now=at(asked + 600), summary="")
    await closing.rate(conversation_id=conversation, score=score, now=at(asked + 700))


async def test_the_report_its_cuts_and_its_file(desk: Desk, tmp_path: Path) -> None:
    where, clerk = await tea_house(desk)
    await served(where, clerk, -24 * HOUR, 20, "aftersale", 5)
    await served(where, clerk, -2 * HOUR, 100, "", 4)
    await where.fan("几点开门", when=-HOUR)
    page = await opened(desk, "chen.qing", "/service-report")

    async def tile(name: str) -> str:
        return await page.locator(f"[data-test='tile-{name}'] b").inner_text()

    await expect(page.locator("[data-test='tile-求助会话'] b")).to_have_text("2")
    assert [await tile(name) for name in ("平均首响", "平均等待", "平均解决")] == ["1 分钟", "30 秒", "10 分钟"]
    assert [await tile(name) for name in ("机器人独立解决", "满意度", "承诺兑现")] == ["33.3%", "4.50", "—"]
    # Beside each chart the table says the same: of a week, two days with one each.
    days = page.locator("section.part").filter(has=page.get_by_role("heading", name="按天"))
    await expect(page.get_by_role("img", name="按天：会话量，数字见旁边的表格")).to_be_visible()
    rows = days.locator(".el-table__body tr")
    await expect(rows).to_have_count(8)
    assert await rows.nth(5).locator("td").all_inner_texts() == ["03/08", "1", "1", "10 秒", "20 秒"]
    await expect(page.locator("section.part").last.locator(".el-table__body tr").first).to_contain_text("李娜")

    async with page.expect_download() as loading:
        await days.get_by_role("button", name="下载 CSV").click()
    taken = await loading.value
    assert taken.suggested_filename == "客服报表_按天_2026-03-03_2026-03-09.csv"
    await taken.save_as(tmp_path / "days.csv")
    lines = (tmp_path / "days.csv").read_bytes().decode("utf-8-sig").splitlines()
    assert len(lines) == 9
    assert lines[0].startswith('"日期","求助会话","已回复","平均等待","平均首响","首响中位数","及时率"')
    assert lines[6].startswith('"03/08","1","1","10 秒","20 秒","20 秒","100%","10 分钟","5.00（1）"')
    assert lines[8].startswith('"合计","2","2","30 秒","1 分钟","1 分钟","50%","10 分钟","4.50（2）"')

    await page.locator(".el-select").filter(has_text="全部技能").click()
    await page.get_by_role("option", name="售后").click()
    await expect(page.locator("[data-test='tile-求助会话'] b")).to_have_text("1")
    assert await tile("机器人独立解决") == "—"
    await page.get_by_role("button", name="今天").click()
    await expect(page.get_by_text("这段时间没有会话")).to_be_visible()
    await page.get_by_role("button", name="指标定义").click()
    await expect(page.get_by_text("服务时间外求助的不计入：那时给的是承诺")).to_be_visible()


async def test_the_reports_tables_fit_and_the_staff_add_up(desk: Desk) -> None:
    where, clerk = await tea_house(desk)
    await served(where, clerk, -2 * HOUR, 100, "", 4)
    await where.asks(await where.fan("人工", when=-HOUR), when=-HOUR)
    page = await opened(desk, "chen.qing", "/service-report")
    await page.set_viewport_size({"width": 1280, "height": 800})
    staff = page.locator("section.part").last
    await expect(staff.get_by_text("另有 1 个没有人接起，不算给任何人")).to_be_visible()
    await expect(page.locator("section.part .el-table__body-wrapper")).to_have_count(3)
    # The table measures itself a moment later.
    await page.wait_for_function(
        """() => [...document.querySelectorAll('section.part .el-table__body-wrapper .el-scrollbar__wrap')]
            .every((one) => one.scrollWidth <= one.clientWidth)""",
        timeout=5_000,
    )


async def test_a_report_that_fails_is_said_and_a_repetition_helps(desk: Desk) -> None:
    await tea_house(desk)
    page = await opened(desk, "chen.qing", "/")
    await expect(page.get_by_text("，chen.qing")).to_be_visible()

    async def fail(route: Route) -> None:
        await route.abort()

    await page.route("**/reports/service?*", fail)
    await page.get_by_role("navigation").get_by_text("客服报表").click()
    await expect(page.locator("[data-test=failure]")).to_contain_text("连不上服务器")
    await page.unroute("**/reports/service?*")
    await page.get_by_role("button", name="重试").click()
    await expect(page.get_by_text("这段时间没有会话")).to_be_visible()


async def test_a_night_shift_a_closed_day_and_words(desk: Desk) -> None:
    where, clerk = await tea_house(desk)
    page = await opened(desk, "chen.qing", "/desk")
    await expect(page.get_by_text("还没有排班")).to_be_visible()
    await page.get_by_role("button", name="李娜").click()
    line = page.locator("[data-test=shift]").first
    for label, typed, understood in (("开始时间", "22", "22:00"), ("结束时间", "6：00", "06:00")):
        field = line.get_by_label(f"第 1 条的{label}")
        await field.fill(typed)
        await field.press("Enter")
        await expect(field).to_have_value(understood)
    await expect(line.get_by_text("次日")).to_be_visible()
    await page.locator("[data-test=save-shifts]").click()
    # Monday's night shift reaches into Tuesday.
    monday = page.locator("tbody tr").filter(has_text="李娜").locator("td").first
    await expect(monday).to_have_text("22:00–次日 06:00")
    await expect(page.locator("tbody tr").filter(has_text="李娜").locator("td").nth(1)).to_contain_text("00:00–06:00")
    await page.get_by_role("button", name="周三 3/11").click()
    await page.get_by_text("停止服务（只保留指定日期的班次）").click()
    await page.get_by_placeholder("如 年会、盘点").fill("盘点")
    await page.locator("[data-test=save-day]").click()
    await expect(page.locator("thead th").nth(3)).to_contain_text("停止服务")
    hours = await desk_queries.hours(where.brand)
    assert [(one.staff_id, one.pattern, one.starts, one.ends) for one in hours.shifts] == [
        (clerk, "workdays", 1320, 1800)
    ]
    assert list(hours.special.values()) == ["closed"]

    await page.get_by_role("tab", name="时限与话术").click()
    await page.fill("textarea[name=outside]", "打烊啦，明早回复您。")
    await page.locator("[data-test=save-texts]").click()
    await expect(page.locator(".el-form-item__error")).to_have_text("这段话要包含 {时间}，发送时会换成实际内容")
    await page.fill("textarea[name=outside]", "打烊啦，{时间}前回复您。")
    await page.locator("[data-test=save-texts]").click()
    await expect(page.get_by_text("话术已保存")).to_be_visible()
    # It is noon, nobody is on duty before ten in the evening: promised for half an hour later.
    asked = await where.asks(await where.fan("人工"))
    assert asked.says == "打烊啦，今天 22:30 前回复您。"


async def test_the_wall_follows_what_happens(desk: Desk) -> None:
    where, clerk = await tea_house(desk)
    page = await opened(desk, "chen.qing", "/wall")
    await expect(page.locator("[data-test=waiting] b")).to_have_text("0")
    await expect(page.get_by_text("没有超时的会话")).to_be_visible()
    await expect(page.locator("[data-test=person]")).to_contain_text("李娜")

    # What happens shows at once, not at the next look ten seconds later.
    freshness = page.locator("[data-test=freshness]")
    await expect(freshness).to_contain_text("实时更新")
    conversation = (await where.asks(await where.fan("人工"), skill="aftersale")).conversation_id
    await expect(page.locator("[data-test=waiting] b")).to_have_text("1", timeout=3_000)
    desk.clock.advance(seconds=46)
    await expect(page.locator("[data-test=overdue] b")).to_have_text("1", timeout=15_000)
    await service.pull(conversation_id=conversation, brand_id=where.brand, staff_id=clerk, now=at(47))
    await seats.heartbeat(staff_id=clerk, now=at(47))
    await expect(page.locator("[data-test=with-staff] b")).to_have_text("1", timeout=15_000)
    await expect(page.locator("[data-test=person]")).to_contain_text("1 / 4")
    await expect(page.locator("[data-test=present] b")).to_have_text("1")
    await expect(page.get_by_text("李娜接待中")).to_be_visible()
    await page.get_by_role("link", name=f"#{conversation} ").click()
    await expect(page).to_have_url(f"{desk.address}/console/inbox?c={conversation}")
    await expect(page.locator("[data-test=heard]")).to_contain_text("人工")
    await page.go_back()
    await expect(page.locator("[data-test=with-staff] b")).to_have_text("1")
    # Whoever opens the inbox sits there, too.
    await expect(page.locator("[data-test=present] b")).to_have_text("2")

    # Without the stream it reads by itself, and says so.
    async def fail_live(route: Route) -> None:
        await route.abort()

    await page.route("**/api/console/live*", fail_live)
    await page.reload()
    await expect(freshness).to_contain_text("每 5 秒更新")
    await seats.leave(staff_id=clerk, now=at(48))
    desk.clock.advance(seconds=2)
    await expect(page.locator("[data-test=present] b")).to_have_text("1", timeout=15_000)

    async def fail(route: Route) -> None:
        await route.abort()

    # What was read last stays, and says how old it is.
    await page.route("**/api/console/wall*", fail)
    await expect(page.locator("[data-test=freshness]")).to_contain_text("连不上服务器", timeout=30_000)
    await expect(page.locator("[data-test=with-staff] b")).to_have_text("1")


async def test_a_name_that_a_spreadsheet_would_run_is_text(desk: Desk, tmp_path: Path) -> None:
    where, clerk = await tea_house(desk)
    await served(where, clerk, -HOUR, 20, "", 5)
    await fetch("UPDATE staff SET name = '=1+1,\"x' WHERE id = $1", clerk)
    page = await opened(desk, "chen.qing", "/service-report")
    async with page.expect_download() as loading:
        await page.locator("section.part").last.get_by_role("button", name="下载 CSV").click()
    await (await loading.value).save_as(tmp_path / "staff.csv")
    (row,) = list(csv.reader((tmp_path / "staff.csv").read_text("utf-8-sig").splitlines()))[1:2]
    assert row[:2] == ["'=1+1,\"x", "1"]
