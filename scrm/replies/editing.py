"""What staff do with automatic replies one by one: add, change and remove rules, remove welcome texts.

`service.set_rule` writes by (account, match, pattern); these know a rule by its id, so that its pattern can change.
"""

from datetime import datetime
from typing import Any

from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, NotFound
from scrm.replies.content import check_rule
from scrm.replies.models import ReplyRule
from scrm.replies.rules import check_pattern, check_priority

MOST_RULES = 2000  # of an account: every message is tried on them


@command
async def add_rule(
    tx: Transaction,
    *,
    account_id: int,
    match: str,
    pattern: str,
    reply: dict[str, Any],
    now: datetime,
    priority: int = 100,
    enabled: bool = True,
) -> int:
    """Add a rule and return its id. Raises Invalid naming the field, Conflict when the account has that pattern."""
    pattern, reply = check_pattern(match, pattern), check_rule(reply)
    check_priority(priority)
    raw = tx.connection
    # Two who add at once could pass together; the number is a fence against accidents, not a promise.
    if await raw.fetchval("SELECT count(*) FROM reply_rule WHERE account_id = $1", account_id) >= MOST_RULES:
        raise Conflict(f"一个账号最多 {MOST_RULES} 条规则，请先删除不用的", code="too_many_rules")
    await _check_free(raw, account_id, match, pattern, None)
    made = await ReplyRule.create(
        account_id=account_id,
        match=match,
        pattern=pattern,
        reply=reply,
        priority=priority,
        enabled=enabled,
        created_at=now,
    )
    return made.id


@command
async def change_rule(
    tx: Transaction,
    *,
    rule_id: int,
    match: str,
    pattern: str,
    reply: dict[str, Any],
    priority: int,
    enabled: bool,
    expected: int | None = None,
) -> None:
    """Write a rule anew; its account stays. `expected` is the version that it was made from.

    Raises NotFound, Invalid naming the field, Conflict: `rule_exists` for a taken pattern, `stale_version` when
    somebody was faster.
    """
    pattern, reply = check_pattern(match, pattern), check_rule(reply)
    check_priority(priority)
    rule = await ReplyRule.filter(id=rule_id).select_for_update(no_key=True).get_or_none()
    if rule is None:
        raise NotFound("没有这条规则", field="rule_id")
    if expected is not None and rule.version != expected:
        raise Conflict("这条规则刚被别人修改，请看过后再改", code="stale_version", field="expected")
    await _check_free(tx.connection, rule.account_id, match, pattern, rule_id)
    after = {"match": match, "pattern": pattern, "reply": reply, "priority": priority, "enabled": enabled}
    if all(getattr(rule, name) == value for name, value in after.items()):
        return
    await ReplyRule.filter(id=rule_id).update(**after, version=rule.version + 1)


@command
async def remove_rule(tx: Transaction, *, rule_id: int) -> None:
    """Remove a rule; one that is not there any more is removed already."""
    await tx.connection.execute("DELETE FROM reply_rule WHERE id = $1", rule_id)


@command
async def remove_welcome(tx: Transaction, *, welcome_id: int) -> None:
    """Remove a welcome text; one that is not there any more is removed already."""
    await tx.connection.execute("DELETE FROM welcome WHERE id = $1", welcome_id)


async def _check_free(raw: Connection, account_id: int, match: str, pattern: str, own: int | None) -> None:
    # The account's row orders who writes the same pattern at once.
    if await raw.fetchval("SELECT id FROM account WHERE id = $1 FOR NO KEY UPDATE", account_id) is None:
        raise NotFound("没有这个账号", field="account_id")
    taken = await raw.fetchval(
        """
        SELECT true FROM reply_rule
        WHERE account_id = $1 AND match = $2 AND pattern = $3 AND ($4::bigint IS NULL OR id <> $4)
        """,
        account_id,
        match,
        pattern,
        own,
    )
    if taken:
        raise Conflict("已经有一条匹配方式和关键词都相同的规则", code="rule_exists", field="pattern")
