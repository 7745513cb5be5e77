"""A brand's settings of the assistant: budgets, banned words, stores, interest rules. Absent ones are the defaults."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from scrm import db
from scrm.assistant.interest_rules import InterestRules
from scrm.db import Transaction, command
from scrm.errors import Invalid, NotFound

PRESETS = Path(__file__).parents[2] / "assets" / "assistant"
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Budgets(_Data):
    """The most that a natural day in Shanghai may cost; `fen` in fen. `interests` are calls apart from answers."""

    member_calls: int = Field(default=30, ge=0)
    member_tokens: int = Field(default=60_000, ge=0)
    calls: int = Field(default=5_000, ge=0)
    tokens: int = Field(default=10_000_000, ge=0)
    fen: int = Field(default=10_000, ge=0)
    interests: int = Field(default=200, ge=0)


class Store(_Data):
    """A store 门店 as the assistant may tell of it."""

    name: Word
    city: Line = ""
    address: Line = ""
    hours: Line = ""
    phone: Line = ""


class AssistantSettings(_Data):
    """All of it; `banned` are words that no answer may hold, besides those of the preset."""

    enabled: bool = True
    name: Word = "小助手"
    banned: tuple[Word, ...] = ()
    budgets: Budgets = Budgets()
    stores: tuple[Store, ...] = Field(default=(), max_length=500)
    # None: the preset's.
    interests: InterestRules | None = None


@cache
def preset_words() -> tuple[str, ...]:
    """Return the words that no brand's answer may hold."""
    words: list[str] = json.loads((PRESETS / "banned.json").read_text())
    return tuple(words)


@cache
def preset_rules() -> InterestRules:
    """Return the interest rules of a brand that has none of its own."""
    return InterestRules.model_validate_json((PRESETS / "interests.json").read_text())


DEFAULTS = AssistantSettings()


def read(data: Mapping[str, Any]) -> AssistantSettings:
    """Return settings from data. Raises Invalid naming the field."""
    try:
        return AssistantSettings.model_validate(data)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise Invalid("智能客服设置有误", field=field or "settings") from None


async def settings_of(brand_id: int) -> AssistantSettings:
    """Return a brand's settings, the defaults when it has none."""
    rows = await db.fetch("SELECT data FROM assistant_setting WHERE brand_id = $1", brand_id)
    return AssistantSettings.model_validate_json(rows[0]["data"]) if rows else DEFAULTS


@command
async def set_settings(tx: Transaction, *, brand_id: int, data: Mapping[str, Any], now: datetime) -> AssistantSettings:
    """Write a brand's settings in place of those it had. Raises Invalid naming the field; nothing is kept then."""
    settings = read(data)
    await tx.connection.execute(
        """
        INSERT INTO assistant_setting (brand_id, data, changed_at) VALUES ($1, $2::jsonb, $3)
        ON CONFLICT (brand_id) DO UPDATE SET data = excluded.data, changed_at = excluded.changed_at
        """,
        brand_id,
        settings.model_dump_json(),
        now,
    )
    return settings


@command
async def change_settings(
    tx: Transaction, *, brand_id: int, changes: Mapping[str, Any], now: datetime
) -> tuple[AssistantSettings, AssistantSettings]:
    """Change some of a brand's settings by name and return all of them before and after.

    Two who change different ones at once both have their way. Raises Invalid naming the field.
    """
    # The brand's row orders them, also where there are no settings yet.
    if await tx.connection.fetchval("SELECT id FROM brand WHERE id = $1 FOR NO KEY UPDATE", brand_id) is None:
        raise NotFound("没有这个品牌", field="brand_id")
    before = await settings_of(brand_id)
    after = await set_settings(brand_id=brand_id, data={**before.model_dump(), **changes}, now=now)
    return before, after
