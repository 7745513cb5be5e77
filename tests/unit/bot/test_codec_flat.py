"""The short way through a plain message reads exactly what the parser does, and leaves everything else to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import MalformedPush
from bot.normalise import _parse_flat_xml, _parse_xml

PLAIN = """<xml><ToUserName><![CDATA[gh_7f083739789a]]></ToUserName>
<FromUserName><![CDATA[oia2TjuEGTNoeX76QEjQNrcURxG8]]></FromUserName>
<CreateTime>1395658920</CreateTime>
<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[CLICK]]></Event>
<EventKey><![CDATA[]]></EventKey><Empty></Empty><Content><![CDATA[<b>你好</b> & 1</ ]]></Content></xml>
"""


def test_a_plain_message_takes_the_short_way() -> None:
    fields = _parse_flat_xml(PLAIN)
    assert fields == _parse_xml(PLAIN)
    assert fields is not None
    assert fields["Content"] == "<b>你好</b> & 1</ "


@pytest.mark.parametrize(
    "text",
    [
        "<xml></xml>",
        "<xml>text</xml>",
        '<xml a="1"><A>1</A></xml>',
        "<xml><A>1</B></xml>",
        "<xml><A>1</A><A>2</A></xml>",
        "<xml><List><![CDATA[1]]></List></xml>",
        "<xml><A><![CDATA[1]]><![CDATA[2]]></A></xml>",
        "<xml><A><![CDATA[a]b]]></A></xml>",
        "<xml><A><![CDATA[a\r\nb]]></A></xml>",
        "<xml><A><![CDATA[a\x0bb]]></A></xml>",
        "<xml><A>&amp;</A></xml>",
        "<xml><A>1.5</A></xml>",
        "<xml><A>１</A></xml>",
        "<xml>\u3000<A>1</A></xml>",
        "<xml><A><B>1</B></A></xml>",
        "<xml><!-- c --><A>1</A></xml>",
        "<?xml version='1.0'?><xml><A>1</A></xml>",
        "<xml><A>1</A></xml><xml/>",
    ],
)
def test_anything_else_is_left_to_the_parser(text: str) -> None:
    assert _parse_flat_xml(text) is None


PIECES = st.sampled_from(
    [
        "<xml>",
        "</xml>",
        "<A>",
        "</A>",
        "<B>",
        "</B>",
        "<![CDATA[",
        "]]>",
        "]",
        "1",
        "\n",
        "\r",
        "é",
        "<",
        "&amp;",
        "\x0c",
    ]
)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.one_of(st.lists(PIECES).map("".join), st.dictionaries(st.sampled_from(["A", "Ab", "xml", "item"]), VALUES)))
def test_where_both_ways_read_a_text_they_agree(written: str | dict[str, str]) -> None:
    if isinstance(written, dict):
        written = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in written.items())
    text = f"<xml>{written}</xml>"
    short = _parse_flat_xml(text)
    if short is None:
        return
    try:
        assert short == _parse_xml(text)
    except MalformedPush as error:
        pytest.fail(f"the parser refuses it: {error.reason}")
