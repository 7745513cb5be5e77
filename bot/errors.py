"""The ways a push can be unacceptable, each with a short stable reason that metrics can count.

* CodecError
  x Refused        not proven to be from WeChat, too old, or for somebody else (HTTP 403)
  x MalformedPush  proven, but not something we can read (HTTP 400)
  x DecryptError   a ciphertext that does not open (`Envelope` turns it into one of the above)

They are raised `from None`: the parsers' own errors carry the body, and that is a fan's text.
"""

from __future__ import annotations


class CodecError(Exception):
    """Base of everything the codec raises about input; `reason` never holds text a fan wrote."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refused(CodecError):  # noqa: N818  # reads as what happened: `except Refused`
    """The push is not authenticated, not fresh or not ours."""


class MalformedPush(CodecError):  # noqa: N818  # same
    """The push cannot be read: not well formed, too large, or without a field we cannot do without."""


class DecryptError(CodecError):
    """The ciphertext does not open: `base64`, `block`, `padding`, `length` or `appid`."""
