"""One account with all its secrets, and pushes to it as WeChat would make them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from bot.crypto import Cipher
from bot.envelope import Envelope
from bot.signature import sign

NOW = 1_714_112_500
REPO = Path(__file__).parents[3]


@dataclass(frozen=True)
class Account:
    appid: str = "wx2c2769f8efd9abc2"
    token: str = "spamtest"
    key: str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    now: int = NOW

    def envelope(self, mode: Literal["plain", "compatible", "safe"] = "safe", window: int = 600) -> Envelope:
        return Envelope(self.appid, self.token, None if mode == "plain" else self.key, mode, window)

    def query(self, encrypted: str | None = None, *, at: int = NOW, nonce: str = "1320562132") -> dict[str, str]:
        """The query string of a push at `at`; with a msg_signature when it carries a ciphertext."""
        query = {"timestamp": str(at), "nonce": nonce, "signature": sign(self.token, str(at), nonce)}
        if encrypted is None:
            return query
        return query | {
            "encrypt_type": "aes",
            "msg_signature": sign(self.token, str(at), nonce, encrypted),
        }

    def safe_push(
        self, plain: bytes, fmt: Literal["xml", "json"] = "xml", *, at: int = NOW, appid: str | None = None
    ) -> tuple[bytes, dict[str, str]]:
        encrypted = Cipher(self.key, appid or self.appid).encrypt(plain)
        return self.wrap(encrypted, fmt), self.query(encrypted, at=at)

    def wrap(self, encrypted: str, fmt: Literal["xml", "json"] = "xml") -> bytes:
        if fmt == "json":
            return json.dumps({"ToUserName": "gh_1", "Encrypt": encrypted}).encode()
        return (
            "<xml>\n    <ToUserName><![CDATA[gh_1]]></ToUserName>\n"
            f"    <Encrypt><![CDATA[{encrypted}]]></Encrypt>\n</xml>"
        ).encode()


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def vectors() -> Path:
    """The folder of published test vectors; it lies beside the repository where it is present at all."""
    folder = Path(os.environ.get("FENSI_VECTORS", REPO.parent / "shared" / "vectors"))
    if not folder.is_dir():
        pytest.skip("the folder of test vectors is not here")
    return folder
