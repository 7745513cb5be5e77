"""Messages and events: every type reads what it declares, nothing it lacks can break it, keys are right."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from bot import messages, push_events, wire
from bot.errors import MalformedPush
from bot.messages import LocationMessage, TextMessage, UnknownEvent, UnknownMessage, parse_message
from bot.normalise import parse_body
from bot.push_events import LocationEvent, PublishedArticle, ScanEvent, SubscribeEvent
from bot.timeline import payload_of
from tests.unit.bot.pushes import EVENTS, MESSAGES, xml_event, xml_message

HEAD = ("to_user", "openid", "created_at", "fields")


def read(body: bytes) -> Any:
    return parse_message(parse_body(body))


def attributes(message: wire.Message) -> dict[str, Any]:
    return {f.name: getattr(message, f.name) for f in fields(message) if f.name not in HEAD}


EXPECTED_MESSAGES: dict[str, dict[str, Any]] = {
    "text": {"content": "  你好 <b>&amp;😀  ", "menu_id": None},
    "image": {"url": "http://p/1", "media_id": "m1"},
    "voice": {"media_id": "m2", "format": "amr", "recognition": "你好", "media_id_16k": "m3"},
    "video": {"media_id": "m4", "thumb_media_id": "t4"},
    "shortvideo": {"media_id": "m5", "thumb_media_id": "t5"},
    "location": {"latitude": 23.134521, "longitude": 113.358803, "scale": 20, "label": "位置信息"},
    "link": {"title": "t", "description": "d", "url": "http://u"},
    "miniprogrampage": {
        "title": "t",
        "appid": "wx3",
        "page_path": "pages/a",
        "thumb_url": "http://t",
        "thumb_media_id": "t6",
    },
}
SCANNED = {"key": "k", "scan_type": "qrcode", "scan_result": "http://x/?a=1&b=2"}
PERSON = {
    "subject_openid": "oPerson",
    "union_id": "u1",
    "appid": "wx1",
    "revoke_info": "6",
    "plugin_id": "wx2",
    "plugin_openid": "op1",
}
ORDER = {
    "transaction_id": "4200",
    "merchant_id": "1900",
    "sub_merchant_id": None,
    "merchant_trade_no": "N1",
    "pay_time": 1714000000,
}
EXPECTED_EVENTS: dict[str, dict[str, Any]] = {
    "subscribe": {"event_key": "qrscene_门店_7", "ticket": "TICKET"},
    "unsubscribe": {},
    "scan": {"scene": "qrscene_x", "ticket": "TICKET"},
    "location": {"latitude": 23.137466, "longitude": 113.352425, "precision": 119.38504},
    "click": {"key": "points"},
    "view": {"url": "http://www.qq.com/", "menu_id": "7"},
    "view_miniprogram": {"page_path": "pages/a", "menu_id": "8"},
    "scancode_push": SCANNED,
    "scancode_waitmsg": SCANNED,
    "pic_sysphoto": {"key": "k", "count": 1, "md5_sums": ("a1",)},
    "pic_photo_or_album": {"key": "k", "count": 2, "md5_sums": ("a1", "a2")},
    "pic_weixin": {"key": "k", "count": 1, "md5_sums": ("a1",)},
    "location_select": {
        "key": "k",
        "latitude": 23.0,
        "longitude": 113.0,
        "scale": 15,
        "label": " 广州市",
        "poi_name": "",
    },
    "templatesendjobfinish": {"msg_id": "200163836", "status": "failed: system failed"},
    "masssendjobfinish": {
        "msg_id": "1988",
        "status": "send success",
        "total": 100,
        "filtered": 80,
        "sent": 75,
        "errors": 5,
        "copyright_state": 2,
        "copyright_results": (push_events.CopyrightResult(1, 2),),
        "articles": (PublishedArticle(1, "Url"),),
    },
    "publishjobfinish": {
        "publish_id": "2247503051",
        "publish_status": 0,
        "article_id": "b5",
        "articles": (push_events.JobArticle(1, "URL"),),
        "failed_indexes": (),
    },
    "subscribe_msg_popup_event": {"answers": (push_events.TemplateAnswer("T1", "accept", 2),)},
    "subscribe_msg_change_event": {"answers": (push_events.TemplateAnswer("T1", "reject", None),)},
    "subscribe_msg_sent_event": {"results": (push_events.TemplateResult("T1", "17", 0, "success"),)},
    "kf_create_session": {"kf_account": "a@b"},
    "kf_close_session": {"kf_account": "a@b", "close_type": "KF"},
    "kf_switch_session": {"from_kf_account": "a@b", "to_kf_account": "c@b"},
    "user_enter_tempsession": {"session_from": "page"},
    "user_info_modified": PERSON,
    "user_authorization_revoke": PERSON,
    "user_authorization_cancellation": PERSON,
    "wxa_media_check": {
        "appid": "wx1",
        "trace_id": "tr1",
        "errcode": 0,
        "errmsg": "ok",
        "suggest": "risky",
        "label": 20002,
        "details": (push_events.MediaCheckDetail("content_model", 0, "risky", 20002, 90),),
    },
    "wxa_punish_event": {
        "punish_id": "9",
        "appid": "wx1",
        "punish_time": 1714000000,
        "event_type": 2,
        "illegal_reason": "r",
        "illegal_content": ("c",),
        "detail": "{}",
        "rule_name": "n",
        "rule_url": "/u",
        "adjust_guide_url": "/g",
    },
    "wxa_trade_controlled": {"msg": "m"},
    "trade_manage_remind_access_api": {"msg": "m"},
    "trade_manage_remind_shipping": {**ORDER, "msg": "m"},
    "trade_manage_order_settlement": {
        **ORDER,
        "shipped_time": 1714000001,
        "estimated_settlement_time": None,
        "confirm_receive_method": 2,
        "confirm_receive_time": 1714000002,
        "settlement_time": 1714000003,
    },
    "debug_demo": {"debug_str": "hello world"},
}


@pytest.mark.parametrize("name", wire.MESSAGES)
def test_every_message_type_reads_its_fields(name: str) -> None:
    message = read(MESSAGES[name])
    assert type(message) is wire.MESSAGES[name]
    assert (message.kind, message.msg_type) == (f"wechat.{name}", name)
    assert (message.to_user, message.openid, message.created_at) == ("gh_1", "oFan", 1714112500)
    assert attributes(message) == {"msg_data_id": None, "article_index": None} | EXPECTED_MESSAGES[name]
    assert message.dedupe_key == "oFan:24567890123456789"


@pytest.mark.parametrize("name", [*wire.MESSAGES, "hologram"])
def test_whatever_is_sent_from_an_article_says_which(name: str) -> None:
    message = parse_message(BARE | {"MsgType": name, "MsgId": "7", "MsgDataId": "2247483650", "Idx": "2"})
    assert isinstance(message, wire.UserMessage)
    assert (message.msg_data_id, message.article_index, message.msg_id) == ("2247483650", 2, "7")
    kept = payload_of(message)
    if name != "hologram":
        assert (kept["msg_data_id"], kept["article_index"]) == ("2247483650", 2)


@pytest.mark.parametrize("name", wire.EVENTS)
def test_every_event_type_reads_its_fields(name: str) -> None:
    message = read(EVENTS[name])
    assert type(message) is wire.EVENTS[name]
    assert (message.kind, message.msg_type, message.event.lower()) == (f"wechat.event.{name}", "event", name)
    assert attributes(message) == EXPECTED_EVENTS[name]


BARE = {"FromUserName": "oFan", "CreateTime": "1", "ToUserName": "gh_1"}
TYPES = [{"MsgType": name} for name in wire.MESSAGES] + [{"MsgType": "event", "Event": name} for name in wire.EVENTS]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: "-".join(kind.values()))
def test_missing_and_nonsensical_fields_become_defaults(kind: dict[str, str]) -> None:
    bare = parse_message(BARE | kind)
    empty = attributes(bare)
    assert set(map(type, empty.values())) <= {str, type(None), tuple}
    assert not any(empty.values())

    wired = {path for f in fields(bare) if (path := f.metadata.get("path"))}
    nonsenses: tuple[Any, ...] = ("\u0663", "nan", " 1", "1_0", [], ["x", {}], {"a": "b"}, [[]])
    for nonsense in nonsenses:
        broken: dict[str, Any] = dict(BARE | kind)
        for path in wired:
            outer, _, inner = path.partition(".")
            broken[outer] = {inner: nonsense} if inner else nonsense
        message = parse_message(broken)
        assert len(message.dedupe_key) <= 200
        assert not [v for v in attributes(message).values() if isinstance(v, int | float)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"MsgType": None}, "field:MsgType"),
        ({"MsgType": ""}, "field:MsgType"),
        ({"MsgType": ["text", "text"]}, "field:MsgType"),
        ({"FromUserName": ""}, "field:FromUserName"),
        ({"FromUserName": {"a": "b"}}, "field:FromUserName"),
        ({"FromUserName": "o" * 129}, "field:FromUserName"),
        ({"CreateTime": "yesterday"}, "field:CreateTime"),
        ({"CreateTime": "-1"}, "field:CreateTime"),
        ({"CreateTime": "9" * 20}, "field:CreateTime"),
        ({"CreateTime": "1.5"}, "field:CreateTime"),
    ],
)
def test_without_its_vital_fields_a_push_is_malformed(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedPush) as refused:
        parse_message(BARE | {"MsgType": "text"} | change)
    assert refused.value.reason == reason


def test_unknown_types_keep_everything() -> None:
    message = read(xml_message("hologram", "<Depth>3</Depth>"))
    assert isinstance(message, UnknownMessage)
    assert (message.kind, message.msg_type, message.fields["Depth"]) == ("wechat.unknown", "hologram", "3")
    event = read(xml_event("wxa_nickname_audit", "<ret>3</ret>"))
    assert isinstance(event, UnknownEvent)
    assert (event.kind, event.event, event.fields["ret"]) == (
        "wechat.event.unknown",
        "wxa_nickname_audit",
        "3",
    )
    nameless = parse_message(BARE | {"MsgType": "event"})
    assert (type(nameless), nameless.kind) == (UnknownEvent, "wechat.event.unknown")


@pytest.mark.parametrize(
    ("event_key", "scene"),
    [
        ("<EventKey>qrscene_123</EventKey>", "123"),
        ("<EventKey><![CDATA[qrscene_门店_7]]></EventKey>", "门店_7"),
        ("<EventKey>qrscene_qrscene_1</EventKey>", "qrscene_1"),
        ("<EventKey></EventKey>", None),
        ("<EventKey>last_trade_no_4200</EventKey>", None),
        ("", None),
    ],
)
def test_scene_of_a_follower(event_key: str, scene: str | None) -> None:
    subscribed = read(xml_event("subscribe", event_key))
    assert isinstance(subscribed, SubscribeEvent)
    assert subscribed.scene == scene


def test_scene_of_a_scan_has_no_prefix_to_strip() -> None:
    scanned = parse_message(BARE | {"MsgType": "event", "Event": "scan", "EventKey": "qrscene_1"})
    assert isinstance(scanned, ScanEvent)
    assert scanned.scene == "qrscene_1"


def test_a_place_is_finite_or_nothing() -> None:
    for wrong in ("nan", "inf", "1e999", "", "north"):
        place = read(xml_message("location", f"<Location_X>{wrong}</Location_X><Location_Y>1</Location_Y>"))
        assert isinstance(place, LocationMessage)
        assert (place.latitude, place.longitude) == (None, 1.0)


def event_key_of(name: str, openid: str = "oFan", at: str = "1", **fields: Any) -> str:
    return parse_message(
        {"MsgType": "event", "Event": name, "FromUserName": openid, "CreateTime": at, **fields}
    ).dedupe_key


def test_messages_are_told_apart_by_id_and_fan() -> None:
    def key(**fields: str) -> str:
        return parse_message(BARE | {"MsgType": "text", "Content": "a", **fields}).dedupe_key

    assert key(MsgId="7") == key(MsgId="7", CreateTime="2")
    assert key(MsgId="7") != key(MsgId="7", FromUserName="oOther")
    assert key(MsgId="7") != key(MsgId="8")
    assert key(MsgId="49d72d67_1555684067") == "oFan:49d72d67_1555684067"
    assert key() == key()
    assert key() != key(Content="b")
    assert len(key(MsgId="9" * 10_000, FromUserName="o" * 64)) <= 200


def test_events_are_told_apart_by_all_that_identifies_them() -> None:
    same = event_key_of("CLICK", EventKey="a")
    assert same == event_key_of("CLICK", EventKey="a")
    different = [
        same,
        event_key_of("CLICK", EventKey="b"),
        event_key_of("VIEW", EventKey="a"),
        event_key_of("CLICK", EventKey="a", Ticket="t"),
        event_key_of("CLICK", Ticket="a"),
        event_key_of("CLICK", EventKey="a", at="2"),
        event_key_of("CLICK", EventKey="a", openid="oOther"),
        event_key_of("LOCATION"),
        event_key_of("unsubscribe"),
        event_key_of("TEMPLATESENDJOBFINISH", MsgID="1"),
        event_key_of("TEMPLATESENDJOBFINISH", MsgID="2"),
        event_key_of("subscribe_msg_sent_event", List=[{"TemplateId": "T1", "MsgID": "1"}]),
        event_key_of("subscribe_msg_sent_event", List=[{"TemplateId": "T1", "MsgID": "2"}]),
        event_key_of("subscribe_msg_popup_event", List=[{"TemplateId": "T1"}]),
        event_key_of("subscribe_msg_popup_event", List=[{"TemplateId": "T2"}]),
        event_key_of("wxa_media_check", trace_id="1"),
        event_key_of("wxa_media_check", trace_id="2"),
        event_key_of("PUBLISHJOBFINISH", PublishEventInfo={"publish_id": "1"}),
        event_key_of("PUBLISHJOBFINISH", PublishEventInfo={"publish_id": "2"}),
        event_key_of("never_seen", x="1"),
        event_key_of("never_seen", x="2"),
    ]
    assert len(set(different)) == len(different)
    assert event_key_of("LOCATION", Latitude="1") == event_key_of("LOCATION", Latitude="2")
    assert len(event_key_of("VIEW", EventKey="u" * 100_000, openid="o" * 64)) <= 200


def test_repr_shows_nobody() -> None:
    shown = repr(read(xml_message("text", "<Content>我的手机号是13800000000</Content>")))
    assert shown == "TextMessage(to_user='gh_1', created_at=1714112500)"
    assert "oFan" not in repr(read(EVENTS["user_info_modified"]))


def test_a_type_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="TEXT: registered twice"):
        wire.message("TEXT")(TextMessage)
    with pytest.raises(ValueError, match="location: registered twice"):
        wire.event("location")(LocationEvent)
    assert wire.MESSAGES["text"] is TextMessage


def test_exports_are_sorted_and_exist() -> None:
    assert messages.__all__ == sorted(messages.__all__)
    assert all(hasattr(messages, name) for name in messages.__all__)
