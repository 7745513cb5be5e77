"""Reading automatic replies for staff: an account's rules in the order they are tried, and its welcome texts."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scrm import db
from scrm.replies.rules import Rule, RuleBook


@dataclass(frozen=True, slots=True)
class AccountName:
    """An account that may have automatic replies."""

    id: int
    brand_id: int
    kind: str
    name: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule with the brand of its account."""

    id: int
    account_id: int
    brand_id: int
    match: str
    pattern: str
    reply: dict[str, Any]
    priority: int
    enabled: bool
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WelcomeView:
    """What followers are told; without a channel in general, `audience` any, new or returning."""

    id: int
    account_id: int
    brand_id: int
    channel_id: int | None
    channel: str | None
    audience: str
    reply: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChannelName:
    """A channel that may have a welcome text of its own."""

    id: int
    name: str


async def accounts(brands: list[int] | None) -> list[AccountName]:
    """Return the accounts of these brands (None: all)."""
    rows = await db.fetch(
        """
        SELECT id, brand_id, kind, name, enabled FROM account
        WHERE $1::bigint[] IS NULL OR brand_id = ANY($1) ORDER BY brand_id, id
        """,
        brands,
    )
    return [AccountName(**dict(row)) for row in rows]


async def brand_of_account(account_id: int) -> int | None:
    """Return whose account it is; None when there is none."""
    rows = await db.fetch("SELECT brand_id FROM account WHERE id = $1", account_id)
    return rows[0]["brand_id"] if rows else None


_RULES = """
SELECT r.id, r.account_id, a.brand_id, r.match, r.pattern, r.reply, r.priority, r.enabled, r.version,
       r.created_at
FROM reply_rule r JOIN account a ON a.id = r.account_id
"""


async def rules(account_id: int) -> list[RuleView]:
    """Return an account's rules, the disabled too, in the order in which they are tried."""
    rows = await db.fetch(f"{_RULES} WHERE r.account_id = $1 ORDER BY r.priority, r.id", account_id)
    return [_rule(row) for row in rows]


async def rule(rule_id: int) -> RuleView | None:
    """Return one rule."""
    rows = await db.fetch(f"{_RULES} WHERE r.id = $1", rule_id)
    return _rule(rows[0]) if rows else None


def book_of(own: list[RuleView]) -> RuleBook:
    """Return the book that messages are matched with: the enabled ones of an account's rules."""
    return RuleBook(Rule(one.id, one.match, one.pattern, one.reply) for one in own if one.enabled)


_WELCOMES = """
SELECT w.id, w.account_id, a.brand_id, w.channel_id, c.name AS channel, w.audience, w.reply
FROM welcome w JOIN account a ON a.id = w.account_id LEFT JOIN channel c ON c.id = w.channel_id
"""


async def welcomes(account_id: int) -> list[WelcomeView]:
    """Return an account's welcome texts, the general ones first."""
    rows = await db.fetch(
        f"{_WELCOMES} WHERE w.account_id = $1 ORDER BY w.channel_id NULLS FIRST, w.audience", account_id
    )
    return [_welcome(row) for row in rows]


async def welcome(welcome_id: int) -> WelcomeView | None:
    """Return one welcome text."""
    rows = await db.fetch(f"{_WELCOMES} WHERE w.id = $1", welcome_id)
    return _welcome(rows[0]) if rows else None


async def channels(account_id: int) -> list[ChannelName]:
    """Return an account's channels by name."""
    rows = await db.fetch("SELECT id, name FROM channel WHERE account_id = $1 ORDER BY name, id", account_id)
    return [ChannelName(**dict(row)) for row in rows]


def _rule(row: Any) -> RuleView:
    return RuleView(**{**dict(row), "reply": json.loads(row["reply"])})


def _welcome(row: Any) -> WelcomeView:
    return WelcomeView(**{**dict(row), "reply": json.loads(row["reply"])})
