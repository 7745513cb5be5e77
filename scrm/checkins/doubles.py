"""A merge makes two check-ins of one day one person's: the second is a double, and what it earned is taken back.

Of a day's check-ins the first that was really done counts; a made-up one counts only without such. Which ones
count follows from the rows alone, so settling again changes nothing, and after a split the same look at each person
finds whose double has lost its reason: its clawback is undone. Rows are never deleted, streaks count days.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from kit.clock import natural_day
from kit.ids import key_of
from scrm.db import Connection, Transaction, command
from scrm.events import kinds
from scrm.members.merging import MERGED, SPLIT
from scrm.members.person import hold
from scrm.points import ledger, levels

PLATFORM = "系统"


@command
async def settle_merge(tx: Transaction, *, kept: int, absorbed: int, now: datetime) -> int:
    """Take back what doubled days earned after `absorbed` was merged into `kept`; returns how many doubles that were.

    Part of the merge's own transaction, after the pointer has moved. Settling again changes nothing and returns 0.
    """
    return await _settle(tx.connection, [kept, absorbed], now)


@command
async def settle_split(tx: Transaction, *, kept: int, absorbed: int, now: datetime) -> int:
    """Give back what was taken for days that are no double any more; returns how many doubles changed.

    Part of the split's own transaction, after the pointer has moved back. Settling again changes nothing.
    """
    return await _settle(tx.connection, [kept, absorbed], now)


async def _settle(raw: Connection, members: Sequence[int], now: datetime) -> int:
    changed = 0
    people: dict[int, list[int]] = {}
    # The older person first, as a merge locks them.
    for member in sorted(members):
        homes = await hold(raw, member)
        people[homes[0]] = homes
    for homes in people.values():
        for row in await raw.fetch(
            """
            WITH days AS (
                SELECT id, first_value(id) OVER w AS counts
                FROM checkin WHERE member_id = ANY($1::bigint[])
                WINDOW w AS (PARTITION BY day ORDER BY kind, occurred_at, id)
            )
            SELECT c.id, c.event_key, c.doublings, c.doubles_id, nullif(d.counts, c.id) AS doubles_now
            FROM checkin c JOIN days d ON d.id = c.id
            WHERE c.doubles_id IS DISTINCT FROM nullif(d.counts, c.id)
            -- Who gets back comes before whom it is taken from.
            ORDER BY nullif(d.counts, c.id) IS NOT NULL, c.id
            """,
            homes,
        ):
            was, is_now = row["doubles_id"] is not None, row["doubles_now"] is not None
            if was and not is_now:
                await _give_back(raw, row["event_key"], row["doublings"], now)
            elif is_now and not was:
                await _take_back(raw, row["event_key"], row["doublings"] + 1, now)
            await raw.execute(
                "UPDATE checkin SET doubles_id = $2, doublings = doublings + $3 WHERE id = $1",
                row["id"],
                row["doubles_now"],
                int(is_now and not was),
            )
            changed += was != is_now
    await levels.settle(raw, people, now)
    return changed


async def _take_back(raw: Connection, event_key: UUID, doubling: int, now: datetime) -> None:
    for award in await _awards(raw, event_key):
        await ledger.take_back(
            raw,
            _key(award["key"], doubling),
            award["holder_id"],
            award["asset"],
            award["amount"],
            ledger.Origin("合并账号：同日签到不重复计", PLATFORM, now, event_key, day=natural_day(now)),
            now,
            award["key"],
        )


async def _give_back(raw: Connection, event_key: UUID, doubling: int, now: datetime) -> None:
    for award in await _awards(raw, event_key):
        await ledger.undo_claw_back(
            raw,
            claw_back_key=_key(award["key"], doubling),
            origin=ledger.Origin("拆分账号：恢复当日签到", PLATFORM, now, event_key, day=natural_day(now)),
            now=now,
        )


async def _awards(raw: Connection, event_key: UUID) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await raw.fetch(
        """
        SELECT key, holder_id, asset, amount FROM ledger_entry
        WHERE event_key = $1 AND kind = 'award' ORDER BY asset DESC, id
        """,
        event_key,
    )
    return rows


def _key(award_key: UUID, doubling: int) -> UUID:
    return key_of("checkin.double", award_key, doubling)


async def _merged(_raw: Connection, events: Sequence[kinds.Appended]) -> None:
    for event in events:
        await settle_merge(kept=event.payload["kept"], absorbed=event.payload["absorbed"], now=event.recorded_at)


async def _split(_raw: Connection, events: Sequence[kinds.Appended]) -> None:
    for event in events:
        await settle_split(kept=event.payload["kept"], absorbed=event.payload["absorbed"], now=event.recorded_at)


kinds.listen(MERGED, _merged)
kinds.listen(SPLIT, _split)
