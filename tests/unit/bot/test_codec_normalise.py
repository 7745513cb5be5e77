"""One shape for XML and JSON, text untouched, and nothing but `MalformedPush` for everything else."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.errors import MalformedPush
from bot.normalise import MAX_BODY, parse_body, sniff


def xml(inner: str) -> bytes:
    return f"<xml>{inner}</xml>".encode()


def read(body: bytes) -> dict[str, Any] | str:
    """The fields, or the reason why there are none."""
    try:
        return parse_body(body)
    except MalformedPush as refused:
        return refused.reason


def reason_of(body: bytes) -> str:
    with pytest.raises(MalformedPush) as refused:
        parse_body(body)
    return refused.value.reason


SAME: list[tuple[str, str, dict[str, Any]]] = [
    ("<A>1</A><B><![CDATA[x]]></B>", '{"A": 1, "B": "x"}', {"A": "1", "B": "x"}),
    ("<A>1.50</A>", '{"A": 1.50}', {"A": "1.50"}),
    ("<A>18446744073709551616</A>", '{"A": 18446744073709551616}', {"A": "18446744073709551616"}),
    ("<A>true</A>", '{"A": true}', {"A": "true"}),
    ("<A></A><B/>", '{"A": null, "B": ""}', {"A": "", "B": ""}),
    ("<A><![CDATA[  hi \n]]></A>", '{"A": "  hi \\n"}', {"A": "  hi \n"}),
    ("<A>&lt;b&gt;&#65;&#x1F600;</A>", '{"A": "<b>A\\ud83d\\ude00"}', {"A": "<b>A😀"}),
    ("<A>x<!-- c -->y<?p q?><![CDATA[z]]></A>", '{"A": "xyz"}', {"A": "xyz"}),
    ("<A>\n  <B>1</B>\n</A>", '{"A": {"B": 1}}', {"A": {"B": "1"}}),
    ("<List><T>1</T></List>", '{"List": {"T": 1}}', {"List": [{"T": "1"}]}),
    ("<List><T>1</T></List><List><T>2</T></List>", '{"List": [{"T":1},{"T":2}]}', {"List": [{"T": "1"}, {"T": "2"}]}),
    ("<List></List>", '{"List": []}', {"List": []}),
    ("<SubscribeMsgPopupEvent><List><T>1</T></List></SubscribeMsgPopupEvent>",
     '{"List": {"T": 1}}', {"List": [{"T": "1"}]}),
    ("<P><PicList><item><M>a</M></item></PicList></P>",
     '{"P": {"PicList": [{"M": "a"}]}}', {"P": {"PicList": [{"M": "a"}]}}),
    ("<PicList><item>a</item><item>b</item></PicList>", '{"PicList": {"item": ["a", "b"]}}', {"PicList": ["a", "b"]}),
    ("<PicList></PicList>", '{"PicList": {}}', {"PicList": []}),
    ("<D><count>1</count><item><i>1</i></item></D>",
     '{"D": {"count": 1, "item": {"i": 1}}}', {"D": {"count": "1", "item": [{"i": "1"}]}}),
    ("<detail>words</detail>", '{"detail": "words"}', {"detail": "words"}),
    ("<detail><s>1</s></detail>", '{"detail": [{"s": 1}]}', {"detail": [{"s": "1"}]}),
    ("<New>1</New><New>2</New><New>3</New>", '{"New": [1, 2, 3]}', {"New": ["1", "2", "3"]}),
    ("", "{}", {}),
]  # fmt: skip


@pytest.mark.parametrize(("inner", "js", "expected"), SAME, ids=[case[1][:40] for case in SAME])
def test_xml_and_json_have_one_shape(inner: str, js: str, expected: dict[str, Any]) -> None:
    assert parse_body(xml(inner)) == expected
    assert parse_body(js.encode()) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf<xml><A>1</A></xml>",
        b'<?xml version="1.0" encoding="utf-8"?>\n<xml><A>1</A></xml>\n',
        b'<?xml version="1.0" encoding="gbk"?><xml><A>1</A></xml>',
        b'\n <xml a="b"><A>1</A></xml><!-- after -->',
        b'\xef\xbb\xbf {"A": 1} ',
    ],
)
def test_what_may_stand_around(body: bytes) -> None:
    assert parse_body(body) == {"A": "1"}


def test_the_encoding_is_utf8_whatever_is_declared() -> None:
    assert parse_body('<?xml version="1.0" encoding="gbk"?><xml><A>中</A></xml>'.encode()) == {"A": "中"}


def test_doctype_in_a_text_is_just_text() -> None:
    text = '<!DOCTYPE html><!ENTITY a "b">'
    assert parse_body(xml(f"<Content><![CDATA[{text}]]></Content>")) == {"Content": text}


def test_a_control_character_does_not_cost_the_message() -> None:
    assert parse_body(xml("<A>a\x08b\x1f\ufffe\tc</A>")) == {"A": "ab\tc"}


def test_a_lone_surrogate_in_json_becomes_a_replacement_character() -> None:
    assert parse_body(b'{"A": "a\\ud83d", "B": ["\\udc00"], "\\ud800": "1"}') == {
        "A": "a\ufffd",
        "B": ["\ufffd"],
        "\ufffd": "1",
    }


def bomb(levels: int) -> bytes:
    entities = '<!ENTITY e0 "lol">' + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels))
    return f"<!DOCTYPE xml [{entities}]><xml><A>&e{levels - 1};</A></xml>".encode()


REFUSED: list[tuple[str, bytes]] = [
    ("doctype", bomb(10)),
    ("doctype", b'<?xml version="1.0"?>' + bomb(10)),
    ("doctype", b"<!-- c -->" + bomb(3)),
    ("doctype", b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><xml/>'),
    ("doctype", b'<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><xml/>'),
    ("doctype", b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xml><A b="&f;">&f;</A></xml>'),
    ("xml", b"<xml><!DOCTYPE x><A/></xml>"),
    ("xml", xml("<A>&undefined;</A>")),
    ("xml", b"<xml><A>"),
    ("xml", b"<xml><A></xml>"),
    ("xml", b"<xml/><xml/>"),
    ("xml", b"<xml></xml>tail"),
    ("xml", b"<!-- only -->"),
    ("xml", b"<"),
    ("xml", xml("<A>&#0;</A>")),
    ("xml", xml("<A>&#xD800;</A>")),
    ("xml", xml("< A>x</A>")),
    ("root", b"<html><A/></html>"),
    ("root", b'<x:xml xmlns:x="u"/>'),
    ("depth", xml("<a>" * 17 + "</a>" * 17)),
    ("depth", xml("<a>" * 20_000)),
    ("utf8", xml("<A>x</A>").replace(b"x</A", b"\xff</A")),
    ("utf8", b"<\xc3\x28"),
    ("utf8", b'{"A": "\xed\xa0\x80"}'),
    ("nul", "<xml/>".encode("utf-16")),
    ("nul", b"<xml><A>x\0y</A></xml>"),
    ("nul", b'{"A": "\\u0000"}'),
    ("nul", b'{"\\u0000": 1}'),
    ("nul", b'{"A": [["\\u0000"]]}'),
    ("empty", b""),
    ("empty", b" \n\t"),
    ("empty", b"\xef\xbb\xbf"),
    ("format", b"hello"),
    ("format", b"null"),
    ("format", b'"text"'),
    ("format", b"A=1&B=2"),
    ("root", b"[1, 2]"),
    ("json", b'{"A": NaN}'),
    ("json", b'{"A": -Infinity}'),
    ("json", b'{"A": 1,}'),
    ("json", b'{"A": 1} {"B": 2}'),
    ("json", b"{'A': 1}"),
    ("json", b'{"A": "\n"}'),
    ("json", b"{"),
    ("duplicate_key", b'{"A": 1, "A": 2}'),
    ("duplicate_key", b'{"X": {"A": 1, "\\u0041": 2}}'),
    ("depth", b'{"A":' * 17 + b"1" + b"}" * 17),
    ("depth", b'{"A":' + b"[" * 17 + b"]" * 17 + b"}"),
    ("depth", b"[" * 30_000 + b"]" * 30_000),
    ("depth", b'{"A":' * 10_000 + b"1" + b"}" * 10_000),
    ("too_large", b"<xml>" + b"x" * MAX_BODY + b"</xml>"),
    ("too_large", b"x" * 10_000_000),
]


@pytest.mark.parametrize(("reason", "body"), REFUSED, ids=[f"{n}-{case[0]}" for n, case in enumerate(REFUSED)])
def test_everything_else_is_malformed_with_its_reason(reason: str, body: bytes) -> None:
    assert reason_of(body) == reason


def test_hostile_bodies_are_cheap() -> None:
    bodies = [
        b"<xml>" + b"<a/>" * 100_000 + b"</xml>",
        b"<xml>" + b"".join(b"<a%d/>" % n for n in range(50_000)) + b"</xml>",
        b'{"A": ' + b"9" * 500_000 + b"}",
        b'{"A": [' + b"1," * 200_000 + b"1]}",
        b"<xml " + b" ".join(b'a%d="1"' % n for n in range(30_000)) + b"/>",
        b"<?xml " + b"a" * 500_000,
        b"<xml>" + b"]]>" * 100_000 + b"</xml>",
    ]
    start = time.process_time()
    for body in bodies:
        try:
            parse_body(body)
        except MalformedPush:
            continue
    assert time.process_time() - start < 5


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_names_made_up_by_strangers_do_not_stay_in_memory() -> None:
    # With libxml2, which never forgets an element name, this grows by some 30 MB.
    def parse_some(start: int, count: int) -> None:
        for n in range(start, start + count):
            parse_body(xml("".join(f"<a{n}_{i}/>" for i in range(4_000))))

    parse_some(0, 25)
    before = resident_megabytes()
    parse_some(25, 175)
    assert resident_megabytes() - before < 10


def test_sniff_agrees_with_parse() -> None:
    assert (sniff(b" \xef\xbb\xbf"[1:] + b"<xml/>"), sniff(b'\n{"A": 1}')) == ("xml", "json")


def well_shaped(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and well_shaped(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(well_shaped, value))
    return isinstance(value, str) and "\0" not in value


@given(
    st.binary(max_size=200)
    | st.binary(max_size=100).map(lambda raw: b"<xml><A>" + raw + b"</A></xml>")
    | st.text("<>/&;![]{}\":,xml?-CDATA \n'=e1\\u0", max_size=120).map(str.encode)
)
@example(b'{"A": 1e99999}')
@example(b"<xml><A xml:space='x'/></xml>")
def test_any_bytes_give_fields_or_a_reason(body: bytes) -> None:
    fields = read(body)
    if isinstance(fields, str):
        assert fields in {reason for reason, _ in REFUSED}
    else:
        assert well_shaped(fields)
        json.dumps(fields, ensure_ascii=False).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["List", "item", "detail", "PicList", "A"]) | st.text(), json_values))
def test_any_json_object_normalises_once_and_for_all(value: dict[str, Any]) -> None:
    fields = read(json.dumps(value).encode())
    if isinstance(fields, str):
        assert fields in {"nul", "depth"}
    else:
        assert well_shaped(fields)
        assert parse_body(json.dumps(fields).encode()) == fields


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")))
def test_text_is_exactly_what_was_sent(content: str) -> None:
    legal = "".join(c for c in content if c in "\t\n" or " " <= c < "\ufffe" or c > "\uffff")
    escaped = content.replace("]]>", "]]]]><![CDATA[>")
    assert parse_body(xml(f"<A><![CDATA[{escaped}]]></A>")) == {"A": legal}
