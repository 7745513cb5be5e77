"""One conversation that cannot be changed does not keep the clock from the others, in this sweep or the next."""

from dataclasses import replace

import pytest

from scrm.conversations import desk, service
from scrm.conversations.shifts import ShiftView
from scrm.conversations.watching import Swept, sweep
from scrm.db import Transaction
from tests.conversations.office import Office, minutes, open_office, row, state
from tests.factories import at

NOTHING = Swept(woken=0, requeued=0, assigned=0, overdue=0, risked=0, broken=0, closed=0)
HOUR = 3600
WORD = "银针寿眉"


async def broken(tx: Transaction, conversation: int) -> None:
    """Let the database refuse every change that is to be recorded of one conversation."""
    await tx.connection.execute(
        f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no change of % about %', NEW.conversation_id, '{WORD}'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON conversation_change FOR EACH ROW
        WHEN (NEW.conversation_id = {conversation}) EXECUTE FUNCTION refuse();
        """
    )


async def mended(tx: Transaction) -> None:
    await tx.connection.execute("DROP FUNCTION refuse CASCADE")


async def two_waiting(office: Office, when: float = 0) -> list[int]:
    """Two fans who ask for a person, the first of whom is always looked at first."""
    return [(await office.asks(await office.fan("人工", when=when), when + n)).conversation_id for n in range(2)]


async def two_answered(office: Office) -> tuple[int, int, int]:
    """Two conversations that one of the staff has answered: their ids, and who it was."""
    staff = await office.seat()
    first, second = await two_waiting(office)
    for one in (first, second):
        assert (await office.says(one, staff, when=5)).allowed
    return first, second, staff


async def swept_twice(tx: Transaction, first: int, when: float, expected: Swept) -> None:
    """Sweep with the first broken, then again, then mended: the other comes at once, the first at the last."""
    await broken(tx, first)
    assert [await sweep(at(when)), await sweep(at(when))] == [expected, NOTHING]
    await mended(tx)
    assert await sweep(at(when)) == expected


async def test_what_is_put_off_wakes(tx_db: Transaction) -> None:
    office = await open_office()
    first, second, staff = await two_answered(office)
    for one in (first, second):
        await service.snooze(conversation_id=one, brand_id=office.brand, staff_id=staff, until=at(20), now=at(5))
    await swept_twice(tx_db, first, 20, replace(NOTHING, woken=1))
    assert [(await row(one))["snoozed_until"] for one in (first, second)] == [None, None]


async def test_whose_owner_is_gone_waits_again(tx_db: Transaction) -> None:
    office = await open_office()
    staff = await office.seat()
    first, second = await two_waiting(office)
    for one in (first, second):
        assert (await office.says(one, staff, when=5)).allowed
    await swept_twice(tx_db, first, 61, replace(NOTHING, requeued=1))
    assert [await state(one) for one in (first, second)] == [("waiting", None)] * 2


async def test_who_waits_is_given_to_somebody(tx_db: Transaction, capsys: pytest.CaptureFixture[str]) -> None:
    office = await open_office()
    first, second = await two_waiting(office)
    staff = await office.seat(1)
    await broken(tx_db, first)
    assert await sweep(at(10)) == replace(NOTHING, assigned=1)
    # The one it could not be given did not take the room of the one it could.
    assert [await state(one) for one in (first, second)] == [("waiting", None), ("staff", staff)]
    said = capsys.readouterr().out
    assert f"conversation={first}" in said
    assert "RaiseError" in said
    assert WORD not in said
    # Nor does it stand in the way of somebody else's command.
    given = {"conversation_id": second, "brand_id": office.brand, "staff_id": staff}
    await service.return_to_bot(**given, now=at(11))
    assert [await state(one) for one in (first, second)] == [("waiting", None), ("bot", None)]
    await mended(tx_db)
    assert await sweep(at(12)) == replace(NOTHING, assigned=1)


async def test_a_brand_whose_hours_cannot_be_read(tx_db: Transaction) -> None:
    offices = [await open_office() for _ in range(2)]
    asked = [(await office.asks(await office.fan("人工"))).conversation_id for office in offices]
    seats = [await office.seat() for office in offices]
    await tx_db.connection.execute(
        """
        INSERT INTO shift (brand_id, staff_id, pattern, starts, ends, breaks)
        VALUES ($1, $2, 'daily', 0, 600, '[[1]]')
        """,
        offices[0].brand,
        seats[0],
    )
    assert await sweep(at(10)) == replace(NOTHING, assigned=1)
    assert [await state(one) for one in asked] == [("waiting", None), ("staff", seats[1])]
    assert await sweep(at(50)) == replace(NOTHING, overdue=2)


async def test_alarms(tx_db: Transaction) -> None:
    office = await open_office()
    first, _ = await two_waiting(office)
    await swept_twice(tx_db, first, 60, replace(NOTHING, overdue=1))


async def test_promises(tx_db: Transaction) -> None:
    office = await open_office()
    staff = await office.seat(present=False)
    shift = ShiftView(staff, "daily", 9 * 60, 14 * 60)
    await desk.set_shifts(brand_id=office.brand, staff_id=staff, shifts=[shift])
    first, second = await two_waiting(office, 3 * HOUR)
    promised = (await row(first))["promised_until"]
    assert promised == (await row(second))["promised_until"]
    seconds = (promised - at(0)).total_seconds()
    await swept_twice(tx_db, first, seconds - minutes(5).total_seconds(), replace(NOTHING, risked=1))
    await swept_twice(tx_db, first, seconds + 1, replace(NOTHING, overdue=1, broken=1))


async def test_what_is_idle(tx_db: Transaction) -> None:
    office = await open_office()
    first, second, staff = await two_answered(office)
    for one in (first, second):
        await service.return_to_bot(conversation_id=one, brand_id=office.brand, staff_id=staff, now=at(10))
    await swept_twice(tx_db, first, 25 * HOUR, replace(NOTHING, closed=1))
    assert [(await state(one))[0] for one in (first, second)] == ["closed", "closed"]
