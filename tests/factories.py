"""Accounts, fans and what happens to them, made through the real commands."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import bot.timeline  # noqa: F401  # registers the account's kinds of events with their consequences
from kit.ids import key_of
from kit.seal import Sealer
from scrm import db
from scrm.accounts import service as accounts
from scrm.db import transaction
from scrm.events import service as events
from scrm.members import queries
from scrm.members.queries import FanView
from scrm.members.service import ENSURE_FANS
from tests.conftest import START

SEALER = Sealer("the secret key of all tests")
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

TEXT, CLICK = "wechat.text", "wechat.event.click"
FOLLOW, UNFOLLOW, SCAN = "wechat.event.subscribe", "wechat.event.unsubscribe", "wechat.event.scan"

# Who of the staff, where it matters that it is the same one; far above the ids that are given out.
SOMEBODY = 1_000_001

_serial = count(1)


def at(seconds: float) -> datetime:
    """Return the moment that many seconds after the tests' clock starts."""
    return START + timedelta(seconds=seconds)


async def make_account(*, kind: str = "service", verified: bool = True, **changes: Any) -> int:
    """Add an account of the default brand and return its id."""
    n = next(_serial)
    given: dict[str, Any] = {
        "name": f"公众号 {n}",
        "appid": f"wx{n:016}",
        "secret": f"secret-{n}",
        "token": f"token{n}",
        "aes_key": AES_KEY,
        "now": START,
    }
    return await accounts.add(SEALER, kind=kind, verified=verified, **(given | changes))


async def make_fan(account_id: int, openid: str | None = None) -> FanView:
    """Make a fan of an account, with a member of their own; they do not follow yet."""
    openid = openid or f"o{next(_serial):027}"
    async with transaction() as tx:
        await tx.connection.execute(ENSURE_FANS, [account_id], [openid], START)
    made = await queries.fan_of(account_id, openid)
    assert made is not None
    return made


async def happens(
    fan: FanView,
    kind: str,
    when: datetime = START,
    payload: Mapping[str, Any] | None = None,
    *,
    key: UUID | None = None,
    recorded: datetime | None = None,
) -> bool:
    """Append an event about a fan; without `key` it is one that never happened before."""
    return await events.append(
        key=key or key_of("test", next(_serial)),
        kind=kind,
        occurred_at=when,
        recorded_at=recorded or when,
        member_id=fan.member_id,
        account_id=fan.account_id,
        fan_id=fan.id,
        payload=payload or {},
    )


async def make_follower(account_id: int, when: datetime = START) -> FanView:
    """Make a fan who follows the account since `when`."""
    fan = await make_fan(account_id)
    await happens(fan, FOLLOW, when)
    return await again(fan)


async def again(fan: FanView) -> FanView:
    """Read a fan anew."""
    found = await queries.fan(fan.id)
    assert found is not None
    return found


async def value(sql: str, *args: object) -> Any:
    """Return the single value of a statement."""
    return (await db.fetch(sql, *args))[0][0]


async def make_staff(staff_id: int | None = None) -> int:
    """Make somebody of the staff who cannot sign in, with this id (whoever has it stays) or a new one; returns the id.

    Written straight into the table: hashing a password takes longer than the tests that need somebody's id.
    """
    rows = await db.fetch(
        """
        INSERT INTO staff (id, login, name, password_hash, role_id, skills, created_at)
        SELECT given, 'desk' || given, '坐席' || given, '', role.id, '[]', $2
        FROM role, coalesce($1, nextval(pg_get_serial_sequence('staff', 'id'))) AS given WHERE role.code = 'agent'
        ON CONFLICT DO NOTHING RETURNING id
        """,
        staff_id,
        START,
    )
    return int(rows[0]["id"]) if rows else int(staff_id or 0)
