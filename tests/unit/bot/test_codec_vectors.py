"""Test vectors published by Tencent and WxJava; nobody here wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.crypto import Cipher
from bot.envelope import Envelope
from bot.errors import DecryptError, MalformedPush
from bot.messages import TextMessage, UnknownEvent, parse_message
from bot.normalise import parse_body
from bot.push_events import (
    DebugDemoEvent,
    JobArticle,
    MassSendJobFinishEvent,
    PublishJobFinishEvent,
    SubscribeMsgPopupEvent,
    SubscribeMsgSentEvent,
    TemplateAnswer,
    TemplateResult,
    UserAuthorizationRevokeEvent,
    WxaMediaCheckEvent,
    WxaPunishEvent,
)
from bot.replies import ImageReply, MusicReply, Reply, TextReply, TransferReply, VideoReply, VoiceReply, render
from bot.signature import sign, verify


def load(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture
def official(vectors: Path) -> dict[str, Any]:
    data: dict[str, Any] = load(vectors / "official/message_push.json")
    return data


def official_envelope(data: dict[str, Any], mode: Any) -> Envelope:
    return Envelope(data["appid"], data["token"], data["encoding_aes_key"], mode)


def test_official_url_verification(official: dict[str, Any]) -> None:
    get = official["get_verify"]
    query = {name: get[name] for name in ("signature", "timestamp", "nonce", "echostr")}

    echostr = official_envelope(official, "safe").verify_url(query, int(get["timestamp"]))

    assert echostr == "4375120948345356249"


def test_official_plain_push(official: dict[str, Any]) -> None:
    post = official["plain_post"]
    query = {name: post[name] for name in ("signature", "timestamp", "nonce")}

    opened = official_envelope(official, "plain").open(json.dumps(post["body"]).encode(), query, int(post["timestamp"]))

    assert (opened.encrypted, opened.fmt) == (False, "json")
    assert isinstance(opened.message, DebugDemoEvent)
    assert opened.message.debug_str == "hello world"


def test_official_safe_push(official: dict[str, Any]) -> None:
    post = official["safe_post"]

    opened = official_envelope(official, "safe").open(
        json.dumps(post["body"]).encode(), post["query"], int(post["query"]["timestamp"])
    )

    assert (opened.encrypted, opened.fmt, opened.nonce) == (True, "json", "415670741")
    assert opened.message.openid == "o9AgO5Kd5ggOC-bXrbNODIiE3bGY"
    assert opened.message.created_at == 1714112445
    assert Cipher(official["encoding_aes_key"], official["appid"]).decrypt(post["body"]["Encrypt"]) == (
        post["msg"].encode()
    )


def test_official_safe_reply(official: dict[str, Any]) -> None:
    reply = official["reply"]
    cipher = Cipher(official["encoding_aes_key"], official["appid"])

    encrypted = cipher.encrypt(reply["msg"].encode(), random16=reply["random"].encode())

    assert encrypted == reply["encrypt"]
    assert sign(official["token"], reply["timestamp"], reply["nonce"], encrypted) == reply["msg_signature"]


def test_official_crypto_demo_in_compatible_mode(vectors: Path) -> None:
    demo = load(vectors / "official/crypto_demo_xml.json")
    envelope = Envelope(demo["appid"], demo["token"], demo["encoding_aes_key"], "compatible")
    query = {name: demo[name] for name in ("timestamp", "nonce", "msg_signature", "signature")}

    opened = envelope.open(demo["post_body"].encode(), query, int(demo["timestamp"]))

    assert opened.encrypted
    assert opened.message.fields == demo["plain_expect"]


def test_official_crypto_demo_of_wecom(vectors: Path) -> None:
    demo = load(vectors / "official/crypto_demo_work.json")
    assert verify(demo["msg_signature"], demo["token"], demo["timestamp"], demo["nonce"], demo["encrypt"])

    plain = Cipher(demo["encoding_aes_key"], demo["corp_id"]).decrypt(demo["encrypt"])

    assert parse_body(plain) == demo["plain_expect"]
    with pytest.raises(DecryptError, match="appid"):
        Cipher(demo["encoding_aes_key"], demo["corp_id"] + "x").decrypt(demo["encrypt"])


def test_wxjava_crypt_util(vectors: Path) -> None:
    data = load(vectors / "wxjava/crypt_util.json")
    cipher = Cipher(data["encoding_aes_key"], data["appid"])

    for case in data["cases"]:
        assert cipher.encrypt(case["plain"].encode(), random16=data["random"].encode()) == case["encrypt"]
        assert cipher.decrypt(case["encrypt"]) == case["plain"].encode()
    assert sign(*data["sha1"][0]["parts"]) == data["sha1"][0]["sha1"]


MINI_KINDS = {
    "customer_message.01.text.xml": "wechat.text",
    "customer_message.02.text.json": "wechat.text",
    "customer_message.03.image.xml": "wechat.image",
    "customer_message.04.image.json": "wechat.image",
    "customer_message.05.miniprogrampage.xml": "wechat.miniprogrampage",
    "customer_message.06.miniprogrampage.json": "wechat.miniprogrampage",
    "customer_message.07.user_enter_tempsession.xml": "wechat.event.user_enter_tempsession",
    "customer_message.08.user_enter_tempsession.json": "wechat.event.user_enter_tempsession",
    "events_overview.01.user_authorization_revoke.xml": "wechat.event.user_authorization_revoke",
    "events_overview.02.user_authorization_revoke.json": "wechat.event.user_authorization_revoke",
    "media_check.01.wxa_media_check.json": "wechat.event.wxa_media_check",
    "privacy.02.user_authorization_revoke.json": "wechat.event.user_authorization_revoke",
    **{f"privacy.0{n}.wxa_punish_event.json": "wechat.event.wxa_punish_event" for n in range(3, 10)},
    "subscribe_message.01.subscribe_msg_popup_event.xml": "wechat.event.subscribe_msg_popup_event",
    "subscribe_message.03.subscribe_msg_change_event.xml": "wechat.event.subscribe_msg_change_event",
    "subscribe_message.05.subscribe_msg_sent_event.xml": "wechat.event.subscribe_msg_sent_event",
    "subscribe_message.06.subscribe_msg_sent_event.json": "wechat.event.subscribe_msg_sent_event",
}
# Published with a trailing comma or a space in a tag: to be refused, not to be tripped over.
MINI_BROKEN = {
    "privacy.01.user_authorization_revoke.xml": "xml",
    "subscribe_message.02.subscribe_msg_popup_event.json": "json",
    "subscribe_message.04.subscribe_msg_change_event.json": "json",
}
MINI = "official/miniprogram_push"


@pytest.mark.parametrize(("name", "kind"), MINI_KINDS.items())
def test_official_mini_program_push(vectors: Path, name: str, kind: str) -> None:
    assert parse_message(parse_body((vectors / MINI / name).read_bytes())).kind == kind


@pytest.mark.parametrize(("name", "reason"), MINI_BROKEN.items())
def test_official_example_that_is_broken(vectors: Path, name: str, reason: str) -> None:
    with pytest.raises(MalformedPush) as refused:
        parse_body((vectors / MINI / name).read_bytes())
    assert refused.value.reason == reason


def test_every_official_mini_program_push_is_covered(vectors: Path) -> None:
    names = {path.name for path in (vectors / MINI).iterdir()}
    assert names == set(MINI_KINDS) | set(MINI_BROKEN) | {"transfer.01.transfer_customer_service.xml"}


@pytest.mark.parametrize(
    ("xml", "js"),
    [
        ("customer_message.01.text.xml", "customer_message.02.text.json"),
        ("customer_message.03.image.xml", "customer_message.04.image.json"),
        ("customer_message.07.user_enter_tempsession.xml", "customer_message.08.user_enter_tempsession.json"),
    ],
)
def test_xml_and_json_of_one_push_are_one(vectors: Path, xml: str, js: str) -> None:
    assert parse_body((vectors / MINI / xml).read_bytes()) == parse_body((vectors / MINI / js).read_bytes())


def mini(vectors: Path, name: str) -> Any:
    return parse_message(parse_body((vectors / MINI / name).read_bytes()))


def test_official_subscription_events_have_one_shape(vectors: Path) -> None:
    popup = mini(vectors, "subscribe_message.01.subscribe_msg_popup_event.xml")
    assert isinstance(popup, SubscribeMsgPopupEvent)
    assert popup.answers == (
        TemplateAnswer("VRR0UEO9VJOLs0MHlU0OilqX6MVFDwH3_3gz3Oc0NIc", "accept", 2),
        TemplateAnswer("9nLIlbOQZC5Y89AZteFEux3WCXRRRG5Wfzkpssu4bLI", "reject", 2),
    )
    for name in (
        "subscribe_message.05.subscribe_msg_sent_event.xml",
        "subscribe_message.06.subscribe_msg_sent_event.json",
    ):
        sent = mini(vectors, name)
        assert isinstance(sent, SubscribeMsgSentEvent)
        assert [(type(r), r.error_code, r.error_status) for r in sent.results] == [(TemplateResult, 0, "success")]


def test_official_privacy_and_safety_events(vectors: Path) -> None:
    revoke = mini(vectors, "events_overview.02.user_authorization_revoke.json")
    assert isinstance(revoke, UserAuthorizationRevokeEvent)
    assert (revoke.subject_openid, revoke.revoke_info) == ("oaKk343WOktAaT2ygsX138BGblrg", "1")
    assert revoke.plugin_openid == " G7esq5NVzP76HIHoB95t4CVBP6to"  # as sent, not stripped

    check = mini(vectors, "media_check.01.wxa_media_check.json")
    assert isinstance(check, WxaMediaCheckEvent)
    assert (check.trace_id, check.errcode, check.suggest, check.label) == (
        "60f96f1d-3845297a-1976a3ae",
        0,
        "pass",
        100,
    )
    assert [(d.strategy, d.probability) for d in check.details] == [("content_model", 90)]

    punish = mini(vectors, "privacy.03.wxa_punish_event.json")
    assert isinstance(punish, WxaPunishEvent)
    assert (punish.punish_id, punish.event_type, punish.illegal_content) == ("649557", 1, ("违规内容测试",))
    assert json.loads(punish.detail)["warned_type"] == 1


WXJAVA = {
    "WxMaMessageTest.testFromXml.xml.1.xml": "wechat.text",
    "WxMaMessageTest.testFromXmlForAllFieldsMap.xml.8.xml": "wechat.event.unknown",
    "WxMaMessageTest.testFromXmlForOpenProductOrderPayEvent.xml.9.xml": "wechat.event.unknown",
    "WxMaMessageTest.testSubscribeMsgChangeEvent.xml.4.xml": "wechat.event.subscribe_msg_change_event",
    "WxMaMessageTest.testSubscribeMsgPopupEvent.xml.2.xml": "wechat.event.subscribe_msg_popup_event",
    "WxMaMessageTest.testSubscribeMsgSentEvent.xml.6.xml": "wechat.event.subscribe_msg_sent_event",
    "WxMpXmlMessageTest.testFromXml.xml.1.xml": "wechat.text",
    "WxMpXmlMessageTest.testFromXml2.xml.2.xml": "wechat.text",
    "WxMpXmlMessageTest.testFromXml_MASSSENDJOBFINISH.xml.3.xml": "wechat.event.masssendjobfinish",
    "WxMpXmlMessageTest.testSubMsgChangeFromXml.xml.5.xml": "wechat.event.subscribe_msg_change_event",
    "WxMpXmlMessageTest.testSubMsgPopupFromXml.xml.4.xml": "wechat.event.subscribe_msg_popup_event",
    "WxMpXmlMessageTest.testSubMsgSentFromXml.xml.6.xml": "wechat.event.subscribe_msg_sent_event",
    "XmlUtilsTest.testXml2Map_another.xml.3.xml": "wechat.event.publishjobfinish",
}


@pytest.mark.parametrize(("name", "kind"), WXJAVA.items())
def test_wxjava_push(vectors: Path, name: str, kind: str) -> None:
    assert wxjava(vectors, name).kind == kind


def wxjava(vectors: Path, name: str) -> Any:
    return parse_message(parse_body((vectors / "wxjava/xml" / name).read_bytes()))


def test_wxjava_json_subscription_events_equal_their_xml(vectors: Path) -> None:
    for js, xml in (("Change*.json.5.json", "Change*.xml.4.xml"), ("Sent*.json.7.json", "Sent*.xml.6.xml")):
        (js_path,) = (vectors / "wxjava/json").glob(f"WxMaMessageTest.testSubscribeMsg{js}")
        (xml_path,) = (vectors / "wxjava/xml").glob(f"WxMaMessageTest.testSubscribeMsg{xml}")
        assert parse_body(js_path.read_bytes()) == parse_body(xml_path.read_bytes())


def test_wxjava_reports(vectors: Path) -> None:
    mass = wxjava(vectors, "WxMpXmlMessageTest.testFromXml_MASSSENDJOBFINISH.xml.3.xml")
    assert isinstance(mass, MassSendJobFinishEvent)
    assert (mass.msg_id, mass.status, mass.total, mass.copyright_state) == ("1000001625", "err(30003)", 0, 2)
    assert [(r.index, r.original_url) for r in mass.copyright_results] == [(1, "Url_1"), (2, "Url_2")]

    publish = wxjava(vectors, "XmlUtilsTest.testXml2Map_another.xml.3.xml")
    assert isinstance(publish, PublishJobFinishEvent)
    assert (publish.publish_id, publish.publish_status) == ("2247503051", 0)
    assert publish.articles == (JobArticle(1, "ARTICLE_URL"), JobArticle(2, "ARTICLE_URL_2"))

    express = wxjava(vectors, "WxMaMessageTest.testFromXmlForAllFieldsMap.xml.8.xml")
    assert isinstance(express, UnknownEvent)
    assert express.event == "add_express_path"
    assert [action["ActionType"] for action in express.fields["Actions"]] == ["300001", "100001"]


def test_wxjava_message_with_the_fields_of_everything(vectors: Path) -> None:
    message = wxjava(vectors, "WxMpXmlMessageTest.testFromXml2.xml.2.xml")
    assert isinstance(message, TextMessage)
    assert (message.content, message.msg_id) == ("this is a test", "1234567890123456")  # "MsgID" there
    assert message.fields["SendPicsInfo"] == {
        "Count": "1",
        "PicList": [{"PicMd5Sum": "1b5f7c23b5bf75682a53e7b6d163e185"}],
    }


def test_wxjava_external_entities_are_refused(vectors: Path) -> None:
    with pytest.raises(MalformedPush, match="doctype"):
        wxjava(vectors, "XmlUtilsTest.testXml2Map_xxe.xml.1.xml")


REPLIES: list[tuple[str, Reply, tuple[str, str], int]] = [
    ("Text", TextReply("content"), ("to", "from"), 1122),
    ("Image", ImageReply("ddfefesfsdfef"), ("to", "from"), 1122),
    ("Voice", VoiceReply("ddfefesfsdfef"), ("to", "from"), 1122),
    ("Video", VideoReply("media_id", "title", "ddfff"), ("toUser", "fromUser"), 1122),
    (
        "Music",
        MusicReply("title", "ddfff", "musicUrl", "hQMusicUrl", "thumbMediaId"),
        ("toUser", "fromUser"),
        1122,
    ),
    ("TransferKefu", TransferReply(), ("touser", "fromuser"), 1399197672),
]


@pytest.mark.parametrize(("name", "reply", "ends", "now"), REPLIES, ids=[case[0] for case in REPLIES])
def test_wxjava_reply(vectors: Path, name: str, reply: Reply, ends: tuple[str, str], now: int) -> None:
    expected = (vectors / f"wxjava/xml/WxMpXmlOut{name}MessageTest.test.expected.1.xml").read_bytes()
    push = parse_message({"MsgType": "text", "FromUserName": ends[0], "ToUserName": ends[1], "CreateTime": str(now)})
    assert parse_body(render(reply, push, now, "xml")) == parse_body(expected)


def test_every_wxjava_xml_is_covered(vectors: Path) -> None:
    others = {
        "WxCryptUtilTest.x.replyMsg2.2.xml",  # a case of crypt_util.json
        "WxCryptUtilTest.x.xmlFormat.1.xml",  # a template with a placeholder
        "XmlUtilsTest.testXml2Map.xml.2.xml",  # part of testFromXml_MASSSENDJOBFINISH
        "XmlUtilsTest.testXml2Map_xxe.xml.1.xml",
    }
    names = {path.name for path in (vectors / "wxjava/xml").iterdir() if "XmlOut" not in path.name}
    assert names == set(WXJAVA) | others
