"""Each feature of the account, heard at a phone: the simulator's own protocol code on the other side."""

from collections.abc import Coroutine
from typing import Any

import pytest

from bot.late import BEHIND
from kit.clock import ManualClock
from simulator.fan import Pushed
from tests.handlers.conftest import Scene

FALLBACK = "您好，已收到您的消息。回复“帮助”可查看我能为您做什么。"


async def heard(doing: Coroutine[Any, Any, Pushed]) -> str | None:
    """Return the words of the passive reply to what a fan does."""
    pushed = await doing
    assert pushed.outcome in {"replied", "success"}, pushed.detail
    assert pushed.attempts == 1
    return None if pushed.reply is None else pushed.reply["Content"]


class TestWelcome:
    async def test_the_most_specific_text_wins(self, scene: Scene, clock: ManualClock) -> None:
        store = await scene.channel("store-7", "人民广场店")
        await scene.channel("store-8", "静安店")
        fan, at = scene.fan(), scene.at_wechat

        async def again(code: str | None = None) -> str | None:
            """Let a returning fan follow once more."""
            await fan.unfollow(at)
            clock.advance(seconds=1)
            return await heard(fan.follow(at, code))

        assert await heard(fan.follow(at)) is None
        await scene.welcome("欢迎")
        assert await again() == "欢迎"
        await scene.welcome("欢迎回来", audience="returning")
        await scene.welcome("初次见面", audience="new")
        assert await again() == "欢迎回来"
        assert await again("store-7") == "欢迎回来"
        await scene.welcome("欢迎来到人民广场店", channel_id=store)
        assert await again("store-7") == "欢迎来到人民广场店"
        await scene.welcome("又见面了，人民广场店", channel_id=store, audience="returning")
        assert await again("store-7") == "又见面了，人民广场店"
        assert await again("store-8") == "欢迎回来"
        other = scene.fan()
        assert await heard(other.follow(at, "store-7")) == "欢迎来到人民广场店"
        third = scene.fan()
        assert await heard(third.follow(at, "store-8")) == "初次见面"

    async def test_who_followed_before_our_time_comes_back(self, scene: Scene, clock: ManualClock) -> None:
        await scene.welcome("欢迎回来", audience="returning")
        await scene.welcome("初次见面", audience="new")
        fan, at = scene.fan(), scene.at_wechat
        url, at.callback_url = at.callback_url, ""
        await fan.follow(at)
        at.callback_url = url
        await fan.unfollow(at)
        clock.advance(seconds=1)
        assert await heard(fan.follow(at)) == "欢迎回来"

    async def test_writing_a_text_again_replaces_it(self, scene: Scene) -> None:
        await scene.welcome("旧的")
        await scene.welcome("新的")
        fan = scene.fan()
        assert await heard(fan.follow(scene.at_wechat)) == "新的"
        rows = await scene.house.rows("SELECT 1 FROM welcome WHERE account_id = $1", scene.account.id)
        assert len(rows) == 1


class TestScan:
    async def test_a_follower_hears_of_the_channel(self, scene: Scene) -> None:
        store = await scene.channel("store-7", "人民广场店")
        await scene.welcome("欢迎")
        fan, at = scene.fan(), scene.at_wechat
        await fan.follow(at)
        assert await heard(fan.scan(at, scene="store-7")) == "您已扫描“人民广场店”的二维码，欢迎光临！"
        await scene.welcome("店里有新茶", channel_id=store)
        # A second of the same kind would be the same event.
        scene.wechat.world.clock.advance(1)
        assert await heard(fan.scan(at, scene="store-7")) == "店里有新茶"

    async def test_a_code_made_elsewhere_becomes_a_channel(self, scene: Scene) -> None:
        scene.code("poster-3")
        fan = scene.fan()
        await fan.follow(scene.at_wechat, "poster-3")
        rows = await scene.house.rows("SELECT scene, name FROM channel WHERE account_id = $1", scene.account.id)
        assert rows == [{"scene": "poster-3", "name": "poster-3"}]


async def test_a_menu_key_is_answered_by_its_rule(scene: Scene) -> None:
    await scene.rule("click", "points", "您有 100 积分")
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    assert await heard(fan.click(at, "points")) == "您有 100 积分"
    assert await heard(fan.click(at, "new-thing")) == "这个功能正在准备中，敬请期待。"
    # A key is no word.
    assert await heard(fan.text(at, "points")) == FALLBACK


async def test_the_menus_scanner_gets_what_it_waits_for(scene: Scene) -> None:
    at = scene.at_wechat
    at.menu = {"button": [{"type": "scancode_waitmsg", "name": "扫码", "key": "scan"}]}
    fan = scene.fan()
    await fan.follow(at)
    assert await heard(fan.click(at, "scan", "BOX-42")) == "扫码结果：BOX-42"


class TestKeywords:
    @pytest.mark.parametrize(
        ("match", "pattern", "hits", "misses"),
        [
            ("exact", "帮助", ["帮助", " 帮助\n"], ["帮助我", "请帮助"]),
            ("exact", "VIP", ["vip", "ＶＩＰ"], ["vips"]),
            ("contains", "发货", ["什么时候发货？"], ["发 货"]),
            ("regex", r"^订单\d{6}$", ["订单123456"], ["订单12345", "我的订单123456"]),
        ],
    )
    async def test_matching(self, scene: Scene, match: str, pattern: str, hits: list[str], misses: list[str]) -> None:
        await scene.rule(match, pattern, "中")
        fan, at = scene.fan(), scene.at_wechat
        await fan.follow(at)
        assert [await heard(fan.text(at, text)) for text in hits] == ["中"] * len(hits)
        assert [await heard(fan.text(at, text)) for text in misses] == [FALLBACK] * len(misses)

    async def test_each_kind_of_answer_shows_on_the_phone(self, scene: Scene) -> None:
        media = scene.media()
        news = {"type": "news", "title": "新茶", "description": "上市", "pic_url": "http://p/1", "url": "http://u/1"}
        card = {
            "type": "miniprogrampage",
            "title": "会员中心",
            "appid": "wxmini",
            "pagepath": "pages/me",
            "thumb_media_id": scene.media("thumb"),
        }
        await scene.rule("exact", "图", {"type": "image", "media_id": media})
        await scene.rule("exact", "文", news)
        await scene.rule("exact", "卡", card)
        fan, at = scene.fan(), scene.at_wechat
        await fan.follow(at)
        for text, kind, content in [
            ("图", "image", {"url": f"/phone/media/{media}"}),
            (
                "文",
                "news",
                {"articles": [{"title": "新茶", "description": "上市", "picurl": "http://p/1", "url": "http://u/1"}]},
            ),
        ]:
            await fan.text(at, text)
            shown = fan.inbox(at)[-1]
            assert (shown.type, shown.content, shown.via) == (kind, content, "passive")
        assert (await fan.text(at, "卡")).outcome == "success"
        shown = await fan.wait_for(at, lambda message: message.type == "miniprogrampage")
        assert (shown.content["title"], shown.content["pagepath"], shown.via) == ("会员中心", "pages/me", "custom")

    async def test_a_long_answer_arrives_whole_and_in_order(self, scene: Scene, clock: ManualClock) -> None:
        long = "".join(f"{n:04d}行，说的是同一件事。\n" for n in range(150))
        await scene.rule("exact", "长", long)
        fan, at = scene.fan(), scene.at_wechat
        await fan.follow(at)
        await fan.text(at, "长")
        # What follows is not due before the passive reply has surely arrived.
        assert [message.via for message in fan.inbox(at)] == ["passive"]
        clock.advance(seconds=BEHIND.total_seconds())
        await scene.house.notify()
        await fan.wait_for(at, lambda message: message.content["text"].endswith("0149行，说的是同一件事。\n"))
        assert "".join(message.content["text"] for message in fan.inbox(at)) == long
        assert [message.via for message in fan.inbox(at)] == ["passive", "custom", "custom"]


async def test_places_are_confirmed_when_sent_and_only_recorded_when_reported(scene: Scene) -> None:
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    assert await heard(fan.location(at, 31.23, 121.47, "人民广场")) == (
        "已收到您的位置：人民广场。附近有活动时我们会优先通知您。"
    )
    assert await heard(fan.report_location(at, 31.2, 121.4)) is None
    events = dict(await scene.house.events(scene.account))
    assert events["wechat.location"] | {"msg_id": ""} == {
        "latitude": 31.23,
        "longitude": 121.47,
        "scale": 16,
        "label": "人民广场",
        "msg_id": "",
    }
    assert events["wechat.event.location"] == {"latitude": 31.2, "longitude": 121.4, "precision": 30.0}


async def test_whatever_else_is_sent_gets_a_friendly_word(scene: Scene) -> None:
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    assert await heard(fan.text(at, "？")) == FALLBACK
    for doing in (fan.image(at), fan.voice(at), fan.video(at), fan.link(at, "标题", "http://u")):
        assert await heard(doing) == "已收到，谢谢您的分享！"


async def test_a_goodbye_is_silent_and_the_fan_stays_known(scene: Scene) -> None:
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    before = await scene.house.fan(scene.account, fan.openid(at))
    assert await heard(fan.unfollow(at)) is None
    after = await scene.house.fan(scene.account, fan.openid(at))
    assert before is not None
    assert after is not None
    assert (before.following, after.following, before.id, before.person_id) == (True, False, after.id, after.person_id)


async def test_a_dialogue_at_the_phone(scene: Scene) -> None:
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    for text in ("兴趣", "2", "上海", "是"):
        assert (await fan.text(at, text)).outcome == "replied"
    stated = [data for kind, data in await scene.house.events(scene.account) if kind == "fan.preferences_stated"]
    assert stated == [{"interest": "优惠活动", "city": "上海"}]
    assert fan.inbox(at)[-1].content["text"] == "已为您保存，谢谢！今后的内容会更合您的心意。"


async def test_reports_are_recorded_silently(scene: Scene) -> None:
    fan, at = scene.fan(), scene.at_wechat
    await fan.follow(at)
    assert await heard(fan.answer_subscribe(at, T1=True, T2=False)) is None
    assert await heard(fan.revoke_subscribe(at, "T1")) is None
    reports: dict[str, dict[str, Any]] = {
        "subscribe_msg_sent_event": {"SubscribeMsgSentEvent": {"List": {"TemplateId": "T1", "ErrorCode": 0}}},
        "PUBLISHJOBFINISH": {"PublishEventInfo": {"publish_id": 1, "publish_status": 0}},
        "MASSSENDJOBFINISH": {"MsgID": 7, "Status": "send success"},
    }
    for name, fields in reports.items():
        assert (await fan.push(at, Event=name, **fields)).outcome == "success"
    assert await scene.house.kinds(scene.account) == [
        "wechat.event.subscribe",
        "wechat.event.subscribe_msg_popup_event",
        "wechat.event.subscribe_msg_change_event",
        "wechat.event.subscribe_msg_sent_event",
        "wechat.event.publishjobfinish",
        "wechat.event.masssendjobfinish",
    ]
