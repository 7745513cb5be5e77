"""Draws a month as a picture card, for a phone: a heading, a big number, the days with their marks."""

import calendar
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

# Fonts with Chinese characters, and which face of a collection: ours if somebody put one there, else the system's.
ASSETS = Path(__file__).parent.parent / "assets" / "fonts"
REGULAR = (
    (ASSETS / "regular.otf", 0),
    (Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"), 2),
    (Path("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc"), 2),
    (Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"), 0),
    (Path("/System/Library/Fonts/PingFang.ttc"), 0),
    (Path("C:/Windows/Fonts/msyh.ttc"), 0),
)
BOLD = (
    (ASSETS / "bold.otf", 0),
    (Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc"), 2),
    (Path("/usr/share/fonts/noto-cjk/NotoSansCJK-Bold.ttc"), 2),
    (Path("C:/Windows/Fonts/msyhbd.ttc"), 0),
    *REGULAR,
)

WIDTH, MARGIN, CELL, SCALE = 720, 36, 92, 2  # drawn twice as large and reduced, so that edges are smooth
PAPER, CARD, INK, FAINT, LINE = "#f4efe6", "#ffffff", "#2c2a26", "#b9b2a5", "#e9e2d5"
TOP, BOTTOM = (30, 122, 94), (78, 168, 125)
DONE, MADE_UP = "#2f8f6b", "#d9932f"

Fonts = tuple[tuple[Path, int], ...]


class NoFontError(Exception):
    """No font with Chinese characters is on this machine."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is to be drawn. `marks` says of days "done" or "made_up"; lines are cut where they do not fit."""

    title: str
    number: int
    caption: str  # beside the number
    first: date  # of the month
    today: date
    marks: Mapping[date, str]
    footer: str = ""


@cache
def _font(fonts: Fonts, size: int) -> ImageFont.FreeTypeFont:
    for path, index in fonts:
        if path.is_file():
            return ImageFont.truetype(path, size * SCALE, index=index)
    raise NoFontError("no font with Chinese characters: put one at assets/fonts/regular.otf")


def draw(card: Card, *, regular: Fonts = REGULAR, bold: Fonts = BOLD) -> bytes:
    """Return the card as a PNG 720 pixels wide. Takes some 0.1 s: call it in a thread. Raises NoFontError."""
    weeks = calendar.Calendar().monthdatescalendar(card.first.year, card.first.month)
    height = 250 + 84 + len(weeks) * CELL + 40 + (76 if card.footer else 0)
    image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), PAPER)
    pen = ImageDraw.Draw(image)
    _heading(image, pen, card, regular, bold)
    _box(pen, (MARGIN / 2, 226, WIDTH - MARGIN / 2, 250 + 84 + len(weeks) * CELL + 12), 28, CARD)
    left = (WIDTH - 7 * CELL) / 2
    for column, name in enumerate("一二三四五六日"):
        _text(pen, (left + column * CELL + CELL / 2, 282), name, _font(regular, 24), FAINT)
    for row, week in enumerate(weeks):
        for column, day in enumerate(week):
            if day.month == card.first.month:
                _day(pen, (left + column * CELL + CELL / 2, 334 + row * CELL + CELL / 2 - 4), day, card, regular, bold)
    if card.footer:
        _text(pen, (WIDTH / 2, height - 54), card.footer[:28], _font(regular, 24), "#8a8375")
    out = io.BytesIO()
    image.resize((WIDTH, height), Image.Resampling.LANCZOS).save(out, format="PNG", optimize=True)
    return out.getvalue()


def _heading(image: Image.Image, pen: ImageDraw.ImageDraw, card: Card, regular: Fonts, bold: Fonts) -> None:
    tall = 300 * SCALE
    for y in range(tall):
        mixed = tuple(round(a + (b - a) * y / tall) for a, b in zip(TOP, BOTTOM, strict=True))
        pen.line([(0, y), (image.width, y)], fill=(mixed[0], mixed[1], mixed[2]))
    _text(pen, (MARGIN, 62), card.title[:18], _font(bold, 34), "white", anchor="lm")
    number = str(card.number)
    _text(pen, (MARGIN, 150), number, _font(bold, 88), "white", anchor="lm")
    beside = MARGIN + pen.textlength(number, font=_font(bold, 88)) / SCALE + 18
    _text(pen, (beside, 172), card.caption[:16], _font(regular, 28), "#e6f3ec", anchor="lm")


def _day(
    pen: ImageDraw.ImageDraw, centre: tuple[float, float], day: date, card: Card, regular: Fonts, bold: Fonts
) -> None:
    x, y = centre
    mark, radius = card.marks.get(day), 34
    if mark is not None:
        _circle(pen, (x, y), radius, fill=DONE if mark == "done" else MADE_UP)
    elif day == card.today:
        _circle(pen, (x, y), radius, outline=DONE)
    elif day < card.today:
        _circle(pen, (x, y), radius, fill="#f7f4ee")
    colour = "white" if mark else FAINT if day != card.today else DONE
    if day > card.today and mark is None:
        colour = INK
    face = _font(bold if mark or day == card.today else regular, 28)
    _text(pen, (x, y - (6 if mark else 0)), str(day.day), face, colour)
    if mark == "done":
        points = [(x - 9, y + 19), (x - 2, y + 25), (x + 10, y + 13)]
        pen.line([(a * SCALE, b * SCALE) for a, b in points], fill="white", width=4 * SCALE, joint="curve")
    elif mark is not None:
        _text(pen, (x, y + 20), "补", _font(bold, 16), "white")


def _text(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont,
    colour: str,
    anchor: str = "mm",
) -> None:
    pen.text((at[0] * SCALE, at[1] * SCALE), text, font=font, fill=colour, anchor=anchor)


def _circle(
    pen: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    radius: float,
    *,
    fill: str | None = None,
    outline: str | None = None,
) -> None:
    x, y = centre
    box = [(x - radius) * SCALE, (y - radius) * SCALE, (x + radius) * SCALE, (y + radius) * SCALE]
    pen.ellipse(box, fill=fill, outline=outline, width=3 * SCALE if outline else 0)


def _box(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], radius: float, colour: str) -> None:
    pen.rounded_rectangle([side * SCALE for side in box], radius * SCALE, fill=colour, outline=LINE, width=SCALE)
