"""What fans are told around a conversation, and what they say that asks for a person or is a score."""

import re
from collections.abc import Mapping
from datetime import datetime

from kit.clock import SHANGHAI

_WEEKDAYS = "一二三四五六日"
# 人工, 转人工客服, 我想找个真人, 帮我接一下客服 … as the whole of a text. 人工智能 or 不要人工 is none of them.
_ASKS = re.compile(
    r"(?:你好|您好|请|麻烦|帮我|给我|我要|我想|我想要|想要|需要|可以|能不能|能否|可不可以){0,3}"
    r"(?:"
    r"(?:转|转接|找|要|叫|接|接入|联系|呼叫|切换|召唤)?(?:一下|到|个|一个)?(?:人工|真人)(?:客服|服务|坐席|咨询)?"
    r"|(?:转|转接|找|叫|接|接入|联系|呼叫)(?:一下|到|个|一个)?(?:在线)?客服"
    r"|(?:在线|人工)?客服"
    r"|(?:talk to |speak to )?(?:a )?(?:human|real person|agent|live agent)"
    r")"
    r"(?:在吗|在不在|吧|吗|谢谢|好吗){0,2}"
)
# One of these is in every such text; nearly no other text gets past them.
_IN_ALL = frozenset("工真客n")
_PUNCTUATION = re.compile(r"[\s，。！？、~～,.!?;；:：…“”\"'（）()]+")
_LEAVES = frozenset({"机器人", "智能助手", "转机器人", "不用人工了", "取消排队"})
_SCORES = {
    "非常满意": 5, "很满意": 5, "满意": 4, "一般": 3, "还行": 3, "不满意": 2, "很不满意": 1, "非常不满意": 1,
    "一": 1, "二": 2, "三": 3, "四": 4, "五": 5,
}  # fmt: skip
_SCORE = re.compile(r"([1-5一二三四五])(?:分|星|颗星)?")


def asks_for_person(folded: str) -> bool:
    """Whether a text, folded as `scrm.replies.rules.fold` does, is as a whole the wish to speak with a person."""
    if len(folded) > 40 or _IN_ALL.isdisjoint(folded):
        return False
    # Blanks part English words; everything else of the kind parts nothing.
    plain = _PUNCTUATION.sub(" ", folded).strip()
    return _ASKS.fullmatch(plain) is not None or _ASKS.fullmatch(plain.replace(" ", "")) is not None


def leaves_queue(folded: str) -> bool:
    """Whether somebody who waits would rather go on with the bot."""
    return _PUNCTUATION.sub("", folded) in _LEAVES


def score_of(folded: str) -> int | None:
    """Return 1 to 5 for a text that is a score, else None."""
    plain = _PUNCTUATION.sub("", folded)
    if plain in _SCORES:
        return _SCORES[plain]
    found = _SCORE.fullmatch(plain)
    return (_SCORES.get(found[1]) or int(found[1])) if found else None


# What is said without words of a brand's own. {人数} is how many come before, {时间} when an answer will have come.
DEFAULTS: Mapping[str, str] = {
    "connected": "已为您接通人工客服，请直接描述您的问题。",
    "next": "正在为您转接人工客服，请稍候，您可以先描述问题。",
    "queue": "正在为您转接人工客服，前面还有 {人数} 位，请稍候，您可以先描述问题。",
    "outside": (
        "现在不是人工服务时间，您的问题已记下，客服会在{时间}前回复您。\n"
        "您可以继续留言；回复“机器人”可由智能助手继续为您服务。"
    ),
    "no_hours": ("人工客服暂时不在，您的问题已记下，客服上线后会尽快回复您。\n回复“机器人”可由智能助手继续为您服务。"),
    "rating": "本次人工服务已结束，感谢您的咨询！\n请为本次服务打分：回复 1 到 5 的数字，5 分为非常满意。",
    "closing": "本次会话已结束，感谢您的咨询！如仍需帮助，请回复“人工”。",
    "by_fan": "好的，已为您转回智能助手。需要时回复“人工”即可再次找到我们。",
}
# What has to stand in a text: a promise without its time is none.
NEEDED: Mapping[str, str] = {"queue": "{人数}", "outside": "{时间}"}
Texts = Mapping[str, str]


def handoff(ahead: int, texts: Texts = DEFAULTS) -> str:
    """Return what a fan is told who has to wait; `ahead` is how many come before."""
    return texts["next"] if ahead == 0 else texts["queue"].replace(NEEDED["queue"], str(ahead))


def promise(until: datetime, now: datetime, texts: Texts = DEFAULTS) -> str:
    """Return the promise given outside service hours; `until` is when the answer will have come."""
    return texts["outside"].replace(NEEDED["outside"], _moment(until, now))


def closing(*, asks_score: bool, by_fan: bool, texts: Texts = DEFAULTS) -> str:
    """Return the closing message."""
    return texts["by_fan" if by_fan else "rating" if asks_score else "closing"]


def thanks(score: int) -> str:
    """Return the answer to a score."""
    if score >= 4:
        return "感谢您的评价，期待再次为您服务！"
    return "感谢您的评价，我们会继续改进。如仍需帮助，请回复“人工”。"


def _moment(until: datetime, now: datetime) -> str:
    local, today = until.astimezone(SHANGHAI), now.astimezone(SHANGHAI).date()
    days = (local.date() - today).days
    clock = f"{local:%H:%M}"
    if days == 0:
        return f"今天 {clock} "
    if days == 1:
        return f"明天 {clock} "
    return f" {local.month}月{local.day}日（周{_WEEKDAYS[local.weekday()]}）{clock} "
