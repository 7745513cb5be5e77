"""Tables as CSV that a spreadsheet opens as text: UTF-8 marked for Excel, and no cell that is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

# Excel takes a file for UTF-8 by this alone.
MARK = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def plain(cell: object) -> str:
    """Return a cell as text; what a spreadsheet would run as a formula gets an apostrophe. Numbers stay numbers."""
    if cell is None:
        return ""
    if isinstance(cell, int):
        return str(cell)
    text = str(cell).replace("\x00", "")
    return f"'{text}" if text.lstrip(" \u3000").startswith(_FORMULA) or text.startswith(_FORMULA) else text


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Return rows as bytes of a CSV file, quoted where needed, CRLF at the end of each."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow([plain(cell) for cell in row])
    return out.getvalue().encode()
