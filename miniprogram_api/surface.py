"""The members' surface: what an endpoint is handed, who may call it, and the shapes that several endpoints share."""

import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from aiohttp import web

from bot.directory import Directory
from gateways.wechat.clients import WeChatClients
from kit.clock import Clock
from kit.ids import key_of
from kit.seal import Sealer
from scrm.access.service import Caller, callers
from scrm.access.tokens import NotSignedIn, Tokens
from scrm.accounts.service import AccountView
from scrm.db import Connection
from scrm.errors import NotFound
from scrm.group_commit import GroupCommit
from web.endpoints import Endpoint, Surface
from web.shapes import Day, Moment, Page, RowId, Shown, Taken, Text

SURFACE = Surface("miniprogram", "/api/mp/{appid}")


__all__ = ["SURFACE", "Asset", "Call", "Day", "Guard", "Moment", "Page", "Parts", "RowId", "Shown", "Taken", "Text"]

Asset = Literal["points", "growth"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the surface works with."""

    directory: Directory
    clients: WeChatClients
    clock: Clock
    sealer: Sealer
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Call:
    """A request: at which mini-program, when, by whom, and the business key of what it asks for."""

    parts: Parts
    account: AccountView
    now: datetime
    caller: Caller | None
    key: UUID

    @property
    def scope(self) -> str | None:
        """Who asks, for limits and repetitions: the fan, who stays the same over sessions."""
        return None if self.caller is None else f"fan:{self.caller.fan_id}"

    @property
    def me(self) -> Caller:
        """Who is signed in. Raises NotSignedIn where nobody has to be."""
        if self.caller is None:
            raise NotSignedIn
        return self.caller


class Guard:
    """Finds the mini-program and whoever is signed in; sessions are read for all who ask at the same moment."""

    def __init__(self, parts: Parts, spawn: Callable[[Coroutine[Any, Any, None], str], Any]) -> None:
        self._parts = parts
        self._sessions: GroupCommit[int, Caller | None] = GroupCommit(self._read, spawn, at_once=self._read)

    async def __call__(self, request: web.Request, endpoint: Endpoint, key: str | None) -> Call:
        """Return what the endpoint is handed. Raises NotFound for an unknown appid, NotSignedIn."""
        now = self._parts.clock.now()
        account = self._account(request.match_info["appid"])
        caller = None if endpoint.public else await self._caller(request, account, now)
        business = uuid.uuid4() if key is None or caller is None else key_of("mp", caller.fan_id, key)
        return Call(self._parts, account, now, caller, business)

    def _account(self, appid: str) -> AccountView:
        for account in self._parts.directory.accounts().values():
            if account.appid == appid and account.kind == "miniprogram":
                return account
        raise NotFound("没有这个小程序", field="appid")

    async def _caller(self, request: web.Request, account: AccountView, now: datetime) -> Caller:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise NotSignedIn(code="token_missing")
        claim = self._parts.tokens.read(token.strip(), now)
        caller = await self._sessions.submit(claim.session_id)
        if caller is None or caller.account_id != account.id or caller.fan_id != claim.fan_id:
            raise NotSignedIn("登录已失效，请重新登录", code="session_over")
        return caller

    async def _read(self, raw: Connection, session_ids: Sequence[int]) -> list[Caller | None]:
        found = await callers(raw, session_ids, self._parts.clock.now())
        return [found.get(session_id) for session_id in session_ids]
