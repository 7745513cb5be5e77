"""WeChat's signature: the SHA-1 of the sorted parts (reference: wechat.md §2.1, §2.2)."""

from __future__ import annotations

import hashlib
import hmac


def sign(*parts: str) -> str:
    """Return the hex SHA-1 of the sorted, joined parts, as the platform computes it."""
    # A lone surrogate has no UTF-8 form; replacing it keeps garbage from raising, and no true part has one.
    joined = "".join(sorted(parts)).encode("utf-8", "replace")
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


def verify(signature: str, *parts: str) -> bool:
    """Tell in constant time whether `signature` is the one of `parts`; never raises."""
    # compare_digest refuses non-ASCII str, and no signature is one.
    return signature.isascii() and hmac.compare_digest(signature, sign(*parts))
