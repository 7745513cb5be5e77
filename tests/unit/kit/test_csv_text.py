"""CSV that a spreadsheet takes for text: whatever people write, no cell begins a formula, and it is read back."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from kit import csv_text


def test_what_a_spreadsheet_would_run_is_text() -> None:
    for cell in ("=1+1", "+86", "-2", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "\n=1"):
        assert csv_text.plain(cell) == f"'{cell}"
    for cell in ("小明", "138****5678", "a=b", "", "'x"):
        assert csv_text.plain(cell) == cell
    assert [csv_text.plain(cell) for cell in (-3, 0, None)] == ["-3", "0", ""]


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=4), max_size=5))
def test_rows_come_back_as_they_were(rows: list[list[str]]) -> None:
    text = csv_text.lines(rows).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [[csv_text.plain(cell) for cell in row] for row in rows]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in read for cell in row)
