"""So much for every action of a kind, up to the caps: posting, commenting, sharing (mission A039)."""

from scrm.points.plans import Earned, Facts, Give, Kind, Rule, register


def _plan(facts: Facts, rule: Rule) -> list[Earned]:
    return [Give(facts.member_id, asset, amount) for asset, amount in rule.worth.items()]


register(Kind("per_action", "每次行为", _plan))
