"""Files of knowledge: Markdown and CSV become rows to import, each with its line or the reason it cannot be one."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kit.ids import key_of
from scrm.assistant.content import Content, check
from scrm.assistant.grams import normal
from scrm.errors import Invalid

LARGEST = 5 * 1024 * 1024  # bytes of a file
MOST_ROWS = 10_000

_COLUMNS = {
    "id": "id", "编号": "id",
    "question": "question", "问题": "question", "标准问": "question", "标准问题": "question",
    "answer": "answer", "答案": "answer", "回答": "answer",
    "alternatives": "alternatives", "相似问": "alternatives", "相似问法": "alternatives",
    "category": "category", "分类": "category", "类别": "category",
}  # fmt: skip
# What .xlsx and .xls files begin with, whatever they are called.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_TITLES = 80  # characters that a report shows of a row that is not taken
_ID = re.compile(r"[\w.:-]{1,100}")
_TITLE = re.compile(r"^#\s+(.+?)\s*$")
_NAMED = re.compile(r"^(.*?)\s*\{#([\w.:-]{1,100})\}$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")


@dataclass(frozen=True, slots=True)
class Row:
    """One entry in a file: `line` is where it begins, counted from 1; `reason` says why it is not taken.

    `title` is its question or heading, to be found by in the file, however wrong it is.

    `says` names the fields of the content that this file has a place for; the others it leaves as they are.
    """

    line: int
    external_id: str = ""
    kind: Literal["article", "qa"] = "qa"
    content: Content | None = None
    says: frozenset[str] = frozenset()
    reason: str = ""
    title: str = ""


def read(data: bytes, form: str) -> list[Row]:
    """Return the rows of a file in form `md` or `csv`, checked; a name used twice counts the first time.

    Raises Invalid naming `file` or `format` for what cannot be read as a whole.
    """
    if form not in {"md", "csv"}:
        raise Invalid("格式只能是 md 或 csv", field="format")
    if len(data) > LARGEST:
        raise Invalid(f"文件最大 {LARGEST // 1024 // 1024} MB", field="file")
    text = decode(data)
    rows = list(_unique(_markdown(text) if form == "md" else _table(text)))
    if not rows:
        raise Invalid("文件里没有内容", field="file")
    if len(rows) > MOST_ROWS:
        raise Invalid(f"一次最多导入 {MOST_ROWS} 条", field="file")
    return rows


def decode(data: bytes) -> str:
    """Return the text of a file as Excel and editors write them: UTF-8, UTF-16 with its mark, GB18030."""
    if data.startswith(_WORKBOOKS):
        raise Invalid("这是 Excel 工作簿，请在 Excel 里“另存为”CSV 再导入", field="file")
    encodings = ["utf-16"] if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Invalid("文件编码无法识别，请另存为 UTF-8", field="file")


def read_synonyms(data: bytes) -> list[list[str]]:
    """Return the groups of a text file: one a line, words parted by spaces or commas, `#` begins a comment.

    Raises Invalid naming `file`.
    """
    if len(data) > LARGEST:
        raise Invalid(f"文件最大 {LARGEST // 1024 // 1024} MB", field="file")
    lines = (line.partition("#")[0] for line in decode(data).splitlines())
    return [words for line in lines if (words := [word for word in re.split(r"[\s,，、]+", line) if word])]


def _row(
    line: int, kind: Literal["article", "qa"], name: str, content: Content, more: frozenset[str] = frozenset()
) -> Row:
    title = content.title.strip()[:_TITLES]
    if name and not _ID.fullmatch(name):
        return Row(line, reason="id: 编号只含字母、数字和 _ . : -，最长 100 个字符", title=title)
    try:
        content = check(kind, content)
    except Invalid as refused:
        return Row(
            line, reason=f"{_FIELDS[kind].get(refused.field or '', refused.field)}: {refused.title}", title=title
        )
    # Without a name of its own a row is known by its title, so a file may be imported again.
    return Row(line, name or f"title:{key_of(kind, normal(content.title)).hex}", kind, content, _SAID | more)


_SAID = frozenset({"title", "body"})
_FIELDS = {"qa": {"title": "question", "body": "answer"}, "article": {"title": "title", "body": "body"}}


def _unique(rows: Iterator[Row]) -> Iterator[Row]:
    seen: dict[str, int] = {}
    for row in rows:
        first = seen.setdefault(row.external_id, row.line) if row.content else row.line
        if row.content is None or first == row.line:
            yield row
        else:
            yield Row(row.line, reason=f"与第 {first} 行重复", title=row.content.title[:_TITLES])


def _table(text: str) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_parted_by(text), strict=True)
    begins = 1
    names: Sequence[str] | None = None
    try:
        for cells in lines:
            line, begins = begins, lines.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                if not cells[0].lower().startswith("sep="):  # Excel's own word for what parts the cells
                    names = _header(cells)
                continue
            if len(cells) > len(names):
                title = cells[names.index("question")].strip()[:_TITLES]
                yield Row(line, reason=f"有 {len(cells)} 列，表头只有 {len(names)} 列", title=title)
                continue
            given = dict(zip(names, cells, strict=False))
            ways = tuple(filter(str.strip, re.split(r"[|｜\n]", given.get("alternatives", ""))))
            content = Content(given.get("question", ""), given.get("answer", ""), ways, given.get("category", ""))
            optional = frozenset({"alternatives", "category"}.intersection(names))
            yield _row(line, "qa", given.get("id", "").strip(), content, optional)
    except csv.Error:
        # From here on nobody knows where a row begins.
        raise Invalid(f"第 {begins} 行起不是正确的 CSV（引号不成对，或单元格过长）", field="file") from None


def _parted_by(text: str) -> str:
    """Return what parts the cells: a comma, or what Excel writes where commas mean something else."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    return max(",", ";", "\t", key=head.count)


def _header(cells: Sequence[str]) -> list[str]:
    names = [_COLUMNS.get(cell.strip().lower(), "") for cell in cells]
    for needed, title in (("question", "问题 question"), ("answer", "答案 answer")):
        if names.count(needed) != 1:
            read = "、".join(" ".join(cell.split())[:20] for cell in cells[:8])
            read = read if read.isprintable() else "乱码"
            raise Invalid(f"表头要有且只有一列“{title}”，文件的第一行是：{read}", field="file")
    return names


def _markdown(text: str) -> Iterator[Row]:
    """Yield an article for each heading of the first level; `{#name}` at its end names it."""
    began, title, name, body, fenced = 0, "", "", [""], False
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
        heading = None if fenced else _TITLE.match(line)
        if heading is None:
            body.append(line)
            continue
        yield from _article(began, title, name, body)
        named = _NAMED.match(heading[1])
        began, body = number, []
        title, name = (named[1], named[2]) if named else (heading[1], "")
    yield from _article(began, title, name, body)


def _article(line: int, title: str, name: str, body: Sequence[str]) -> Iterator[Row]:
    if line:
        yield _row(line, "article", name, Content(title, "\n".join(body)))
    elif "".join(body).strip():
        yield Row(1, reason="title: 第一个一级标题（# 标题）之前的内容没有标题")
