"""Signing in with a code of wx.login, going on with a refresh token, signing out."""

from typing import Annotated

from pydantic import BaseModel, Field

from miniprogram_api.surface import SURFACE, Call, Taken, Text
from miniprogram_api.wechat import asked, away, client_of
from scrm.access import service
from scrm.access.service import Pair
from scrm.access.tokens import NotSignedIn
from scrm.errors import Forbidden, Unavailable


class SignIn(Taken):
    """A code of wx.login: it counts once, for five minutes. `invited_by` is the invitation code of a friend's link.

    Only somebody new is invited; from anybody else, and when it is nobody's, the code is ignored.
    """

    code: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]
    invited_by: Annotated[Text, Field(max_length=64)] | None = None


class Refresh(Taken):
    """The refresh token of the last answer."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9_-]+$")]


class TokenPair(BaseModel):
    """Tokens: the access token goes into `Authorization: Bearer …`, the refresh token counts once."""

    access_token: str
    refresh_token: str
    expires_in: int


def _view(pair: Pair) -> TokenPair:
    return TokenPair(access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.expires_in)


@SURFACE.post("/sign-in", public=True, network=True, errors=[Forbidden, Unavailable])
async def sign_in(call: Call, body: SignIn) -> TokenPair:
    """登录.

    Whoever signs in is a member from then on, the same as at the brand's official account where WeChat says so.
    """
    openid, unionid = await _who(call, body.code)
    return _view(
        await service.sign_in(
            call.parts.tokens,
            call.parts.sealer,
            account_id=call.account.id,
            openid=openid,
            unionid=unionid,
            now=call.now,
            invited_by=body.invited_by,
        )
    )


@SURFACE.post("/refresh", public=True, errors=[NotSignedIn])
async def refresh(call: Call, body: Refresh) -> TokenPair:
    """换取新的登录凭证.

    A refresh token that is used a second time ends the session.
    """
    return _view(await service.refresh(call.parts.tokens, body.refresh_token, account_id=call.account.id, now=call.now))


@SURFACE.post("/sign-out", status=204)
async def sign_out(call: Call) -> None:
    """退出登录."""
    await service.sign_out(session_id=call.me.session_id, now=call.now)


async def _who(call: Call, code: str) -> tuple[str, str | None]:
    """Ask WeChat whose code it is; return openid and unionid. The session_key is dropped here: nothing needs it."""
    answer = await asked(client_of(call).login.code2session(code), "sign-in")
    # A visitor in WeChat's preview mode gets a made-up openid: nobody, so no member.
    if answer.get("is_snapshotuser"):
        raise Forbidden("请在完整的小程序中登录", code="snapshot_user")
    openid = answer.get("openid")
    if not isinstance(openid, str) or not 1 <= len(openid) <= 64:
        raise away()
    return openid, answer.get("unionid") or None
