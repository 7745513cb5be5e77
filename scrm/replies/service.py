"""Commands about automatic replies, and the snapshot of them that callbacks work with."""

import json
from datetime import datetime
from typing import Any

from scrm import db
from scrm.db import Transaction, command
from scrm.errors import Invalid
from scrm.replies.content import check, check_rule
from scrm.replies.models import ReplyRule
from scrm.replies.rules import Rule, RuleBook, check_pattern, check_priority

_SET_RULE = """
INSERT INTO reply_rule (account_id, match, pattern, reply, priority, enabled, created_at)
VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7)
ON CONFLICT (account_id, match, pattern) DO UPDATE
SET reply = excluded.reply, priority = excluded.priority, enabled = excluded.enabled, created_at = excluded.created_at,
    version = reply_rule.version + 1
RETURNING id
"""
_SET_WELCOME = """
-- No channel is a value of its own here: the key is NULLS NOT DISTINCT.
INSERT INTO welcome (account_id, channel_id, audience, reply, created_at) VALUES ($1, $2, $3, $4::jsonb, $5)
ON CONFLICT (account_id, channel_id, audience) DO UPDATE SET reply = excluded.reply, created_at = excluded.created_at
RETURNING id
"""


@command
async def set_rule(
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
    """Write the rule of (account, match, pattern), new or changed, and return its id.

    Raises Invalid naming the field.
    """
    pattern = check_pattern(match, pattern)
    check_priority(priority)
    answer = json.dumps(check_rule(reply), ensure_ascii=False)
    made: int = await tx.connection.fetchval(_SET_RULE, account_id, match, pattern, answer, priority, enabled, now)
    return made


@command
async def set_welcome(
    tx: Transaction,
    *,
    account_id: int,
    reply: dict[str, Any],
    now: datetime,
    channel_id: int | None = None,
    audience: str = "any",
) -> int:
    """Write what followers are told, per channel and for new or returning ones, and return the row's id."""
    if audience not in {"any", "new", "returning"}:
        raise Invalid("对象只能是 any、new 或 returning", field="audience")
    text = json.dumps(check(reply), ensure_ascii=False)
    made: int = await tx.connection.fetchval(_SET_WELCOME, account_id, channel_id, audience, text, now)
    return made


async def rule_books() -> dict[int, RuleBook]:
    """Return every account's enabled rules, ready for matching."""
    rules: dict[int, list[Rule]] = {}
    for row in await ReplyRule.filter(enabled=True).order_by("account_id", "priority", "id").values():
        rules.setdefault(row["account_id"], []).append(Rule(row["id"], row["match"], row["pattern"], row["reply"]))
    return {account_id: RuleBook(own) for account_id, own in rules.items()}


_WELCOME = """
-- The most specific text: this channel before any channel, then new or returning before anybody.
SELECT reply FROM welcome
WHERE account_id = $1 AND (channel_id = $2 OR channel_id IS NULL) AND audience IN ($3, 'any')
ORDER BY channel_id IS NULL, audience = 'any'
LIMIT 1
"""


async def welcome_for(account_id: int, *, channel_id: int | None, returning: bool) -> dict[str, Any] | None:
    """Return what somebody who has just followed is told, or None when the account says nothing."""
    rows = await db.fetch(_WELCOME, account_id, channel_id, "returning" if returning else "new")
    return json.loads(rows[0]["reply"]) if rows else None


_OF_CHANNEL = """
SELECT reply FROM welcome WHERE account_id = $1 AND channel_id = $2 AND audience IN ('returning', 'any')
ORDER BY audience = 'any' LIMIT 1
"""


async def text_of_channel(account_id: int, channel_id: int) -> dict[str, Any] | None:
    """Return a channel's own text for a follower who scans its code, or None when it has none of its own."""
    rows = await db.fetch(_OF_CHANNEL, account_id, channel_id)
    return json.loads(rows[0]["reply"]) if rows else None
