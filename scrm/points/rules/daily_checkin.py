"""Check-in, once per natural day whatever the channel (mission A064, A071)."""

from scrm.points.plans import Earned, Facts, Give, Kind, Rule, Skip, register


def _plan(facts: Facts, rule: Rule) -> list[Earned]:
    # A make-up card mends the streak of a day that is over; it is not a check-in of that day.
    if facts.payload.get("makeup"):
        return [Skip(facts.member_id, "makeup")]
    return [Give(facts.member_id, asset, amount) for asset, amount in rule.worth.items()]


register(Kind("daily_checkin", "每日签到", _plan, events=("checkin.done",), frequencies=frozenset({"once_daily"})))
