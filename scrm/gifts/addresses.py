"""Where members want things sent: sealed at rest, shown masked, open only to whoever packs the parcel."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime

from kit import masking
from kit.seal import Sealer
from scrm import db
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid, NotFound
from scrm.members.person import hold, refuse_erased
from scrm.points.holders import HOMES
from scrm.points.ledger import homes_of

MOST = 20  # addresses of one person


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A postal address in China, as it stands on a parcel. Kept out of logs by having no repr."""

    name: str
    phone: str
    region: str  # 省市区
    detail: str


@dataclass(frozen=True, slots=True)
class MaskedAddress:
    """An address as its owner recognises it and a glance over the shoulder does not."""

    name: str
    phone: str
    region: str
    detail: str
    id: int | None = None
    is_default: bool = False


def check(address: Address) -> Address:
    """Return the address with its ends trimmed. Raises Invalid naming the field that is wrong."""
    trimmed = Address(**{name: str(value).strip() for name, value in asdict(address).items()})
    for field, value, most in (
        ("name", trimmed.name, 32),
        ("region", trimmed.region, 64),
        ("detail", trimmed.detail, 128),
    ):
        if not 1 <= len(value) <= most:
            raise Invalid(f"长度为 1 到 {most} 个字符", field=field)
    if not re.fullmatch(r"\+?[0-9][0-9-]{4,19}", trimmed.phone):
        raise Invalid("电话号码不正确", field="phone")
    return trimmed


def opened(sealer: Sealer, sealed: str) -> Address:
    """Return a sealed address; only for its owner editing it and for shipping."""
    return Address(**json.loads(sealer.open(sealed)))


def masked(sealer: Sealer, sealed: str, id: int | None = None, is_default: bool = False) -> MaskedAddress:  # noqa: A002  # its name
    """Return a sealed address with all but the region masked: 张*, 138****5678, 湖滨***."""
    address = opened(sealer, sealed)
    return MaskedAddress(
        name=masking.name(address.name),
        phone=masking.phone(address.phone),
        region=address.region,
        detail=address.detail[:2] + "***",
        id=id,
        is_default=is_default,
    )


@command
async def add(
    tx: Transaction, sealer: Sealer, *, member_id: int, address: Address, now: datetime, default: bool = False
) -> int:
    """Add an address and return its id; a person's first is their default.

    Raises Invalid naming the field, Conflict when there are too many or the account was deleted.
    """
    raw = tx.connection
    sealed = _seal(sealer, address)
    homes = await hold(raw, member_id)
    await refuse_erased(raw, member_id)
    count = await raw.fetchval("SELECT count(*) FROM member_address WHERE member_id = ANY($1::bigint[])", homes)
    if count >= MOST:
        raise Conflict(f"最多保存 {MOST} 个地址", code="too_many_addresses")
    made: int = await raw.fetchval(
        "INSERT INTO member_address (member_id, sealed, created_at) VALUES ($1, $2, $3) RETURNING id",
        member_id,
        sealed,
        now,
    )
    if default or count == 0:
        await _make_default(raw, homes, made)
    return made


@command
async def change(tx: Transaction, sealer: Sealer, *, member_id: int, address_id: int, address: Address) -> None:
    """Replace an address; parcels on their way keep the old one. Raises NotFound, Invalid naming the field."""
    await _mine(tx.connection, await hold(tx.connection, member_id), address_id)
    await tx.connection.execute(
        "UPDATE member_address SET sealed = $2 WHERE id = $1", address_id, _seal(sealer, address)
    )


@command
async def set_default(tx: Transaction, *, member_id: int, address_id: int) -> None:
    """Make an address the one that is offered first. Raises NotFound."""
    homes = await hold(tx.connection, member_id)
    await _mine(tx.connection, homes, address_id)
    await _make_default(tx.connection, homes, address_id)


@command
async def remove(tx: Transaction, *, member_id: int, address_id: int) -> None:
    """Forget an address; the newest of the others becomes the default. Raises NotFound."""
    raw = tx.connection
    homes = await hold(raw, member_id)
    await _mine(raw, homes, address_id)
    if await raw.fetchval("DELETE FROM member_address WHERE id = $1 RETURNING is_default", address_id):
        newest = await raw.fetchval("SELECT max(id) FROM member_address WHERE member_id = ANY($1::bigint[])", homes)
        await _make_default(raw, homes, newest)


async def forget(raw: Connection, homes: list[int]) -> None:
    """Erase the addresses of a person who asked to be forgotten, also those on redemptions.

    Part of the caller's transaction, which holds the person. Raises Conflict `open_redemptions` while a gift waits
    to be sent or its code to be shown; a parcel on its way needs us no more.
    """
    states = await raw.fetch(
        "SELECT state FROM redemption WHERE member_id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", homes
    )
    if any(row["state"] == "placed" for row in states):
        raise Conflict("还有未完成的兑换，请先取消，或等待发货后再注销", code="open_redemptions")
    await raw.execute("DELETE FROM member_address WHERE member_id = ANY($1::bigint[])", homes)
    await raw.execute(
        """
        UPDATE redemption SET address_sealed = NULL, shipping_number = '', cancel_reason = ''
        WHERE member_id = ANY($1::bigint[])
        """,
        homes,
    )


async def every(sealer: Sealer, member_id: int) -> list[MaskedAddress]:
    """Return a person's addresses masked, the default first, then the newest."""
    rows = await db.fetch(
        f"""
        SELECT id, sealed, is_default FROM member_address WHERE member_id = ANY(ARRAY({HOMES}))
        ORDER BY is_default DESC, id DESC
        """,  # noqa: S608  # put together from our own
        member_id,
    )
    # Two who turned out to be one person may have a default each: the first is it.
    return [masked(sealer, row["sealed"], row["id"], row["is_default"] and n == 0) for n, row in enumerate(rows)]


async def one(sealer: Sealer, member_id: int, address_id: int) -> Address:
    """Return an address in clear to its owner, who is about to edit it. Raises NotFound, also for another's."""
    async with db.connection() as raw:
        return opened(sealer, await _mine(raw, await homes_of(raw, member_id), address_id))


async def snapshot(raw: Connection, homes: list[int], address_id: int) -> str:
    """Return the seal of an address for a parcel. Raises NotFound, also for another's."""
    return await _mine(raw, homes, address_id)


def _seal(sealer: Sealer, address: Address) -> str:
    return sealer.seal(json.dumps(asdict(check(address)), ensure_ascii=False))


async def _mine(raw: Connection, homes: list[int], address_id: int) -> str:
    sealed: str | None = await raw.fetchval(
        "SELECT sealed FROM member_address WHERE id = $1 AND member_id = ANY($2::bigint[])", address_id, homes
    )
    if sealed is None:
        raise NotFound("没有这个地址", field="address_id")
    return sealed


async def _make_default(raw: Connection, homes: list[int], address_id: int | None) -> None:
    await raw.execute(
        "UPDATE member_address SET is_default = (id = $2) WHERE member_id = ANY($1::bigint[])", homes, address_id or 0
    )
