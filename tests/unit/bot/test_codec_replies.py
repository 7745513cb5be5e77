"""Replies: rendered so that a parser reads back what was meant, stored, split and sent later."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.messages import parse_message
from bot.normalise import parse_body
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
    split_text,
    to_customer_message,
    to_data,
)

PUSH = parse_message({"MsgType": "text", "FromUserName": "oFan", "ToUserName": "gh_1", "CreateTime": "1", "MsgId": "7"})
HEAD = {"ToUserName": "oFan", "FromUserName": "gh_1", "CreateTime": "1399197672"}
NEWS = NewsReply((Article("t", "d", "http://p", "http://u?a=1&b=2"),))

CASES: list[tuple[Reply, dict[str, Any], dict[str, Any] | None]] = [
    (
        TextReply("你好"),
        {"MsgType": "text", "Content": "你好"},
        {"msgtype": "text", "text": {"content": "你好"}},
    ),
    (
        ImageReply("m"),
        {"MsgType": "image", "Image": {"MediaId": "m"}},
        {"msgtype": "image", "image": {"media_id": "m"}},
    ),
    (
        VoiceReply("m"),
        {"MsgType": "voice", "Voice": {"MediaId": "m"}},
        {"msgtype": "voice", "voice": {"media_id": "m"}},
    ),
    (
        VideoReply("m", "t", "d", "th"),
        {"MsgType": "video", "Video": {"MediaId": "m", "Title": "t", "Description": "d"}},
        {
            "msgtype": "video",
            "video": {"media_id": "m", "thumb_media_id": "th", "title": "t", "description": "d"},
        },
    ),
    (
        VideoReply("m"),
        {"MsgType": "video", "Video": {"MediaId": "m"}},
        {"msgtype": "video", "video": {"media_id": "m"}},
    ),
    (
        MusicReply("t", "d", "u", "h", "th"),
        {
            "MsgType": "music",
            "Music": {
                "Title": "t",
                "Description": "d",
                "MusicUrl": "u",
                "HQMusicUrl": "h",
                "ThumbMediaId": "th",
            },
        },
        {
            "msgtype": "music",
            "music": {
                "title": "t",
                "description": "d",
                "musicurl": "u",
                "hqmusicurl": "h",
                "thumb_media_id": "th",
            },
        },
    ),
    (
        NEWS,
        {
            "MsgType": "news",
            "ArticleCount": "1",
            "Articles": [{"Title": "t", "Description": "d", "PicUrl": "http://p", "Url": "http://u?a=1&b=2"}],
        },
        {
            "msgtype": "news",
            "news": {"articles": [{"title": "t", "description": "d", "url": "http://u?a=1&b=2", "picurl": "http://p"}]},
        },
    ),
    (TransferReply(), {"MsgType": "transfer_customer_service"}, None),
    (
        TransferReply("test1@test"),
        {"MsgType": "transfer_customer_service", "TransInfo": {"KfAccount": "test1@test"}},
        None,
    ),
]


def test_every_reply_type_is_tried() -> None:
    assert {type(case[0]) for case in CASES} == set(get_args(Reply))


@pytest.mark.parametrize(("reply", "passive", "active"), CASES)
def test_reply(reply: Reply, passive: dict[str, Any], active: dict[str, Any] | None) -> None:
    assert parse_body(render(reply, PUSH, 1399197672, "xml")) == HEAD | passive
    assert parse_body(render(reply, PUSH, 1399197672, "json")) == HEAD | passive
    assert to_customer_message(reply) == active
    assert from_data(json.loads(json.dumps(to_data(reply)))) == reply


def test_xml_is_byte_for_byte_what_wechat_documents() -> None:
    assert render(TransferReply("a@b"), PUSH, 5, "xml") == (
        b"<xml><ToUserName><![CDATA[oFan]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName>"
        b"<CreateTime>5</CreateTime><MsgType><![CDATA[transfer_customer_service]]></MsgType>"
        b"<TransInfo><KfAccount><![CDATA[a@b]]></KfAccount></TransInfo></xml>"
    )
    assert (
        render(TextReply("中\u2028"), PUSH, 5, "json")
        == (
            '{"ToUserName": "oFan", "FromUserName": "gh_1", "CreateTime": 5, "MsgType": "text", "Content": "中\u2028"}'
        ).encode()
    )


anything = st.text(st.characters(exclude_categories=()))


@given(anything)
@example("a]]><b>x</b>")
@example("]]]]>>")
@example("\x08\ud800\ufffe")
def test_any_text_reads_back_without_what_xml_cannot_hold(content: str) -> None:
    rendered = render(TextReply(content), PUSH, 1, "xml")
    legal = "".join(
        c for c in content if c in "\t\n\r" or " " <= c < "\ud800" or "\ue000" <= c < "\ufffe" or c > "\uffff"
    )

    # expat is not the parser we read pushes with; XML reads \r\n and \r as \n.
    read = ET.fromstring(rendered)  # noqa: S314  # our own words
    assert read.findtext("Content") == legal.replace("\r\n", "\n").replace("\r", "\n")
    assert json.loads(render(TextReply(content), PUSH, 1, "json"))["Content"] == legal
    assert from_data(to_data(TextReply(content))) == TextReply(legal)
    assert to_customer_message(TextReply(content)) == {"msgtype": "text", "text": {"content": legal}}


@pytest.mark.parametrize("count", [0, 2, 8])
def test_news_has_one_article(count: int) -> None:
    with pytest.raises(ValueError, match=f"^articles: .* got {count}$"):
        NewsReply((Article("t"),) * count)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "^type: "),
        ({"type": "gif"}, "^type: "),
        ({"type": ["text"]}, "^type: "),
        ({"type": "text"}, "TextReply: .*'content'"),
        ({"type": "text", "content": 5}, "^content: "),
        ({"type": "text", "content": None}, "^content: "),
        ({"type": "text", "content": "a", "colour": "red"}, "^colour: "),
        ({"type": "news", "articles": "x"}, "^articles: "),
        ({"type": "news", "articles": ["x"]}, "^articles: "),
        ({"type": "news", "articles": []}, "^articles: "),
        ({"type": "news", "articles": [{"title": 1}]}, "^title: "),
        ({"type": "news", "articles": [{}]}, "Article: .*'title'"),
        ({"type": "transfer", "kf_account": 5}, "^kf_account: "),
    ],
)
def test_stored_nonsense_names_its_field(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_data(data)


@given(anything, st.integers(4, 60))
def test_splitting_loses_and_adds_nothing(content: str, limit: int) -> None:
    parts = split_text(content, limit)
    assert "".join(parts) == content
    assert all(len(part.encode("utf-8", "surrogatepass")) <= limit for part in parts)
    assert all(parts) or parts == [""]


@pytest.mark.parametrize(
    ("content", "limit", "parts"),
    [
        ("", 10, [""]),
        ("short", 10, ["short"]),
        ("a" * 10, 10, ["a" * 10]),
        ("a" * 11, 10, ["a" * 10, "a"]),
        ("😀😀😀", 4, ["😀", "😀", "😀"]),
        ("你好。再见吧", 15, ["你好。", "再见吧"]),
        ("你说“好。”他走了吗", 24, ["你说“好。”", "他走了吗"]),
        ("One. Two and three", 9, ["One. ", "Two and ", "three"]),
        ("3.1415926 is pi", 10, ["3.1415926 ", "is pi"]),
        ("line one\nline two. End", 18, ["line one\n", "line two. End"]),
        ("a\nbcdefghijklmnop", 10, ["a\nbcdefghi", "jklmnop"]),
        # No break in a tag, nor in a link that fits a part.
        ("0123456789 <a href='u'>go on</a> end", 30, ["0123456789 ", "<a href='u'>go on</a> end"]),
        ("x <a href='u'>go on</a> end of it", 25, ["x <a href='u'>go on</a> ", "end of it"]),
        ("<A href='u'>a b</A><a href='u'>c d</a>", 20, ["<A href='u'>a b</A>", "<a href='u'>c d</a>"]),
        ("<a href='u'>one two three four</a>", 20, ["<a href='u'>one two ", "three four</a>"]),
        ("read on: <b class='bold'>x</b>", 20, ["read on: ", "<b class='bold'>x", "</b>"]),
        ("1 < 2, and 3 > 2, as you know", 20, ["1 < 2, and 3 > 2, ", "as you know"]),
        ("<a b>中文字<a b>中文</a>尾", 20, ["<a b>中文字", "<a b>中文</a>尾"]),
    ],
)
def test_splitting_happens_where_a_reader_does_not_mind(content: str, limit: int, parts: list[str]) -> None:
    assert split_text(content, limit) == parts


LINKS = ["<a href='u'>一 二，三</a>", '<a href="https://example.com/?q=1" class="b">go on.\nthen</a>', "<b c='d'>"]


@given(st.lists(st.sampled_from([*LINKS, "字", "。", " ", "word", "\n", "<", ">", "</a>"])), st.integers(70, 200))
def test_no_link_is_cut_that_fits_a_part(pieces: list[str], limit: int) -> None:
    content = "".join(pieces)
    parts = split_text(content, limit)
    assert "".join(parts) == content
    assert all(len(part.encode()) <= limit for part in parts)
    for link in LINKS:
        assert sum(part.count(link) for part in parts) == content.count(link)


def test_a_limit_no_character_fits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^limit: "):
        split_text("a", 3)


def test_splitting_is_linear_in_hostile_texts() -> None:
    for unit in ('."', "...", "！", "\n", "a ", "<", "<a", "<a ", "<a >", "</a>", "<a href='u'>b c</a>"):
        assert "".join(split_text(unit * 100_000)) == unit * 100_000
