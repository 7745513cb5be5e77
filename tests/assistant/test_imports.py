"""Importing files: what becomes of each row, what a second import does, and files that nobody wrote on purpose."""

import asyncio
import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tortoise.context import TortoiseContext

from scrm.assistant import knowledge, queries
from scrm.assistant.content import Content, storable
from scrm.assistant.files import LARGEST, decode, read, read_synonyms
from scrm.assistant.importing import Line, Report, import_file
from scrm.db import Transaction
from scrm.errors import Invalid
from tests.assistant.shelves import Shelf, open_shelf
from tests.conftest import START

TABLE = """编号,问题,答案,相似问法,分类
returns,如何退货？,七天内可退。,退东西|退货流程,售后
,运费多少？,满 99 元包邮。,,配送
"""

PAGE = """# 会员等级 {#levels}

四个等级。

## 门槛

铜牌一百。

```
# 不是标题
```

# 储存

密封。
"""


async def bring(shelf: Shelf, data: str | bytes, form: str = "csv", *, publish: bool = False) -> Report:
    raw = data.encode() if isinstance(data, str) else data
    return await import_file(brand_id=shelf.brand_id, data=raw, form=form, author="import", now=START, publish=publish)


def counts(report: Report) -> tuple[int, int, int, int]:
    return (report.count("created"), report.count("updated"), report.count("unchanged"), report.count("rejected"))


class TestAgain:
    async def test_a_second_import_changes_nothing(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        assert counts(await bring(shelf, TABLE)) == (2, 0, 0, 0)
        assert counts(await bring(shelf, TABLE)) == (0, 0, 2, 0)
        rows = await queries.entries(shelf.brand_id)
        assert [(row.title, row.status, row.newest) for row in rows] == [
            ("运费多少？", "draft", 1),
            ("如何退货？", "draft", 1),
        ]
        view = await queries.entry(shelf.brand_id, rows[1].id)
        assert view.newest.content == Content("如何退货？", "七天内可退。", ("退东西", "退货流程"), "售后")
        assert (view.row.external_id, view.newest.author) == ("returns", "import")

    async def test_a_changed_row_is_a_new_version(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        await bring(shelf, TABLE, publish=True)
        report = await bring(shelf, TABLE.replace("七天", "十五天"))
        assert [line.outcome for line in report.lines] == ["updated", "unchanged"]
        entry_id = report.lines[0].entry_id
        assert entry_id is not None
        row = (await queries.entry(shelf.brand_id, entry_id)).row
        assert (row.newest, row.published) == (2, 1)
        # Said again with `publish`, it is shown; then there is nothing left to do.
        assert counts(await bring(shelf, TABLE.replace("七天", "十五天"), publish=True)) == (0, 1, 1, 0)
        assert (await queries.entry(shelf.brand_id, entry_id)).row.published == 2
        assert counts(await bring(shelf, TABLE.replace("七天", "十五天"), publish=True)) == (0, 0, 2, 0)

    async def test_what_a_file_has_no_place_for_stays(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        entry_id = (await bring(shelf, TABLE)).lines[0].entry_id
        assert entry_id is not None
        report = await bring(shelf, "id,question,answer\nreturns,怎么退货？,七天。\n")
        assert [line.outcome for line in report.lines] == ["updated"]
        content = (await queries.entry(shelf.brand_id, entry_id)).newest.content
        assert content == Content("怎么退货？", "七天。", ("退东西", "退货流程"), "售后")

    async def test_an_archived_entry_stays_archived(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        entry_id = (await bring(shelf, TABLE, publish=True)).lines[0].entry_id
        assert entry_id is not None
        await shelf.archive(entry_id)
        assert counts(await bring(shelf, TABLE, publish=True)) == (0, 0, 2, 0)
        assert (await queries.entry(shelf.brand_id, entry_id)).row.status == "archived"

    async def test_two_imports_of_one_file_at_once(self, db: TortoiseContext) -> None:
        shelf = await open_shelf()
        reports = await asyncio.gather(*(bring(shelf, TABLE, publish=True) for _ in range(4)))
        assert sorted(counts(report) for report in reports) == [(0, 0, 2, 0)] * 3 + [(2, 0, 0, 0)]
        assert len(await queries.entries(shelf.brand_id)) == 2

    async def test_brands_do_not_share_names(self, tx_db: Transaction) -> None:
        one, two = await open_shelf(), await open_shelf()
        assert counts(await bring(one, TABLE)) == counts(await bring(two, TABLE)) == (2, 0, 0, 0)


class TestRows:
    async def test_a_bad_row_is_reported_by_its_line_and_the_others_are_written(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        table = (
            'id,question,answer\na,"问\n题",答案\nb,,答案\nc,问题三,\na,又一个,答案\n'
            'bad id,问题五,答案\nf,问题六,答案,多\n\ng,问题七,"答案\n两行"\n'
        )
        report = await bring(shelf, table)
        assert [(line.line, line.outcome, line.reason) for line in report.lines] == [
            (2, "created", ""),
            (4, "rejected", "question: 标题或问题的长度为 1 到 200 个字符"),
            (5, "rejected", "answer: 正文或答案的长度为 1 到 2000 个字符"),
            (6, "rejected", "与第 2 行重复"),
            (7, "rejected", "id: 编号只含字母、数字和 _ . : -，最长 100 个字符"),
            (8, "rejected", "有 4 列，表头只有 3 列"),
            (10, "created", ""),
        ]
        assert [row.title for row in await queries.entries(shelf.brand_id)] == ["问题七", "问 题"]

    async def test_a_name_of_another_kind_is_refused(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        await bring(shelf, TABLE)
        report = await bring(shelf, "# 退货 {#returns}\n\n正文", "md")
        assert report.lines == (Line(1, "rejected", "退货", reason="id: 这个编号已经用于另一种内容"),)

    async def test_markdown_becomes_an_article_for_each_first_level_heading(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        report = await bring(shelf, PAGE, "md", publish=True)
        assert [(line.line, line.outcome, line.title) for line in report.lines] == [
            (1, "created", "会员等级"),
            (13, "created", "储存"),
        ]
        rows = await queries.entries(shelf.brand_id)
        assert [(row.kind, row.status) for row in rows] == [("article", "published")] * 2
        levels = (await queries.entry(shelf.brand_id, rows[1].id)).newest.content
        assert levels.body == "四个等级。\n\n## 门槛\n\n铜牌一百。\n\n```\n# 不是标题\n```"
        assert counts(await bring(shelf, PAGE, "md", publish=True)) == (0, 0, 2, 0)

    async def test_text_above_the_first_heading_is_reported(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        report = await bring(shelf, "前言\n\n# 标题\n\n正文", "md")
        assert [(line.line, line.outcome) for line in report.lines] == [(1, "rejected"), (3, "created")]

    async def test_thousands_of_rows(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        table = "question,answer\n" + "".join(f"问题 {n}？,答案 {n}\n" for n in range(5000))
        assert counts(await bring(shelf, table, publish=True)) == (5000, 0, 0, 0)
        assert counts(await bring(shelf, table, publish=True)) == (0, 0, 5000, 0)


class TestFiles:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
    def test_encodings_of_excel_and_editors(self, encoding: str) -> None:
        rows = read(TABLE.replace("\n", "\r\n").encode(encoding), "csv")
        assert [row.content and row.content.title for row in rows] == ["如何退货？", "运费多少？"]
        assert [row.line for row in rows] == [2, 3]

    @pytest.mark.parametrize(
        ("data", "form", "field"),
        [
            (b"", "csv", "file"),
            (b"question,answer\n", "csv", "file"),
            (b"question\nx\n", "csv", "file"),
            (b"question,answer,answer\nx,y,z\n", "csv", "file"),
            (b'question,answer\nx,"y\n', "csv", "file"),
            (b'question,answer\nx,"y"z\n', "csv", "file"),
            (b"\xff\xfe\x00", "csv", "file"),
            (b"\x80\xff\xff", "md", "file"),
            (b" " * (LARGEST + 1), "md", "file"),
            (b"question,answer\nx,y\n", "xlsx", "format"),
        ],
    )
    def test_what_cannot_be_read_as_a_whole_is_refused(self, data: bytes, form: str, field: str) -> None:
        with pytest.raises(Invalid) as refused:
            read(data, form)
        assert refused.value.field == field

    def test_a_quote_that_never_ends_names_its_line(self) -> None:
        with pytest.raises(Invalid, match="第 3 行起"):
            read('question,answer\n好,好\n坏,"坏\n好,好\n'.encode(), "csv")

    @pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
    @pytest.mark.parametrize("mark", [";", "\t"])
    def test_excel_parts_cells_by_other_marks_too(self, mark: str, encoding: str) -> None:
        (row,) = read(f"编号{mark}问题{mark}答案\r\nx{mark}怎么走，远吗？{mark}坐地铁。\r\n".encode(encoding), "csv")
        assert row.content is not None
        assert (row.external_id, row.content.title, row.content.body) == ("x", "怎么走，远吗？", "坐地铁。")

    def test_excels_own_word_for_what_parts_the_cells_is_no_header(self) -> None:
        (row,) = read("sep=;\r\n问题;答案\r\n怎么走？;坐地铁。\r\n".encode("utf-8-sig"), "csv")
        assert row.content is not None
        assert (row.line, row.content.title, row.content.body) == (3, "怎么走？", "坐地铁。")

    def test_a_wide_blank_in_a_header_is_no_garbage(self) -> None:
        with pytest.raises(Invalid, match="文件的第一行是：问 题、答案"):
            read("问\u3000题,答案\na,b\n".encode(), "csv")

    @pytest.mark.parametrize("magic", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
    def test_a_workbook_under_another_name_is_told_so(self, magic: bytes) -> None:
        with pytest.raises(Invalid, match="这是 Excel 工作簿，请在 Excel 里“另存为”CSV 再导入"):
            read(magic + bytes(range(256)), "csv")

    def test_a_wrong_header_is_shown_as_it_was_read(self) -> None:
        with pytest.raises(Invalid, match="表头要有且只有一列“问题 question”，文件的第一行是：题目、内容"):
            read("题目,内容\na,b\n".encode("gb18030"), "csv")

    def test_a_rejected_row_says_which_question_it_is(self) -> None:
        rows = read("编号,问题,答案\na,问一,\n坏 号,问二,答\nc,问三,答,多\nd,问四,答\nd,问五,答\n".encode(), "csv")
        assert [(row.line, row.title) for row in rows if row.reason] == [
            (2, "问一"),
            (3, "问二"),
            (4, "问三"),
            (6, "问五"),
        ]

    def test_synonyms_one_group_a_line(self) -> None:
        text = "# 说明\n退款 退钱，返款\n\n包邮、免邮 # 运费\n"
        assert read_synonyms(text.encode("gb18030")) == [["退款", "退钱", "返款"], ["包邮", "免邮"]]


class TestGarbage:
    @given(data=st.binary(max_size=400), form=st.sampled_from(["csv", "md"]))
    def test_bytes_are_read_or_refused(self, data: bytes, form: str) -> None:
        rows = []
        with suppress(Invalid):
            rows = read(data, form)
        assert all((row.content is None) == bool(row.reason) for row in rows)
        assert all(row.content is None or storable(row.content.title + row.content.body) for row in rows)
        lines = [row.line for row in rows]
        assert lines == sorted(set(lines))
        names = [row.external_id for row in rows if row.content]
        assert len(names) == len(set(names))

    @given(
        st.lists(
            st.tuples(
                st.text(alphabet="问题,\"\n\r 'a", min_size=1, max_size=20),
                st.text(alphabet='答案；"\n\t,|', min_size=1, max_size=20),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_whatever_a_program_writes_as_csv_is_read_back(self, pairs: list[tuple[str, str]]) -> None:
        out = io.StringIO(newline="")
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        writer.writerow(["question", "answer"])
        writer.writerows(pairs)
        try:
            rows = read(out.getvalue().encode(), "csv")
        except Invalid:
            # Only blanks were written.
            assert all(not question.strip() and not answer.strip() for question, answer in pairs)
            return
        expected: dict[str, str] = {}
        for question, answer in pairs:
            if question.strip() and answer.strip():
                expected.setdefault(" ".join(question.split()), answer.strip())
        assert {row.content.title: row.content.body for row in rows if row.content} == expected

    @given(st.text(max_size=200))
    def test_utf8_is_never_taken_for_something_else(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        if data[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
            assert decode(data) == data.decode("utf-8-sig")


async def test_an_entry_of_a_file_can_be_edited_like_any_other(tx_db: Transaction) -> None:
    shelf = await open_shelf()
    entry_id = (await bring(shelf, TABLE)).lines[0].entry_id
    assert entry_id is not None
    assert await shelf.edit(entry_id, Content("退货", "不退。"), 1) == 2
    await knowledge.publish(brand_id=shelf.brand_id, entry_id=entry_id, version=2, now=START)
    # The file says what it said, so it wins: a third version, which fans do not see yet.
    assert [line.outcome for line in (await bring(shelf, TABLE)).lines] == ["updated", "unchanged"]
    row = (await queries.entry(shelf.brand_id, entry_id)).row
    assert (row.newest, row.published) == (3, 2)
