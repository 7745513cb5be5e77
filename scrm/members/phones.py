"""The phone number of whoever is signed in: WeChat vouches for it, and it says which person they are."""

from collections.abc import Sequence
from datetime import datetime

from kit.ids import key_of
from kit.seal import Sealer
from scrm import db
from scrm.db import Connection, Transaction, command
from scrm.errors import NotFound
from scrm.events import kinds
from scrm.events import service as events
from scrm.members import profiles
from scrm.members.merging import merge
from scrm.members.person import hold, refuse_erased

BOUND = kinds.register("member.phone_bound", "绑定手机号")


@command
async def bind_phone(tx: Transaction, sealer: Sealer, *, fan_id: int, number: str, now: datetime) -> int:
    """Record that a fan has a phone number, with its country code, and return the person it belongs to.

    If another member has it the two become one, by evidence that a split can withdraw. People are found by a keyed
    fingerprint; the number itself is kept sealed, in the profile. Saying it again changes nothing. Raises NotFound
    for an unknown fan, Conflict `account_deleted`.
    """
    raw, subject = tx.connection, fingerprint(sealer, number)
    fan = await raw.fetchrow("SELECT member_id, account_id FROM fan WHERE id = $1 FOR NO KEY UPDATE", fan_id)
    if fan is None:
        raise NotFound("没有这位粉丝")
    await refuse_erased(raw, fan["member_id"])
    await raw.execute(
        """
        INSERT INTO identity (kind, subject, member_id, created_at) VALUES ('phone', $1, $2, $3)
        ON CONFLICT (kind, subject) DO NOTHING
        """,
        subject,
        fan["member_id"],
        now,
    )
    owner = await raw.fetchval("SELECT member_id FROM identity WHERE kind = 'phone' AND subject = $1", subject)
    await events.append(
        key=key_of(BOUND.name, fan_id, subject),
        kind=BOUND.name,
        occurred_at=now,
        recorded_at=now,
        member_id=fan["member_id"],
        account_id=fan["account_id"],
        fan_id=fan_id,
        payload={},
    )
    person = await merge(raw, owner, fan["member_id"], {"kind": "phone", "fan_id": fan_id}, now)
    await _say(raw, sealer, fan["member_id"], number, now)
    return person


async def _say(raw: Connection, sealer: Sealer, home: int, number: str, now: datetime) -> None:
    """Put the number into the profile, at this very home too: after a split it is still theirs to be reached at."""
    profile, said = await profiles.read(raw, sealer, await hold(raw, home))
    own, _ = await profiles.read(raw, sealer, [home])
    if number not in {profile.phone} & {own.phone}:
        await profiles.say(raw, sealer, home, {"phone": number}, said, now)


async def unbind(raw: Connection, sealer: Sealer, home: int, homes: Sequence[int]) -> None:
    """Let a home no longer be found by its number; where another of the person's homes has it, that one is.

    Part of the caller's transaction, which holds the person and has cleared the number from the home's profile.
    """
    heirs = {}
    for row in await raw.fetch(
        """
        SELECT member_id, phone_sealed FROM member_profile
        WHERE member_id = ANY($1::bigint[]) AND member_id <> $2 AND phone_sealed IS NOT NULL ORDER BY member_id DESC
        """,
        list(homes),
        home,
    ):
        heirs[fingerprint(sealer, sealer.open(row["phone_sealed"]))] = row["member_id"]
    for row in await raw.fetch("SELECT id, subject FROM identity WHERE kind = 'phone' AND member_id = $1", home):
        if (heir := heirs.get(row["subject"])) is not None:
            await raw.execute("UPDATE identity SET member_id = $2 WHERE id = $1", row["id"], heir)
        else:
            await raw.execute("DELETE FROM identity WHERE id = $1", row["id"])


async def member_with(sealer: Sealer, number: str) -> int | None:
    """Return the home member that was first vouched for with a number, such as +8613800008000; None for nobody."""
    rows = await db.fetch(
        "SELECT member_id FROM identity WHERE kind = 'phone' AND subject = $1", fingerprint(sealer, number)
    )
    return rows[0]["member_id"] if rows else None


def fingerprint(sealer: Sealer, number: str) -> str:
    """Return by what a number, such as +8613800008000, is found: the `subject` of its identity."""
    return sealer.fingerprint(f"phone:{number}")
