"""Many phones at once, around midnight, on two channels and two processes: one check-in per person and day."""

import asyncio
import random
from collections import Counter
from datetime import datetime, timedelta

from tortoise.context import TortoiseContext

from scrm.checkins.doubles import settle_merge
from scrm.checkins.service import CheckedIn
from scrm.db import database, fetch
from scrm.members.queries import FanView
from tests.checkins.club import DAY, TODAY, check_in, clock, has, open_club
from tests.factories import value
from tests.points.books import audit

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


async def test_200_check_ins_of_one_member_over_two_channels_across_midnight(
    db: TortoiseContext, database_url: str
) -> None:
    club = await open_club()
    fans = await club.person()
    midnight, draw = clock(TODAY + DAY, "00:00:00"), random.Random(2026)
    taps = [(fans[n % 2], midnight + timedelta(milliseconds=draw.randint(-900, 899))) for n in range(200)]

    async def process(mine: list[tuple[FanView, datetime]]) -> list[CheckedIn]:
        async with database(database_url, pool=10):
            return await asyncio.gather(
                *[check_in(fan, when, now=midnight + timedelta(seconds=1)) for fan, when in mine]
            )

    said = await asyncio.gather(process(taps[:100]), process(taps[100:]))
    fresh = Counter(one.day for one in [*said[0], *said[1]] if one.fresh)
    assert fresh == {TODAY: 1, TODAY + DAY: 1}
    assert await has(fans[0], midnight) == (2, 6)
    rows = await fetch("SELECT day FROM checkin ORDER BY day")
    assert [row["day"] for row in rows] == [TODAY, TODAY + DAY]
    assert await value("SELECT count(*) FROM event WHERE kind = 'checkin.done'") == 2
    assert await value(DEADLOCKS) == 0
    await audit()


async def test_merging_while_both_check_in_leaves_one_paid_day_once_it_is_settled(db: TortoiseContext) -> None:
    club = await open_club()
    one, other = await club.two()
    await asyncio.gather(*[check_in(fan, clock(TODAY)) for fan in (one, other) * 10], club.link(one, other))
    await settle_merge(kept=one.member_id, absorbed=other.member_id, now=clock(TODAY, "13:00:00"))
    assert await has(one) == (1, 3)
    assert await value("SELECT count(*) FROM checkin WHERE doubles_id IS NULL") == 1
    assert await value(DEADLOCKS) == 0
    await audit()
