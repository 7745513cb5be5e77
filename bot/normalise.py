"""Turns the body of a push, XML or JSON, into one shape: str, list and dict, nothing else.

The shape, whichever way it came (traps: wechat.md §2.5):

* Text is exactly what was sent, never stripped; an empty element and a JSON null are `""`.
* Numbers stay text, `true` and `false` too: one way to read them, and 64-bit ids keep their digits.
* A field of `_LISTS` is always a list; a list's wrapping `{"item": ...}` is taken off.
* `SubscribeMsg…Event/List` of XML stands at the top as `List`, where JSON has it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, Literal
from xml.parsers import expat

from bot.errors import MalformedPush

MAX_BODY: Final = 64 * 1024
"""Bytes; far above any push (a fan's text ends at 2 kB), far below what hurts."""

_MAX_DEPTH: Final = 16
_BOM: Final = b"\xef\xbb\xbf"

# Whatever the count on the wire, these are lists. `detail` is one only as an object: wxa_punish_event has
# a plain text of that name.
_LISTS: Final = frozenset({"List", "PicList", "ResultList", "item", "Actions", "illegal_content", "fail_idx", "detail"})
_TEXT_TOO: Final = frozenset({"detail"})
_WRAPPERS: Final = ("SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent")

# A message as WeChat writes nearly all of them: one level, each field a CDATA section or a number. Read by this one
# expression, field by field and then the rest, it costs a fifth of what the parser's callbacks do; whatever is written
# otherwise goes to the parser, and a test holds the two to the same answers. No `]`, carriage return or control
# character: the parser treats those.
_FLAT_FIELD = re.compile(
    r"[ \t\n]*<([A-Za-z_][A-Za-z0-9_]*)>(?:<!\[CDATA\[([^\]\x00-\x08\x0b-\x1f\ufffe\uffff]*)\]\]>|([0-9]*))</\1>"
    r"|([\s\S]+)"
)

_NOT_XML = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def sniff(body: bytes) -> Literal["xml", "json"]:
    """Tell by its first character what a body is; raises `MalformedPush` (`empty`, `format`)."""
    if body.startswith(b"<"):
        return "xml"
    start = body[:64].removeprefix(_BOM).lstrip()[:1]
    if start == b"<":
        return "xml"
    if start in (b"{", b"["):
        return "json"
    raise MalformedPush("format" if start else "empty")


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the fields of a push in the one shape this module describes.

    Raises `MalformedPush` and nothing else: `too_large`, `empty`, `format`, `utf8`, `nul`, `doctype`, `xml`,
    `root`, `json`, `duplicate_key`, `depth`.
    """
    if len(body) > MAX_BODY:
        raise MalformedPush("too_large")
    if b"\0" in body:
        raise MalformedPush("nul")
    body = body.removeprefix(_BOM)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise MalformedPush("utf8") from None
    fields = (_parse_flat_xml(text) or _parse_xml(text)) if sniff(body) == "xml" else _parse_json(text)
    for name in _WRAPPERS:
        if name in fields and isinstance(fields[name], dict) and "List" in fields[name]:
            fields.setdefault("List", fields.pop(name)["List"])
    return fields


def _parse_flat_xml(text: str) -> dict[str, Any] | None:
    """Return what `_parse_xml` would for a plain message, None for anything else."""
    if not text.startswith("<xml>"):
        return None
    *found, (_, _, _, rest) = _FLAT_FIELD.findall(text, len("<xml>")) or [("", "", "", "")]
    if rest.strip(" \t\n") != "</xml>":
        return None
    fields = {name: cdata or number for name, cdata, number, _ in found}
    # A name that comes twice, or is of a list, is the parser's business.
    return fields if 0 < len(fields) == len(found) and _LISTS.isdisjoint(fields) else None


def _parse_xml(text: str) -> dict[str, Any]:
    # expat and not lxml: libxml2 keeps every element name it has ever seen, so that strangers could fill our
    # memory with made-up names before any signature can be checked.
    opened: list[dict[str, list[Any]]] = [{}]  # the children of the elements that are open now
    pieces: list[str] = []  # the text since the last tag; a leaf has no tag inside, so it is all of a leaf's

    def start(_name: str, _attributes: dict[str, str]) -> None:
        if len(opened) > _MAX_DEPTH + 1:
            raise MalformedPush("depth")
        opened.append({})
        pieces.clear()

    def end(name: str) -> None:
        children = opened.pop()
        opened[-1].setdefault(name, []).append(_fields(children) if children else "".join(pieces))
        pieces.clear()

    def doctype(*_declaration: Any) -> None:
        raise MalformedPush("doctype")  # before a single entity can be declared

    parser = expat.ParserCreate("utf-8")  # whatever the declaration claims
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = pieces.append
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text, True)
    except expat.ExpatError:
        # A control character that slipped through WeChat must not cost the fan the whole message.
        readable = _NOT_XML.sub("", text)
        if readable == text:
            raise MalformedPush("xml") from None
        return _parse_xml(readable)
    if "xml" not in opened[0]:
        raise MalformedPush("root")
    (fields,) = opened[0]["xml"]
    return fields if isinstance(fields, dict) else {}


def _fields(children: dict[str, list[Any]]) -> dict[str, Any]:
    return {name: _settle(name, values[0] if len(values) == 1 else values) for name, values in children.items()}


def _parse_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise MalformedPush("depth") from None
    except ValueError:
        raise MalformedPush("json") from None
    if not isinstance(value, dict):
        raise MalformedPush("root")
    fields: dict[str, Any] = _plain(value, 1)
    return fields


def _no_constant(_name: str) -> Any:
    raise MalformedPush("json")  # NaN and Infinity are not JSON


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedPush("duplicate_key")
    return fields


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        if "\0" in value:  # it came as \u0000; PostgreSQL cannot store it
            raise MalformedPush("nul")
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)
    if depth > _MAX_DEPTH:
        raise MalformedPush("depth")
    if isinstance(value, dict):
        return {_plain(name, depth): _settle(name, _plain(item, depth + 1)) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return {None: "", True: "true", False: "false"}[value]


def _settle(name: str, value: Any) -> Any:
    """Give a field its one shape: lists are lists, whatever their wrapping or length."""
    if isinstance(value, dict) and len(value) == 1 and "item" in value:
        value = value["item"]
    if name in _LISTS and not isinstance(value, list):
        if isinstance(value, str) and name in _TEXT_TOO:
            return value
        return [value] if value else []
    return value
