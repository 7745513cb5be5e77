"""The operator's rule table: writing rules as versions, reading those in force, installing presets."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid, NotFound
from scrm.events import kinds as events
from scrm.points import levels, plans, rules
from scrm.points.plans import Rule

PRESETS = Path(__file__).parents[2] / "assets" / "presets"
KINDS = rules.__name__  # importing the package registers every kind

Count = Field(ge=0, le=1_000_000)
Cap = Field(None, ge=0, le=1_000_000_000)


class Draft(BaseModel):
    """What an operator writes into a row of the rule table; null caps are no caps."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9_.]{0,63}$")
    kind: str
    module: str = Field(min_length=1, max_length=32)
    name: str = Field(min_length=1, max_length=64)
    # Only for kinds that any event can trigger; the others know their own.
    event_kind: str = ""
    frequency: Literal["each", "daily", "once_daily", "once"] = "each"
    points: int = Count
    growth: int = Count
    note: str = Field("", max_length=200)
    day_cap_points: int | None = Cap
    day_cap_growth: int | None = Cap
    month_cap_points: int | None = Cap
    month_cap_growth: int | None = Cap
    unit: str = Field("次", max_length=16)
    enabled: bool = True
    points_valid_days: int | None = Field(None, ge=1, le=36500)
    settings: dict[str, Any] = Field(default_factory=dict)


def check(given: dict[str, Any]) -> Draft:
    """Return a row of the table, complete; raises Invalid naming the first field that is wrong."""
    try:
        draft = Draft.model_validate(given)
        kind = plans.kind_of(draft.kind)
        own = kind.settings.model_validate(draft.settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(
            f"规则的 {where} 不正确", field=f"settings.{where}" if error.title.endswith("Settings") else where
        ) from None
    event_kind = draft.event_kind or (kind.events[0] if kind.events else "")
    if kind.events and event_kind != kind.events[0]:
        raise Invalid(f"“{kind.title}”规则只看 {kind.events[0]}", field="event_kind")
    if event_kind not in {known.name for known in events.every()}:
        raise Invalid("没有这种行为", field="event_kind")
    if draft.frequency not in kind.frequencies:
        raise Invalid(f"“{kind.title}”规则不能用这个频率", field="frequency")
    return draft.model_copy(update={"event_kind": event_kind, "settings": own.model_dump()})


_VERSIONS = """
SELECT r.id, r.brand_id, r.code, r.kind, r.system, r.event_kind, v.version, v.module, v.name, v.frequency,
       v.points, v.growth, v.note, v.day_cap_points, v.day_cap_growth, v.month_cap_points, v.month_cap_growth,
       v.unit, v.enabled, v.points_valid_days, v.settings, v.effective_from, v.effective_until
FROM points_rule r JOIN points_rule_version v ON v.rule_id = r.id
"""
_COLUMNS = (
    "module", "name", "frequency", "points", "growth", "note", "day_cap_points", "day_cap_growth", "month_cap_points",
    "month_cap_growth", "unit", "enabled", "points_valid_days", "settings",
)  # fmt: skip


def _rule(row: Any) -> Rule:
    return Rule(**{**dict(row), "settings": json.loads(row["settings"])})


@command
async def define(
    tx: Transaction,
    *,
    brand_id: int,
    draft: Draft,
    now: datetime,
    system: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Write a rule, new or as its next version, in force from `since` (default now) to `until`; returns the version.

    Saying what the newest version already says writes nothing, if it is in force now or begins at `since`: of what is
    planned nothing follows for now. A rule that is there never changes the past: raises Invalid for a `since` before
    now, and Conflict for another kind or event. `draft` comes from `check`.
    """
    raw, since = tx.connection, since or now
    rule = await raw.fetchrow(
        """
        INSERT INTO points_rule (brand_id, code, kind, event_kind, system, created_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (brand_id, code) DO UPDATE SET code = excluded.code
        RETURNING id, kind, event_kind
        """,
        brand_id,
        draft.code,
        draft.kind,
        draft.event_kind,
        system,
        now,
    )
    if rule["kind"] != draft.kind:
        raise Conflict("规则的种类不能改，请另建一条", field="kind")
    if rule["event_kind"] != draft.event_kind:
        raise Conflict("规则所看的行为不能改，请另建一条", field="event_kind")
    if until is not None and until <= since:
        raise Invalid("结束时间必须晚于开始时间", field="until")
    newest = await raw.fetchrow(_VERSIONS + "WHERE r.id = $1 ORDER BY v.version DESC LIMIT 1", rule["id"])
    values = [getattr(draft, column) for column in _COLUMNS]
    if newest is not None:
        old = _rule(newest)
        same = [getattr(old, column) for column in _COLUMNS] == values and old.effective_until == until
        if same and (old.effective_from == since or in_force([old], now) is not None):
            return old.version
        if since < now:
            raise Invalid("新版本不能从过去开始生效", field="since")
    version = 1 if newest is None else newest["version"] + 1
    values[-1] = json.dumps(draft.settings, ensure_ascii=False)
    await raw.execute(
        f"""
        INSERT INTO points_rule_version (rule_id, version, effective_from, effective_until, created_at,
                                         {", ".join(_COLUMNS)})
        VALUES ($1, $2, $3, $4, $5, {", ".join(f"${n}" for n in range(6, 6 + len(_COLUMNS)))})
        """,  # noqa: S608  # names of columns written above
        rule["id"],
        version,
        since,
        until,
        now,
        *values,
    )
    return version


def in_force(versions: Iterable[Rule], moment: datetime) -> Rule | None:
    """Return the newest version whose time holds the moment; None when there is none."""
    holding = [
        rule
        for rule in versions
        if rule.effective_from <= moment and (rule.effective_until is None or moment < rule.effective_until)
    ]
    return max(holding, key=lambda rule: rule.version, default=None)


async def listening(raw: Connection, brand_ids: Sequence[int], event_kinds: Iterable[str]) -> dict[int, list[Rule]]:
    """Return all versions of the rules of these brands that one of these events concerns, by rule id."""
    wanted = set(event_kinds)
    fixed = [kind.name for kind in plans.every() if wanted & {*kind.events, *kind.revisions}]
    rows = await raw.fetch(
        _VERSIONS
        + """
        WHERE r.brand_id = ANY($1::bigint[]) AND (r.kind = ANY($2::text[]) OR r.event_kind = ANY($3::text[]))
        ORDER BY r.id, v.version
        """,
        list(brand_ids),
        fixed,
        list(wanted),
    )
    found: dict[int, list[Rule]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(_rule(row))
    return found


async def every(raw: Connection, *, brand_id: int | None = None, rule_id: int | None = None) -> list[list[Rule]]:
    """Return the rules of a brand, or one of them, in the order in which they were made: each as all its versions."""
    versions: dict[int, list[Rule]] = {}
    rows = await raw.fetch(_VERSIONS + "WHERE r.brand_id = $1 OR r.id = $2 ORDER BY r.id, v.version", brand_id, rule_id)
    for row in rows:
        versions.setdefault(row["id"], []).append(_rule(row))
    return list(versions.values())


async def table(raw: Connection, brand_id: int, now: datetime) -> list[Rule]:
    """Return the brand's rule table as it stands now, one row a rule, in the order in which they were made."""
    versions = await every(raw, brand_id=brand_id)
    return [rule for own in versions if (rule := in_force(own, now)) is not None]


def presets() -> list[str]:
    """Return the names of the presets there are."""
    return sorted(path.stem for path in PRESETS.glob("*.json"))


@command
async def install_preset(
    tx: Transaction, brand_id: int, name: str, now: datetime, *, since: datetime | None = None
) -> list[str]:
    """Write the rules of a preset that the brand lacks, and the levels if it has none; returns the new codes.

    What is there, edited or not, stays; a brand's first preset also says what it calls growth. The rules count from
    `since` (default now). Raises NotFound.
    """
    if name not in presets():
        raise NotFound(f"没有“{name}”这套预设", field="name")
    data = json.loads((PRESETS / f"{name}.json").read_text(encoding="utf-8"))
    there = {
        row["code"] for row in await tx.connection.fetch("SELECT code FROM points_rule WHERE brand_id = $1", brand_id)
    }
    if not there and "growth_word" in data:
        await tx.connection.execute("UPDATE brand SET growth_word = $2 WHERE id = $1", brand_id, data["growth_word"])
    drafts = [draft for row in data["rules"] if (draft := check(row)).code not in there]
    for draft in drafts:
        await define(brand_id=brand_id, draft=draft, now=now, system=True, since=since)
    if data.get("levels") and not await levels.of_brand(tx.connection, brand_id):
        await levels.define(brand_id=brand_id, given=data["levels"])
    return [draft.code for draft in drafts]
