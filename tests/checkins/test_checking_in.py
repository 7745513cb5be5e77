"""Checking in: once a day whatever the channel, the streak, the calendar, make-up cards."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.clock import natural_day
from scrm.checkins import queries, service
from scrm.checkins.rewards import Reward
from scrm.db import Transaction, fetch, transaction
from scrm.errors import DomainError, Invalid
from scrm.points import levels
from scrm.points.ledger import GROWTH, POINTS
from tests.checkins.club import DAY, TODAY, Club, check_in, clock, has, make_up, open_club
from tests.conftest import START
from tests.factories import at, make_account, make_fan, value

ZIPPO = [Reward(POINTS, 1), Reward(GROWTH, 3)]


@pytest.fixture
async def club(tx_db: Transaction) -> Club:
    return await open_club()


class TestOncePerDay:
    async def test_the_first_pays_and_the_second_on_whatever_channel_does_not(self, club: Club) -> None:
        """Missions A064 and A071: growth 3 and points 1 per natural day, two channels never both."""
        official, mini = await club.person()
        first = await check_in(official)
        assert (first.day, first.fresh, first.earned, first.streak, first.next_reward) == (TODAY, True, ZIPPO, 1, ZIPPO)
        for fan in (mini, official):
            again = await check_in(fan, at(60))
            assert (again.day, again.fresh, again.earned, again.streak) == (TODAY, False, (), 1)
        assert await has(official) == await has(mini) == (1, 3)
        rows = await fetch("SELECT key, fan_id, payload->>'day' AS day FROM event WHERE kind = 'checkin.done'")
        assert [(row["fan_id"], row["day"]) for row in rows] == [(official.id, "2026-03-09")]
        (line,) = await fetch("SELECT * FROM ledger_entry WHERE asset = 'points'")
        assert (line["amount"], line["description"], line["platform"]) == (1, "每日签到", "公众号")
        assert line["event_key"] == rows[0]["key"]

    async def test_a_level_that_it_reaches_is_told_once(self, club: Club) -> None:
        given = [{"name": name, "threshold": 4 * n} for n, name in enumerate(("新芽", "嫩叶", "银叶"))]
        await levels.define(brand_id=club.brand_id, given=given)
        official, mini = await club.person()
        days = [START + n * DAY for n in range(4)]
        told = [(await check_in(official, day)).level for day in days]
        assert (told, await has(mini, days[-1])) == ([None, "嫩叶", "银叶", None], (4, 12))
        assert (await check_in(mini, days[1] + timedelta(minutes=1), days[-1])).level is None

    async def test_the_day_ends_at_midnight_in_shanghai(self, club: Club) -> None:
        fan, _ = await club.person()
        assert (await check_in(fan, clock(TODAY, "00:00:00"))).fresh
        assert not (await check_in(fan, clock(TODAY, "23:59:59"))).fresh
        tomorrow = await check_in(fan, clock(TODAY + DAY, "00:00:00"))
        assert (tomorrow.fresh, tomorrow.streak) == (True, 2)
        assert await has(fan) == (2, 6)

    async def test_what_was_asked_before_midnight_counts_for_its_day(self, club: Club) -> None:
        fan, _ = await club.person()
        late = await check_in(fan, clock(TODAY, "23:59:59"), now=clock(TODAY + DAY, "00:00:03"))
        assert (late.day, late.streak) == (TODAY, 1)
        assert (await check_in(fan, clock(TODAY + DAY, "00:00:04"))).streak == 2
        with pytest.raises(Invalid) as caught:
            await check_in(fan, at(1), now=START)
        assert caught.value.field == "occurred_at"

    async def test_two_people_have_a_day_each(self, club: Club) -> None:
        one, other = (await club.person())[0], (await club.person())[0]
        assert [(await check_in(fan)).fresh for fan in (one, other)] == [True, True]

    async def test_without_rules_a_day_is_only_a_day(self, tx_db: Transaction) -> None:
        fan = await make_fan(await make_account(brand="别的品牌"))
        done = await check_in(fan)
        assert (done.fresh, done.earned, done.streak, done.next_reward) == (True, [], 1, [])
        assert await has(fan) == (0, 0)


class TestStreak:
    async def test_it_grows_breaks_and_survives_until_the_day_is_over(self, club: Club) -> None:
        fan, _ = await club.person()
        streaks = [(await check_in(fan, START + n * DAY)).streak for n in (0, 1, 2, 4, 5)]
        assert streaks == [1, 2, 3, 1, 2]
        for days, done, streak in ((5, True, 2), (6, False, 2), (7, False, 0)):
            found = await queries.standing(fan.member_id, fan.account_id, START + days * DAY)
            assert (found.done, found.streak, found.next_reward) == (done, streak, ZIPPO)

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(days=st.lists(st.integers(0, 45), min_size=1, max_size=14), last=st.integers(0, 46))
    async def test_it_is_what_counting_backwards_finds(self, tx_db: Transaction, days: list[int], last: int) -> None:
        async with transaction() as tx:
            fan = await make_fan(await make_account(brand="没有规则"))
            for n in days:
                await check_in(fan, START + n * DAY, now=START + 46 * DAY)
            expected = 0
            while last - expected in days:
                expected += 1
            streak = await queries.streak_to(tx.connection, [fan.member_id], natural_day(START + last * DAY))
        assert streak == expected


class TestCalendar:
    async def test_a_month_shows_what_was_done_and_made_up_on_all_channels(self, club: Club) -> None:
        await service.set_policy(brand_id=club.brand_id, cards_per_month=2, days_back=7)
        official, mini = await club.person()
        await check_in(official, clock(date(2026, 2, 28)))
        await check_in(mini, clock(date(2026, 3, 1)))
        await check_in(official, clock(date(2026, 3, 8)))
        await check_in(mini)
        await make_up(mini, date(2026, 3, 7))
        month = await queries.month(official.member_id, official.account_id, START, 2026, 3)
        days = {date(2026, 3, 1): "done", date(2026, 3, 7): "made_up", date(2026, 3, 8): "done", TODAY: "done"}
        assert (month.first, month.days, month.today, month.streak) == (date(2026, 3, 1), days, TODAY, 3)
        assert (month.cards.left, month.cards.oldest) == (1, date(2026, 3, 2))
        before = await queries.month(official.member_id, official.account_id, START, 2026, 2)
        assert before.days == {date(2026, 2, 28): "done"}

    @pytest.mark.parametrize(("field", "year", "number"), [("year", 1, 3), ("month", 2026, 0), ("month", 2026, 13)])
    async def test_what_is_no_month_is_named(self, club: Club, field: str, year: int, number: int) -> None:
        fan, _ = await club.person()
        with pytest.raises(Invalid) as caught:
            await queries.month(fan.member_id, fan.account_id, START, year, number)
        assert caught.value.field == field


class TestMakingUp:
    async def test_a_card_mends_the_streak_and_earns_nothing(self, club: Club) -> None:
        await service.set_policy(brand_id=club.brand_id, cards_per_month=1)
        fan, _ = await club.person()
        for day in (TODAY - 2 * DAY, TODAY):
            await check_in(fan, clock(day))
        assert await make_up(fan, TODAY - DAY) == 3
        assert await has(fan) == (2, 6)
        assert await value("SELECT payload->>'day' FROM event WHERE kind = 'checkin.made_up'") == "2026-03-08"

    async def test_what_stands_against_it(self, club: Club) -> None:
        await service.set_policy(brand_id=club.brand_id, cards_per_month=1, days_back=3)
        fan, _ = await club.person()
        await check_in(fan, clock(TODAY - DAY))

        async def refused(day: date) -> str:
            with pytest.raises(DomainError) as caught:
                await make_up(fan, day)
            return f"{caught.value.code} {caught.value.field}"

        assert [await refused(TODAY), await refused(TODAY - DAY), await refused(TODAY - 4 * DAY)] == [
            "invalid day",
            "checked_in_already day",
            "invalid day",
        ]
        await make_up(fan, TODAY - 3 * DAY)
        assert await refused(TODAY - 2 * DAY) == "no_card_left None"
        stranger = await make_fan(await make_account(brand="没有补签卡"))
        with pytest.raises(DomainError) as caught:
            await make_up(stranger, TODAY - DAY)
        assert caught.value.code == "no_card_left"

    async def test_cards_are_counted_in_the_month_in_which_they_are_used(self, club: Club) -> None:
        await service.set_policy(brand_id=club.brand_id, cards_per_month=1, days_back=31)
        fan, _ = await club.person()
        await make_up(fan, TODAY - DAY)
        first_of_april = clock(date(2026, 4, 1), "00:00:00")
        assert await make_up(fan, date(2026, 3, 31), first_of_april) == 1
        with pytest.raises(DomainError) as caught:
            await make_up(fan, date(2026, 3, 30), first_of_april)
        assert caught.value.code == "no_card_left"

    @pytest.mark.parametrize(("field", "cards", "back"), [("cards_per_month", 32, 7), ("days_back", 1, 0)])
    async def test_a_policy_that_makes_no_sense_names_its_field(
        self, club: Club, field: str, cards: int, back: int
    ) -> None:
        with pytest.raises(Invalid) as caught:
            await service.set_policy(brand_id=club.brand_id, cards_per_month=cards, days_back=back)
        assert caught.value.field == field
