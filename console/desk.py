"""The service desk of a brand: its numbers, words, skills, seats, and which desk serves an account."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from console.surface import SURFACE, Call
from scrm.conversations import desk, desk_queries, own_words, rota
from scrm.conversations.desk import DeskSettings
from scrm.conversations.words import DEFAULTS
from scrm.errors import Invalid, NotFound
from scrm.staff.audit import Entry, along
from web.shapes import Lines, RowId, Taken, Text

MANAGE = "service.manage"
Name = Literal["connected", "next", "queue", "outside", "no_hours", "rating", "closing", "by_fan"]
Words = dict[Name, Annotated[Lines, Field(max_length=600)]]
SkillName = Annotated[Text, Field(min_length=1, max_length=32)]
# Longer than anybody waits for anything: a month.
_MINUTES = Field(ge=1, le=31 * 24 * 60)


class DeskNumbers(Taken):
    """A brand's numbers: seconds until the first answer, minutes for everything else."""

    first_response_seconds: Annotated[int, Field(ge=1, le=24 * 3600)]
    promise_minutes: Annotated[int, _MINUTES]
    unsure_minutes: Annotated[int, _MINUTES]
    rating_minutes: Annotated[int, _MINUTES]
    idle_minutes: Annotated[int, _MINUTES]


class DeskSkill(BaseModel):
    """A skill, and the ids of those who have it."""

    name: str
    title: str
    staff: list[int]


class DeskPerson(BaseModel):
    """Somebody who may answer; without a seat nothing is assigned to them yet."""

    staff_id: int
    name: str
    seated: bool
    capacity: int
    skills: list[str]
    present: bool
    on_duty: bool
    load: int


class DeskAccount(BaseModel):
    """An account: `wechat` when WeChat's own customer service serves its fans; `texts` are its own words."""

    id: int
    name: str
    verified: bool
    wechat: bool
    texts: dict[str, str]


class DeskView(BaseModel):
    """All that a brand has set; `usual` are the words where nobody set any."""

    brand_id: int
    brand: str
    numbers: DeskNumbers
    usual: dict[str, str]
    texts: dict[str, str]
    skills: list[DeskSkill]
    people: list[DeskPerson]
    accounts: list[DeskAccount]


class OwnWords(Taken):
    """Words of one's own, of the brand or of one of its accounts; what is missing or empty is said as usual."""

    account_id: RowId | None = None
    texts: Words


class SkillInput(Taken):
    """A skill; `name` is its stable code, and stays."""

    name: SkillName
    title: SkillName


class SkillGone(Taken):
    """A skill to take away."""

    name: SkillName


class SeatInput(Taken):
    """A seat: how many conversations at once, and for which skills."""

    capacity: Annotated[int, Field(ge=0, le=200)]
    skills: Annotated[list[SkillName], Field(max_length=50)] = Field(default_factory=list)


class ServedBy(Taken):
    """Who serves an account's fans: our seats, or WeChat's own customer service."""

    wechat: bool


async def brand_of(call: Call, brand_id: int) -> str:
    """Return the name of a brand of the caller's; raises NotFound for any other."""
    return await rota.brand_name(call.brand(brand_id))


def entry(
    action: str, brand_id: int, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Entry:
    """Return the line of the trail for a change of a brand's desk."""
    return Entry(action, f"desk:{brand_id}", name, brand_id, before, after)


@SURFACE.get("/desk/{brand_id}", permission=MANAGE, errors=[NotFound])
async def service_desk(call: Call, brand_id: int) -> DeskView:
    """品牌的客服设置."""
    name = await brand_of(call, brand_id)
    people = await rota.people(brand_id, call.now)
    on_duty = rota.on_duty(await desk_queries.hours(brand_id), people, call.now)
    return DeskView(
        brand_id=brand_id,
        brand=name,
        numbers=DeskNumbers.model_validate(asdict(await desk_queries.settings(brand_id))),
        usual=dict(DEFAULTS),
        texts=await rota.brand_texts(brand_id),
        skills=[DeskSkill.model_validate(one) for one in await desk_queries.skills(brand_id)],
        people=[
            DeskPerson(
                staff_id=one.staff_id,
                name=one.name,
                seated=one.seated,
                capacity=one.capacity,
                skills=list(one.skills),
                present=one.present,
                on_duty=one.staff_id in on_duty,
                load=one.load,
            )
            for one in people
        ],
        accounts=[DeskAccount.model_validate(asdict(one)) for one in await rota.accounts(brand_id)],
    )


@SURFACE.put("/desk/{brand_id}/numbers", permission=MANAGE, status=204, errors=[NotFound, Invalid])
async def set_desk_numbers(call: Call, brand_id: int, body: DeskNumbers) -> None:
    """修改响应时限等数字."""
    name = await brand_of(call, brand_id)
    before, after = asdict(await desk_queries.settings(brand_id)), body.model_dump()
    await along(
        call.actor,
        lambda: desk.set_desk(brand_id=brand_id, settings=DeskSettings(**after)),
        lambda _: entry("desk.numbers", brand_id, name, before, after),
        call.now,
    )


@SURFACE.put("/desk/{brand_id}/texts", permission=MANAGE, status=204, errors=[NotFound, Invalid])
async def set_desk_texts(call: Call, brand_id: int, body: OwnWords) -> None:
    """修改排队、非服务时间、评价等话术."""
    name, before = await brand_of(call, brand_id), await rota.brand_texts(brand_id)
    if body.account_id is not None:
        found = {one.id: one for one in await rota.accounts(brand_id)}.get(body.account_id)
        if found is None:
            raise NotFound("没有这个账号")
        name, before = found.name, found.texts
    texts: dict[str, str] = {key: text for key, text in body.texts.items() if text}
    await along(
        call.actor,
        lambda: own_words.set_words(brand_id=brand_id, account_id=body.account_id, texts=texts),
        lambda _: entry("desk.texts", brand_id, name, before, texts),
        call.now,
    )


@SURFACE.put("/desk/{brand_id}/skills", permission=MANAGE, status=204, errors=[NotFound, Invalid])
async def set_desk_skill(call: Call, brand_id: int, body: SkillInput) -> None:
    """新增技能队列，或修改名称."""
    name = await brand_of(call, brand_id)
    before = {one["name"]: one["title"] for one in await desk_queries.skills(brand_id)}.get(body.name)
    await along(
        call.actor,
        lambda: desk.set_skill(brand_id=brand_id, name=body.name, title=body.title),
        lambda _: entry("desk.skill", brand_id, name, before and {"title": before}, {"title": body.title}),
        call.now,
    )


@SURFACE.post("/desk/{brand_id}/skills/remove", permission=MANAGE, status=204, errors=[NotFound])
async def remove_desk_skill(call: Call, brand_id: int, body: SkillGone) -> None:
    """删除技能队列；排队中的会话改由任何客服接待."""
    name = await brand_of(call, brand_id)
    await along(
        call.actor,
        lambda: rota.remove_skill(brand_id=brand_id, name=body.name, staff_id=call.me.staff_id, now=call.now),
        lambda _: entry("desk.skill_removed", brand_id, name, {"skills": [body.name]}, None),
        call.now,
    )


@SURFACE.put("/desk/{brand_id}/seats/{staff_id}", permission=MANAGE, status=204, errors=[NotFound, Invalid])
async def set_desk_seat(call: Call, brand_id: int, staff_id: int, body: SeatInput) -> None:
    """设置客服坐席的同时接待数与技能."""
    await brand_of(call, brand_id)
    was = await rota.check_person(brand_id, staff_id, call.now)
    before = {"capacity": was.capacity, "skills": list(was.skills)} if was.seated else None
    after = {"capacity": body.capacity, "skills": sorted(set(body.skills))}
    await along(
        call.actor,
        lambda: desk.set_seat(brand_id=brand_id, staff_id=staff_id, capacity=body.capacity, skills=body.skills),
        lambda _: Entry("desk.seat", f"staff:{staff_id}", was.name, brand_id, before, after),
        call.now,
    )


@SURFACE.put("/desk/{brand_id}/accounts/{account_id}", permission=MANAGE, status=204, errors=[NotFound])
async def set_served_by(call: Call, brand_id: int, account_id: int, body: ServedBy) -> None:
    """选择由我们的坐席还是微信客服接待."""
    await brand_of(call, brand_id)
    found = {one.id: one for one in await rota.accounts(brand_id)}.get(account_id)
    if found is None:
        raise NotFound("没有这个账号")
    await along(
        call.actor,
        lambda: desk.use_wechat_desk(account_id=account_id, enabled=body.wechat),
        lambda _: Entry(
            "desk.served_by",
            f"account:{account_id}",
            found.name,
            brand_id,
            {"wechat": found.wechat},
            {"wechat": body.wechat},
        ),
        call.now,
    )
