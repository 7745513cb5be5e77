"""Reading people."""

from dataclasses import dataclass

from scrm import db


@dataclass(frozen=True, slots=True)
class FanView:
    """A fan as the surfaces see it; `person_id` is the member it turned out to be, `member_id` its home."""

    id: int
    account_id: int
    openid: str
    member_id: int
    person_id: int
    following: bool
    follow_count: int


_FAN = """
SELECT f.id, f.account_id, f.openid, f.member_id, coalesce(m.merged_into_id, m.id) AS person_id,
       f.following, f.follow_count
FROM fan f JOIN member m ON m.id = f.member_id
"""


async def fan(fan_id: int) -> FanView | None:
    """Return a fan by id."""
    rows = await db.fetch(_FAN + "WHERE f.id = $1", fan_id)
    return FanView(**dict(rows[0])) if rows else None


async def has_left(fan: FanView) -> bool:
    """Say whether a fan has ever unfollowed, as far as we heard: then a follow, also our first of them, is a return."""
    rows = await db.fetch(
        "SELECT FROM event WHERE member_id = $1 AND fan_id = $2 AND kind = 'wechat.event.unsubscribe' LIMIT 1",
        fan.member_id,
        fan.id,
    )
    return bool(rows)


async def fan_of(account_id: int, openid: str) -> FanView | None:
    """Return a fan by account and openid."""
    rows = await db.fetch(_FAN + "WHERE f.account_id = $1 AND f.openid = $2", account_id, openid)
    return FanView(**dict(rows[0])) if rows else None
