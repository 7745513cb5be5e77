"""A conversation of several steps: it hears first, has its time, may be left, and goes on at any process."""

import asyncio

from bot.messages import TextMessage
from bot.router import Context, Router
from handlers import ROUTERS
from handlers.preferences import ASK_CITY, ASK_CITY_AGAIN, ASK_INTEREST, LEAVES, MINUTES
from kit.clock import ManualClock
from tests.bot.house import House, Server
from tests.bot.platform import Account

CONFIRM = "请确认：您关注“优惠活动”，所在城市“上海”。\n回复“是”保存，回复“否”重新填写。"
SAVED = "已为您保存，谢谢！今后的内容会更合您的心意。"
LEFT = "好的，已结束。想继续时回复“兴趣”即可。"


async def say(account: Account, server: Server, *texts: str, openid: str = "oFan") -> list[str | None]:
    return [(await account.text(openid, text).to(server)).text for text in texts]


async def test_a_dialogue_hears_what_a_keyword_would_have_answered(house: House) -> None:
    account = await house.account()
    await house.rule(account, "exact", "上海", "上海门店：人民广场")
    await house.rule(account, "contains", "2", "两元")
    server = await house.server()
    assert await say(account, server, "上海", "2") == ["上海门店：人民广场", "两元"]
    assert await say(account, server, " 兴趣 ", "2", "上海", "是") == [ASK_INTEREST, ASK_CITY, CONFIRM, SAVED]
    # Another fan is in no dialogue, and this one no longer.
    assert await say(account, server, "上海", openid="oOther") == ["上海门店：人民广场"]
    assert await say(account, server, "上海") == ["上海门店：人民广场"]


async def test_what_was_said_becomes_one_event_with_its_confirmation(house: House) -> None:
    account = await house.account()
    first, second = await house.server(), await house.server()
    await say(account, first, "偏好", "优惠活动", "上海")
    yes = account.text("oFan", "是")
    answers = await asyncio.gather(*(yes.to(server) for server in (first, second) for _ in range(2)))
    assert {answer.text for answer in answers} == {SAVED}
    stated = [payload for kind, payload in await house.events(account) if kind == "fan.preferences_stated"]
    assert stated == [{"interest": "优惠活动", "city": "上海"}]
    fan = await house.fan(account, "oFan")
    assert fan is not None
    rows = await house.rows(
        "SELECT fan_id, member_id FROM event WHERE kind = 'fan.preferences_stated' AND account_id = $1", account.id
    )
    assert rows == [{"fan_id": fan.id, "member_id": fan.member_id}]


async def test_it_goes_on_at_another_process_at_every_step(house: House) -> None:
    account = await house.account()
    servers = [await house.server(), await house.server()]
    said = []
    for n, text in enumerate(["兴趣", "9", "2", "上海", "否", "2", "上海", "是"]):
        said += await say(account, servers[n % 2], text)
    again = "好，我们重新来。\n\n" + ASK_INTEREST
    wrong = "请回复 1 到 4 的数字，或回复“退出”。"
    assert said == [ASK_INTEREST, wrong, ASK_CITY, CONFIRM, again, ASK_CITY, CONFIRM, SAVED]


async def test_a_repeated_step_is_taken_once(house: House) -> None:
    account = await house.account()
    first, second = await house.server(), await house.server()
    await say(account, first, "兴趣")
    step = account.text("oFan", "2")
    # Taken twice, the second would be the city.
    assert [(await step.to(server)).text for server in (first, second, first)] == [ASK_CITY] * 3
    assert await say(account, first, "上海") == [CONFIRM]


async def test_its_time_ends(house: House, clock: ManualClock) -> None:
    account = await house.account()
    await house.rule(account, "exact", "2", "两元")
    server = await house.server()
    assert await say(account, server, "兴趣") == [ASK_INTEREST]
    clock.advance(minutes=MINUTES, seconds=-1)
    assert await say(account, server, "9") != ["两元"]
    # Every answer gives it its whole time again.
    clock.advance(minutes=MINUTES, seconds=-1)
    assert await say(account, server, "2") == [ASK_CITY]
    clock.advance(minutes=MINUTES)
    assert await say(account, server, "2") == ["两元"]
    assert await say(account, server, "兴趣", "2") == [ASK_INTEREST, ASK_CITY]


async def test_it_can_be_left_at_every_step(house: House) -> None:
    account = await house.account()
    await house.rule(account, "exact", "2", "两元")
    server = await house.server()
    for steps in (["兴趣"], ["兴趣", "2"], ["兴趣", "2", "上海"]):
        await say(account, server, *steps)
        assert await say(account, server, "退出", "2") == [LEFT, "两元"]
    assert await house.kinds(account) == ["wechat.text"] * 12


async def test_what_is_plainly_no_city_is_asked_again(house: House) -> None:
    account = await house.account()
    server = await house.server()
    await say(account, server, "兴趣", "2")
    none = ["几点开门", "你们在哪里？", "有没有龙井", "2", "13800138000", "🍵🍵", "[微笑]", "?", "好的", "签到", "OK"]
    none += ["哈哈哈哈", "上" * 200, "上海" * 100, "海", "优惠活动", "上海🍵2号"]
    assert await say(account, server, *none) == [ASK_CITY_AGAIN] * len(none)
    # It is still the same dialogue, with the interest that was chosen.
    assert await say(account, server, "上海", "是") == [CONFIRM, SAVED]


async def test_a_city_is_taken_as_people_write_it(house: House) -> None:
    account = await house.account()
    server = await house.server()
    written = {
        "杭州": "杭州",
        " 浙江 杭州 ": "浙江 杭州",
        "我在上海市浦东新区。": "上海市浦东新区",
        "坐标：成都！": "成都",
        "大理白族自治州": "大理白族自治州",
        "克孜勒苏柯尔克孜自治州": "克孜勒苏柯尔克孜自治州",
        "New York": "New York",
        "香港": "香港",
        "那曲": "那曲",
        "几内亚": "几内亚",
    }
    for text, city in written.items():
        *_, confirm = await say(account, server, "兴趣", "2", text)
        assert confirm == CONFIRM.replace("上海", city)
        await say(account, server, "退出")


async def test_every_way_out_leads_out_at_every_step(house: House) -> None:
    account = await house.account()
    server = await house.server()
    assert {"退出", "算了"} <= LEAVES
    for word in sorted(LEAVES):
        for steps in (["兴趣"], ["兴趣", "2"], ["兴趣", "2", "上海"]):
            assert (await say(account, server, *steps, f" {word} "))[-1] == LEFT


async def test_other_pushes_do_not_disturb_it(house: House) -> None:
    account = await house.account()
    await house.rule(account, "click", "points", "您有 100 积分")
    server = await house.server()
    await say(account, server, "兴趣", "2")
    assert (await account.event("oFan", "CLICK", EventKey="points").to(server)).text == "您有 100 积分"
    assert (await account.message("oFan", "image", PicUrl="http://p", MediaId="m").to(server)).text is not None
    assert await say(account, server, "上海") == [CONFIRM]


async def test_an_unfollow_ends_it(house: House) -> None:
    account = await house.account()
    server = await house.server()
    await say(account, server, "兴趣")
    await account.event("oFan", "unsubscribe", EventKey="").to(server)
    assert await say(account, server, "2") == ["您好，已收到您的消息。回复“帮助”可查看我能为您做什么。"]


async def test_a_dialogue_that_nobody_knows_any_more_leaves_the_fan_to_the_others(house: House) -> None:
    """A release may drop a feature while fans are in the middle of it."""
    old = Router("old")

    @old.on(TextMessage)
    async def begin(context: Context) -> None:
        context.continue_dialogue("dropped", "step", {})

    account = await house.account()
    await house.rule(account, "exact", "你好", "您好")
    await account.text("oFan", "开始").to(await house.server(old))
    assert await say(account, await house.server(*ROUTERS), "你好") == ["您好"]
