"""What staff do with rules: a new one, or the next version of one that is there."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid, NotFound
from scrm.points import plans, rulebook
from scrm.points.happenings import TITLES
from scrm.points.plans import Kind, Rule

# Taking back is a matter of kinds; nobody earns by it.
_TAKING_BACK = {name for name in TITLES if name.endswith((".returned", ".return_opened", ".return_closed", ".fraud"))}
_AUTHORED = ("post.commented", "post.liked", "post.shared")


def earning(kind: Kind) -> list[str]:
    """Return the events that rules of a kind may earn by, the usual one first."""
    if kind.events:
        return [kind.events[0]]
    if "author" in kind.members:
        return list(_AUTHORED)
    return [name for name in TITLES if name not in _TAKING_BACK and name != "post.judged"]


def proposed(given: Mapping[str, Any]) -> rulebook.Draft:
    """Return what somebody wrote as a row of the table; raises Invalid naming the field that is wrong."""
    draft = rulebook.check(dict(given))
    if draft.event_kind not in earning(plans.kind_of(draft.kind)):
        raise Invalid("这种规则不能由这个行为触发", field="event_kind")
    if not draft.module.strip() or not draft.name.strip():
        raise Invalid("请填写", field="name" if draft.module.strip() else "module")
    return draft


@command
async def add_rule(
    tx: Transaction,
    *,
    key: UUID,
    brand_id: int,
    given: Mapping[str, Any],
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Rule:
    """Add a rule of the brand's own (自定义规则) and return it; the same key is the same rule.

    `given` is a row of the table without a code. Raises NotFound for a brand that there is not, and Invalid naming the
    field, also for a `since` before now.
    """
    await refuse_unknown(tx.connection, brand_id)
    draft = proposed({**given, "code": f"own.{key.hex}"})
    _check_since(since, now)
    await rulebook.define(brand_id=brand_id, draft=draft, now=now, since=since, until=until)
    return await newest(tx.connection, brand_id, draft.code)


@command
async def change_rule(
    tx: Transaction,
    *,
    rule_id: int,
    given: Mapping[str, Any],
    expected: int,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Rule:
    """Write the next version of a rule and return the newest; of what it says already, none is written.

    `given` is a row without code, kind and event, which stay. Raises NotFound, Invalid naming the field, Conflict
    `stale_version` when somebody has written another version since the `expected` one.
    """
    raw = tx.connection
    if await raw.fetchval("SELECT id FROM points_rule WHERE id = $1 FOR NO KEY UPDATE", rule_id) is None:
        raise NotFound("没有这条积分规则")
    ((*_, last),) = await rulebook.every(raw, rule_id=rule_id)
    if last.version != expected:
        raise Conflict(
            f"这条规则已被修改，最新是第 {last.version} 版，请刷新后再保存", code="stale_version", field="expected"
        )
    draft = proposed({**given, "code": last.code, "kind": last.kind, "event_kind": last.event_kind})
    _check_since(since, now)
    await rulebook.define(brand_id=last.brand_id, draft=draft, now=now, since=since, until=until)
    return await newest(raw, last.brand_id, last.code)


def _check_since(since: datetime | None, now: datetime) -> None:
    if since is not None and since < now:
        raise Invalid("开始时间不能早于现在", field="since")


async def refuse_unknown(raw: Connection, brand_id: int) -> None:
    """Raise NotFound unless there is this brand."""
    if not await raw.fetchval("SELECT EXISTS (SELECT FROM brand WHERE id = $1)", brand_id):
        raise NotFound("没有这个品牌", field="brand_id")


async def newest(raw: Connection, brand_id: int, code: str) -> Rule:
    """Return the newest version of a rule that there is."""
    rule_id = await raw.fetchval("SELECT id FROM points_rule WHERE brand_id = $1 AND code = $2", brand_id, code)
    ((*_, last),) = await rulebook.every(raw, rule_id=rule_id)
    return last
