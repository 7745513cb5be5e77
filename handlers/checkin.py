"""签到: a fan checks in by a word or the menu, looks at the month, or mends a missed day with a make-up card."""

import calendar
from collections.abc import Mapping, Sequence
from datetime import date

from bot.messages import TextMessage
from bot.push_events import ClickEvent
from bot.replies import TextReply
from bot.router import Answer, Context, Router
from kit.clock import from_epoch, natural_day
from scrm.accounts.queries import growth_word_of
from scrm.checkins import cards, queries, service
from scrm.checkins.rewards import ASSETS, Reward
from scrm.errors import Conflict
from scrm.points.ledger import GROWTH, POINTS
from scrm.replies.rules import fold

router = Router("checkin")

CHECKS_IN = frozenset({"签到", "打卡"})
LOOKS = frozenset({"签到日历", "打卡日历"})
MENDS = frozenset({"补签"})
MENU_KEY, CALENDAR_KEY = "CHECKIN", "CHECKIN_CALENDAR"
SQUARES = {"done": "✅", "made_up": "🟡", "missed": "⬜", "to_come": "▫️", "none": "　"}


@router.on(TextMessage, when=lambda message: fold(message.content) in CHECKS_IN)
@router.on(ClickEvent, when=lambda event: event.key == MENU_KEY)
async def check_in(context: Context) -> Answer:
    """Check in for the day on which the fan asked, by the platform's clock."""
    assert context.member_id is not None  # noqa: S101  # a word or a click is always somebody's
    done = await service.check_in(
        member_id=context.member_id,
        account_id=context.account.id,
        fan_id=context.fan_id,
        occurred_at=min(from_epoch(context.message.created_at), context.now),
        now=context.now,
    )
    names = {POINTS: "积分", GROWTH: await growth_word_of([context.account.brand_id])}
    today = done.day == natural_day(context.now)
    day = "今天" if today else _short(done.day)
    lines = [f"{'' if today else day}签到成功！🎉" if done.fresh else f"{day}已经签到过啦～"]
    if done.earned:
        lines.append(_amounts(done.earned, names))
    if done.level is not None:
        lines.append(f"恭喜升级为{done.level}！")
    lines.append(f"已连续签到 {done.streak} 天")
    lines.append("，".join(f"当前{names[asset]} {done.held[asset]}" for asset in ASSETS))
    if done.next_reward:
        lines.append(f"\n明天再来：{_amounts(done.next_reward, names)}")
    lines.append("回复“签到日历”查看本月记录")
    return TextReply("\n".join(lines))


@router.on(TextMessage, when=lambda message: fold(message.content) in LOOKS)
@router.on(ClickEvent, when=lambda event: event.key == CALENDAR_KEY)
async def show_calendar(context: Context) -> Answer:
    """Show this month, a square a day, and as a picture."""
    assert context.member_id is not None  # noqa: S101  # same
    assert context.fan_id is not None  # noqa: S101  # same
    month = await queries.this_month(context.member_id, context.account.id, context.now)
    # A worker sends the picture after these words, where it can; the words stand for themselves.
    await cards.ask(fan_id=context.fan_id, asked=context.key)
    lines = [f"{month.first.year}年{month.first.month}月 签到日历", "", "一二三四五六日", *_weeks(month), ""]
    lines.append(f"本月 {len(month.days)} 天，已连续签到 {month.streak} 天")
    if month.today not in month.days:
        lines.append("今天还没签到，回复“签到”即可")
    if month.cards.missed is not None:
        lines.append(f"还有 {month.cards.left} 张补签卡，回复“补签”可补上 {_short(month.cards.missed)}")
    return TextReply("\n".join(lines))


@router.on(TextMessage, when=lambda message: fold(message.content) in MENDS)
async def make_up(context: Context) -> Answer:
    """Use a make-up card for the last day that was missed."""
    assert context.member_id is not None  # noqa: S101  # same
    have = await queries.my_cards(context.member_id, context.account.id, context.now)
    if have.left == 0:
        return TextReply("本月没有可用的补签卡了。")
    if have.missed is None:
        return TextReply("最近没有漏签的日子，继续保持！")
    try:
        streak = await service.make_up(
            member_id=context.member_id,
            account_id=context.account.id,
            fan_id=context.fan_id,
            day=have.missed,
            now=context.now,
        )
    except Conflict as refusal:
        # Another phone of theirs was quicker.
        return TextReply(f"{refusal.title}。")
    return TextReply(f"已为您补签 {_short(have.missed)}，已连续签到 {streak} 天。补签不另发奖励。")


def _amounts(rewards: Sequence[Reward], names: Mapping[str, str]) -> str:
    return "，".join(f"{names[reward.asset]} +{reward.amount}" for reward in rewards)


def _short(day: date) -> str:
    return f"{day.month}月{day.day}日"


def _weeks(month: queries.Month) -> list[str]:
    """Return a line of squares per week, Monday first; what lies outside the month is blank."""
    lines = []
    for week in calendar.Calendar().monthdatescalendar(month.first.year, month.first.month):
        kinds = [_kind(month, day) for day in week]
        lines.append("".join(SQUARES[kind] for kind in kinds).rstrip("　"))
    return lines


def _kind(month: queries.Month, day: date) -> str:
    if day.month != month.first.month:
        return "none"
    return month.days.get(day) or ("missed" if day < month.today else "to_come")
