"""Searching: what is published is found everywhere, what is archived nowhere, brands never mix, reasons are given."""

import asyncio
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tortoise.context import TortoiseContext

from kit.tasks import Tasks, set_within
from scrm.assistant import knowledge, vectors
from scrm.assistant.content import Content
from scrm.assistant.grams import Synonyms, grams
from scrm.assistant.index import Index, Text
from scrm.assistant.passages import LENGTH, LONGEST, plain, split
from scrm.assistant.retrieval import ANSWER, CLEAR, MENU, SIMILAR, Library, judge
from scrm.db import fetch
from scrm.errors import Unavailable
from tests.assistant.shelves import Shelf, open_shelf
from tests.conftest import START
from tests.factories import value
from worker.embeddings import Embeddings


class Meaning:
    """An embedder that knows a few concepts: texts about the same one are near, whatever their words."""

    model = "test-concepts"

    def __init__(self, concepts: Sequence[Sequence[str]]) -> None:
        self.concepts = concepts
        self.asked: list[str] = []
        self.away = False

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.away:
            raise Unavailable(code="llm_away")
        self.asked += texts
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        noise = blake2b(text.encode(), digest_size=4).digest()
        return [float(any(word in text for word in words)) for words in self.concepts] + [n / 2550 for n in noise]


@pytest.fixture
async def library(db: TortoiseContext) -> Library:
    """The library of one process."""
    return Library(Tasks())


async def populate(shelf: Shelf) -> dict[str, int]:
    """Publish a handful of entries and return their ids by title."""
    return {
        title: await shelf.publish(title, body)
        for title, body in [
            ("退款多久到账？", "验收后四十八小时内原路退回。"),
            ("运费如何计算？", "满九十九元免运费。"),
            ("如何注册会员？", "打开小程序授权手机号。"),
            ("门店几点营业？", "每天九点半到二十二点。"),
            ("积分如何兑换？", "在积分商城选择礼品。"),
        ]
    }


class TestFreshness:
    async def test_what_is_published_is_found_by_the_next_search_in_every_process(self, db: TortoiseContext) -> None:
        shelf, libraries = await open_shelf(), [Library(Tasks()) for _ in range(3)]
        await populate(shelf)
        for library in libraries:
            assert await shelf.found(library, "茶壶保修") == []
        entry_id = await shelf.publish("茶壶保修多久？", "一年。")
        for library in libraries:
            found = await library.search(shelf.brand_id, "茶壶保修多久", now=START)
            assert (found.verdict, found.passages[0].entry_id) == ("answer", entry_id)

    async def test_a_draft_is_not_found_and_an_edit_not_before_it_is_published(self, library: Library) -> None:
        shelf = await open_shelf()
        await populate(shelf)
        entry_id = await shelf.write("茶壶保修多久？", "一年。")
        assert await shelf.found(library, "茶壶保修") == []
        await shelf.show(entry_id, 1)
        await shelf.edit(entry_id, Content("茶壶保修多久？", "两年。"), 1)
        assert (await shelf.ask(library, "茶壶保修")).passages[0].text == "一年。"
        await shelf.show(entry_id, 2)
        assert (await shelf.ask(library, "茶壶保修")).passages[0].text == "两年。"
        await shelf.show(entry_id, 1)
        assert (await shelf.ask(library, "茶壶保修")).passages[0].text == "一年。"

    async def test_what_is_archived_is_never_returned_not_even_from_an_old_index(self, db: TortoiseContext) -> None:
        shelf = await open_shelf()
        ids = await populate(shelf)
        hasty = Library(Tasks(), patience=0.0)
        assert ids["运费如何计算？"] in await shelf.found(hasty, "运费")
        await shelf.archive(ids["运费如何计算？"])
        # This one does not wait for the new index: it is served from the old one.
        assert await shelf.found(hasty, "运费如何计算") == [ids["积分如何兑换？"], ids["如何注册会员？"]]

    async def test_a_search_that_does_not_wait_is_fresh_as_soon_as_the_index_is(self, db: TortoiseContext) -> None:
        shelf, tasks = await open_shelf(), Tasks()
        await populate(shelf)
        hasty = Library(tasks, patience=0.0)
        await shelf.found(hasty, "运费")
        entry_id = await shelf.publish("茶壶保修多久？", "一年。")
        assert await shelf.found(hasty, "茶壶保修") == []
        await tasks.drain(10)
        assert await shelf.found(hasty, "茶壶保修") == [entry_id]

    async def test_many_who_ask_at_once_share_one_index(self, library: Library) -> None:
        shelf = await open_shelf()
        ids = await populate(shelf)
        found = await asyncio.gather(*(shelf.found(library, "运费如何计算") for _ in range(20)))
        assert {tuple(one) for one in found} == {tuple(found[0])}
        assert found[0][0] == ids["运费如何计算？"]
        assert len({id(index) for _, index in library._held.values()}) == 1

    async def test_publishing_while_others_search(self, library: Library) -> None:
        shelf = await open_shelf()
        words = ["梨", "柑", "桃", "李", "杏", "枣", "莓", "瓜"]

        async def publish(word: str) -> None:
            entry_id = await shelf.publish(f"{word}是什么？", f"{word}好吃。")
            assert await shelf.found(library, word) == [entry_id]

        await asyncio.gather(*(publish(word) for word in words))

    @pytest.mark.parametrize("seed", range(3))
    async def test_whatever_is_done_in_whatever_order(self, db: TortoiseContext, seed: int) -> None:
        """A patient library finds exactly what is published; one that never waits finds nothing that is not."""
        chance, words = random.Random(seed), list("梨柑桃李杏枣莓瓜")
        shelf, patient, hasty = await open_shelf(), Library(Tasks(), patience=30), Library(Tasks(), patience=0.0)
        ids = {word: await shelf.write(f"{word}？", f"{word}一") for word in words}
        texts = {word: [f"{word}一"] for word in words}
        seen: dict[str, str] = {}
        for _ in range(40):
            word = chance.choice(words)
            match chance.choice(["publish", "publish", "edit", "archive", "withdraw"]):
                case "publish":
                    await knowledge.restore(brand_id=shelf.brand_id, entry_id=ids[word], now=START)
                    version = chance.randint(1, len(texts[word]))
                    await shelf.show(ids[word], version)
                    seen[word] = texts[word][version - 1]
                case "edit":
                    texts[word].append(f"{word}{len(texts[word])}")
                    await shelf.edit(ids[word], Content(f"{word}？", texts[word][-1]), len(texts[word]) - 1)
                case "archive":
                    await shelf.archive(ids[word])
                    seen.pop(word, None)
                case "withdraw":
                    await knowledge.withdraw(brand_id=shelf.brand_id, entry_id=ids[word], now=START)
                    seen.pop(word, None)
            question = "，".join(words)
            found = {passage.entry_id: passage.text for passage in (await shelf.ask(patient, question)).passages}
            assert found == {ids[word]: text for word, text in seen.items()}
            early = {passage.entry_id: passage.text for passage in (await shelf.ask(hasty, question)).passages}
            assert early.items() <= found.items()

    async def test_validity_goes_by_the_moment_of_the_question(self, library: Library) -> None:
        shelf = await open_shelf()
        await populate(shelf)
        day = timedelta(days=1)
        entry_id = await shelf.publish("中秋套装多少钱？", valid_from=START + day, valid_until=START + 2 * day)
        for moment, expected in [
            (START, []),
            (START + day, [entry_id]),
            (START + 2 * day - timedelta(seconds=1), [entry_id]),
            (START + 2 * day, []),
        ]:
            assert await shelf.found(library, "中秋套装", now=moment) == expected

    async def test_with_the_database_away_the_search_says_so(self, library: Library, database_url: str) -> None:
        shelf = await open_shelf()
        await populate(shelf)
        await shelf.found(library, "运费")
        await fetch("ALTER TABLE knowledge_base RENAME TO knowledge_base_gone")
        with pytest.raises(Exception, match="knowledge_base"):
            await shelf.found(library, "运费")
        await fetch("ALTER TABLE knowledge_base_gone RENAME TO knowledge_base")
        assert len(await shelf.found(library, "运费")) == 1


class TestCovering:
    async def test_it_is_said_from_memory_which_brands_have_something(self, library: Library) -> None:
        shelf, other = await open_shelf(), await open_shelf()
        entry_id = await shelf.publish("问题")
        assert not library.covers(shelf.brand_id)
        await library.refresh()
        assert (library.covers(shelf.brand_id), library.covers(other.brand_id)) == (True, False)
        assert await shelf.found(library, "问题") == [entry_id]
        await shelf.archive(entry_id)
        await library.refresh()
        assert not library.covers(shelf.brand_id)
        assert await shelf.found(library, "问题") == []

    async def test_watching_outlives_an_absent_database(self, db: TortoiseContext) -> None:
        class Watched(Library):
            failed, seen = asyncio.Event(), asyncio.Event()

            async def refresh(self) -> None:
                try:
                    await super().refresh()
                except Exception:
                    self.failed.set()
                    raise
                if self.covers(shelf.brand_id):
                    self.seen.set()

        tasks, shelf = Tasks(), await open_shelf()
        library = Watched(tasks)
        await fetch("ALTER TABLE knowledge_entry RENAME TO gone")
        watching = tasks.spawn(library.watch(0.01), "watching")
        try:
            assert await set_within(library.failed, 10)
            await fetch("ALTER TABLE gone RENAME TO knowledge_entry")
            await shelf.publish("问题")
            assert await set_within(library.seen, 10)
        finally:
            watching.cancel()


class TestBrands:
    async def test_two_brands_never_mix(self, library: Library) -> None:
        one, two = await open_shelf(), await open_shelf()
        first, second = await populate(one), await populate(two)
        for question in ["退款多久到账", "门店", "如何", "积分换礼品", "会员"]:
            assert set(await one.found(library, question)) <= set(first.values())
            assert set(await two.found(library, question)) <= set(second.values())
        await knowledge.set_synonyms(brand_id=one.brand_id, groups=[["邮资", "运费"]])
        assert await one.found(library, "邮资") == [first["运费如何计算？"]]
        assert await two.found(library, "邮资") == []

    async def test_a_brand_without_knowledge_says_nothing(self, library: Library) -> None:
        shelf = await open_shelf()
        for brand_id in (shelf.brand_id, 0):
            found = await library.search(brand_id, "退款", now=START)
            assert (found.verdict, found.passages) == ("nothing", ())


class TestVerdict:
    async def test_answer_menu_or_nothing(self, library: Library) -> None:
        shelf = await open_shelf()
        ids = await populate(shelf)
        sure = await library.search(shelf.brand_id, "退款多久能到账", now=START)
        assert (sure.verdict, sure.passages[0].entry_id) == ("answer", ids["退款多久到账？"])
        unsure = await library.search(shelf.brand_id, "积分怎么变成会员", now=START)
        assert unsure.verdict == "menu"
        assert {passage.entry_id for passage in unsure.passages} >= {ids["积分如何兑换？"], ids["如何注册会员？"]}
        for text in ("", "。。。", "🍵", "的了吗", "hello", "今天天气真好啊", "\0\ud800"):
            nothing = await library.search(shelf.brand_id, text, now=START)
            assert (nothing.verdict, nothing.passages) == ("nothing", ())

    @pytest.mark.parametrize(
        ("scores", "verdict"),
        [
            ([], "nothing"),
            ([MENU - 0.01], "nothing"),
            ([MENU], "menu"),
            ([ANSWER - 0.01], "menu"),
            ([ANSWER], "answer"),
            ([0.9, 0.9 / CLEAR - 0.01], "answer"),
            ([0.9, 0.89], "menu"),
            ([0.0, MENU], "menu"),
        ],
    )
    def test_by_scores(self, scores: list[float], verdict: str) -> None:
        assert judge([(score, None) for score in scores]) == verdict

    @pytest.mark.parametrize(
        ("nearest", "verdict"),
        [
            # Both rankings put the same entry first.
            ([(MENU, SIMILAR), (MENU, 0.1)], "answer"),
            ([(MENU, SIMILAR), (MENU, SIMILAR + 0.1)], "menu"),
            ([(0.0, SIMILAR + 0.3)], "menu"),
            ([(0.0, SIMILAR - 0.01)], "nothing"),
            # Words alone are enough, whatever a model says.
            ([(ANSWER, 0.0), (0.0, 0.9)], "answer"),
        ],
    )
    def test_by_scores_and_likeness(self, nearest: list[tuple[float, float]], verdict: str) -> None:
        assert judge(nearest) == verdict

    async def test_it_says_why(self, library: Library) -> None:
        shelf = await open_shelf()
        await populate(shelf)
        await knowledge.set_synonyms(brand_id=shelf.brand_id, groups=[["退款", "退钱"], ["到账", "收到"]])
        first = (await shelf.ask(library, "退钱多久收到")).passages[0]
        assert first.title == "退款多久到账？"
        assert first.matched == ("多久", "退", "收")
        assert first.synonyms == (("退钱", "退款"), ("收到", "到账"))


class TestEmbeddings:
    @pytest.fixture
    def meaning(self) -> Meaning:
        return Meaning([["配送", "运费", "送货上门"], ["退款", "钱没踪影"], ["会员"], ["营业"], ["积分"]])

    async def test_they_find_what_has_no_word_in_common(self, db: TortoiseContext, meaning: Meaning) -> None:
        shelf, library = await open_shelf(), Library(Tasks(), embedder=meaning)
        ids = await populate(shelf)
        assert await shelf.found(library, "怎么钱没踪影") == []
        assert meaning.asked == []
        assert await vectors.embed_published(meaning, shelf.brand_id) == 5
        found = await library.search(shelf.brand_id, "怎么钱没踪影", now=START)
        assert (found.verdict, found.passages[0].entry_id) == ("menu", ids["退款多久到账？"])
        # Nothing is embedded twice, whatever is published again.
        assert await vectors.embed_published(meaning, shelf.brand_id) == 0
        await shelf.archive(ids["运费如何计算？"])
        await knowledge.restore(brand_id=shelf.brand_id, entry_id=ids["运费如何计算？"], now=START)
        await shelf.show(ids["运费如何计算？"], 1)
        assert await vectors.missing(shelf.brand_id, meaning.model) == []

    async def test_an_endpoint_that_is_away_changes_nothing(self, db: TortoiseContext, meaning: Meaning) -> None:
        shelf, library = await open_shelf(), Library(Tasks(), embedder=meaning)
        ids = await populate(shelf)
        await vectors.embed_published(meaning, shelf.brand_id)
        meaning.away = True
        assert (await shelf.found(library, "运费如何计算"))[0] == ids["运费如何计算？"]
        await shelf.publish("新的问题")
        with pytest.raises(Unavailable):
            await vectors.embed_published(meaning, shelf.brand_id)

    async def test_a_slow_endpoint_is_not_waited_for(self, db: TortoiseContext, meaning: Meaning) -> None:
        class Never(Meaning):
            async def embed(self, texts: Sequence[str]) -> list[list[float]]:
                await asyncio.Event().wait()
                raise AssertionError("unreachable")

        shelf = await open_shelf()
        ids = await populate(shelf)
        await vectors.embed_published(meaning, shelf.brand_id)
        library = Library(Tasks(), embedder=Never(meaning.concepts), embed_seconds=0.01)
        assert (await shelf.found(library, "运费如何计算"))[0] == ids["运费如何计算？"]

    @pytest.mark.parametrize("answer", [[], [[]], [[0.0, 0.0]], [[math.nan]], [[math.inf, 1.0]]])
    async def test_what_is_no_vector_is_not_kept(self, db: TortoiseContext, answer: list[list[float]]) -> None:
        class Garbage(Meaning):
            async def embed(self, texts: Sequence[str]) -> list[list[float]]:
                return answer * len(texts)

        shelf = await open_shelf()
        await populate(shelf)
        with pytest.raises(Unavailable) as refused:
            await vectors.embed_published(Garbage([]), shelf.brand_id)
        assert refused.value.code == "embedding_malformed"
        assert await value("SELECT count(*) FROM knowledge_vector") == 0

    async def test_vectors_of_another_length_are_left_out(self, db: TortoiseContext, meaning: Meaning) -> None:
        shelf = await open_shelf()
        ids = await populate(shelf)
        await vectors.embed_published(meaning, shelf.brand_id)
        # The same name now stands for another model.
        other = Meaning([*meaning.concepts, ["别的"]])
        library = Library(Tasks(), embedder=other)
        assert (await shelf.found(library, "运费如何计算"))[0] == ids["运费如何计算？"]

    async def test_the_worker_goes_through_all_brands_whatever_one_does(
        self, db: TortoiseContext, meaning: Meaning
    ) -> None:
        class Picky(Meaning):
            async def embed(self, texts: Sequence[str]) -> list[list[float]]:
                if any("坏" in text for text in texts):
                    raise Unavailable(code="llm_refused")
                return await super().embed(texts)

        bad, good = await open_shelf(), await open_shelf()
        await bad.publish("坏的问题")
        await populate(good)
        work = Embeddings()
        with pytest.raises(Unavailable):
            await work.make_missing(Picky(meaning.concepts))
        assert await vectors.missing(good.brand_id, meaning.model) == []
        assert len(await vectors.missing(bad.brand_id, meaning.model)) == 1
        assert await work.make_missing(meaning) == 1
        assert await work.make_missing(meaning) == 0
        new = await good.publish("新的问题")
        assert await work.make_missing(meaning) == 1
        await good.archive(new)
        assert await work.make_missing(meaning) == 0
        assert await value("SELECT count(*) FROM knowledge_vector") == 6

    async def test_unused_vectors_go(self, db: TortoiseContext, meaning: Meaning) -> None:
        shelf = await open_shelf()
        ids = await populate(shelf)
        await vectors.embed_published(meaning, shelf.brand_id)
        await shelf.archive(ids["运费如何计算？"])
        assert await vectors.forget_unused(brand_id=shelf.brand_id, model=meaning.model) == 1
        assert await vectors.forget_unused(brand_id=shelf.brand_id, model="another") == 4


class TestPassages:
    def test_an_article_is_split_by_headings_and_paragraphs(self) -> None:
        long = "一句话说完了。" * 100
        body = f"开头。\n\n**第二段**，见[这里](https://example.com)。\n\n## 小标题\n\n- 一\n- 二\n\n{long}"
        parts = split("article", body)
        assert [(part.anchor, part.text) for part in parts[:2]] == [
            ("", "开头。\n第二段，见这里。"),
            ("小标题", "· 一\n· 二"),
        ]
        assert all(len(part.text) <= LENGTH for part in parts)
        assert "".join(part.text for part in parts[2:]) == long

    def test_an_answer_is_one_passage_as_it_is_sent(self) -> None:
        body = "第一步\n\n## 不是标题\n\n" + "长" * 1500
        assert [part.text for part in split("qa", body)] == [body]

    @given(st.text(alphabet="字。！\n #-*`[]()ab", max_size=900))
    def test_nothing_that_is_said_gets_lost(self, body: str) -> None:
        def said(text: str) -> list[str]:
            return [character for character in text if character in "字ab"]

        parts = split("article", body)
        assert all(0 < len(part.text) <= LONGEST for part in parts)
        whole = [character for part in parts for character in said(part.text)]
        # Headings are anchors, and a link's address is not said.
        assert len(whole) <= len(said(body))
        if not set("#[]()") & set(body):
            assert whole == said(body)

    @pytest.mark.parametrize(
        ("markdown", "expected"),
        [
            ("**粗**和`码`", "粗和码"),
            ("![图](a.png)说明", "图说明"),
            ("> 引用", "引用"),
            ("* 一\n+ 二", "· 一\n· 二"),
            ("3 * 4 - 1", "3 * 4 - 1"),
            ("[未闭合(", "[未闭合("),
        ],
    )
    def test_markdown_becomes_plain_text(self, markdown: str, expected: str) -> None:
        assert plain(markdown) == expected


class TestGrams:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("退货", ["退", "货", "退货"]),
            ("我的", ["我的"]),
            ("VIP会员", ["vip", "会", "员", "会员"]),
            ("ＡＢＣ１", ["abc1"]),
            ("退，货", ["退", "货"]),
            ("9:30", ["9:30"]),
            ("", []),
        ],
    )
    def test_of_a_text(self, text: str, expected: list[str]) -> None:
        assert [gram for gram in grams(text) if gram != "会"] == [gram for gram in expected if gram != "会"]

    def test_the_longest_synonym_wins_and_one_word_may_mean_two_things(self) -> None:
        synonyms = Synonyms([["退货", "退"], ["退货运费", "邮费"], ["Logo", "退"]])
        assert synonyms.concepts("退货运费") == [("#1", "退货运费")]
        assert synonyms.concepts("退LOGO") == [("#0", "退"), ("#2", "退"), ("#2", "logo")]
        assert Synonyms([]).concepts("退货") == []


def test_a_process_without_knowledge_loads_neither_numpy_nor_bm25s() -> None:
    code = "import sys, app.services, app.background, app.demo_data; print({'numpy', 'bm25s'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def text_of(n: int, words: str) -> Text:
    return Text(n, n, "qa", words, (), "", words)


@settings(deadline=None)  # the first index loads numpy
@given(st.lists(st.text(alphabet="退货运费会员积分abc。 ", max_size=12), max_size=12), st.text(max_size=20))
def test_scores_are_shares_and_in_order(texts: list[str], question: str) -> None:
    hits = Index([text_of(n, words) for n, words in enumerate(texts)], Synonyms([["退", "货"]])).search(question)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    asked = {*grams(question), *(["退", "货"] if {"退", "货"} & set(grams(question)) else [])}
    assert all(asked & set(grams(hit.text.words)) for hit in hits)


@settings(deadline=None)  # same
@given(st.lists(st.text(alphabet="退货运费会员积分", min_size=2, max_size=8), min_size=1, max_size=10, unique=True))
def test_a_text_asked_for_in_its_own_words_comes_first(texts: list[str]) -> None:
    index = Index([text_of(n, words) for n, words in enumerate(texts)], Synonyms([]))
    for words in texts:
        best = index.search(words)
        assert words in {hit.text.title for hit in best if hit.score >= best[0].score * 0.75}
