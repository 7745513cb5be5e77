"""A member brings a new one: both earn, once per new member ever (mission A067, A074; F32).

The event is about the new member; `inviter` is whoever the link belonged to.
"""

from scrm.points.plans import Earned, Facts, Give, Keep, Kind, Revised, Rule, Skip, register


def _plan(facts: Facts, rule: Rule) -> list[Earned]:
    invitee, inviter = facts.member_id, facts.member("inviter")
    if facts.same_person(invitee, inviter):
        return [Skip(inviter, "self_referral")]
    # The subject is the new member, so that a second inviter of the same person earns nothing.
    return [
        Give(beneficiary, asset, amount, subjects[0], subjects[1:])
        for beneficiary, subjects in (
            (invitee, facts.of_person("joined", invitee)),
            (inviter, facts.of_person("invited", invitee)),
        )
        for asset, amount in rule.worth.items()
    ]


def _revise(facts: Facts) -> list[Revised]:
    subjects = facts.of_person("joined", facts.member_id) + facts.of_person("invited", facts.member_id)
    return [Keep(subject, 0, "fraud") for subject in subjects]


register(
    Kind(
        "referral",
        "邀请好友",
        _plan,
        events=("member.referred",),
        revisions=("referral.fraud",),
        revise=_revise,
        members=("inviter",),
        when=lambda _rule: "好友受邀注册，双方各",
        then=lambda _rule: "每位新会员只计一次，作弊时扣回",
    )
)
