"""The members list: filters, columns, how many there are, and what can be chosen."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from console.surface import SURFACE, Call
from kit.clock import midnight
from scrm.members import names, profiles
from scrm.members.profiles import Profile
from scrm.people import listing
from scrm.people.listing import PersonRow
from scrm.people.search import Wanted
from scrm.tags import queries as tags
from web.shapes import Day, Moment, Page, RowId, Shown, Taken, Text

READ, CLEAR = "members.read", "members.phone"
Points = Annotated[int, Field(ge=0, le=10**12)]


class Asked(Taken):
    """What is asked of members (A079). Days are of Asia/Shanghai, inclusive, and mean joining; `tag`: 3,7 is both."""

    number: RowId | None = None
    nickname: Annotated[Text, Field(max_length=32)] = ""
    name: Annotated[Text, Field(max_length=32)] = ""
    phone: Annotated[Text, Field(max_length=20, pattern=r"^(\+?[0-9 -]{5,20})?$")] = ""
    since: Day | None = None
    until: Day | None = None
    platform: Literal["wechat", "miniprogram", ""] = ""
    level: RowId | None = None
    tag: Annotated[str, Field(max_length=200, pattern=r"^([1-9][0-9]{0,17}(,[1-9][0-9]{0,17}){0,9})?$")] = ""
    points_min: Points | None = None
    points_max: Points | None = None

    def wanted(self, brands: list[int] | None) -> Wanted:
        """Return it as the business asks."""
        return Wanted(
            brands=brands,
            number=self.number,
            nickname=self.nickname,
            name=self.name,
            phone=self.phone,
            since=None if self.since is None else midnight(self.since),
            until=None if self.until is None else midnight(self.until) + timedelta(days=1),
            platform=self.platform,
            level=self.level,
            tags=[int(one) for one in self.tag.split(",") if one],
            points_min=self.points_min,
            points_max=self.points_max,
        )


class MemberFilter(Asked):
    """The members of one brand, or of all that the caller works for."""

    brand: RowId | None = None


class MemberQuery(MemberFilter, Page):
    """A page of them; `before` is a member number."""


class MemberFan(Shown):
    """A fan: the user id (用户 ID), and the account it is at."""

    id: int
    account_id: int
    account: str
    kind: Literal["service", "subscription", "miniprogram"]
    brand_id: int
    following: bool


class MemberLevel(Shown):
    """The level at a brand."""

    brand_id: int
    name: str


class MemberTag(Shown):
    """A tag on a member."""

    id: int
    brand_id: int
    name: str
    category: str


class MemberItem(Shown):
    """A person of the list; `id` is the member number. Name and phone are masked unless the caller may see them.

    `nickname` is what the person is called, their member number where no nickname is known.
    """

    id: int
    nickname: str
    name: str | None
    phone: str | None
    avatar: str | None
    location: str
    fans: list[MemberFan]
    growth: int
    points: int
    owed: int
    levels: list[MemberLevel]
    tags: list[MemberTag]
    joined_at: Moment
    seen_at: Moment | None


class MemberList(Shown):
    """A page of members, the newest first; `next` goes into `before`, null at the end."""

    items: list[MemberItem]
    next: int | None


class MemberCount(Shown):
    """How many members there are."""

    count: int


class TagChoice(Shown):
    """A tag to filter by, or to put; archived ones are filtered by only."""

    id: int
    brand_id: int
    name: str
    category: str
    archived: bool


class LevelChoice(Shown):
    """A level to filter by."""

    id: int
    brand_id: int
    name: str


class MemberChoices(Shown):
    """What a filter can choose from."""

    tags: list[TagChoice]
    levels: list[LevelChoice]


class ChoicesQuery(Taken):
    """Of one brand, or of all that the caller works for."""

    brand: RowId | None = None


@SURFACE.ask("/members/search", permission=READ)
async def member_list(call: Call, body: MemberQuery) -> MemberList:
    """会员列表."""
    found = await listing.page(
        call.parts.sealer,
        body.wanted(call.within(body.brand)),
        now=call.now,
        before=body.before,
        limit=body.limit + 1,
    )
    shown = found[: body.limit]
    return MemberList(items=[item(call, one) for one in shown], next=shown[-1].id if len(found) > body.limit else None)


@SURFACE.ask("/members/count", permission=READ)
async def member_count(call: Call, body: MemberFilter) -> MemberCount:
    """符合条件的会员数."""
    wanted = body.wanted(call.within(body.brand))
    return MemberCount(count=await listing.count(call.parts.sealer, wanted, now=call.now))


@SURFACE.get("/members/choices", permission=READ)
async def member_choices(call: Call, query: ChoicesQuery) -> MemberChoices:
    """筛选可用的标签与等级."""
    brands = call.within(query.brand)
    return MemberChoices(
        tags=[TagChoice.model_validate(one) for one in await tags.words(brands)],
        levels=[LevelChoice.model_validate(one) for one in await listing.level_choices(brands)],
    )


def item(call: Call, one: PersonRow) -> MemberItem:
    """Return a person as this caller may see them."""
    profile = seen(call, one.profile)
    return MemberItem.model_validate(
        {
            "id": one.id,
            "nickname": one.called,
            "name": profile.name,
            "phone": profile.phone,
            "avatar": profile.avatar,
            "location": profile.location,
            "fans": one.fans,
            "growth": one.growth,
            "points": one.points,
            "owed": one.owed,
            "levels": one.levels,
            "tags": one.tags,
            "joined_at": one.joined_at,
            "seen_at": one.seen_at,
        }
    )


def seen(call: Call, profile: Profile) -> Profile:
    """Return a profile with name and phone masked unless the caller may see them."""
    if call.me.may(CLEAR):
        return profile
    return replace(profile, name=profile.masked_name, phone=profile.masked_phone)


async def called(call: Call, people: Mapping[int, bool]) -> dict[int, str]:
    """Return what this caller may call people, by member number; `people` says of each whether they were erased."""
    if not call.me.may(READ):
        return {member_id: names.numbered(member_id) for member_id in people}
    known = await profiles.of_many(call.parts.sealer, sorted(people))
    return {member_id: names.called(known[member_id], member_id, erased=erased) for member_id, erased in people.items()}
