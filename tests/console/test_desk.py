"""排班, 坐席, 话术 and the wall over the API: what is set is shown, brands are apart, and the trail says who did it."""

import asyncio
import json

from scrm.conversations import desk, service
from tests.console.conftest import Browser, Office
from tests.conversations import office as desks
from tests.factories import at, make_account

NUMBERS = {
    "first_response_seconds": 30, "promise_minutes": 20, "unsure_minutes": 10, "rating_minutes": 30, "idle_minutes": 60
}  # fmt: skip
WORKDAYS = {"pattern": "workdays", "starts": 540, "ends": 1080, "breaks": [[720, 780]]}
NIGHT = {"pattern": "fri", "starts": 1320, "ends": 360}


async def brand_desk(office: Office, brand: int) -> desks.Office:
    (row,) = await office.rows("SELECT name FROM brand WHERE id = $1", brand)
    return desks.Office(brand, await make_account(brand=row["name"], name=f"{row['name']}的号"))


async def put(browser: Browser, path: str, body: object) -> tuple[int, str | None]:
    return (await browser.call("PUT", path, body)).said


async def test_what_is_set_is_shown_and_on_the_trail(office: Office) -> None:
    brand = office.brands[0]
    where = await brand_desk(office, brand)
    boss, clerk = await office.signed_in("supervisor", [brand]), await office.signed_in("agent", [brand])
    boss_id, clerk_id = await boss.me(), await clerk.me()
    usual = (await boss.get(f"/desk/{brand}")).body
    assert (usual["numbers"]["first_response_seconds"], usual["texts"], usual["skills"]) == (45, {}, [])
    assert [(one["staff_id"], one["seated"], one["capacity"]) for one in usual["people"]] == [
        (boss_id, False, 5), (clerk_id, False, 5)
    ]  # fmt: skip

    assert await put(boss, f"/desk/{brand}/numbers", NUMBERS) == (204, None)
    assert await put(boss, f"/desk/{brand}/skills", {"name": "aftersale", "title": "售后"}) == (204, None)
    seat = {"capacity": 3, "skills": ["aftersale"]}
    assert await put(boss, f"/desk/{brand}/seats/{clerk_id}", seat) == (204, None)
    words = {"account_id": None, "texts": {"outside": "打烊啦，{时间}前回复您。"}}
    assert await put(boss, f"/desk/{brand}/texts", words) == (204, None)
    own = {"account_id": where.account, "texts": {"rating": "打个分吧：\n1 到 5"}}
    assert await put(boss, f"/desk/{brand}/texts", own) == (204, None)
    assert await put(boss, f"/desk/{brand}/accounts/{where.account}", {"wechat": True}) == (204, None)

    told = (await boss.get(f"/desk/{brand}")).body
    assert (told["numbers"], told["texts"]) == (NUMBERS, {"outside": "打烊啦，{时间}前回复您。"})
    assert told["skills"] == [{"name": "aftersale", "title": "售后", "staff": [clerk_id]}]
    person = told["people"][0]
    assert (person["staff_id"], person["seated"], person["capacity"], person["skills"]) == (
        clerk_id, True, 3, ["aftersale"]
    )  # fmt: skip
    (account,) = told["accounts"]
    assert (account["id"], account["wechat"], account["texts"]) == (
        where.account,
        True,
        {"rating": "打个分吧：\n1 到 5"},
    )

    assert (await boss.post(f"/desk/{brand}/skills/remove", {"name": "aftersale"})).status == 204
    assert (await boss.post(f"/desk/{brand}/skills/remove", {"name": "aftersale"})).said == (404, "not_found")
    trail = await office.rows("SELECT * FROM audit WHERE action LIKE 'desk.%' ORDER BY id")
    assert [row["action"] for row in trail] == [
        "desk.numbers", "desk.skill", "desk.seat", "desk.texts", "desk.texts", "desk.served_by", "desk.skill_removed"
    ]  # fmt: skip
    assert {(row["staff_id"], row["brand_id"]) for row in trail} == {(boss_id, brand)}
    assert json.loads(trail[0]["before"]) == {
        "first_response_seconds": 45, "promise_minutes": 30, "idle_minutes": 1440
    }  # fmt: skip


async def test_a_week_of_shifts(office: Office) -> None:
    brand = office.brands[0]
    boss, clerk = await office.signed_in("supervisor", [brand]), await office.signed_in("agent", [brand])
    clerk_id, path = await clerk.me(), f"/desk/{brand}/rota"
    off = {"pattern": "off", "day": "2026-03-10", "starts": 0, "ends": 1440}
    body = {"shifts": [WORKDAYS, NIGHT, off]}
    # Twice at once: the second replaces the first.
    assert await asyncio.gather(*(put(boss, f"{path}/{clerk_id}", body) for _ in range(2))) == [(204, None)] * 2
    closed = {"day": "2026-03-11", "kind": "closed", "note": "盘点"}
    assert await put(boss, f"/desk/{brand}/days", closed) == (204, None)

    # The clock stands at Monday 9 March 2026, noon in Shanghai.
    told = (await boss.get(path)).body
    assert told["first"] == "2026-03-09"
    assert [(one["kind"], one["own"]) for one in told["days"]] == [
        ("workday", False), ("workday", False), ("closed", True), ("workday", False), ("workday", False),
        ("restday", False), ("restday", False),
    ]  # fmt: skip
    spans = [(one["day"][-2:], one["starts"], one["ends"]) for one in told["spans"]]
    assert spans == [
        ("09", 540, 720), ("09", 780, 1080), ("12", 540, 720), ("12", 780, 1080),
        ("13", 540, 720), ("13", 780, 1080), ("13", 1320, 1800),
    ]  # fmt: skip
    assert [one["pattern"] for one in told["shifts"]] == ["workdays", "fri", "off"]
    assert told["special"] == [closed]
    # Without a seat nobody is on duty; with one, at noon it is the break.
    on_duty = {one["staff_id"]: one["on_duty"] for one in told["people"]}
    assert on_duty[clerk_id] is False
    assert await put(boss, f"/desk/{brand}/seats/{clerk_id}", {"capacity": 3}) == (204, None)
    office.clock.advance(hours=1)
    assert [one["on_duty"] for one in (await boss.get(path)).body["people"] if one["staff_id"] == clerk_id] == [True]

    assert await put(boss, f"/desk/{brand}/days", closed | {"kind": None}) == (204, None)
    assert (await boss.get(f"{path}?day=2026-03-15")).body["special"] == []
    wrong = {"shifts": [WORKDAYS, WORKDAYS | {"breaks": [[1100, 1110]]}]}
    answer = await boss.call("PUT", f"{path}/{clerk_id}", wrong)
    assert (answer.said, answer.body["field"]) == ((422, "invalid"), "shifts.1.breaks")
    assert len((await boss.get(path)).body["shifts"]) == 3
    (line,) = await office.rows("SELECT after FROM audit WHERE action = 'desk.shifts' ORDER BY id LIMIT 1")
    assert json.loads(line["after"]) == {
        "shifts": ["工作日 09:00-18:00（休 12:00-13:00）", "周五 22:00-06:00", "2026-03-10请假"]
    }


async def test_brands_are_apart(office: Office) -> None:
    mine, theirs = office.brands
    other = await brand_desk(office, theirs)
    boss = await office.signed_in("supervisor", [mine])
    stranger = await (await office.signed_in("agent", [theirs])).me()
    for path, body in (
        (f"/desk/{theirs}/numbers", NUMBERS),
        (f"/desk/{theirs}/texts", {"texts": {}}),
        (f"/desk/{theirs}/skills", {"name": "a", "title": "a"}),
        (f"/desk/{theirs}/rota/{stranger}", {"shifts": []}),
        (f"/desk/{theirs}/days", {"day": "2026-03-11", "kind": "closed"}),
        # Somebody else's staff and accounts under one's own brand.
        (f"/desk/{mine}/seats/{stranger}", {"capacity": 1}),
        (f"/desk/{mine}/rota/{stranger}", {"shifts": [WORKDAYS]}),
        (f"/desk/{mine}/accounts/{other.account}", {"wechat": True}),
        (f"/desk/{mine}/texts", {"account_id": other.account, "texts": {}}),
    ):
        assert await put(boss, path, body) == (404, "not_found"), path
    for path in (f"/desk/{theirs}", f"/desk/{theirs}/rota", f"/wall?brand={theirs}"):
        assert (await boss.get(path)).said == (404, "not_found"), path
    everybody = await office.signed_in()
    assert (await everybody.get("/desk/999999")).said == (404, "not_found")
    assert await office.rows("SELECT 1 FROM audit WHERE action LIKE 'desk.%'") == []
    assert await office.rows("SELECT 1 FROM shift") == []


async def test_the_wall(office: Office) -> None:
    mine, theirs = [await brand_desk(office, brand) for brand in office.brands]
    boss = await office.signed_in("supervisor", [mine.brand])
    clerk_id = await (await office.signed_in("agent", [mine.brand])).me()
    await desk.set_skill(brand_id=mine.brand, name="aftersale", title="售后")
    await desk.set_seat(brand_id=mine.brand, staff_id=clerk_id, capacity=4, skills=["aftersale"])
    waiting = (await mine.asks(await mine.fan("人工"), 0)).conversation_id
    taken = (await mine.asks(await mine.fan("人工"), 10)).conversation_id
    await service.pull(conversation_id=taken, brand_id=mine.brand, staff_id=clerk_id, now=at(15))
    await mine.says(taken, clerk_id, when=20)
    await theirs.asks(await theirs.fan("人工"), 0)
    await desk.heartbeat(staff_id=clerk_id, now=at(30))
    office.clock.advance(seconds=50)

    told = (await boss.get("/wall")).body
    sums = told["sums"]
    assert (sums["waiting"], sums["with_staff"], sums["overdue"]) == (1, 1, 1)
    assert (told["now"], sums["longest_since"]) == ("2026-03-09T04:00:50Z", "2026-03-09T04:00:00Z")
    assert [one["id"] for one in told["waiting"]] == [one["id"] for one in told["overdue"]] == [waiting]
    assert (told["today"]["asked"], told["today"]["first_response"], told["today"]["in_time"]) == (2, 10.0, 1)
    (person,) = told["people"]
    assert (person["staff_id"], person["present"], person["on_duty"], person["load"], person["capacity"]) == (
        clerk_id, True, True, 1, 4
    )  # fmt: skip
    assert person["skills"] == ["售后"]
    assert (await (await office.signed_in()).get("/wall")).body["sums"]["waiting"] == 2
