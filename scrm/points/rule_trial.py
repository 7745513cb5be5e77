"""试算: what a rule would give, tried on people and happenings that never were; of all of it nothing is kept.

The rule is written, its events are applied and explained by the code that does so every day, and the transaction is
taken back. Whoever tries is somebody new, so that caps and 每天一次 begin at nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from kit.ids import key_of
from scrm.db import Connection, Transaction, command
from scrm.errors import Invalid
from scrm.points import awarding, explanations, rulebook
from scrm.points.plans import Facts, Rule, kind_of
from scrm.points.rule_editing import newest, proposed, refuse_unknown

MOST = 50  # happenings of one trial
LARGEST = 100_000_000  # fen
# Whoever tries is numbered from here on: a sequence does not go back, and the 会员号 of real members would jump.
_BEYOND = 2**62


@dataclass(frozen=True, slots=True)
class Tried:
    """What the rule does at the `time`-th happening for whoever acts (`actor`), or for the author or inviter."""

    time: int
    actor: bool
    asset: str
    planned: int
    given: int
    reason: str
    why: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Trial:
    """The rule as it would be, and what it did."""

    rule: Rule
    lines: list[Tried]


class _TakenBackError(Exception):
    def __init__(self, trial: Trial) -> None:
        self.trial = trial


async def trial(*, key: UUID, brand_id: int, given: Mapping[str, Any], times: int, amount: int, now: datetime) -> Trial:
    """Return what a rule as `given` (a row without a code) would do at so many happenings in a row, all of them now.

    `amount` is the fen of an order. Raises NotFound for a brand that there is not, Invalid naming the field.
    """
    if not 1 <= times <= MOST:
        raise Invalid(f"次数为 1 到 {MOST}", field="times")
    if not 0 <= amount <= LARGEST:
        raise Invalid("订单金额不正确", field="amount")
    draft = proposed({**given, "code": f"trial.{key.hex}"})
    try:
        await _happen(key=key, brand_id=brand_id, draft=draft, times=times, amount=amount, now=now)
    except _TakenBackError as over:
        return over.trial
    raise AssertionError("unreachable")


@command
async def _happen(
    tx: Transaction, *, key: UUID, brand_id: int, draft: rulebook.Draft, times: int, amount: int, now: datetime
) -> None:
    raw, kind = tx.connection, kind_of(draft.kind)
    await refuse_unknown(raw, brand_id)
    await rulebook.define(brand_id=brand_id, draft=draft, now=now)
    numbers = count(_BEYOND + key.int % _BEYOND // 2)
    actor, other = await _somebody(raw, next(numbers), now), await _somebody(raw, next(numbers), now)
    tried: list[Tried] = []
    for time in range(1, times + 1):
        if "inviter" in kind.members and time > 1:
            actor = await _somebody(raw, next(numbers), now)  # nobody is new twice
        event, name = key_of("trial", key, time), f"trial-{time}"
        payload = {"post": name, "author": other, "verdict": "approved", "published_at": now.isoformat()}
        payload |= {"order": name, "amount": amount, "inviter": other, "code": name}
        await awarding.apply(raw, [Facts(event, draft.event_kind, now, brand_id, actor, "试算", payload)], now)
        tried += [
            Tried(time, one.beneficiary_id == actor, one.asset, one.planned, one.given, one.reason, one.why, one.due_at)
            for one in await explanations.of_event(raw, event)
            if one.rule == draft.code
        ]
    raise _TakenBackError(Trial(await newest(raw, brand_id, draft.code), tried))


async def _somebody(raw: Connection, number: int, now: datetime) -> int:
    await raw.execute("INSERT INTO member (id, created_at) VALUES ($1, $2)", number, now)
    return number
