"""Interest facts 兴趣点 (mission A002, F01): what a text shows becomes dated evidence on the timeline, once.

The rules read the timeline behind its end, in the order of its rows, in a worker. What they do not understand is a
question for the model, asked when the brand's budget allows. Neither is ever in the way of an answer.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from kit.ids import key_of
from scrm import db
from scrm.assistant.interest_rules import InterestRules, Noticed, normal, notice
from scrm.assistant.settings import AssistantSettings, preset_rules, settings_of
from scrm.db import Connection, Transaction, command
from scrm.events import kinds
from scrm.events import service as events

INTEREST = kinds.register("interest.noticed", "表现出兴趣").name
INTENT = kinds.register("intent.noticed", "表达意图").name
TEXT = "wechat.text"
Source = Literal["rule", "model"]

# Rows of one commit take their numbers before they are seen, so a lower number may still appear: by what a statement
# and an idle transaction may take at most (scrm.db), surely not after this long.
SETTLED = timedelta(minutes=2)
# Too short for a model to find more in it than the rules did; too old to be worth asking.
SHORTEST, OLDEST = 5, timedelta(days=1)
HALF_LIFE = timedelta(days=30)
REMEMBERED = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Heard:
    """A text on the timeline."""

    key: UUID
    occurred_at: datetime
    member_id: int | None
    account_id: int
    fan_id: int | None
    brand_id: int
    text: str


def rules_of(settings: AssistantSettings) -> InterestRules:
    """Return a brand's rules: its own, else the preset's."""
    return settings.interests if settings.interests is not None else preset_rules()


async def note(raw: Connection, heard: Heard, found: Sequence[Noticed], *, source: Source, now: datetime) -> int:
    """Append what a text shows, each once; returns how many were new. Part of the caller's transaction."""
    fresh = 0
    for one in found:
        kind = INTEREST if one.kind == "interest" else INTENT
        payload = {
            one.kind: one.name,
            "evidence": str(heard.key),
            "source": source,
            "confidence": one.confidence,
            "word": one.word,
        }
        fresh += await events.add(
            raw,
            kinds.Appended(
                key=key_of(kind, heard.key, one.name),
                kind=kind,
                occurred_at=heard.occurred_at,
                member_id=heard.member_id,
                account_id=heard.account_id,
                fan_id=heard.fan_id,
                payload=payload,
                recorded_at=now,
            ),
        )
    return fresh


_NEXT = """
SELECT e.id, e.key, e.occurred_at, e.recorded_at, e.member_id, e.account_id, e.fan_id, a.brand_id,
       CASE WHEN e.kind = $2 THEN e.payload->>'content' END AS text
FROM event e LEFT JOIN account a ON a.id = e.account_id
WHERE e.id > $1 ORDER BY e.id LIMIT $3
"""


@command
async def read_on(
    tx: Transaction, *, now: datetime, after: int | None = None, ask_model: bool = False, limit: int = 1000
) -> int | None:
    """Let the rules read the next rows of the timeline; returns the last one's number, None at its end.

    Call it again with what it returned until that is None; begin with None. What is not settled yet is read again
    next time, which changes nothing. None also while another worker is reading.
    """
    raw = tx.connection
    await raw.execute("INSERT INTO interest_progress (id, event_id) VALUES (1, 0) ON CONFLICT DO NOTHING")
    done = await raw.fetchval("SELECT event_id FROM interest_progress WHERE id = 1 FOR NO KEY UPDATE SKIP LOCKED")
    if done is None:
        return None
    rows = await raw.fetch(_NEXT, max(done, after or 0), TEXT, limit)
    if not rows:
        return None
    settled = max((row["id"] for row in rows if row["recorded_at"] <= now - SETTLED), default=done)
    settings: dict[int, AssistantSettings] = {}
    for row in rows:
        if not row["text"] or row["brand_id"] is None:
            continue
        brand_id = row["brand_id"]
        if brand_id not in settings:
            settings[brand_id] = await settings_of(brand_id)
        columns = ("key", "occurred_at", "member_id", "account_id", "fan_id", "brand_id", "text")
        heard = Heard(**{name: row[name] for name in columns})
        found = notice(heard.text, rules_of(settings[brand_id]))
        await note(raw, heard, found, source="rule", now=now)
        # Past its last reading, so that an answered question is not put again.
        if ask_model and row["id"] <= settled and settings[brand_id].enabled and _wants_model(heard, found, now):
            await _question(raw, heard, knows_intent=any(one.kind == "intent" for one in found), now=now)
    await raw.execute("UPDATE interest_progress SET event_id = greatest(event_id, $1) WHERE id = 1", settled)
    last: int = rows[-1]["id"]
    return last


def _wants_model(heard: Heard, found: Sequence[Noticed], now: datetime) -> bool:
    understood = any(one.kind == "interest" for one in found)
    return not understood and len(normal(heard.text).strip()) >= SHORTEST and heard.occurred_at > now - OLDEST


async def _question(raw: Connection, heard: Heard, *, knows_intent: bool, now: datetime) -> None:
    # Where to find the text, not the text: the timeline has it.
    event = {
        "member_id": heard.member_id,
        "account_id": heard.account_id,
        "fan_id": heard.fan_id,
        "occurred_at": heard.occurred_at.isoformat(),
        "knows_intent": knows_intent,
    }
    await raw.execute(
        """
        INSERT INTO interest_question (event_key, brand_id, due_at, event) VALUES ($1, $2, $3, $4::jsonb)
        ON CONFLICT DO NOTHING
        """,
        heard.key,
        heard.brand_id,
        now,
        json.dumps(event),
    )


@dataclass(frozen=True, slots=True)
class Interest:
    """What somebody cares about: `weight` adds up the evidence, halved every thirty days."""

    name: str
    weight: float
    times: int
    first_at: datetime
    last_at: datetime
    sources: tuple[str, ...]
    evidence: tuple[str, ...]


_EVIDENCE = """
SELECT payload->>'interest' AS interest, payload->>'intent' AS intent, (payload->>'confidence')::float AS confidence,
       payload->>'source' AS source, payload->>'evidence' AS evidence, occurred_at
FROM event
WHERE member_id IN (
    SELECT p.id FROM member m JOIN member p ON coalesce(p.merged_into_id, p.id) = coalesce(m.merged_into_id, m.id)
    WHERE m.id = $1
) AND kind = $2 AND occurred_at > $3
ORDER BY occurred_at, id
"""


async def interests_of(member_id: int, now: datetime) -> list[Interest]:
    """Return a person's interests by weight, with the keys of the latest texts that show each."""
    by_name: dict[str, list[Any]] = {}
    for row in await db.fetch(_EVIDENCE, member_id, INTEREST, now - REMEMBERED):
        by_name.setdefault(row["interest"], []).append(row)
    found = [
        Interest(
            name=name,
            weight=round(sum(row["confidence"] * 0.5 ** ((now - row["occurred_at"]) / HALF_LIFE) for row in rows), 4),
            times=len(rows),
            first_at=rows[0]["occurred_at"],
            last_at=rows[-1]["occurred_at"],
            sources=tuple(sorted({row["source"] for row in rows})),
            evidence=tuple(row["evidence"] for row in reversed(rows[-3:])),
        )
        for name, rows in by_name.items()
    ]
    return sorted(found, key=lambda one: (-one.weight, one.name))


async def intents_of(member_id: int, now: datetime, *, limit: int = 10) -> list[tuple[datetime, str]]:
    """Return what a person wanted lately, the latest first, as (when, intent)."""
    rows = await db.fetch(_EVIDENCE, member_id, INTENT, now - REMEMBERED)
    return [(row["occurred_at"], row["intent"]) for row in reversed(rows)][:limit]
