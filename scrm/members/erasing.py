"""Erasing a person (PIPL): what identifies them goes, what is counted stays and points to nobody.

This is the part of members and timeline; `scrm.access.leaving` is the command that takes all parts together. Nouns
that lie above it hear of it by the event `member.erased` and erase their own in the same transaction.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.ids import key_of
from kit.seal import Sealer
from scrm.db import Connection, Transaction, command
from scrm.events import kinds
from scrm.events.kinds import Appended
from scrm.events.redaction import redact
from scrm.events.service import add
from scrm.members.person import hold

# The payload names what there was of the person: {"homes": [member ids], "fans": [fan ids]}.
ERASED = kinds.register("member.erased", "注销账号")
# How long a fingerprint keeps the erased from coming back as somebody's new friend.
BARRED = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Person:
    """A person who is about to be erased, held: their home members and fans, smallest ids first."""

    homes: list[int]
    fans: list[int]
    erased: bool


async def hold_whole(raw: Connection, member_id: int) -> Person:
    """Lock a person with all their fans until the transaction ends; in the order of every command, fans first."""
    while True:
        homes = [
            row["id"]
            for row in await raw.fetch(
                """
                WITH person AS (SELECT coalesce(merged_into_id, id) AS id FROM member WHERE id = $1)
                SELECT id FROM person
                UNION ALL SELECT m.id FROM member m JOIN person ON m.merged_into_id = person.id ORDER BY id
                """,
                member_id,
            )
        ]
        fans = await raw.fetch(
            "SELECT id FROM fan WHERE member_id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", homes
        )
        # Merged or split while we waited: look again.
        if await hold(raw, member_id) == homes:
            break
    erased = await raw.fetchval("SELECT erased_at IS NOT NULL FROM member WHERE id = $1", member_id)
    return Person(homes, [row["id"] for row in fans], bool(erased))


async def erase(
    raw: Connection,
    sealer: Sealer,
    person: Person,
    now: datetime,
    random: Callable[[int], str] = secrets.token_hex,
) -> None:
    """Erase identities, profile and what the timeline holds of their words; openids become tombstones.

    Part of the caller's transaction, which holds the person. `random` gives so many random bytes in hexadecimal.
    """
    await _bar(raw, sealer, person, now)
    await raw.execute("DELETE FROM identity WHERE member_id = ANY($1::bigint[])", person.homes)
    await raw.execute("DELETE FROM member_profile WHERE member_id = ANY($1::bigint[])", person.homes)
    # Random, so that nothing leads back; whoever comes with the openid again is somebody new.
    await raw.execute(
        """
        UPDATE fan f SET openid = i.tombstone, following = false, lookup_due_at = NULL
        FROM unnest($1::bigint[], $2::text[]) AS i (id, tombstone) WHERE f.id = i.id
        """,
        person.fans,
        [f"erased-{random(16)}" for _ in person.fans],
    )
    await redact(raw, person.homes, now)
    await raw.execute("UPDATE member SET erased_at = $2 WHERE id = ANY($1::bigint[])", person.homes, now)
    payload = {"homes": person.homes, "fans": person.fans}
    root = person.homes[0]
    await add(raw, Appended(key_of(ERASED.name, root), ERASED.name, now, root, None, None, payload, now))


async def _bar(raw: Connection, sealer: Sealer, person: Person, now: datetime) -> None:
    rows = await raw.fetch(
        """
        SELECT 'openid:' || account_id || ':' || openid AS said FROM fan WHERE id = ANY($1::bigint[])
        UNION ALL
        SELECT 'unionid:' || subject FROM identity WHERE kind = 'unionid' AND member_id = ANY($2::bigint[])
        """,
        person.fans,
        person.homes,
    )
    await raw.execute(
        """
        INSERT INTO erased_identity (fingerprint, expires_at) SELECT unnest($1::text[]), $2
        ON CONFLICT (fingerprint) DO UPDATE SET expires_at = excluded.expires_at
        """,
        sorted(sealer.fingerprint(row["said"]) for row in rows),
        now + BARRED,
    )


async def barred(
    raw: Connection, sealer: Sealer, *, account_id: int, openid: str, unionid: str | None, now: datetime
) -> bool:
    """Return whether somebody with this openid or unionid was erased not long ago."""
    said: Sequence[str] = [f"openid:{account_id}:{openid}", *([f"unionid:{unionid}"] if unionid else [])]
    found: bool = await raw.fetchval(
        "SELECT EXISTS (SELECT FROM erased_identity WHERE fingerprint = ANY($1::text[]) AND expires_at > $2)",
        [sealer.fingerprint(one) for one in said],
        now,
    )
    return found


@command
async def forget_barred(tx: Transaction, *, now: datetime, limit: int = 1000) -> int:
    """Forget fingerprints whose time is up, at most `limit`; returns how many. Call it until it returns 0."""
    rows = await tx.connection.fetch(
        """
        DELETE FROM erased_identity WHERE id IN (
            SELECT id FROM erased_identity WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING id
        """,
        now,
        limit,
    )
    return len(rows)
