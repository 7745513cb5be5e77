"""The supervisor's wall: what waits now, who is there with what load, and what is overdue."""

from pydantic import BaseModel

from console.surface import SURFACE, Call
from kit.clock import midnight, natural_day
from scrm.conversations import desk_queries, reports, rota, wall
from scrm.members import names, profiles
from scrm.members.profiles import Profile
from web.shapes import Moment, RowId, Shown, Taken

SUPERVISE = "inbox.supervise"


class WallQuery(Taken):
    """Of one brand, or of all that the caller works for."""

    brand: RowId | None = None


class WallSums(Shown):
    """How many open conversations are in which way; `risked` promises run out within ten minutes or have."""

    waiting: int
    longest_since: Moment | None
    with_staff: int
    snoozed: int
    with_bot: int
    at_wechat: int
    overdue: int
    risked: int


class WallToday(Shown):
    """Today so far; seconds, null where there is nothing to average."""

    asked: int
    answered: int
    answered_in_hours: int
    in_time: int
    first_response: float | None
    rating: float | None


class WallQueue(Shown):
    """What waits for a skill; `title` is empty where it waits for anybody."""

    brand_id: int
    skill: str
    title: str
    waiting: int
    longest_since: Moment


class WallOpen(Shown):
    """A conversation that waits or is overdue; `staff` is its owner's name, empty while it has none."""

    id: int
    brand_id: int
    nickname: str
    account: str
    title: str
    state: str
    staff: str
    waiting_since: Moment | None
    answer_due_at: Moment | None
    promised_until: Moment | None


class WallPerson(BaseModel):
    """Somebody with a seat; `load` of `capacity` conversations, `overdue` of them wait too long for an answer."""

    staff_id: int
    brand_id: int
    name: str
    present: bool
    on_duty: bool
    load: int
    capacity: int
    overdue: int
    skills: list[str]


class Wall(BaseModel):
    """The moment `now`, at the server: the page counts on from it."""

    now: Moment
    sums: WallSums
    today: WallToday
    queues: list[WallQueue]
    waiting: list[WallOpen]
    overdue: list[WallOpen]
    people: list[WallPerson]


@SURFACE.get("/wall", permission=SUPERVISE)
async def service_wall(call: Call, query: WallQuery) -> Wall:
    """客服实时看板."""
    brands, now = call.within(query.brand), call.now
    waiting, late = await wall.longest_waiting(brands), await wall.overdue(brands, now)
    people = await profiles.of_many(call.parts.sealer, list({one.person_id for one in (*waiting, *late)}))
    today = await reports.total(brands=brands, since=midnight(natural_day(now)), until=now)
    return Wall(
        now=now,
        sums=WallSums.model_validate(await wall.sums(brands, now)),
        today=WallToday.model_validate(today),
        queues=[WallQueue.model_validate(one) for one in await wall.queues(brands)],
        waiting=[_open(one, people[one.person_id]) for one in waiting],
        overdue=[_open(one, people[one.person_id]) for one in late],
        people=[one for brand in await wall.brands_of(brands) for one in await _people(call, brand)],
    )


def _open(one: wall.Open, profile: Profile) -> WallOpen:
    shown = {name: getattr(one, name) for name in WallOpen.model_fields if hasattr(one, name)}
    return WallOpen.model_validate(shown | {"nickname": names.called(profile, one.person_id, erased=one.erased)})


async def _people(call: Call, brand_id: int) -> list[WallPerson]:
    seats = [one for one in await rota.people(brand_id, call.now) if one.seated]
    if not seats:
        return []
    on_duty = rota.on_duty(await desk_queries.hours(brand_id), seats, call.now)
    titles = {one["name"]: one["title"] for one in await desk_queries.skills(brand_id)}
    return [
        WallPerson(
            staff_id=one.staff_id,
            brand_id=brand_id,
            name=one.name,
            present=one.present,
            on_duty=one.staff_id in on_duty,
            load=one.load,
            capacity=one.capacity,
            overdue=one.overdue,
            skills=[titles.get(skill, skill) for skill in one.skills],
        )
        for one in seats
    ]
