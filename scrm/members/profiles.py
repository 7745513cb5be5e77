"""The profile of a person 会员资料: what they say of themselves, field by field, the latest word of all homes.

Name and phone number are sealed at rest. Whoever shows a profile decides what is masked: `Profile.masked_phone` is
for lists, the clear values for the owner and for staff with the permission.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg

from kit import masking
from kit.clock import natural_day
from kit.ids import key_of
from kit.seal import Sealer
from scrm import db
from scrm.db import Connection, Transaction, command
from scrm.errors import Invalid
from scrm.events import kinds
from scrm.events import service as events
from scrm.members.person import hold, refuse_erased

CHANGED = kinds.register("member.profile_changed", "修改会员资料")

GENDERS = ("male", "female", "other")
OLDEST = date(1900, 1, 1)
# How long the texts may be; phone numbers come from WeChat alone (scrm.members.phones).
LENGTHS = {"nickname": 32, "name": 32, "province": 32, "city": 32, "avatar": 500}
SEALED = {"name": "name_sealed", "phone": "phone_sealed"}
FIELDS = ("nickname", "name", "phone", "gender", "birthday", "province", "city", "avatar")
_COLUMNS = ", ".join(SEALED.get(name, name) for name in FIELDS)


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """What is known of a person; None is not known. Kept out of logs by having no repr.

    `gender` is male, female or other; `phone` begins with + and the country code; `avatar` is an https address.
    """

    nickname: str | None = None
    name: str | None = None
    phone: str | None = None
    gender: str | None = None
    birthday: date | None = None
    province: str | None = None
    city: str | None = None
    avatar: str | None = None

    @property
    def masked_phone(self) -> str | None:
        """The phone number as 138****8000."""
        return masking.phone(self.phone) if self.phone else None

    @property
    def masked_name(self) -> str | None:
        """The real name as 张*."""
        return masking.name(self.name) if self.name else None

    @property
    def location(self) -> str:
        """Province and city (地域), one of them where they are the same; empty when unknown."""
        return " ".join(dict.fromkeys(part for part in (self.province, self.city) if part))


@command
async def update(
    tx: Transaction,
    sealer: Sealer,
    *,
    member_id: int,
    account_id: int,
    fan_id: int,
    changes: Mapping[str, Any],
    now: datetime,
) -> Profile:
    """Set the fields that `changes` names, None clearing one, and return the person's profile.

    What the profile says already is not set again. Raises Invalid naming the field, Conflict `account_deleted`.
    """
    checked = {field: _checked(field, value, now) for field, value in changes.items()}
    raw = tx.connection
    homes = await hold(raw, member_id, fan_id)
    await refuse_erased(raw, member_id)
    profile, said = await read(raw, sealer, homes)
    fresh = {field: value for field, value in checked.items() if value != getattr(profile, field)}
    if fresh:
        revision = await say(raw, sealer, member_id, fresh, said, now)
        await events.append(
            key=key_of(CHANGED.name, member_id, revision),
            kind=CHANGED.name,
            occurred_at=now,
            recorded_at=now,
            member_id=member_id,
            account_id=account_id,
            fan_id=fan_id,
            payload={"fields": sorted(fresh)},
        )
    return replace(profile, **fresh)


async def say(
    raw: Connection, sealer: Sealer, home: int, values: Mapping[str, Any], said: Mapping[str, datetime], now: datetime
) -> int:
    """Write fields at a home as the person's latest word, and return the home's revision.

    Part of the caller's transaction, which holds the person; `said` is when each field was last set at any home.
    """
    moments = {field: max(now, said[field] + timedelta(microseconds=1)) if field in said else now for field in values}
    columns = [SEALED.get(field, field) for field in values]
    kept = [sealer.seal(value) if field in SEALED and value is not None else value for field, value in values.items()]
    if "name" in values:
        columns.append("name_fingerprint")
        kept.append(None if values["name"] is None else name_fingerprint(sealer, values["name"]))
    names = ", ".join(columns)
    places = ", ".join(f"${n}" for n in range(3, 3 + len(columns)))
    sets = ", ".join(f"{column} = excluded.{column}" for column in columns)
    revision: int = await raw.fetchval(
        f"""
        INSERT INTO member_profile AS p (member_id, said_at, revision, {names}) VALUES ($1, $2::jsonb, 1, {places})
        ON CONFLICT (member_id) DO UPDATE
        SET said_at = p.said_at || excluded.said_at, revision = p.revision + 1, {sets}
        RETURNING revision
        """,  # noqa: S608  # names of columns written above
        home,
        json.dumps({field: moment.isoformat() for field, moment in moments.items()}),
        *kept,
    )
    return revision


async def unsay(raw: Connection, home: int, fields: Sequence[str], before: datetime) -> list[str]:
    """Take back what a home said of these fields until a moment, as if it never had; returns which there were.

    Part of the caller's transaction, which holds the person. The word of another home counts again.
    """
    kept = await raw.fetchval("SELECT said_at FROM member_profile WHERE member_id = $1", home)
    said = json.loads(kept) if kept is not None else {}
    gone = [field for field in fields if field in said and datetime.fromisoformat(said[field]) <= before]
    if gone:
        sets = ", ".join(f"{SEALED.get(field, field)} = NULL" for field in gone)
        await raw.execute(
            f"UPDATE member_profile SET said_at = said_at - $2::text[], revision = revision + 1, {sets} "  # noqa: S608  # names of columns
            "WHERE member_id = $1",
            home,
            gone,
        )
    return gone


async def of(sealer: Sealer, member_id: int) -> Profile:
    """Return the profile of the person that a member is, in clear: for its owner and for staff who may see it."""
    return (await of_many(sealer, [member_id]))[member_id]


async def of_many(sealer: Sealer, member_ids: Sequence[int]) -> dict[int, Profile]:
    """Return the profiles of the persons that these members are, by the ids given; one statement for a whole list."""
    rows = await db.fetch(
        f"""
        SELECT m.id AS asked, {_COLUMNS}, p.said_at, p.member_id
        FROM member m
        JOIN LATERAL (
            SELECT coalesce(m.merged_into_id, m.id) AS id
            UNION ALL SELECT h.id FROM member h WHERE h.merged_into_id = coalesce(m.merged_into_id, m.id)
        ) h ON true
        JOIN member_profile p ON p.member_id = h.id
        WHERE m.id = ANY($1::bigint[])
        """,  # noqa: S608  # names of columns written above
        list(member_ids),
    )
    asked: dict[int, list[asyncpg.Record]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        asked[row["asked"]].append(row)
    return {member_id: _merged(sealer, own)[0] for member_id, own in asked.items()}


async def read(raw: Connection, sealer: Sealer, homes: Sequence[int]) -> tuple[Profile, dict[str, datetime]]:
    """Return the profile that these homes have together, and when each field was last set."""
    rows = await raw.fetch(
        f"SELECT {_COLUMNS}, said_at, member_id FROM member_profile WHERE member_id = ANY($1::bigint[])",  # noqa: S608  # as above
        list(homes),
    )
    return _merged(sealer, rows)


def _merged(sealer: Sealer, rows: Sequence[asyncpg.Record]) -> tuple[Profile, dict[str, datetime]]:
    """Return of each field the latest word of all homes, and when it was said; the older home's of two at once."""
    said: dict[str, datetime] = {}
    values: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: int(row["member_id"])):
        for field, moment in json.loads(row["said_at"]).items():
            at = datetime.fromisoformat(moment)
            if field not in said or at > said[field]:
                said[field], values[field] = at, row[SEALED.get(field, field)]
    opened: dict[str, Any] = {
        field: sealer.open(value) if field in SEALED and value is not None else value for field, value in values.items()
    }
    return Profile(**opened), said


@command
async def fingerprint_names(tx: Transaction, sealer: Sealer, *, limit: int = 500) -> int:
    """Make names findable that were sealed before names had fingerprints; returns how many. Call it until 0."""
    rows = await tx.connection.fetch(
        """
        SELECT id, name_sealed FROM member_profile WHERE name_sealed IS NOT NULL AND name_fingerprint IS NULL
        ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
        """,
        limit,
    )
    await tx.connection.executemany(
        "UPDATE member_profile SET name_fingerprint = $2 WHERE id = $1",
        [(row["id"], name_fingerprint(sealer, sealer.open(row["name_sealed"]))) for row in rows],
    )
    return len(rows)


def name_fingerprint(sealer: Sealer, name: str) -> str:
    """Return by what a real name is found: exactly these letters, nothing that could be read back."""
    return sealer.fingerprint(f"name:{name.strip()}")


def _checked(field: str, value: Any, now: datetime) -> Any:
    """Return a value as it is kept. Raises Invalid naming the field."""
    if field not in FIELDS or field == "phone":
        raise Invalid("没有这个字段", field=field)
    if value is None:
        return None
    if field == "gender":
        if value not in GENDERS:
            raise Invalid("不是可选的值", field=field)
        return value
    if field == "birthday":
        if not isinstance(value, date) or not OLDEST <= value <= natural_day(now):
            raise Invalid("生日应在 1900 年之后，且不晚于今天", field=field)
        return value
    text = str(value).strip()
    if not 1 <= len(text) <= LENGTHS[field]:
        raise Invalid(f"长度为 1 到 {LENGTHS[field]} 个字符", field=field)
    if field == "avatar" and not text.startswith("https://"):
        raise Invalid("头像应为 https 地址", field=field)
    return text
