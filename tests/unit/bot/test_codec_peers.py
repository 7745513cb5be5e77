"""wechatpy and WeRoBot as independent peers: what they make we read, what we make they read.

And the defects of wechatpy (wechat.md §5, 1.5) that ours must not have.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import wechatpy
import wechatpy.crypto
import wechatpy.replies
import wechatpy.utils
import werobot.crypto
import werobot.parser
import werobot.replies

from bot import crypto, signature
from bot.errors import CodecError, MalformedPush
from bot.messages import parse_message
from bot.normalise import parse_body
from bot.push_events import SubscribeEvent
from bot.replies import (
    Article,
    ImageReply,
    MusicReply,
    NewsReply,
    Reply,
    TextReply,
    TransferReply,
    VideoReply,
    VoiceReply,
    from_data,
    render,
    to_data,
)
from bot.signature import sign
from tests.unit.bot.conftest import NOW, Account
from tests.unit.bot.pushes import EVENTS, MESSAGES, xml_event, xml_message

TEXT = MESSAGES["text"]
NONCE = "1320562132"


def as_peers_read(xml: str | bytes) -> dict[str, Any]:
    """The fields as xmltodict gives them, which both peers read with."""
    fields: dict[str, Any] = werobot.parser.parse_xml(xml)
    del fields["raw"]
    return fields


@pytest.fixture
def wechatpy_crypto(account: Account) -> Any:
    return wechatpy.crypto.WeChatCrypto(account.token, account.key, account.appid)


@pytest.fixture
def werobot_crypto(account: Account) -> Any:
    return werobot.crypto.MessageCrypt(account.token, account.key, account.appid)


# --- the envelope -----------------------------------------------------------------------------------------


def test_what_peers_encrypt_and_sign_we_accept(account: Account, wechatpy_crypto: Any, werobot_crypto: Any) -> None:
    for peer in (
        wechatpy_crypto.encrypt_message(TEXT.decode(), NONCE, str(NOW)),
        werobot_crypto.encrypt_message(TEXT.decode(), str(NOW), NONCE),
    ):
        made = as_peers_read(peer)
        query = {"timestamp": str(NOW), "nonce": NONCE, "msg_signature": made["MsgSignature"]}
        for body in (account.wrap(made["Encrypt"]), account.wrap(made["Encrypt"], "json"), peer.encode()):
            opened = account.envelope().open(body, query, NOW)
            assert (opened.message.kind, opened.message.dedupe_key) == ("wechat.text", "oFan:24567890123456789")


def test_what_we_encrypt_and_sign_peers_read(account: Account, wechatpy_crypto: Any, werobot_crypto: Any) -> None:
    envelope = account.envelope()
    opened = envelope.open(*account.safe_push(TEXT), NOW)
    rendered = render(TextReply("你好"), opened.message, NOW, "xml")
    sealed = envelope.seal(rendered, opened, NOW).decode()
    made = as_peers_read(sealed)

    by_wechatpy = wechatpy_crypto.decrypt_message(sealed, made["MsgSignature"], made["TimeStamp"], made["Nonce"])
    by_werobot = werobot_crypto.decrypt_message(made["TimeStamp"], made["Nonce"], made["MsgSignature"], made["Encrypt"])

    assert by_wechatpy.encode() == by_werobot == rendered


def test_plain_signatures_agree(account: Account) -> None:
    ours = sign(account.token, str(NOW), NONCE)
    wechatpy.utils.check_signature(account.token, ours, str(NOW), NONCE)
    assert werobot.utils.get_signature(account.token, str(NOW), NONCE) == ours


# --- messages ---------------------------------------------------------------------------------------------

# Our attribute -> theirs, where the values are the same text.
SAME_IN_WECHATPY: dict[str, dict[str, str]] = {
    "image": {"url": "image", "media_id": "media_id"},
    "voice": {"media_id": "media_id", "format": "format", "recognition": "recognition"},
    "video": {"media_id": "media_id", "thumb_media_id": "thumb_media_id"},
    "shortvideo": {"media_id": "media_id", "thumb_media_id": "thumb_media_id"},
    "location": {"label": "label"},
    "link": {"title": "title", "description": "description", "url": "url"},
    "miniprogrampage": {"title": "title", "appid": "app_id", "page_path": "page_path"},
}
EVENTS_IN_WECHATPY: dict[str, dict[str, str]] = {
    "subscribe": {"scene": "scene_id", "ticket": "ticket"},
    "unsubscribe": {},
    "scan": {"scene": "scene_id", "ticket": "ticket"},
    "location": {"latitude": "latitude", "longitude": "longitude", "precision": "precision"},
    "click": {"key": "key"},
    "view": {"url": "url"},
    "scancode_push": {"key": "key", "scan_type": "scan_type", "scan_result": "scan_result"},
    "scancode_waitmsg": {"key": "key", "scan_type": "scan_type", "scan_result": "scan_result"},
    "pic_photo_or_album": {"key": "key", "count": "count"},
    "location_select": {"key": "key"},
    "templatesendjobfinish": {"status": "status"},
    "masssendjobfinish": {"status": "status", "total": "total_count", "sent": "sent_count"},
    "kf_create_session": {"kf_account": "account"},
    "kf_close_session": {"kf_account": "account"},
    "kf_switch_session": {"from_kf_account": "from_account", "to_kf_account": "to_account"},
}


@pytest.mark.parametrize("name", [*SAME_IN_WECHATPY, "text"])
def test_messages_read_as_wechatpy_reads_them(name: str) -> None:
    ours: Any = parse_message(parse_body(MESSAGES[name]))
    theirs = wechatpy.parse_message(MESSAGES[name])
    assert (ours.openid, ours.to_user, ours.created_at) == (theirs.source, theirs.target, theirs.time)
    assert (ours.msg_type, ours.msg_id) == (theirs.type, str(theirs.id))
    for our_name, their_name in SAME_IN_WECHATPY.get(name, {}).items():
        assert getattr(ours, our_name) == getattr(theirs, their_name)


@pytest.mark.parametrize("name", EVENTS_IN_WECHATPY)
def test_events_read_as_wechatpy_reads_them(name: str) -> None:
    ours: Any = parse_message(parse_body(EVENTS[name]))
    theirs = wechatpy.parse_message(EVENTS[name])
    assert (ours.openid, ours.created_at) == (theirs.source, theirs.time)
    assert theirs.event == {"subscribe": "subscribe_scan"}.get(name, name)
    for our_name, their_name in EVENTS_IN_WECHATPY[name].items():
        assert getattr(ours, our_name) == getattr(theirs, their_name)


@pytest.mark.parametrize("name", ["text", "image", "voice", "video", "shortvideo", "location", "link"])
def test_messages_read_as_werobot_reads_them(name: str) -> None:
    ours: Any = parse_message(parse_body(MESSAGES[name]))
    theirs = werobot.parser.parse_user_msg(MESSAGES[name])
    assert (ours.openid, ours.to_user, ours.created_at) == (theirs.source, theirs.target, theirs.time)
    assert (ours.msg_type, ours.msg_id) == (theirs.type, str(theirs.message_id))
    if name == "location":
        assert (ours.latitude, ours.longitude) == theirs.location


@pytest.mark.parametrize(
    "name",
    ["subscribe", "unsubscribe", "scan", "location", "click", "view", "scancode_push", "pic_weixin", "location_select"],
)
def test_events_read_as_werobot_reads_them(name: str) -> None:
    ours: Any = parse_message(parse_body(EVENTS[name]))
    theirs = werobot.parser.parse_user_msg(EVENTS[name])
    assert (ours.openid, ours.created_at, f"{name}_event") == (theirs.source, theirs.time, theirs.type)
    assert ours.fields.get("EventKey") == getattr(theirs, "key", None)
    if name == "pic_weixin":
        assert ours.md5_sums == tuple(picture["pic_md5_sum"] for picture in theirs.pic_list)


# --- replies ----------------------------------------------------------------------------------------------

HEAD = {"source": "gh_1", "target": "oFan", "time": NOW}
REPLIES: list[tuple[Reply, Any, Any]] = [
    (
        TextReply("你好 <b>&"),
        wechatpy.replies.TextReply(content="你好 <b>&", **HEAD),
        werobot.replies.TextReply(content="你好 <b>&", **HEAD),
    ),
    (
        ImageReply("m"),
        wechatpy.replies.ImageReply(media_id="m", **HEAD),
        werobot.replies.ImageReply(media_id="m", **HEAD),
    ),
    (
        VoiceReply("m"),
        wechatpy.replies.VoiceReply(media_id="m", **HEAD),
        werobot.replies.VoiceReply(media_id="m", **HEAD),
    ),
    (
        VideoReply("m", "t", "d"),
        wechatpy.replies.VideoReply(media_id="m", title="t", description="d", **HEAD),
        werobot.replies.VideoReply(media_id="m", title="t", description="d", **HEAD),
    ),
    (
        MusicReply("t", "d", "u", "h"),
        None,
        werobot.replies.MusicReply(title="t", description="d", url="u", hq_url="h", **HEAD),
    ),
    (
        TransferReply("a@b"),
        None,
        werobot.replies.TransferCustomerServiceReply(account="a@b", **HEAD),
    ),
    (
        TransferReply(),
        wechatpy.replies.TransferCustomerServiceReply(**HEAD),
        werobot.replies.TransferCustomerServiceReply(**HEAD),
    ),
]


@pytest.mark.parametrize(("ours", "by_wechatpy", "by_werobot"), REPLIES)
def test_replies_read_as_the_peers_own(ours: Reply, by_wechatpy: Any, by_werobot: Any) -> None:
    rendered = render(ours, parse_message(parse_body(TEXT)), NOW, "xml")
    for theirs in filter(None, (by_wechatpy, by_werobot)):
        assert as_peers_read(rendered) == as_peers_read(theirs.render().strip())
    if by_wechatpy:
        assert wechatpy.replies.deserialize_reply(rendered.decode()).render() == by_wechatpy.render()


def test_news_reads_as_the_peers_own() -> None:
    rendered = render(NewsReply((Article("t", "d", "p", "u"),)), parse_message(parse_body(TEXT)), NOW, "xml")
    theirs = werobot.replies.ArticlesReply(**HEAD)
    theirs.add_article(werobot.replies.Article("t", "d", "p", "u"))
    expected = as_peers_read(theirs.render().strip())
    del expected["Content"]  # WeRoBot writes an empty one, WeChat documents none
    assert as_peers_read(rendered) == expected


# --- wechatpy's defects -----------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["a]]><b>x</b>", "bell \x08 from a model", "]]>" * 3])
def test_defect_1_no_text_breaks_the_reply(content: str) -> None:
    rendered = render(TextReply(content), parse_message(parse_body(TEXT)), NOW, "xml")
    assert as_peers_read(rendered)["Content"] == content.replace("\x08", "")


@pytest.mark.parametrize("content", ["  hi  ", "", "\n", "\u3000"])
def test_defect_2_text_is_not_stripped(content: str) -> None:
    message: Any = parse_message(parse_body(xml_message("text", f"<Content><![CDATA[{content}]]></Content>")))
    assert message.content == content


@pytest.mark.parametrize("encrypted", ["", "A", "AAAA", "AAAAA", "!!!!", "密文", "A" * 43 + "=", "A" * 64])
def test_defect_3_no_ciphertext_raises_anything_else(account: Account, encrypted: str) -> None:
    with pytest.raises(CodecError):
        account.envelope().open(account.wrap(encrypted), account.query(encrypted), NOW)


def test_defect_4_comparison_and_randomness_are_cryptographic() -> None:
    assert "hmac.compare_digest" in inspect.getsource(signature.verify)
    assert "os.urandom" in inspect.getsource(crypto.Cipher.encrypt)


@pytest.mark.parametrize(
    "body",
    [
        b"<xml><AppId>wx1</AppId><InfoType>component_verify_ticket</InfoType></xml>",
        b'{"a": 1}',
        b"{",
        b"<xml>\xff</xml>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>',
    ],
)
def test_defect_5_no_body_raises_anything_else(body: bytes) -> None:
    with pytest.raises(MalformedPush):
        parse_message(parse_body(body))


def test_defect_6_one_article_survives_storage_and_two_are_refused() -> None:
    news = NewsReply((Article("t"),))
    assert from_data(to_data(news)) == news
    with pytest.raises(ValueError, match="articles"):
        NewsReply((Article("t"), Article("u")))


def test_defect_8_one_or_many_is_always_a_list() -> None:
    row = "<List><TemplateId>T{}</TemplateId></List>"
    for count in (1, 2):
        inner = "".join(row.format(n) for n in range(count))
        body = xml_event("subscribe_msg_popup_event", f"<SubscribeMsgPopupEvent>{inner}</SubscribeMsgPopupEvent>")
        assert [item["TemplateId"] for item in parse_body(body)["List"]] == [f"T{n}" for n in range(count)]


def test_a_string_scene_is_not_taken_for_another_event() -> None:
    event = parse_message(parse_body(EVENTS["subscribe"]))
    assert isinstance(event, SubscribeEvent)
    assert (event.kind, event.scene) == ("wechat.event.subscribe", "门店_7")
