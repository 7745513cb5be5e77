"""Editing automatic replies one by one: by id, one rule per pattern, also when two write at once."""

import asyncio
from typing import Any

import pytest

from scrm import db as scrm_db
from scrm.db import Transaction
from scrm.errors import Conflict, Invalid, NotFound
from scrm.replies import editing, queries
from tests.conftest import START
from tests.factories import make_account

YES = {"type": "text", "content": "好的"}


async def add(account_id: int, pattern: str, **more: Any) -> int:
    return await editing.add_rule(
        account_id=account_id, match=more.pop("match", "contains"), pattern=pattern, reply=YES, now=START, **more
    )


async def test_a_rule_keeps_its_id_when_its_pattern_changes(tx_db: Transaction) -> None:
    account = await make_account()
    made = await add(account, " 积分 ")
    change: dict[str, Any] = {"match": "exact", "pattern": "我的积分", "reply": YES, "priority": 5, "enabled": False}
    await editing.change_rule(rule_id=made, **change)
    await editing.change_rule(rule_id=made, **change)
    (one,) = await queries.rules(account)
    assert (one.id, one.match, one.pattern, one.priority, one.enabled) == (made, "exact", "我的积分", 5, False)
    assert one.created_at == START
    await editing.remove_rule(rule_id=made)
    await editing.remove_rule(rule_id=made)
    assert await queries.rules(account) == []
    with pytest.raises(NotFound):
        await editing.change_rule(rule_id=made, **change)


async def test_a_taken_pattern_and_wrong_fields_are_refused(tx_db: Transaction) -> None:
    account = await make_account()
    await add(account, "积分")
    other = await add(account, "等级")
    with pytest.raises(Conflict, match="都相同") as taken:
        await add(account, "积分")
    assert (taken.value.code, taken.value.field) == ("rule_exists", "pattern")
    with pytest.raises(Conflict):
        await editing.change_rule(
            rule_id=other, match="contains", pattern="积分", reply=YES, priority=100, enabled=True
        )
    # Another account, or another way to match, is another rule.
    await add(await make_account(), "积分")
    await add(account, "积分", match="exact")
    wrong: dict[str, Any]
    for wrong, field in (
        ({"pattern": " "}, "pattern"),
        ({"pattern": "x" * 257}, "pattern"),
        ({"pattern": "(", "match": "regex"}, "pattern"),
        ({"pattern": "x", "match": "fuzzy"}, "match"),
        ({"pattern": "x", "priority": -1}, "priority"),
        ({"pattern": "x", "priority": 10_000}, "priority"),
    ):
        with pytest.raises(Invalid) as refused:
            await add(account, **wrong)
        assert refused.value.field == field
    assert [one.pattern for one in await queries.rules(account)] == ["积分", "等级", "积分"]


async def test_of_two_who_add_the_same_at_once_one_is_told(database_url: str) -> None:
    async with scrm_db.database(database_url, pool=4):
        account = await make_account()
        ended = await asyncio.gather(*(add(account, "积分") for _ in range(4)), return_exceptions=True)
        made = [one for one in ended if isinstance(one, int)]
        assert [one.code for one in ended if isinstance(one, Conflict)] == ["rule_exists"] * 3
        assert [one.id for one in await queries.rules(account)] == made
