"""What a member's page is shown: the shapes of its card and of its lists."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from console.members import MemberFan, MemberLevel, MemberTag
from web.shapes import Moment, Page, Shown, Taken


class FanCard(MemberFan):
    """A fan with following and channels; `home_id` is the member it was first known as."""

    home_id: int
    follow_count: int
    follow_changed_at: Moment | None
    first_channel: str | None
    first_touch_at: Moment | None
    last_channel: str | None
    last_touch_at: Moment | None
    created_at: Moment


class MergeCard(Shown):
    """Evidence that two homes are one person; `split_at` when it was withdrawn."""

    id: int
    one: int
    other: int
    evidence: str
    merged_at: Moment
    split_at: Moment | None


class InterestCard(Shown):
    """An interest with its weight, and how often it showed."""

    name: str
    weight: float
    times: int
    last_at: Moment


class AddressCard(Shown):
    """An address, masked."""

    name: str
    phone: str
    region: str
    detail: str
    is_default: bool


class Coming(Shown):
    """Points or growth that come later (待到账)."""

    asset: Literal["points", "growth"]
    due_at: Moment
    amount: int
    description: str


class LevelChange(Shown):
    """A change of level at a brand."""

    brand_id: int
    name: str
    growth: int
    changed_at: Moment


class MemberCard(Shown):
    """A person; `id` is the member number, `homes` the numbers that were merged. Masked as in the list.

    `named`: whether `nickname` is one, and not the member number that stands for it.
    """

    id: int
    homes: list[int]
    brands: list[int]
    erased: bool
    nickname: str
    named: bool
    name: str | None
    phone: str | None
    avatar: str | None
    gender: Literal["male", "female", "other"] | None
    birthday: date | None
    location: str
    fans: list[FanCard]
    growth: int
    points: int
    owed: int
    coming: list[Coming]
    levels: list[MemberLevel]
    level_history: list[LevelChange]
    tags: list[MemberTag]
    interests: list[InterestCard]
    addresses: list[AddressCard]
    merges: list[MergeCard]
    joined_at: Moment
    seen_at: Moment | None


class StatementQuery(Page):
    """A page of the statement of one asset."""

    asset: Literal["points", "growth"] = "points"


class StatementLine(Shown):
    """A line of the statement (A095): `amount` signed, `owed` its part that is a debt; `event` explains it."""

    id: int
    occurred_at: Moment
    amount: int
    owed: int
    kind: str
    description: str
    platform: str
    event: str | None


class Statement(Shown):
    """A page of the statement, in the order of booking, newest first."""

    items: list[StatementLine]
    next: int | None


class Why(Shown):
    """What one rule did about an event, and why."""

    name: str
    asset: str
    planned: int
    given: int
    why: str
    due_at: Moment | None


class WhyList(Shown):
    """All that rules did about an event, for this person."""

    items: list[Why]


class CalendarQuery(Taken):
    """A month, such as 2026-03; the present one by default."""

    month: Annotated[str, Field(pattern=r"^2[0-9]{3}-(0[1-9]|1[0-2])$")] | None = None


class CalendarDay(Shown):
    """A day that was checked in, or made up for."""

    day: date
    kind: Literal["done", "made_up"]


class Calendar(Shown):
    """A month's check-ins; `streak` is the one that is running today."""

    first: date
    today: date
    days: list[CalendarDay]
    streak: int
    cards_left: int


class RedemptionLine(Shown):
    """A gift that was redeemed; `points` is what it cost."""

    id: int
    name: str
    kind: str
    points: int
    state: str
    shipping_company: str
    shipping_number: str
    placed_at: Moment
    shipped_at: Moment | None
    completed_at: Moment | None
    cancelled_at: Moment | None
    cancel_reason: str


class RedemptionList(Shown):
    """A page of redemptions, newest first."""

    items: list[RedemptionLine]
    next: int | None


class FriendLine(Shown):
    """Somebody whom the member brought (A080), and what they earned by it."""

    id: int
    nickname: str
    erased: bool
    came_at: Moment
    state: Literal["counts", "void", "fraud"]
    points: int
    growth: int


class FriendList(Shown):
    """A page of invited friends, newest first."""

    items: list[FriendLine]
    next: int | None


class HappeningQuery(Page):
    """A page of the timeline; `group` is the beginning of a kind, such as `wechat.`."""

    group: Annotated[str, Field(max_length=32, pattern=r"^[a-z]+\.$")] | None = None


class HappeningLine(Shown):
    """An event: what staff read, and what else it says."""

    id: int
    kind: str
    title: str
    occurred_at: Moment
    account: str
    payload: dict[str, Any]


class HappeningList(Shown):
    """A page of the timeline, newest first."""

    items: list[HappeningLine]
    next: int | None


class TalkLine(Shown):
    """A conversation; `opens`: the inbox opens it for the caller."""

    id: int
    brand_id: int
    opens: bool
    account: str
    state: str
    staff: str | None
    opened_at: Moment
    closed_at: Moment | None
    close_reason: str
    summary: str
    rating: int | None


class TalkList(Shown):
    """A page of conversations, newest first."""

    items: list[TalkLine]
    next: int | None


class SpokenLine(Shown):
    """What was, or was not, said to them: the gate's reason, and what became of it (null: it was not let out)."""

    id: int
    account: str
    purpose: str
    allowed: bool
    reason: str
    decided_at: Moment
    state: str | None
    code: int | None
    sent_at: Moment | None


class SpokenList(Shown):
    """A page of decisions, newest first."""

    items: list[SpokenLine]
    next: int | None
