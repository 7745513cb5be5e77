"""签到 at a phone: the words, the day on which they were said, and that nobody else waits for them."""

import io
import json
from collections.abc import Coroutine
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from bot.messages import TextMessage
from bot.push_events import ClickEvent
from bot.replies import TextReply
from bot.router import NEEDS_WORK, Context, Dispatcher
from gateways.wechat import Ambiguous, WeChatError
from handlers import ROUTERS
from kit.clock import ManualClock
from kit.ids import key_of
from kit.seal import Sealer
from scrm import db
from scrm.accounts import service as accounts
from scrm.checkins.service import set_policy
from scrm.points import levels
from scrm.points.rulebook import install_preset
from scrm.replies.rules import RuleBook
from simulator.fan import ScriptedFan
from tests.bot.house import SECRET_KEY
from tests.conftest import START
from tests.handlers.conftest import Scene
from tests.handlers.test_handlers import heard
from worker.cards import send_card

WORDS = """签到成功！🎉
积分 +1，成长值 +3
已连续签到 1 天
当前积分 1，当前成长值 3

明天再来：积分 +1，成长值 +3
回复“签到日历”查看本月记录"""


@pytest.fixture
async def club(scene: Scene) -> Scene:
    """The account, with Zippo's rules in force and two make-up cards a month."""
    brand_id = await brand_of(scene)
    await install_preset(brand_id, "zippo", START)
    await set_policy(brand_id=brand_id, cards_per_month=2)
    return scene


async def brand_of(scene: Scene) -> int:
    (row,) = await db.fetch("SELECT brand_id FROM account WHERE id = $1", scene.account.id)
    return int(row["brand_id"])


@pytest.fixture
def fan(club: Scene) -> ScriptedFan:
    return club.fan()


async def test_growth_has_the_brands_own_word(club: Scene, fan: ScriptedFan) -> None:
    await fan.follow(club.at_wechat)
    call_it = "UPDATE brand SET growth_word = $2 WHERE id = $1"
    await db.fetch(call_it, await brand_of(club), "经验")
    try:
        assert await heard(fan.text(club.at_wechat, "签到")) == WORDS.replace("成长值", "经验")
    finally:
        await db.fetch(call_it, await brand_of(club), "成长值")  # the tests here share their brand


async def test_the_word_the_menu_and_a_second_time(club: Scene, fan: ScriptedFan, clock: ManualClock) -> None:
    at = club.at_wechat
    await fan.follow(at)
    assert await heard(fan.text(at, "签到")) == WORDS
    clock.advance(seconds=1)
    again = "今天已经签到过啦～\n" + WORDS.partition("成长值 +3\n")[2]
    assert await heard(fan.text(at, " 打卡 ")) == again
    assert await heard(fan.click(at, "CHECKIN")) == again
    days = "SELECT day FROM checkin c JOIN fan f ON f.id = c.fan_id WHERE f.openid = $1"
    assert await club.house.rows(days, fan.openid(at)) == [{"day": date(2026, 3, 9)}]


async def test_a_level_is_told(club: Scene, fan: ScriptedFan, clock: ManualClock) -> None:
    await levels.define(
        brand_id=await brand_of(club), given=[{"name": "新芽", "threshold": 0}, {"name": "嫩叶", "threshold": 3}]
    )
    try:
        await fan.follow(club.at_wechat)
        said = await heard(fan.text(club.at_wechat, "签到"))
        assert said == WORDS.replace("成长值 +3\n已", "成长值 +3\n恭喜升级为嫩叶！\n已")
    finally:
        await db.fetch("DELETE FROM level")  # the tests here share their brand


async def test_the_calendar_and_a_mended_day(club: Scene, fan: ScriptedFan, clock: ManualClock) -> None:
    at = club.at_wechat
    await fan.follow(at)  # Monday, 9 March
    for days in (1, 2):
        await fan.text(at, "签到")
        clock.advance(days=days)
    assert await heard(fan.text(at, "签到日历")) == "\n".join([
        "2026年3月 签到日历", "", "一二三四五六日",
        "　　　　　　⬜",
        "⬜⬜⬜⬜⬜⬜⬜",
        "✅✅⬜▫️▫️▫️▫️",
        "▫️▫️▫️▫️▫️▫️▫️",
        "▫️▫️▫️▫️▫️▫️▫️",
        "▫️▫️",
        "",
        "本月 2 天，已连续签到 0 天",
        "今天还没签到，回复“签到”即可",
        "还有 2 张补签卡，回复“补签”可补上 3月11日",
    ])  # fmt: skip
    assert await heard(fan.text(at, "补签")) == "已为您补签 3月11日，已连续签到 3 天。补签不另发奖励。"
    clock.advance(seconds=1)
    assert await heard(fan.text(at, "补签")) == "最近没有漏签的日子，继续保持！"
    shown = await heard(fan.click(at, "CHECKIN_CALENDAR"))
    assert shown is not None
    assert "✅✅🟡▫️" in shown
    assert "本月 3 天，已连续签到 3 天" in shown


async def test_the_calendar_as_a_picture(club: Scene, fan: ScriptedFan) -> None:
    """The handler asks, a worker draws, uploads and says it by the door out: once, however often the job runs.

    Also after an answer that holds no picture.
    """
    at = club.at_wechat
    await fan.follow(at)
    await fan.text(at, "签到")
    await fan.text(at, "签到日历")
    jobs = "SELECT payload FROM pgqueuer WHERE entrypoint = 'checkins.card' ORDER BY id DESC LIMIT 1"
    (job,) = await club.house.rows(jobs)
    asked = json.loads(job["payload"])
    mine = club.server.services
    club.wechat.wechat.faults.add_api(path="/cgi-bin/media/upload", errcode=0)
    work = send_card(asked["fan_id"], UUID(asked["asked"]), mine.clients, mine.directory.accounts, mine.clock)
    with pytest.raises(Ambiguous, match="the answer lacks 'media_id'"):
        await club.server.call(work)
    for _ in range(2):
        work = send_card(asked["fan_id"], UUID(asked["asked"]), mine.clients, mine.directory.accounts, mine.clock)
        assert await club.server.call(work)
    picture = await fan.wait_for(at, lambda message: message.type == "image")
    stored = club.wechat.world.media[str(picture.content["url"]).rpartition("/")[2]]
    assert (stored.filename, Image.open(io.BytesIO(stored.data)).size[0]) == ("calendar.png", 720)
    assert [message.type for message in fan.inbox(at)].count("image") == 1


async def test_a_picture_that_wechat_refuses_is_recorded_once_and_not_tried_again(
    club: Scene, fan: ScriptedFan
) -> None:
    at, mine = club.at_wechat, club.server.services
    await fan.follow(at)
    await fan.text(at, "签到日历")
    jobs = "SELECT payload FROM pgqueuer WHERE entrypoint = 'checkins.card' ORDER BY id DESC LIMIT 1"
    asked = json.loads((await club.house.rows(jobs))[0]["payload"])

    def work() -> Coroutine[Any, Any, bool]:
        key = UUID(asked["asked"])
        return send_card(asked["fan_id"], key, mine.clients, mine.directory.accounts, mine.clock)

    # What passes is tried again by the job.
    club.wechat.wechat.faults.add_api(path="/cgi-bin/media/upload", errcode=-1)
    with pytest.raises(WeChatError, match="errcode -1"):
        await club.server.call(work())
    fault = club.wechat.wechat.faults.add_api(path="/cgi-bin/media/upload", errcode=48001, times=None)
    assert [await club.server.call(work()) for _ in range(2)] == [False, False]
    club.wechat.wechat.faults.api.remove(fault)
    assert await club.server.call(work()) is False
    decided = await club.house.rows(
        "SELECT d.allowed, d.reason, d.purpose, f.refused_code FROM outreach_decision d JOIN fan f ON f.id = d.fan_id "
        "WHERE f.id = $1",
        asked["fan_id"],
    )
    assert [tuple(row.values()) for row in decided] == [(False, "picture_refused:48001", "answer", None)]
    assert [message.type for message in fan.inbox(at)].count("image") == 0


async def test_without_cards_there_is_nothing_to_mend(club: Scene, fan: ScriptedFan) -> None:
    await set_policy(brand_id=await brand_of(club), cards_per_month=0)
    await fan.follow(club.at_wechat)
    assert await heard(fan.text(club.at_wechat, "补签")) == "本月没有可用的补签卡了。"


async def test_written_before_midnight_and_read_after_it(club: Scene, fan: ScriptedFan, clock: ManualClock) -> None:
    """The account is slow, the fan was not: the day is that of the platform's CreateTime."""
    at = club.at_wechat
    await fan.follow(at)
    clock.advance(hours=11, minutes=59, seconds=59)
    club.wechat.world.clock.advance(-1)
    clock.advance(seconds=1)
    said = await heard(fan.text(at, "签到"))
    assert said is not None
    assert said.startswith("3月9日签到成功！🎉\n")
    club.wechat.world.clock.advance(2)
    clock.advance(seconds=1)
    assert (await heard(fan.text(at, "签到")) or "").splitlines()[:3] == [
        "签到成功！🎉", "积分 +1，成长值 +3", "已连续签到 2 天",
    ]  # fmt: skip


async def test_nobody_else_waits_for_it(club: Scene) -> None:
    """Texts that are not about checking in are still answered without asking the database."""
    account = next(one for one in await accounts.every(Sealer(SECRET_KEY)) if one.id == club.account.id)
    dispatcher = Dispatcher(ROUTERS)

    def ask(message: TextMessage | ClickEvent) -> object:
        return dispatcher.now(Context(account, message, key_of("x"), START, RuleBook([])))

    def text(content: str) -> TextMessage:
        return TextMessage("gh", "o", 0, {}, content=content)

    assert isinstance(ask(text("你好")), TextReply)
    assert [ask(text(word)) for word in ("签到", "签到日历", "补签")] == [NEEDS_WORK] * 3
