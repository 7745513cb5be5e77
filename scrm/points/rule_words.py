"""A rule in words, as staff read it: what earns, whom, how much, how often, up to which caps, and when it is paid."""

from scrm.points.plans import Rule, kind_of
from scrm.points.postings import GROWTH, POINTS

_OFTEN = {"once_daily": "每人每天一次", "once": "每人只有一次"}


def told(rule: Rule, growth: str) -> str:
    """Return the rule as one sentence; `growth` is the brand's word for it."""
    kind, names = kind_of(rule.kind), {POINTS: "积分", GROWTH: growth}
    amounts = "、".join(f"{amount} {names[asset]}" for asset, amount in rule.worth.items())
    earns = f"{kind.when(rule)}得 {amounts}" if amounts else f"{kind.when(rule)}不得奖励"
    parts = [earns, _OFTEN.get(rule.frequency, ""), *_caps(rule, names), kind.then(rule)]
    if rule.points and rule.points_valid_days is not None:
        parts.append(f"积分 {rule.points_valid_days} 天后过期")
    return "；".join(part for part in parts if part)


def _caps(rule: Rule, names: dict[str, str]) -> list[str]:
    caps = {asset: rule.caps(asset) for asset in rule.worth}
    found = []
    for n, span in enumerate(("每人每天", "每人每月")):
        limits = "、".join(f"{both[n]} {names[asset]}" for asset, both in caps.items() if both[n] is not None)
        if limits:
            found.append(f"{span}最多 {limits}")
    return found
