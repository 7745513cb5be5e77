"""Automatic replies: which rule answers, how words are compared, and what may be stored."""

import asyncio
import time
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tortoise.context import TortoiseContext

from scrm.channels import service as channels
from scrm.db import Transaction
from scrm.errors import Invalid
from scrm.replies import service
from scrm.replies.content import check
from scrm.replies.models import ReplyRule, Welcome
from scrm.replies.rules import PATTERN_LIMIT, Rule, RuleBook, fold
from tests.conftest import START
from tests.factories import at, make_account


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def book(*rules: tuple[str, str]) -> RuleBook:
    """A book of (match, pattern) in the order of priority; a rule's id is its place."""
    return RuleBook(Rule(n, match, pattern, text(pattern)) for n, (match, pattern) in enumerate(rules))


def answer(rules: RuleBook, said: str) -> int | None:
    rule = rules.for_text(said)
    return rule.id if rule else None


class TestMatching:
    @pytest.mark.parametrize(
        ("rules", "said", "expected"),
        [
            ([("exact", "积分")], "积分", 0),
            ([("exact", "积分")], "积分多少", None),
            ([("contains", "积分")], "我的积分呢", 0),
            ([("regex", "^订单\\d+$")], "订单123", 0),
            ([("regex", "^订单\\d+$")], "订单x", None),
            ([("regex", "ORDER")], "my order", 0),
            ([("regex", "(?-i)ORDER")], "my order", None),
            # The first by priority wins, whatever its kind.
            ([("contains", "积"), ("exact", "积分")], "积分", 0),
            ([("exact", "积分"), ("contains", "积")], "积分", 0),
            ([("regex", "."), ("exact", "积分"), ("contains", "积")], "积分", 0),
            ([("regex", "x"), ("contains", "y"), ("exact", "积分"), ("regex", ".")], "积分", 2),
            ([("exact", "a"), ("exact", "A")], "a", 0),
            # A menu key is not a word, and the other way round.
            ([("click", "SIGN")], "SIGN", None),
        ],
    )
    def test_the_first_that_matches_answers(
        self, rules: list[tuple[str, str]], said: str, expected: int | None
    ) -> None:
        assert answer(book(*rules), said) == expected

    def test_a_menu_key_is_taken_as_it_is(self) -> None:
        rules = book(("exact", "SIGN"), ("click", "SIGN"), ("click", "SIGN"))
        assert rules.for_click("SIGN") == Rule(1, "click", "SIGN", text("SIGN"))
        assert rules.for_click("sign") is None

    @pytest.mark.parametrize("said", ["VIP", " vip\n", "ＶＩＰ", "Ｖip", "\u3000VIP\u3000"])
    @pytest.mark.parametrize("match", ["exact", "contains"])
    @pytest.mark.parametrize("pattern", ["vip", "ＶＩＰ", " Vip "])
    def test_width_case_and_outer_blanks_do_not_matter(self, match: str, pattern: str, said: str) -> None:
        assert answer(book((match, pattern)), said) == 0

    @given(st.text())
    def test_folding_twice_is_folding_once(self, said: str) -> None:
        assert fold(fold(said)) == fold(said)

    @pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$", "(?:a?){60}a{60}$"])
    def test_a_catastrophic_expression_is_harmless(self, pattern: str) -> None:
        rules = book(("regex", pattern))
        said = "a" * 5000 + "!"
        before = time.process_time()
        rules.for_text(said)
        assert time.process_time() - before < 0.2


class TestRules:
    async def test_books_are_per_account_in_order_without_the_disabled(self, tx_db: Transaction) -> None:
        one, other = await make_account(), await make_account()

        async def put(account: int, match: str, pattern: str, **changes: Any) -> int:
            return await service.set_rule(
                account_id=account, match=match, pattern=pattern, reply=text(pattern), now=START, **changes
            )

        general = await put(one, "regex", ".", priority=900)
        word = await put(one, "exact", "积分")
        await put(one, "exact", "早", priority=1, enabled=False)
        key = await put(one, "click", "SIGN")
        theirs = await put(other, "contains", "积")
        books = await service.rule_books()
        assert set(books) == {one, other}
        assert [answer(books[one], said) for said in ("积分", "早")] == [word, general]
        assert answer(books[other], "积分") == theirs
        click = books[one].for_click("SIGN")
        assert click == Rule(key, "click", "SIGN", text("SIGN"))

    async def test_writing_a_rule_again_changes_it(self, tx_db: Transaction) -> None:
        account = await make_account()
        given_: dict[str, Any] = {"account_id": account, "match": "exact", "pattern": "积分", "now": START}
        first = await service.set_rule(reply=text("一"), **given_)
        second = await service.set_rule(reply=text("二"), priority=5, enabled=False, **given_ | {"pattern": " 积分 "})
        assert first == second
        (row,) = await ReplyRule.filter(account_id=account).values("reply", "priority", "enabled")
        assert row == {"reply": text("二"), "priority": 5, "enabled": False}

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"match": "like"}, "match"),
            ({"pattern": " "}, "pattern"),
            ({"pattern": "x" * (PATTERN_LIMIT + 1)}, "pattern"),
            ({"match": "regex", "pattern": "("}, "pattern"),
            ({"match": "regex", "pattern": "(?<=a)b"}, "pattern"),
            ({"match": "regex", "pattern": "((a{100}){100}){100}"}, "pattern"),
            ({"reply": {"type": "text"}}, "reply.content"),
            ({"reply": {"type": "text", "content": ""}}, "reply.content"),
            ({"reply": {"type": "text", "content": "x", "extra": 1}}, "reply.extra"),
            ({"reply": {"type": "poem"}}, "reply"),
            ({"reply": "x"}, "reply"),
        ],
    )
    async def test_what_is_wrong_is_named_and_nothing_is_kept(
        self, tx_db: Transaction, wrong: dict[str, Any], field: str
    ) -> None:
        given_: dict[str, Any] = {"match": "exact", "pattern": "积分", "reply": text("好")} | wrong
        with pytest.raises(Invalid) as caught:
            await service.set_rule(account_id=await make_account(), now=START, **given_)
        assert caught.value.field == field
        assert await ReplyRule.all().count() == 0


@pytest.mark.parametrize(
    "content",
    [
        {"type": "text", "content": "好" * 20_000},
        {"type": "image", "media_id": "m"},
        {"type": "news", "title": "t", "description": "", "pic_url": "", "url": "https://example.com"},
        {"type": "miniprogrampage", "title": "t", "appid": "wx1", "pagepath": "p", "thumb_media_id": "m"},
    ],
    ids=lambda content: str(content["type"]),
)
def test_every_kind_of_content_is_taken_whole(content: dict[str, Any]) -> None:
    assert check(content) == content
    for name in content.keys() - {"type", "description", "pic_url"}:
        with pytest.raises(Invalid) as caught:
            check({**content, name: ""})
        assert caught.value.field == f"reply.{name}"


class TestWelcome:
    async def put(self, account: int, content: str, now: datetime = START, **changes: Any) -> int:
        return await service.set_welcome(account_id=account, reply=text(content), now=now, **changes)

    async def test_the_most_specific_text_wins(self, tx_db: Transaction) -> None:
        account, other = await make_account(), await make_account()
        shop = (await channels.create(account_id=account, scene="shop", name="门店", now=START)).id

        async def said(channel_id: int | None, *, returning: bool) -> str | None:
            reply = await service.welcome_for(account, channel_id=channel_id, returning=returning)
            return reply["content"] if reply else None

        async def all_four() -> list[str | None]:
            return [await said(channel, returning=returning) for channel in (None, shop) for returning in (False, True)]

        assert await all_four() == [None] * 4
        await self.put(account, "any")
        assert await all_four() == ["any"] * 4
        await self.put(account, "returning", audience="returning")
        assert await all_four() == ["any", "returning", "any", "returning"]
        await self.put(account, "shop", channel_id=shop)
        assert await all_four() == ["any", "returning", "shop", "shop"]
        await self.put(account, "shop new", channel_id=shop, audience="new")
        assert await all_four() == ["any", "returning", "shop new", "shop"]
        assert await service.welcome_for(other, channel_id=None, returning=False) is None

    async def test_there_is_one_general_text(self, tx_db: Transaction) -> None:
        account = await make_account()
        first = await self.put(account, "一")
        assert await self.put(account, "二", at(1)) == first
        assert await Welcome.filter(account_id=account).values("reply") == [{"reply": text("二")}]

    async def test_written_by_many_at_once_there_is_one_of_each(self, db: TortoiseContext) -> None:
        account = await make_account()
        rule: dict[str, Any] = {"account_id": account, "match": "exact", "pattern": "积分", "now": START}
        welcomes = await asyncio.gather(*(self.put(account, f"{n}") for n in range(8)))
        rules = await asyncio.gather(*(service.set_rule(reply=text(f"{n}"), **rule) for n in range(8)))
        assert (len(set(welcomes)), len(set(rules))) == (1, 1)
        assert await Welcome.all().values("id") == [{"id": welcomes[0]}]
        assert await ReplyRule.all().values("id") == [{"id": rules[0]}]

    async def test_an_unknown_audience_is_named(self, tx_db: Transaction) -> None:
        with pytest.raises(Invalid) as caught:
            await self.put(await make_account(), "x", audience="rich")
        assert caught.value.field == "audience"
