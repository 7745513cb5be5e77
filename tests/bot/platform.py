"""WeChat's side: pushes of one account's fans, signed, sealed and read with the simulator's own protocol code."""

import asyncio
import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from kit.clock import Clock
from simulator import wire

USERNAME = "gh_fensi"
_ids = itertools.count(24_000_000_000_000_001)
_rng = random.Random(20260309)


@dataclass(frozen=True)
class Answer:
    """What came back. `reply` is the passive reply, opened; None for `success` and for refusals."""

    status: int
    raw: bytes
    content_type: str
    reply: dict[str, Any] | None
    seconds: float = field(compare=False)

    @property
    def text(self) -> str | None:
        """The words of a text reply; None where nothing was said."""
        return None if self.reply is None else self.reply["Content"]


@dataclass(frozen=True)
class Account:
    """An account as the platform knows it."""

    id: int
    appid: str
    token: str
    aes_key: str
    mode: str
    fmt: str
    clock: Clock
    http: aiohttp.ClientSession = field(repr=False)

    def message(self, openid: str, kind: str = "text", *, msg_id: str = "", at: int = 0, **fields: Any) -> "Push":
        """A message; without `msg_id` the platform gives it one, without `at` (Unix seconds) it is written now."""
        body = {"MsgType": kind, **fields, "MsgId": msg_id or str(next(_ids))}
        return Push(self, {**self._head(openid, at), **body})

    def text(self, openid: str, content: str, *, msg_id: str = "", at: int = 0) -> "Push":
        return self.message(openid, "text", Content=content, msg_id=msg_id, at=at)

    def event(self, openid: str, name: str, *, at: int = 0, **fields: Any) -> "Push":
        return Push(self, {**self._head(openid, at), "MsgType": "event", "Event": name, **fields})

    def _head(self, openid: str, at: int) -> dict[str, Any]:
        return {"ToUserName": USERNAME, "FromUserName": openid, "CreateTime": at or self.now()}

    def now(self) -> int:
        return int(self.clock.now().timestamp())

    def render(self, body: Mapping[str, Any]) -> bytes:
        return wire.to_json(dict(body)) if self.fmt == "json" else wire.to_xml(dict(body))

    def signed(self, *, at: int | None = None, token: str | None = None, sealed: str | None = None) -> dict[str, str]:
        """The query of a request; every request gets a nonce of its own."""
        timestamp, nonce = str(self.now() if at is None else at), str(_rng.randrange(10**9))
        token = self.token if token is None else token
        query = {"timestamp": timestamp, "nonce": nonce, "signature": wire.signature(token, timestamp, nonce)}
        if sealed is not None:
            query["encrypt_type"] = "aes"
            query["msg_signature"] = wire.signature(token, timestamp, nonce, sealed)
        return query

    def envelope(self, plain: bytes, *, appid: str | None = None) -> tuple[str, bytes]:
        """Return a ciphertext, and the body that carries it."""
        sealed = wire.encrypt(self.aes_key, appid or self.appid, plain, _rng.randbytes(16))
        return sealed, self.render({"ToUserName": USERNAME, "Encrypt": sealed})

    async def post(
        self, server: Any, body: bytes, query: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send bytes as they are."""
        began = asyncio.get_running_loop().time()
        async with self.http.post(self.url(server), data=body, params=query, headers=headers) as response:
            raw = await response.read()
            seconds = asyncio.get_running_loop().time() - began
            return Answer(response.status, raw, response.content_type, self._open(response.status, raw), seconds)

    def url(self, server: Any) -> str:
        return f"{server.address}/wechat/{self.id}"

    def _open(self, status: int, raw: bytes) -> dict[str, Any] | None:
        if status != 200 or raw == b"success":
            return None
        read = wire.from_json if raw.startswith(b"{") else wire.from_xml
        reply = read(raw)
        if "Encrypt" not in reply:
            assert self.mode != "safe"
            return reply
        signed = (str(reply["TimeStamp"]), str(reply["Nonce"]), str(reply["Encrypt"]))
        assert reply["MsgSignature"] == wire.signature(self.token, *signed)
        return read(wire.decrypt(self.aes_key, self.appid, str(reply["Encrypt"])))


@dataclass(frozen=True)
class Push:
    """One thing to tell our server, as often as somebody asks: each delivery is signed and sealed afresh."""

    account: Account
    body: dict[str, Any]

    async def to(self, server: Any) -> Answer:
        account = self.account
        plain = account.render(self.body)
        if account.mode == "plain":
            return await account.post(server, plain, account.signed())
        sealed, body = account.envelope(plain)
        if account.mode == "compatible":
            body = account.render({**self.body, "Encrypt": sealed})
        return await account.post(server, body, account.signed(sealed=sealed))
