"""Writing the knowledge base: versions that stay, publishing and going back, who came too late, whose it is."""

import asyncio

import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm.assistant import knowledge, queries
from scrm.assistant.content import ANSWER, Content
from scrm.db import Transaction, fetch
from scrm.errors import Conflict, DomainError, Invalid, NotFound
from tests.assistant.shelves import AUTHOR, open_shelf
from tests.conftest import START
from tests.factories import value

FIRST = Content("如何退货？", "七天内可退。", ("退货流程",), "售后")
SECOND = Content("如何退货？", "十五天内可退。", ("退货流程",), "售后")


async def revision(brand_id: int) -> int:
    number: int = await value("SELECT revision FROM knowledge_base WHERE brand_id = $1", brand_id)
    return number


class TestVersions:
    async def test_an_edit_is_a_new_version_and_fans_see_it_when_it_is_published(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        entry_id = await shelf.publish(FIRST.title, FIRST.body, alternatives=FIRST.alternatives, category="售后")
        assert await revision(shelf.brand_id) == 1
        assert await shelf.edit(entry_id, SECOND, 1) == 2
        view = await queries.entry(shelf.brand_id, entry_id)
        assert (view.row.status, view.row.newest, view.row.published) == ("published", 2, 1)
        assert (view.newest.content, view.published and view.published.content) == (SECOND, FIRST)
        assert await revision(shelf.brand_id) == 1
        await shelf.show(entry_id, 2)
        assert await revision(shelf.brand_id) == 2
        # And back again.
        await shelf.show(entry_id, 1)
        view = await queries.entry(shelf.brand_id, entry_id)
        assert (view.row.newest, view.row.published) == (2, 1)
        assert [one.content for one in await queries.versions(shelf.brand_id, entry_id)] == [SECOND, FIRST]
        assert [one.number for one in await queries.versions(shelf.brand_id, entry_id, before=2)] == [1]

    async def test_repeating_a_command_changes_nothing(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        key = key_of("once")
        made = [
            await knowledge.create(brand_id=shelf.brand_id, kind="qa", content=FIRST, author=AUTHOR, key=key, now=START)
            for _ in range(2)
        ]
        assert made[0] == made[1]
        for _ in range(2):
            assert await shelf.edit(made[0], SECOND, 1) == 2
            await shelf.show(made[0], 2)
            assert await revision(shelf.brand_id) == 1
        for _ in range(2):
            await shelf.archive(made[0])
            assert await revision(shelf.brand_id) == 2
        assert await value("SELECT count(*) FROM knowledge_version WHERE entry_id = $1", made[0]) == 2

    async def test_who_edits_what_another_has_changed_is_told(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        entry_id = await shelf.write(FIRST.title, FIRST.body)
        await shelf.edit(entry_id, SECOND, 1)
        with pytest.raises(Conflict, match="最新是第 2 版") as refused:
            await shelf.edit(entry_id, FIRST, 1)
        assert (refused.value.code, refused.value.field) == ("stale_version", "expected")
        assert len(await queries.versions(shelf.brand_id, entry_id)) == 2

    async def test_of_two_who_edit_at_once_one_is_told(self, db: TortoiseContext) -> None:
        shelf = await open_shelf()
        entry_id = await shelf.write("问题")
        edits = [shelf.edit(entry_id, Content("问题", f"答案 {n}"), 1) for n in range(8)]
        outcomes = await asyncio.gather(*edits, return_exceptions=True)
        assert [one for one in outcomes if one == 2] == [2]
        assert sum(isinstance(one, Conflict) for one in outcomes) == 7
        assert [one.number for one in await queries.versions(shelf.brand_id, entry_id)] == [2, 1]

    async def test_one_key_used_by_many_at_once_makes_one_entry(self, db: TortoiseContext) -> None:
        shelf = await open_shelf()

        async def make() -> int:
            return await knowledge.create(
                brand_id=shelf.brand_id, kind="qa", content=FIRST, author=AUTHOR, key=key_of("storm"), now=START
            )

        assert len(set(await asyncio.gather(*(make() for _ in range(8))))) == 1
        assert len(await queries.entries(shelf.brand_id)) == 1

    async def test_a_version_cannot_be_changed_even_by_hand(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        await shelf.write("问题")
        with pytest.raises(Exception, match="a version of an entry never changes"):
            await fetch("UPDATE knowledge_version SET title = 'x'")


class TestStatus:
    async def test_from_draft_to_archive_and_back(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        entry_id = await shelf.publish("问题")

        async def status() -> tuple[str, int | None]:
            row = (await queries.entry(shelf.brand_id, entry_id)).row
            return row.status, row.published

        assert await status() == ("published", 1)
        await shelf.archive(entry_id)
        assert await status() == ("archived", None)
        assert await queries.entries(shelf.brand_id) == []
        assert len(await queries.entries(shelf.brand_id, status="archived")) == 1
        with pytest.raises(Conflict, match="请先恢复"):
            await shelf.show(entry_id, 1)
        await knowledge.restore(brand_id=shelf.brand_id, entry_id=entry_id, now=START)
        assert await status() == ("draft", None)
        await shelf.show(entry_id, 1)
        await knowledge.restore(brand_id=shelf.brand_id, entry_id=entry_id, now=START)
        assert await status() == ("published", 1)
        await knowledge.withdraw(brand_id=shelf.brand_id, entry_id=entry_id, now=START)
        assert await status() == ("draft", None)
        assert await revision(shelf.brand_id) == 4

    async def test_another_brands_entry_does_not_exist(self, tx_db: Transaction) -> None:
        own, stranger = await open_shelf(), await open_shelf()
        entry_id = await own.publish("问题")
        for attempt in (
            stranger.edit(entry_id, SECOND, 1),
            stranger.show(entry_id, 1),
            stranger.archive(entry_id),
            knowledge.restore(brand_id=stranger.brand_id, entry_id=entry_id, now=START),
            queries.entry(stranger.brand_id, entry_id),
            queries.version(stranger.brand_id, entry_id, 1),
        ):
            with pytest.raises(NotFound):
                await attempt
        assert await queries.versions(stranger.brand_id, entry_id) == []
        assert (await queries.entry(own.brand_id, entry_id)).row.newest == 1

    async def test_what_is_not_there_is_said(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        entry_id = await shelf.write("问题")
        for version in (0, 2):
            with pytest.raises(NotFound, match="没有这个版本"):
                await shelf.show(entry_id, version)
        with pytest.raises(NotFound, match="没有这个品牌"):
            await knowledge.set_synonyms(brand_id=0, groups=[])


@pytest.mark.parametrize(
    ("kind", "content", "field"),
    [
        ("news", FIRST, "kind"),
        ("qa", Content(" ", "答案"), "title"),
        ("qa", Content("问" * 201, "答案"), "title"),
        ("qa", Content("问题", "\n"), "body"),
        ("qa", Content("问题", "答" * (ANSWER + 1)), "body"),
        ("qa", Content("问题", "答\0案"), "body"),
        ("qa", Content("问题", "答\ud800案"), "body"),
        ("qa", Content("问题", "答案", ("",)), "alternatives"),
        ("qa", Content("问题", "答案", tuple(map(str, range(51)))), "alternatives"),
        ("qa", Content("问题", "答案", category="类" * 65), "category"),
        ("qa", Content("问题", "答案", valid_from=START.replace(tzinfo=None)), "valid_from"),
        ("qa", Content("问题", "答案", valid_from=START, valid_until=START), "valid_until"),
    ],
)
async def test_what_cannot_be_written_names_its_field(
    tx_db: Transaction, kind: str, content: Content, field: str
) -> None:
    shelf = await open_shelf()
    with pytest.raises(Invalid) as refused:
        await knowledge.create(
            brand_id=shelf.brand_id, kind=kind, content=content, author=AUTHOR, key=key_of("bad"), now=START
        )
    assert refused.value.field == field
    assert await queries.entries(shelf.brand_id) == []


class TestSynonyms:
    async def test_they_are_replaced_as_a_whole_and_twice_changes_nothing(self, tx_db: Transaction) -> None:
        shelf = await open_shelf()
        for _ in range(2):
            assert await knowledge.set_synonyms(brand_id=shelf.brand_id, groups=[["退款", " 退钱 ", "退钱"]]) == 1
        assert await queries.synonyms(shelf.brand_id) == queries.SynonymsView([["退款", "退钱"]], 1)
        assert await revision(shelf.brand_id) == 1
        with pytest.raises(Conflict):
            await knowledge.set_synonyms(brand_id=shelf.brand_id, groups=[], expected=0)
        assert await knowledge.set_synonyms(brand_id=shelf.brand_id, groups=[], expected=1) == 2

    @pytest.mark.parametrize("group", [["一个"], ["退款", ""], ["退款", "钱" * 33], [str(n) for n in range(51)]])
    async def test_a_group_that_says_nothing_is_refused(self, tx_db: Transaction, group: list[str]) -> None:
        shelf = await open_shelf()
        with pytest.raises(DomainError) as refused:
            await knowledge.set_synonyms(brand_id=shelf.brand_id, groups=[["好", "行"], group])
        assert refused.value.field == "groups[1]"


async def test_a_list_is_filtered_and_paged(tx_db: Transaction) -> None:
    shelf = await open_shelf()
    ids = [await shelf.write(f"问题 {n}", category="售后" if n % 2 else "积分") for n in range(5)]
    await shelf.show(ids[1], 1)
    article = await shelf.write("100% 正品", "正文_一", kind="article")

    async def page(**filters: object) -> list[int]:
        return [row.id for row in await queries.entries(shelf.brand_id, **filters)]  # type: ignore[arg-type]

    assert await page(limit=2) == [article, ids[4]]
    assert await page(limit=2, before=ids[4]) == [ids[3], ids[2]]
    assert await page(status="published") == [ids[1]]
    assert await page(kind="article") == [article]
    assert await page(category="售后") == [ids[3], ids[1]]
    # What LIKE would take for a wildcard is only itself.
    assert await page(text="0%") == [article]
    assert await page(text="文_") == [article]
    assert await page(text="_题") == []
    assert await queries.categories(shelf.brand_id) == {"": 1, "售后": 2, "积分": 3}
    assert shelf.brand_id in await queries.brands_with_knowledge()
    assert (await queries.entry(shelf.brand_id, article)).row.created_at == START
    assert (await queries.version(shelf.brand_id, article, 1)).created_at == START
