"""A member's page: who they are, what they have, what happened; each list by pages, cut to the caller's brands."""

from dataclasses import asdict, replace
from typing import Any

from console.inbox import ANSWER, may_read
from console.member_shapes import (
    Calendar,
    CalendarQuery,
    FriendList,
    HappeningList,
    HappeningQuery,
    MemberCard,
    RedemptionList,
    SpokenList,
    Statement,
    StatementLine,
    StatementQuery,
    TalkList,
    Why,
    WhyList,
)
from console.members import READ, seen
from console.surface import SURFACE, Call
from kit.clock import natural_day
from scrm import db
from scrm.assistant import interests
from scrm.checkins import queries as checkins
from scrm.errors import NotFound
from scrm.gifts import addresses
from scrm.gifts import queries as gifts
from scrm.people import listing, person
from scrm.people.person import Who
from scrm.points import explanations, ledger, levels
from scrm.points import queries as points
from scrm.referrals import queries as referrals
from web.shapes import Page


async def known(call: Call, member_id: int) -> Who:
    """Return the person that a member is. Raises NotFound for whom only other brands know."""
    return await person.who(member_id, call.within(None))


@SURFACE.get("/members/{member_id}", permission=READ)
async def member_card(call: Call, member_id: int) -> MemberCard:
    """会员主页."""
    who = await known(call, member_id)
    sealer, now = call.parts.sealer, call.now
    (row,) = await listing.people(sealer, [who.id], brands=who.brands, now=now)
    profile = seen(call, row.profile)
    promised = [
        {"asset": asset, "due_at": one.due_at, "amount": one.amount, "description": one.description}
        for asset in (ledger.POINTS, ledger.GROWTH)
        for one in await points.coming(who.id, asset)
    ]
    async with db.connection() as raw:
        history = [
            {"brand_id": brand, "name": one.name, "growth": one.growth, "changed_at": one.changed_at}
            for brand in who.brands
            for one in await levels.history(raw, who.id, brand)
        ]
    return MemberCard.model_validate(
        {
            "id": who.id,
            "homes": who.homes,
            "brands": who.brands,
            "erased": who.erased,
            "nickname": row.called,
            "named": profile.nickname is not None,
            "name": profile.name,
            "phone": profile.phone,
            "avatar": profile.avatar,
            "gender": profile.gender,
            "birthday": profile.birthday,
            "location": profile.location,
            "fans": await person.fans(who),
            "growth": row.growth,
            "points": row.points,
            "owed": row.owed,
            "coming": promised,
            "levels": row.levels,
            "level_history": list(reversed(history)),
            "tags": row.tags,
            "interests": await interests.interests_of(who.id, now),
            "addresses": await addresses.every(sealer, who.id),
            "merges": await person.merges(who),
            "joined_at": row.joined_at,
            "seen_at": row.seen_at,
        }
    )


@SURFACE.get("/members/{member_id}/points", permission=READ)
async def member_points(call: Call, member_id: int, query: StatementQuery) -> Statement:
    """积分日志与成长值日志."""
    who = await known(call, member_id)
    found = await points.statement(who.id, query.asset, before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    items = [
        {
            **{name: getattr(one, name) for name in StatementLine.model_fields if name != "event"},
            "event": None if one.event_key is None else str(one.event_key),
        }
        for one in shown
    ]
    return Statement.model_validate({"items": items, "next": _next(shown, found)})


@SURFACE.get("/members/{member_id}/points/{entry_id}", permission=READ)
async def member_points_why(call: Call, member_id: int, entry_id: int) -> WhyList:
    """一笔积分的来由."""
    who = await known(call, member_id)
    found = await points.statement(who.id, ledger.POINTS, before=entry_id + 1, limit=1)
    found += await points.statement(who.id, ledger.GROWTH, before=entry_id + 1, limit=1)
    line = next((one for one in found if one.id == entry_id), None)
    if line is None:
        raise NotFound("没有这笔积分")
    if line.event_key is None:
        return WhyList(items=[])
    async with db.connection() as raw:
        explained = await explanations.of_event(raw, line.event_key)
    return WhyList(items=[Why.model_validate(one) for one in explained if one.beneficiary_id in who.homes])


@SURFACE.get("/members/{member_id}/checkins", permission=READ)
async def member_checkins(call: Call, member_id: int, query: CalendarQuery) -> Calendar:
    """签到日历."""
    who = await known(call, member_id)
    today = natural_day(call.now)
    year, month = (int(part) for part in (query.month or f"{today:%Y-%m}").split("-"))
    account = (await person.fans(who))[0].account_id
    found = await checkins.month(who.id, account, call.now, year, month)
    return Calendar.model_validate(
        {
            "first": found.first,
            "today": found.today,
            "days": [{"day": day, "kind": kind} for day, kind in found.days.items()],
            "streak": found.streak,
            "cards_left": found.cards.left,
        }
    )


@SURFACE.get("/members/{member_id}/redemptions", permission=READ)
async def member_redemptions(call: Call, member_id: int, query: Page) -> RedemptionList:
    """兑换记录."""
    who = await known(call, member_id)
    found = await gifts.redemptions(who.id, before=query.before, limit=query.limit + 1, brands=who.brands)
    shown = found[: query.limit]
    return RedemptionList.model_validate({"items": shown, "next": _next(shown, found)})


@SURFACE.get("/members/{member_id}/friends", permission=READ)
async def member_friends(call: Call, member_id: int, query: Page) -> FriendList:
    """邀请的好友."""
    who = await known(call, member_id)
    found = await referrals.invited(call.parts.sealer, who.id, before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    items = [
        {
            "id": one.id,
            "nickname": one.called,
            "erased": one.erased,
            "came_at": one.came_at,
            "state": one.state,
            "points": one.earned.get(ledger.POINTS, 0),
            "growth": one.earned.get(ledger.GROWTH, 0),
        }
        for one in shown
    ]
    return FriendList.model_validate({"items": items, "next": _next(shown, found)})


@SURFACE.get("/members/{member_id}/events", permission=READ)
async def member_events(call: Call, member_id: int, query: HappeningQuery) -> HappeningList:
    """用户动作."""
    who = await known(call, member_id)
    found = await person.happenings(who, group=query.group, before=query.before, limit=query.limit + 1)
    shown = [replace(one, payload=_shown(one.payload)) for one in found[: query.limit]]
    return HappeningList.model_validate({"items": shown, "next": _next(shown, found)})


@SURFACE.get("/members/{member_id}/conversations", permission=READ)
async def member_conversations(call: Call, member_id: int, query: Page) -> TalkList:
    """会话记录."""
    found = await person.talks(await known(call, member_id), before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    items = [asdict(one) | {"opens": call.me.may(ANSWER) and may_read(call, one.state, one.staff_id)} for one in shown]
    return TalkList.model_validate({"items": items, "next": _next(shown, found)})


@SURFACE.get("/members/{member_id}/outreach", permission=READ)
async def member_outreach(call: Call, member_id: int, query: Page) -> SpokenList:
    """触达记录."""
    found = await person.spoken(await known(call, member_id), before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    return SpokenList.model_validate({"items": shown, "next": _next(shown, found)})


def _next(shown: list[Any], found: list[Any]) -> int | None:
    last: int | None = shown[-1].id if len(found) > len(shown) else None
    return last


def _shown(payload: dict[str, Any]) -> dict[str, Any]:
    """Return of a payload what staff have use for: words, numbers and lists of words; no ids of platforms."""
    return {
        name: value
        for name, value in payload.items()
        if not name.endswith(("id", "url", "ticket"))
        and (isinstance(value, (str, int)) or (isinstance(value, list) and all(isinstance(one, str) for one in value)))
    }
