"""Whether and until when staff may say something to a fan: the gate's answer, in words."""

from datetime import datetime

from pydantic import BaseModel

from scrm.outreach.chances import chance_of
from web.shapes import Moment

# Why the gate refuses, in words for staff (scrm.outreach.gate.decide).
REFUSALS = {
    "account_disabled": "这个公众号已停用",
    "no_capability": "公众号未认证，不能发送客服消息",
    "not_following": "粉丝没有关注",
    "window_closed": "已超过微信允许的回复时间，等粉丝再次互动后可继续发送",
    "count_exhausted": "本次可发的条数已用完，等粉丝再次互动后可继续发送",
}
# With what WeChat itself refused the message before.
REFUSED = {
    "40003": "微信查无此粉丝",
    "43004": "粉丝没有关注",
    "43101": "粉丝没有订阅",
    "48002": "粉丝拒收消息",
    "50002": "粉丝的微信账号受限",
    "45015": "超过微信允许的回复时间",
    "45047": "微信允许的条数已用完",
}


class Sendable(BaseModel):
    """Whether a message would go out now, as the gate decides; `reason` is its code, `title` the refusal in words.

    When it would: `until` when it would not any more, `left` how many messages, `scene` what the fan did to open it:
    message, menu, follow, scan, or enter (a mini-program's customer service).
    """

    allowed: bool
    reason: str
    title: str
    scene: str
    until: Moment | None
    left: int


async def sendable(fan_id: int, now: datetime) -> Sendable:
    """Return whether one of the staff could say something to a fan."""
    chance = await chance_of(fan_id, now)
    title = "" if chance.allowed else refusal(chance.reason)
    return Sendable(
        allowed=chance.allowed,
        reason=chance.reason,
        title=title,
        scene=chance.scene,
        until=chance.until,
        left=chance.left,
    )


def refusal(reason: str) -> str:
    """Return a refusal of the gate in words, "" for what is none.

    How long and how many messages it was depends on what the fan did (scrm.outreach.windows): the words name no number.
    """
    if reason.startswith("refused:"):
        code = reason.removeprefix("refused:")
        return f"微信刚拒绝过（{REFUSED.get(code, f'错误码 {code}')}），等粉丝再次互动"
    return REFUSALS.get(reason, "")
