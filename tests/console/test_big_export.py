"""The export of a big house: every row once, and never more of them in memory than a few pages."""

import csv
import io
import tracemalloc

from scrm.db import fetch
from tests.console.conftest import Office
from tests.factories import make_account

# Sixteen pages; the first four show what a page costs. Kept, the others would cost three times as much on top.
PEOPLE, FIRST = 8_000, 2_000


async def test_an_export_is_as_long_as_the_list_and_holds_no_more_than_some_pages(office: Office) -> None:
    await fetch(
        """
        WITH people AS (INSERT INTO member (created_at) SELECT $2 FROM generate_series(1, $3) RETURNING id)
        INSERT INTO fan (account_id, openid, member_id, following, created_at)
        SELECT $1, 'openid-' || id, id, true, $2 FROM people
        """,
        await make_account(),
        office.clock.now(),
        PEOPLE,
    )
    boss = await office.signed_in()
    ticket = (await boss.post("/members/exports", {})).body["ticket"]
    url, cookie = f"{office.address}/members/export?ticket={ticket}", {"Cookie": f"fensi_staff={boss.cookie}"}
    numbers: list[int] = []
    peaks: list[int] = []
    tracemalloc.start()
    try:
        async with office.http.get(url, headers=cookie) as answer:
            assert (answer.status, answer.content_length) == (200, None)
            assert b"\xef\xbb\xbf" in await answer.content.readline()
            async for line in answer.content:
                (row,) = csv.reader(io.StringIO(line.decode(), newline=""))
                numbers.append(int(row[1]))
                if len(numbers) in (FIRST, PEOPLE):
                    peaks.append(tracemalloc.get_traced_memory()[1])
                    tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()
    assert numbers == [row["id"] for row in await fetch("SELECT id FROM member ORDER BY id DESC")]
    assert len(numbers) == PEOPLE
    first, rest = peaks
    assert rest < first * 2
