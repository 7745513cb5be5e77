"""From an article to passages: short enough to be sent or cited, long enough to make sense alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

LENGTH = 300  # characters a passage of an article has at most, unless one sentence is longer
LONGEST = 600

_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\([^)\n]*\)")
_LINK = re.compile(r"\[([^\]\n]+)\]\([^)\n]*\)")
_MARKS = re.compile(r"^ {0,3}>\s?|^\s*[-*+]\s+(?=\S)|`+|\*\*|__", re.MULTILINE)
_SENTENCE = re.compile(r"[^。！？!?；;\n]*[。！？!?；;\n]|[^。！？!?；;\n]+$")


@dataclass(frozen=True, slots=True)
class Part:
    """Plain text of a passage, and the heading in the article that it stands under; empty above the first."""

    anchor: str
    text: str


def split(kind: Literal["article", "qa"], body: str) -> list[Part]:
    """Return the passages of a body. An answer is one passage, as it is sent; an article is split by its headings,
    then by paragraphs, and where a paragraph is too long by sentences."""
    if kind == "qa":
        return [Part("", body)]
    return [Part(anchor, passage) for anchor, paragraphs in _sections(body) for passage in _packed(_pieces(paragraphs))]


def plain(markdown: str) -> str:
    """Return Markdown as WeChat's plain text shows it: without marks, of a link its words."""
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", markdown))
    return _MARKS.sub(lambda found: "· " if found[0].strip() in {"-", "*", "+"} else "", text).strip()


def _sections(body: str) -> Iterator[tuple[str, list[str]]]:
    anchor, lines, fenced = "", [""], False
    for line in body.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (heading := _HEADING.match(line)):
            yield anchor, _paragraphs(lines)
            anchor, lines = plain(heading[1])[:120], []
        else:
            lines.append(line)
    yield anchor, _paragraphs(lines)


def _paragraphs(lines: list[str]) -> list[str]:
    return [text for block in re.split(r"\n\s*\n", "\n".join(lines)) if (text := plain(block))]


def _pieces(paragraphs: list[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        if len(paragraph) <= LENGTH:
            yield paragraph
            continue
        for sentence in _packed(_SENTENCE.findall(paragraph), glue=""):
            yield from (sentence[start : start + LONGEST] for start in range(0, len(sentence), LONGEST))


def _packed(pieces: Iterator[str] | list[str], glue: str = "\n") -> Iterator[str]:
    """Yield neighbours joined as long as they stay within LENGTH."""
    held = ""
    for piece in pieces:
        if held and len(held) + len(glue) + len(piece) > LENGTH:
            yield held.strip()
            held = piece
        else:
            held = f"{held}{glue}{piece}" if held else piece
    if held.strip():
        yield held.strip()
