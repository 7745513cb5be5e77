"""A good post, paid once a moderator has approved it and its days have passed (mission A066, A073).

Growth waits 5 working days and points 5 natural days from the publication. The verdict that happened last counts: a
post found to be 水贴 loses what it earned, one approved after all earns anew.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from kit.workdays import natural_days_after, working_days_after
from scrm.errors import Invalid
from scrm.points.plans import Earned, Facts, Give, Keep, Kind, Revised, Rule, Settings, Skip, register
from scrm.points.postings import GROWTH, POINTS


class PostSettings(Settings):
    """How long after the publication each asset is paid."""

    points_days: int = Field(5, ge=0, le=365)
    points_calendar: Literal["natural", "working"] = "natural"
    growth_days: int = Field(5, ge=0, le=365)
    growth_calendar: Literal["natural", "working"] = "working"


def _approved(facts: Facts) -> bool:
    verdict = facts.payload.get("verdict")
    if verdict not in {"approved", "filler"}:
        raise Invalid("审核结论只能是 approved 或 filler", field="payload.verdict")
    return bool(verdict == "approved")


def _plan(facts: Facts, rule: Rule) -> list[Earned]:
    if facts.kind == "post.published":
        return [Skip(facts.member_id, "awaiting_verdict")]
    if not _approved(facts):
        return []
    settings = PostSettings.model_validate(rule.settings)
    subject, published_at = f"post:{facts.text('post')}", facts.moment("published_at")

    def due_at(asset: str) -> datetime:
        points = asset == POINTS
        calendar = settings.points_calendar if points else settings.growth_calendar
        days = settings.points_days if points else settings.growth_days
        return (working_days_after if calendar == "working" else natural_days_after)(published_at, days)

    return [Give(facts.member_id, asset, amount, subject, due_at=due_at(asset)) for asset, amount in rule.worth.items()]


def _revise(facts: Facts) -> list[Revised]:
    return [] if _approved(facts) else [Keep(f"post:{facts.text('post')}", 0, "filler_post")]


_CALENDARS = {"natural": "自然日", "working": "工作日"}


def _then(rule: Rule) -> str:
    settings = PostSettings.model_validate(rule.settings)
    points = f"{settings.points_days} 个{_CALENDARS[settings.points_calendar]}"
    growth = f"{settings.growth_days} 个{_CALENDARS[settings.growth_calendar]}"
    days = {POINTS: points, GROWTH: growth}
    due = " / ".join(dict.fromkeys(days[asset] for asset in rule.worth))
    return f"{due and f'发布 {due}后到账，'}判为水贴时扣回"


register(
    Kind(
        "post",
        "优质发帖",
        _plan,
        events=("post.judged", "post.published"),
        revisions=("post.judged",),
        revise=_revise,
        settings=PostSettings,
        latest_word=True,
        when=lambda _rule: "帖子通过审核，作者",
        then=_then,
    )
)
