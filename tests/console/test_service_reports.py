"""The service report as the page asks for it: its period, its cuts, and whose brands it is about."""

from scrm.conversations import desk, service
from tests.console.conftest import Office
from tests.conversations import office as desks
from tests.factories import at, make_account

DAY = 24 * 3600


async def brand_desk(office: Office, brand: int) -> desks.Office:
    """A desk of one of the console's brands."""
    (row,) = await office.rows("SELECT name FROM brand WHERE id = $1", brand)
    return desks.Office(brand, await make_account(brand=row["name"], name=f"{row['name']}的号"))


async def served(where: desks.Office, staff: int, asked: float, answers: float, skill: str = "") -> None:
    fan = await where.fan("人工", when=asked)
    conversation = (await where.asks(fan, asked, skill=skill)).conversation_id
    await service.pull(conversation_id=conversation, brand_id=where.brand, staff_id=staff, now=at(asked + answers / 2))
    assert (await where.says(conversation, staff, when=asked + answers)).allowed


async def test_a_week_by_day_hour_and_staff(office: Office) -> None:
    mine, theirs = [await brand_desk(office, brand) for brand in office.brands]
    boss = await office.signed_in("supervisor", [office.brands[0]])
    staff = await boss.me()
    await desk.set_skill(brand_id=mine.brand, name="aftersale", title="售后")
    await desk.set_seat(brand_id=mine.brand, staff_id=staff, capacity=0, skills=["aftersale"])
    await served(mine, staff, 0, 20)
    await served(mine, staff, 3600, 100, "aftersale")
    await theirs.asks(await theirs.fan("人工"), 10)
    office.clock.advance(days=1)
    await boss.sign_in()

    told = (await boss.get("/reports/service")).body
    # The clock started on 9 March; a week with today is there, also its empty days.
    assert (told["since"], told["until"], len(told["by_day"])) == ("2026-03-04", "2026-03-10", 7)
    total = told["total"]
    assert (total["asked"], total["waiting"], total["first_response"], total["in_time"]) == (2, 30.0, 60.0, 1)
    assert (told["fan_days"], told["by_bot"]) == (2, 0)
    assert {one["day"]: one["figures"]["asked"] for one in told["by_day"] if one["figures"]["asked"]} == {
        "2026-03-09": 2
    }
    assert told["by_day"][0]["figures"]["first_response"] is None
    assert [one["hour"] for one in told["by_hour"]] == list(range(24))
    assert {one["hour"]: one["figures"]["asked"] for one in told["by_hour"] if one["figures"]["asked"]} == {
        12: 1,
        13: 1,
    }
    assert [(one["staff_id"], one["name"], one["figures"]["asked"]) for one in told["by_staff"]] == [
        (staff, (await boss.get("/me")).body["name"], 2)
    ]
    assert told["scores"] == [{"score": score, "count": 0} for score in range(1, 6)]

    cut = (await boss.get("/reports/service?skill=aftersale")).body
    assert (cut["total"]["asked"], cut["fan_days"], cut["by_bot"]) == (1, None, None)
    assert (await boss.get("/reports/service?skill=-")).body["total"]["asked"] == 1
    assert (await boss.get(f"/reports/service?account={mine.account}")).body["total"]["asked"] == 2
    assert (await boss.get(f"/reports/service?account={theirs.account}")).body["total"]["asked"] == 0
    day = (await boss.get("/reports/service?since=2026-03-10&until=2026-03-10")).body
    assert (len(day["by_day"]), day["total"]["asked"]) == (1, 0)
    assert (await boss.get("/reports/service/choices")).body == {
        "accounts": [{"id": mine.account, "brand_id": mine.brand, "name": await mine.name() + "的号"}],
        "skills": [{"name": "aftersale", "title": "售后"}],
    }

    everybody = await office.signed_in()
    assert (await everybody.get("/reports/service")).body["total"]["asked"] == 3
    assert (await everybody.get(f"/reports/service?brand={theirs.brand}")).body["total"]["asked"] == 1
    assert (await boss.get(f"/reports/service?brand={theirs.brand}")).said == (404, "not_found")
    assert (await boss.get(f"/reports/service/choices?brand={theirs.brand}")).said == (404, "not_found")


async def test_a_period_that_is_none_names_its_field(office: Office) -> None:
    boss = await office.signed_in("viewer")
    for days, field in (
        ("since=2026-03-10&until=2026-03-09", "until"),
        ("since=2025-03-09&until=2026-03-10", "since"),
        ("since=9999-12-30&until=9999-12-31", "since"),
        ("until=0001-01-01", "until"),
        ("since=0001-01-01&until=0001-01-02", "since"),
    ):
        answer = await boss.get(f"/reports/service?{days}")
        assert (answer.said, answer.body["field"]) == ((422, "invalid"), field), days
    assert len((await boss.get("/reports/service?since=2025-03-10&until=2026-03-10")).body["by_day"]) == 366
    assert (await boss.get("/reports/service?since=2026-03-20")).body["until"] == "2026-03-20"
    assert (await boss.get("/reports/service?skill=")).said == (422, "invalid")
