"""Check-in, once per natural day whatever the channel (mission A064, A071)."""

from scrm.points.plans import Earned, Facts, Give, Kind, Rule, register


def _plan(facts: Facts, rule: Rule) -> list[Earned]:
    return [Give(facts.member_id, asset, amount) for asset, amount in rule.worth.items()]


register(Kind("daily_checkin", "每日签到", _plan, events=("checkin.done",), frequencies=frozenset({"once_daily"})))
