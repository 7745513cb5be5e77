"""Event kinds of the tests, so that they depend neither on the account's own kinds nor on who registers them."""

from collections.abc import Sequence

from scrm.channels import service as channels
from scrm.db import Connection
from scrm.events import kinds
from scrm.events.kinds import Appended
from scrm.members import service as members

FOLLOW, UNFOLLOW, SCAN, NOTE, BROKEN = "test.follow", "test.unfollow", "test.scan", "test.note", "test.broken"


async def _followed(raw: Connection, events: Sequence[Appended]) -> None:
    await members.followed(raw, events)
    await channels.followed_through(raw, events)


async def _broken(_raw: Connection, _events: Sequence[Appended]) -> None:
    raise RuntimeError("the consequence failed")


kinds.register(FOLLOW, "关注", _followed)
kinds.register(UNFOLLOW, "取消关注", members.unfollowed)
kinds.register(SCAN, "扫码", channels.scanned)
kinds.register(NOTE, "备注")
kinds.register(BROKEN, "坏事", _broken)
