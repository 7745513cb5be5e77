"""Asking the model about texts that no rule understood: claimed in batches, charged to the brand, noted once."""

import json
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from kit.chat import ChatModel, ModelFailure
from kit.clock import Clock
from scrm import db
from scrm.assistant import prompting
from scrm.assistant.budgets import OverBudget
from scrm.assistant.charging import charged
from scrm.assistant.interest_rules import InterestRules, Noticed
from scrm.assistant.interests import Heard, note, rules_of
from scrm.assistant.settings import settings_of
from scrm.assistant.tools import Asker
from scrm.db import Transaction, command
from scrm.members.person import erased, hold

log = structlog.get_logger(__name__)

# A model's word counts for less than a rule's.
CONFIDENCE = 0.5
LEASE = timedelta(minutes=2)
ATTEMPTS = 3
SECONDS = 15.0
TOKENS_OUT = 120


@command
async def claim(tx: Transaction, *, now: datetime, limit: int = 20) -> list[tuple[int, Heard | None, bool]]:
    """Take questions that are due, as (id, the text, whether its intent is known); nobody else has them for a while.

    The text is None when the timeline does not have it.
    """
    rows = await tx.connection.fetch(
        """
        UPDATE interest_question SET due_at = $1 + $3::interval, attempts = attempts + 1
        WHERE id IN (
            SELECT id FROM interest_question WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING id, event_key, brand_id, event
        """,
        now,
        limit,
        LEASE,
    )
    return [await _claimed(tx, row) for row in sorted(rows, key=lambda row: row["id"])]


async def _claimed(tx: Transaction, row: Any) -> tuple[int, Heard | None, bool]:
    event = json.loads(row["event"])
    occurred_at = datetime.fromisoformat(event["occurred_at"])
    text = await tx.connection.fetchval(
        "SELECT payload->>'content' FROM event WHERE member_id = $1 AND occurred_at = $2 AND key = $3",
        event["member_id"],
        occurred_at,
        row["event_key"],
    )
    if text is None:
        return row["id"], None, False
    where = {name: event[name] for name in ("member_id", "account_id", "fan_id")}
    key: UUID = row["event_key"]
    heard = Heard(key=key, occurred_at=occurred_at, brand_id=row["brand_id"], text=text, **where)
    return row["id"], heard, event["knows_intent"]


@command
async def conclude(
    tx: Transaction, question_id: int, heard: Heard | None, found: list[Noticed], *, now: datetime
) -> None:
    """Note what was found and strike the question off, both or neither; of somebody who has left, nothing."""
    if heard is not None and not await _left(tx, heard):
        await note(tx.connection, heard, found, source="model", now=now)
    await tx.connection.execute("DELETE FROM interest_question WHERE id = $1", question_id)


async def _left(tx: Transaction, heard: Heard) -> bool:
    """Whether whoever wrote a text has been erased since; if not, they are not before this transaction ends."""
    if heard.member_id is None:
        return False
    await hold(tx.connection, heard.member_id, heard.fan_id)
    return await erased(tx.connection, heard.member_id)


@command
async def give_up_old(tx: Transaction) -> None:
    """Strike off what has been tried often enough."""
    await tx.connection.execute("DELETE FROM interest_question WHERE attempts >= $1", ATTEMPTS)


async def ask_some(model: ChatModel, clock: Clock, *, limit: int = 20) -> int:
    """Ask about the questions that are due, at most `limit`; returns how many were claimed.

    Over budget a question is dropped: it will not be worth more tomorrow. After a failure it comes up again.
    """
    claimed = await claim(now=clock.now(), limit=limit)
    for question_id, heard, knows_intent in claimed:
        found: list[Noticed] = []
        if heard is not None:
            try:
                found = await _asked(model, heard, knows_intent, clock.now())
            except OverBudget:
                log.info("interests: the day's budget is spent", brand=heard.brand_id)
            except ModelFailure as failure:
                log.warning("interests: the model gave no answer", code=failure.code)
                continue
        await conclude(question_id, heard, found, now=clock.now())
    await give_up_old()
    return len(claimed)


async def _asked(model: ChatModel, heard: Heard, knows_intent: bool, now: datetime) -> list[Noticed]:
    settings = await settings_of(heard.brand_id)
    rules = rules_of(settings)
    (account,) = await db.fetch("SELECT name FROM account WHERE id = $1", heard.account_id)
    turns = prompting.label(
        account["name"], [one.name for one in rules.intents], [one.name for one in rules.interests], heard.text
    )
    asker = Asker(heard.brand_id, heard.account_id, heard.fan_id or 0, heard.member_id or 0, settings, now)
    said = await charged(
        model, turns, offers=(), seconds=SECONDS, purpose="interests", asker=asker, tokens_out=TOKENS_OUT
    )
    found = read(said.text, rules)
    return [one for one in found if one.kind == "interest" or not knows_intent]


def read(answer: str, rules: InterestRules) -> list[Noticed]:
    """Return what a model's answer names, of the rules' own names alone; nothing when it is no such JSON."""
    braces = re.search(r"\{.*\}", answer, re.DOTALL)
    try:
        data = json.loads(braces.group()) if braces else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        return []
    found = []
    if data.get("intent") in [one.name for one in rules.intents]:
        found.append(Noticed("intent", data["intent"], CONFIDENCE, ""))
    named = data.get("interests")
    if isinstance(named, list):
        found += [Noticed("interest", one.name, CONFIDENCE, "") for one in rules.interests if one.name in named]
    return found
