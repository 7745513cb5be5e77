"""The envelope of a callback: proves a push, opens it, and seals its answer (wechat.md §2.1, §2.2).

Order matters: freshness and signature are checked before anything is decrypted. In plain mode WeChat's
signature covers no byte of the body, so plain pushes are only as safe as the channel they come by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from bot.crypto import Cipher
from bot.errors import DecryptError, MalformedPush, Refused
from bot.messages import Message, parse_message
from bot.normalise import MAX_BODY, parse_body, sniff
from bot.replies import cdata
from bot.signature import sign, verify

# The whole body of a safe-mode push as WeChat writes it. Only a full match is trusted: a fan may well write
# "<Encrypt>" in a text, and compatible mode shows that text in clear. Anything else is parsed properly.
_SAFE_XML = re.compile(
    rb"<xml>\s*<ToUserName><!\[CDATA\[[^\]<]*\]\]></ToUserName>\s*"
    rb"<Encrypt><!\[CDATA\[([A-Za-z0-9+/=]+)\]\]></Encrypt>\s*</xml>\s*"
)
_PROBE: Final = {"action": "CheckContainerPath"}


@dataclass(slots=True)  # not frozen: one is made for every push, and freezing doubles what that costs
class Opened:
    """A push that is proven and read, and what its answer must be like."""

    message: Message
    encrypted: bool
    fmt: Literal["xml", "json"]
    nonce: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """One account's end of the callback.

    `mode` is what the account takes: `safe` and `compatible` only encrypted pushes; `plain`, where there is a
    key, both kinds, so that an account can be switched over without losing a push. Where a push is encrypted,
    its clear copy is never looked at: a signature without it is good for any body, as long as `window` lasts,
    which is how far a push's timestamp may be from now, in seconds.

    Raises `ValueError` naming the field when the key is wrong or missing where `mode` needs one.
    """

    appid: str
    token: str = field(repr=False)
    encoding_aes_key: str | None = field(repr=False)
    mode: Literal["plain", "compatible", "safe"]
    window: int = 600
    _cipher: Cipher | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.token:
            raise ValueError("token: must not be empty")
        if not self.encoding_aes_key and self.mode != "plain":
            raise ValueError(f"encoding_aes_key: mode {self.mode} needs one")
        cipher = Cipher(self.encoding_aes_key, self.appid) if self.encoding_aes_key else None
        object.__setattr__(self, "_cipher", cipher)

    def verify_url(self, query: Mapping[str, str], now: int) -> str:
        """Return the echostr that proves to WeChat that this server is the account's.

        Answer it as text/plain: the signature does not cover it. Raises `Refused`: `bad_timestamp`, `stale`,
        `bad_signature`, `no_echostr`.
        """
        timestamp, nonce = self._fresh(query, now)
        if not verify(query.get("signature", ""), self.token, timestamp, nonce):
            raise Refused("bad_signature")
        echostr = query.get("echostr")
        if not echostr:
            raise Refused("no_echostr")
        return echostr

    def open(self, body: bytes, query: Mapping[str, str], now: int) -> Opened:
        """Prove and read a push; `now` is in Unix seconds.

        Raises `Refused` (`bad_timestamp`, `stale`, `bad_signature`, `not_encrypted`, `no_key`, `appid`) or
        `MalformedPush` (the reasons of `parse_body` and `parse_message`, and `decrypt:<reason>`), nothing else.
        """
        if len(body) > MAX_BODY:
            raise MalformedPush("too_large")
        timestamp, nonce = self._fresh(query, now)
        fields: dict[str, Any] | None = None
        encrypted: str | None = None
        if b"Encrypt" in body:
            if match := _SAFE_XML.fullmatch(body):
                encrypted = match[1].decode()
            else:
                fields = parse_body(body)
                encrypted = fields.get("Encrypt")

        if isinstance(encrypted, str) and encrypted:
            if not verify(query.get("msg_signature", ""), self.token, timestamp, nonce, encrypted):
                raise Refused("bad_signature")
            message = parse_message(parse_body(self._decrypt(encrypted)))
            return Opened(message, True, sniff(body), nonce)

        if not verify(query.get("signature", ""), self.token, timestamp, nonce):
            raise Refused("bad_signature")
        if self.mode != "plain" or query.get("encrypt_type") == "aes":
            raise Refused("not_encrypted")
        message = parse_message(parse_body(body) if fields is None else fields)
        return Opened(message, False, sniff(body), nonce)

    def seal(self, rendered: bytes, opened: Opened, now: int) -> bytes:
        """Return a rendered answer as the push wants it: encrypted exactly when the push was.

        `success` and an empty answer are always clear (wechat.md §2.2).
        """
        if not opened.encrypted or self._cipher is None or rendered in (b"", b"success"):
            return rendered
        encrypted = self._cipher.encrypt(rendered)
        signature = sign(self.token, str(now), opened.nonce, encrypted)
        if opened.fmt == "json":
            return json.dumps(
                {"Encrypt": encrypted, "MsgSignature": signature, "TimeStamp": now, "Nonce": opened.nonce}
            ).encode()
        return (
            f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt>"
            f"<MsgSignature><![CDATA[{signature}]]></MsgSignature>"
            f"<TimeStamp>{now}</TimeStamp><Nonce>{cdata(opened.nonce)}</Nonce></xml>"
        ).encode()

    def _fresh(self, query: Mapping[str, str], now: int) -> tuple[str, str]:
        timestamp = query.get("timestamp", "")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise Refused("bad_timestamp")
        if abs(now - int(timestamp)) > self.window:
            raise Refused("stale")
        return timestamp, query.get("nonce", "")

    def _decrypt(self, encrypted: str) -> bytes:
        if self._cipher is None:
            raise Refused("no_key")
        try:
            return self._cipher.decrypt(encrypted)
        except DecryptError as error:
            if error.reason == "appid":
                raise Refused("appid") from None
            raise MalformedPush(f"decrypt:{error.reason}") from None


def is_probe(body: bytes) -> bool:
    """Tell whether a body is 云托管's check of the path (wechat.md §2.1); answer `success`, unsigned."""
    if len(body) > 256 or b"CheckContainerPath" not in body:
        return False
    try:
        return parse_body(body) == _PROBE
    except MalformedPush:
        return False
