"""What an author earns when somebody comments on, likes or shares a post of theirs (mission A095, A097).

The author is paid by the very event that pays the one who acts: same second, same transaction.
"""

from scrm.events import kinds
from scrm.points.plans import Earned, Facts, Give, Kind, Rule, Skip, register


def _plan(facts: Facts, rule: Rule) -> list[Earned]:
    author = facts.member("author")
    if facts.same_person(facts.member_id, author):
        return [Skip(author, "own_post")]
    return [Give(author, asset, amount) for asset, amount in rule.worth.items()]


def _when(rule: Rule) -> str:
    return f"别人{kinds.get(rule.event_kind).title}，作者"


register(Kind("passive", "被互动", _plan, members=("author",), when=_when))
