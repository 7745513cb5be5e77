"""The month as a picture: every day has its colour where the eye looks for it."""

import io
from datetime import date
from pathlib import Path

import pytest
from PIL import Image, ImageColor

from kit.calendar_card import BOLD, CELL, DONE, MADE_UP, REGULAR, WIDTH, Card, NoFontError, draw

MARCH = Card(
    "青屿茶舍 · 2026年3月",
    4,
    "天连续签到",
    first=date(2026, 3, 1),
    today=date(2026, 3, 15),
    marks={date(2026, 3, 9): "done", date(2026, 3, 11): "made_up"},
    footer="明天再来：积分 +1，成长值 +3",
)


@pytest.mark.skipif(not any(path.is_file() for path, _ in REGULAR), reason="no font with Chinese characters here")
def test_days_are_marked_in_their_places() -> None:
    picture = Image.open(io.BytesIO(draw(MARCH)))
    assert (picture.format, picture.size) == ("PNG", (WIDTH, 250 + 84 + 6 * CELL + 40 + 76))

    def colour(week: int, weekday: int) -> object:
        """The pixel near the left edge of a day's circle."""
        left = (WIDTH - 7 * CELL) // 2
        return picture.getpixel((left + weekday * CELL + CELL // 2 - 28, 334 + week * CELL + CELL // 2 - 4))

    white = (255, 255, 255)
    assert colour(2, 0) == ImageColor.getrgb(DONE)  # Monday the 9th
    assert colour(2, 1) == ImageColor.getrgb("#f7f4ee")  # missed
    assert colour(2, 2) == ImageColor.getrgb(MADE_UP)
    assert (colour(2, 6), colour(3, 0), colour(0, 0)) == (white, white, white)  # today, to come, not of this month


def test_a_machine_without_such_a_font_is_told_so(tmp_path: Path) -> None:
    nowhere = ((tmp_path / "regular.otf", 0),)
    with pytest.raises(NoFontError, match="assets/fonts"):
        draw(MARCH, regular=nowhere, bold=nowhere)
    assert set(REGULAR) < set(BOLD)
