"""Inviting friends: the member's code, and who came through it."""

from typing import Literal

from pydantic import BaseModel

from kit import masking
from miniprogram_api.surface import SURFACE, Asset, Call, Moment, Page
from scrm.errors import Conflict
from scrm.referrals import queries, service


class InvitationView(BaseModel):
    """The code for a shared link: whoever opens it hands it to `/sign-in` as `invited_by`."""

    code: str


class InvitedFriend(BaseModel):
    """A friend who came through the code, the nickname masked; `earned` is what it brought the inviter."""

    id: int
    nickname: str
    came_at: Moment
    state: Literal["counts", "void", "fraud"]
    earned: dict[Asset, int]


class InvitedFriends(BaseModel):
    """A page of invited friends, newest first; `next` goes into `before`, null at the end."""

    items: list[InvitedFriend]
    next: int | None


@SURFACE.get("/invitation", errors=[Conflict])
async def invitation(call: Call) -> InvitationView:
    """我的邀请码."""
    return InvitationView(code=await service.code_of(member_id=call.me.member_id, now=call.now))


@SURFACE.get("/invitations")
async def invitations(call: Call, query: Page) -> InvitedFriends:
    """我邀请的好友."""
    found = await queries.invited(call.parts.sealer, call.me.member_id, before=query.before, limit=query.limit + 1)
    shown = found[: query.limit]
    return InvitedFriends(
        items=[_view(friend) for friend in shown], next=shown[-1].id if len(found) > query.limit else None
    )


def _view(friend: queries.Friend) -> InvitedFriend:
    name = "已注销用户" if friend.erased else masking.name(friend.nickname) if friend.nickname else "微信用户"
    return InvitedFriend.model_validate(
        {"id": friend.id, "nickname": name, "came_at": friend.came_at, "state": friend.state, "earned": friend.earned}
    )
