"""A product verified and archived, once per code whoever verifies it (mission A068, A070, A075, A078).

A fraud verdict takes back what the code earned, and the code earns nothing any more.
"""

from scrm.points.plans import Earned, Facts, Give, Keep, Kind, Revised, Rule, register


def _subject(facts: Facts) -> str:
    return f"code:{facts.text('code')}"


def _plan(facts: Facts, rule: Rule) -> list[Earned]:
    return [Give(facts.member_id, asset, amount, _subject(facts)) for asset, amount in rule.worth.items()]


def _revise(facts: Facts) -> list[Revised]:
    return [Keep(_subject(facts), 0, "fraud")]


register(
    Kind(
        "authentication",
        "产品验真",
        _plan,
        events=("product.authenticated",),
        revisions=("product.fraud",),
        revise=_revise,
        when=lambda _rule: "产品验真并建档，每个验真码一次，",
        then=lambda _rule: "恶意注册时扣回",
    )
)
