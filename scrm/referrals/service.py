"""Inviting friends: a member's code, the new member who comes through it, and when that counts no more (F32).

Who is known to the brand already, by whatever account, is not new: their coming earns nothing. What only a merge
shows later, that the new member was known before or is the inviter, takes back what both earned; a split gives it
back. A verdict of fraud (scrm.points.rules.referral) is for good, whatever merges and splits say afterwards.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from kit.clock import natural_day
from kit.ids import key_of
from scrm import db
from scrm.db import Connection, Transaction, command
from scrm.events import kinds
from scrm.events import service as events
from scrm.members.merging import MERGED, SPLIT
from scrm.members.person import hold, refuse_erased
from scrm.points import happenings, ledger, levels
from scrm.points.holders import HOMES

REFERRED, FRAUD = kinds.get("member.referred"), kinds.get("referral.fraud")
PLATFORM = "系统"
# 32 letters and digits that nobody confuses when reading them aloud.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
LENGTH = 8
assert REFERRED.name in happenings.TITLES  # noqa: S101  # registered by that module, which has the rules as consequence


_CODE = "SELECT code FROM invitation WHERE member_id"


async def code_of(*, member_id: int, now: datetime, random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Return the code with which a person invites, made the first time it is asked for; of several the oldest home's.

    `random` gives so many random bytes. Raises Conflict `account_deleted`.
    """
    rows = await db.fetch(f"{_CODE} = ANY(ARRAY({HOMES})) ORDER BY member_id LIMIT 1", member_id)
    if rows:
        return str(rows[0]["code"])
    return await _make_code(member_id, now, random)


@command
async def _make_code(tx: Transaction, member_id: int, now: datetime, random: Callable[[int], bytes]) -> str:
    raw = tx.connection
    homes = await hold(raw, member_id)
    await refuse_erased(raw, member_id)
    known: str | None = await raw.fetchval(f"{_CODE} = ANY($1::bigint[]) ORDER BY member_id LIMIT 1", homes)
    while known is None:
        code = "".join(ALPHABET[byte % len(ALPHABET)] for byte in random(LENGTH))
        known = await raw.fetchval(
            """
            INSERT INTO invitation (member_id, code, created_at) VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING RETURNING code
            """,
            member_id,
            code,
            now,
        )
    return known


async def came(raw: Connection, *, code: str, account_id: int, fan_id: int, member_id: int, now: datetime) -> bool:
    """Record that somebody who has just become a fan came through a code; both earn what the rules say.

    Part of the transaction that made the fan. False, and nothing happens, when the code is nobody's or when the
    brand knew the person before, under whatever account.
    """
    homes = await hold(raw, member_id)
    inviter = await raw.fetchval(
        """
        SELECT i.member_id FROM invitation i JOIN member m ON m.id = i.member_id
        WHERE i.code = $1 AND m.erased_at IS NULL
        """,
        code.strip().upper(),
    )
    if inviter is None or inviter in homes or await _known_before(raw, homes, fan_id):
        return False
    key = key_of(REFERRED.name, member_id)
    made = await raw.fetchval(
        """
        INSERT INTO referral (invitee_id, inviter_id, fan_id, event_key, state, came_at)
        VALUES ($1, $2, $3, $4, 'counts', $5) ON CONFLICT DO NOTHING RETURNING id
        """,
        member_id,
        inviter,
        fan_id,
        key,
        now,
    )
    if made is None:
        return False
    event = kinds.Appended(key, REFERRED.name, now, member_id, account_id, fan_id, {"inviter": inviter}, now)
    return await events.add(raw, event)


_KNOWN_BEFORE = """
-- Fans of the person at the same brand who were there before the fan as whom they came.
SELECT EXISTS (
    SELECT FROM fan came
    JOIN account at ON at.id = came.account_id
    JOIN fan f ON f.member_id = ANY($1::bigint[]) AND (f.created_at, f.id) < (came.created_at, came.id)
    JOIN account a ON a.id = f.account_id AND a.brand_id = at.brand_id
    WHERE came.id = $2
)
"""


async def _known_before(raw: Connection, homes: Sequence[int], fan_id: int) -> bool:
    known: bool = await raw.fetchval(_KNOWN_BEFORE, list(homes), fan_id)
    return known


async def settle(raw: Connection, members: Iterable[int], now: datetime) -> int:
    """Let count what counts, of the referrals of these persons as they are now; returns how many changed.

    Part of the merge's or split's own transaction, after the pointers have moved. Settling again changes nothing.
    """
    changed = 0
    people: dict[int, list[int]] = {}
    # The older person first, as a merge locks them.
    for member in sorted(members):
        homes = await hold(raw, member)
        people[homes[0]] = homes
    for homes in people.values():
        for row in await _hold(raw, homes, now):
            void = row["inviter_id"] in homes or await _known_before(raw, homes, row["fan_id"])
            if row["state"] == "fraud" or void == (row["state"] == "void"):
                continue
            if void:
                await _take_back(raw, row, row["voidings"] + 1, now)
            else:
                await _give_back(raw, row, now)
            await raw.execute(
                "UPDATE referral SET state = $2, voidings = voidings + $3 WHERE id = $1",
                row["id"],
                "void" if void else "counts",
                int(void),
            )
            await levels.settle(raw, {row["invitee_id"], row["inviter_id"]}, now)
            changed += 1
    return changed


async def _hold(raw: Connection, homes: Sequence[int], now: datetime) -> list[asyncpg.Record]:
    """Lock the referrals by which a person came, after the balances of both sides, as the rules lock them."""
    find = "SELECT id, invitee_id, inviter_id, fan_id, event_key, state, voidings FROM referral"
    rows = await raw.fetch(f"{find} WHERE invitee_id = ANY($1::bigint[]) ORDER BY id", list(homes))
    people = {row[side] for row in rows for side in ("invitee_id", "inviter_id")}
    await ledger.lock(raw, [(one, asset) for one in people for asset in (ledger.POINTS, ledger.GROWTH)], now)
    locked: list[asyncpg.Record] = await raw.fetch(
        f"{find} WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", [row["id"] for row in rows]
    )
    return locked


async def _take_back(raw: Connection, row: asyncpg.Record, voiding: int, now: datetime) -> None:
    for award in await _awards(raw, row):
        await ledger.take_back(
            raw,
            _key(award, voiding),
            award["holder_id"],
            award["asset"],
            award["amount"],
            _origin("邀请好友：受邀人早已是会员", row, now),
            now,
            award["key"],
        )


async def _give_back(raw: Connection, row: asyncpg.Record, now: datetime) -> None:
    for award in await _awards(raw, row):
        await ledger.undo_claw_back(
            raw,
            claw_back_key=_key(award, row["voidings"]),
            origin=_origin("邀请好友：恢复邀请奖励", row, now),
            now=now,
        )


async def _awards(raw: Connection, row: asyncpg.Record) -> list[asyncpg.Record]:
    awards: list[asyncpg.Record] = await raw.fetch(
        """
        SELECT key, holder_id, asset, amount FROM ledger_entry
        WHERE event_key = $1 AND kind = 'award' ORDER BY holder_id, asset DESC, id
        """,
        row["event_key"],
    )
    return awards


def _key(award: asyncpg.Record, voiding: int) -> Any:
    return key_of("referral.void", award["key"], voiding)


def _origin(description: str, row: asyncpg.Record, now: datetime) -> ledger.Origin:
    return ledger.Origin(description, PLATFORM, now, row["event_key"], day=natural_day(now))


async def forget(raw: Connection, homes: Sequence[int]) -> None:
    """Let the codes of somebody erased invite nobody any more; what they brought stays with whoever earned it."""
    await raw.execute("DELETE FROM invitation WHERE member_id = ANY($1::bigint[])", list(homes))


async def _merged(raw: Connection, appended: Sequence[kinds.Appended]) -> None:
    for event in appended:
        await settle(raw, {event.payload["kept"], event.payload["absorbed"]}, event.recorded_at)


async def _found_fraud(raw: Connection, appended: Sequence[kinds.Appended]) -> None:
    """The rules are about to take everything back, so what a merge took before goes back first: nobody pays twice."""
    for event in appended:
        if event.member_id is None:
            continue
        for row in await _hold(raw, await hold(raw, event.member_id), event.recorded_at):
            if row["state"] == "void":
                await _give_back(raw, row, event.recorded_at)
                await levels.settle(raw, {row["invitee_id"], row["inviter_id"]}, event.recorded_at)
            await raw.execute("UPDATE referral SET state = 'fraud' WHERE id = $1", row["id"])


kinds.listen(MERGED, _merged)
kinds.listen(SPLIT, _merged)
kinds.listen(FRAUD, _found_fraud, before=True)
