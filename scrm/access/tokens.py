"""The two tokens of a member session: a short one that opens the door, and a long one that fetches the next pair.

Both are a payload with its HMAC-SHA256, in URL-safe base64. They say who, not what may be done: whether a session
still counts is asked of its row, at every request.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from scrm.errors import DomainError

ACCESS = timedelta(minutes=15)
REFRESH = timedelta(days=30)

# kind, session, fan, end in epoch seconds; and of the long one kind, session, random.
_SHORT = struct.Struct(">BQQQ")
_LONG = struct.Struct(">BQ16s")
_SHORT_KIND, _LONG_KIND = 1, 2


class NotSignedIn(DomainError):  # noqa: N818  # reads as the answer it becomes
    """Nobody is signed in with what was shown: token_missing, token_invalid, token_expired or session_over."""

    status = 401
    code = "not_signed_in"
    title = "请先登录"


@dataclass(frozen=True, slots=True)
class Claim:
    """What an access token says."""

    session_id: int
    fan_id: int
    expires_at: datetime


class Tokens:
    """Makes and reads tokens under one key of 32 bytes; `random` gives so many random bytes."""

    def __init__(self, key: bytes, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._key = key
        self._random = random

    def access(self, session_id: int, fan_id: int, now: datetime) -> str:
        """Return an access token that counts for 15 minutes."""
        return self._sign(_SHORT.pack(_SHORT_KIND, session_id, fan_id, int((now + ACCESS).timestamp())))

    def read(self, token: str, now: datetime) -> Claim:
        """Return what an access token says. Raises NotSignedIn: token_invalid, token_expired."""
        payload = self._checked(token, _SHORT, _SHORT_KIND)
        _, session_id, fan_id, end = _SHORT.unpack(payload)
        expires_at = datetime.fromtimestamp(end, now.tzinfo)
        if expires_at <= now:
            raise NotSignedIn("登录已过期，请刷新", code="token_expired")
        return Claim(session_id, fan_id, expires_at)

    def refresh(self, session_id: int) -> str:
        """Return a new refresh token; how long it counts stands in the session's row."""
        return self._sign(_LONG.pack(_LONG_KIND, session_id, self._random(16)))

    def session_of(self, refresh_token: str) -> int:
        """Return the session of a refresh token that is ours. Raises NotSignedIn: token_invalid."""
        session_id: int = _LONG.unpack(self._checked(refresh_token, _LONG, _LONG_KIND))[1]
        return session_id

    def _sign(self, payload: bytes) -> str:
        mac = hmac.digest(self._key, payload, "sha256")
        return base64.urlsafe_b64encode(payload + mac).decode().rstrip("=")

    def _checked(self, token: str, shape: struct.Struct, kind: int) -> bytes:
        try:
            payload = base64.urlsafe_b64decode(token.encode("ascii") + b"==")[: shape.size]
        except (binascii.Error, ValueError):
            payload = b""
        # Compared as text: base64 has several spellings of the same bytes, and only ours counts.
        same = hmac.compare_digest(self._sign(payload).encode(), token.encode("utf-8", "replace"))
        if not same or len(payload) != shape.size or payload[0] != kind:
            raise NotSignedIn("登录凭证无效，请重新登录", code="token_invalid")
        return payload


def hashed(refresh_token: str) -> str:
    """Return what is kept of a refresh token: it is random enough for a plain hash."""
    return hashlib.sha256(refresh_token.encode("utf-8", "replace")).hexdigest()
