"""兴趣偏好: a small dialogue in which a fan says what interests them and where they are (mission A061).

It shows how a dialogue of several steps works: each step stores the next one with the answer it gives, ten
minutes of silence or 退出 ends it, and what the fan said becomes an event when they confirm it.
"""

import re

from bot.messages import TextMessage
from bot.push_events import ClickEvent
from bot.replies import TextReply
from bot.router import UNHANDLED, Answer, Context, Router
from kit.ids import key_of
from scrm.conversations import words
from scrm.events import kinds
from scrm.events.service import append
from scrm.replies.rules import fold

router = Router("preferences")

STATED = kinds.register("fan.preferences_stated", "填写兴趣偏好")
STARTS = frozenset({"兴趣", "偏好", "兴趣偏好"})
LEAVES = frozenset({"退出", "取消", "算了", "不填了", "结束"})
INTERESTS = {"1": "新品资讯", "2": "优惠活动", "3": "使用教程", "4": "线下活动"}
MENU_KEY = "PREFERENCES"
MINUTES = 10

ASK_INTEREST = "想了解您的兴趣，只需两步。\n\n您最感兴趣的是？请回复数字：\n" + "\n".join(
    f"{number}. {name}" for number, name in INTERESTS.items()
)
ASK_CITY = "收到！您在哪个城市？（直接回复城市名，回复“退出”可随时结束）"
ASK_CITY_AGAIN = "没认出这是哪座城市。请直接回复城市名，如“杭州”或“浙江杭州”；不想填就回复“算了”。"

# No list of the world's places is complete, so only what is plainly none is asked about again.
LONGEST_CITY = 20
_SAYS_WHERE = re.compile(r"^(?:我(?:现在|目前)?(?:住在|在|住)|人在|现在在|坐标|来自|城市是|在)[\s:：]*")
_ENDS = " \t\n，。！!~～,.、；;"
_JOINS = re.compile(r"[\s·•'’,，、/.\-]")
_QUESTION = re.compile(
    r"[?？吗嘛]|什么|怎么|怎样|为啥|多少|几[点个天]|哪[里儿个]|请问|有没有|能不能|可不可以|是不是|知道|[呢吧]$"
)
_OTHER_WORDS = re.compile(
    r"是的?|否|不是?|好的?|可以|没有|确认|谢谢|[你您]好|在吗|随便|保密|不告诉你|不想说|继续|测试|帮助|菜单|签到|优惠|小程序|茶单"
    r"|ok|yes|no|hi|hello|test"
)


def city_of(text: str) -> str | None:
    """Return the place that an answer names, without what surrounds it; None for what plainly is none."""
    said = _SAYS_WHERE.sub("", " ".join(text.split())).strip(_ENDS)
    letters = _JOINS.sub("", said)
    # One letter, or the same one again and again (哈哈哈), names nothing.
    if not letters.isalpha() or len(set(letters)) < 2 or len(said) > LONGEST_CITY:
        return None
    folded = fold(said)
    if _QUESTION.search(said) or _OTHER_WORDS.fullmatch(folded) or folded in {*STARTS, *INTERESTS.values()}:
        return None
    return said


@router.on(TextMessage)
def start(context: Context) -> Answer:
    """Start the dialogue on its word."""
    message = context.message
    assert isinstance(message, TextMessage)  # noqa: S101  # the router's promise, for the type checker
    if fold(message.content) not in STARTS:
        return UNHANDLED
    context.continue_dialogue("preferences", "interest", {}, MINUTES)
    return TextReply(ASK_INTEREST)


@router.on(ClickEvent)
def start_from_menu(context: Context) -> Answer:
    """Start the dialogue from the menu."""
    event = context.message
    assert isinstance(event, ClickEvent)  # noqa: S101  # the router's promise, for the type checker
    if event.key != MENU_KEY:
        return UNHANDLED
    context.continue_dialogue("preferences", "interest", {}, MINUTES)
    return TextReply(ASK_INTEREST)


@router.dialogue("preferences")
async def step(context: Context) -> Answer:
    """Take one answer and ask the next question."""
    message, dialogue = context.message, context.dialogue
    assert dialogue is not None  # noqa: S101  # the router's promise, for the type checker
    if not isinstance(message, TextMessage):
        return UNHANDLED
    said = fold(message.content)
    if words.asks_for_person(said):
        return UNHANDLED  # no form stands between a fan and a person
    if said in LEAVES:
        context.end_dialogue()
        return TextReply("好的，已结束。想继续时回复“兴趣”即可。")
    if dialogue.step == "interest":
        interest = INTERESTS.get(said) or next((name for name in INTERESTS.values() if name == said), None)
        if interest is None:
            context.continue_dialogue("preferences", "interest", {}, MINUTES)
            return TextReply("请回复 1 到 4 的数字，或回复“退出”。")
        context.continue_dialogue("preferences", "city", {"interest": interest}, MINUTES)
        return TextReply(ASK_CITY)
    if dialogue.step == "city":
        city = city_of(message.content)
        if city is None:
            context.continue_dialogue("preferences", "city", dialogue.data, MINUTES)
            return TextReply(ASK_CITY_AGAIN)
        data = {**dialogue.data, "city": city}
        context.continue_dialogue("preferences", "confirm", data, MINUTES)
        return TextReply(f"请确认：您关注“{data['interest']}”，所在城市“{city}”。\n回复“是”保存，回复“否”重新填写。")
    if said not in {"是", "确认", "y", "yes"}:
        context.continue_dialogue("preferences", "interest", {}, MINUTES)
        return TextReply("好，我们重新来。\n\n" + ASK_INTEREST)
    await append(
        key=key_of(STATED.name, context.key),
        kind=STATED.name,
        occurred_at=context.now,
        recorded_at=context.now,
        member_id=context.member_id,
        account_id=context.account.id,
        fan_id=context.fan_id,
        payload=dialogue.data,
    )
    context.end_dialogue()
    return TextReply("已为您保存，谢谢！今后的内容会更合您的心意。")
