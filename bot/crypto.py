"""The AES envelope around pushes and replies (reference: wechat.md §2.2).

AES-256-CBC with the IV being the first half of the key, PKCS#7 to blocks of 32 bytes, and as plaintext
16 random bytes, a big-endian 32-bit length, the message, the appid.
"""

from __future__ import annotations

import binascii
import hmac
import os
import re
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher as Aes
from cryptography.hazmat.primitives.ciphers import algorithms, modes

from bot.errors import DecryptError

_BLOCK: Final = 32
_HEADER: Final = 20  # 16 random bytes and the length
_PADDINGS: Final = tuple(bytes([count]) * count for count in range(_BLOCK + 1))
_KEY = re.compile(r"[A-Za-z0-9+/]{43}")


class Cipher:
    """Encrypts and decrypts for one account.

    `encoding_aes_key` is the 43 characters of the platform's form; its last character may carry bits that
    a strict base64 decoder refuses, they are ignored. Raises `ValueError` when it is anything else.
    """

    __slots__ = ("_aes", "_appid", "_decryptor", "_encryptor", "_iv")

    def __init__(self, encoding_aes_key: str, appid: str) -> None:
        if not _KEY.fullmatch(encoding_aes_key):
            raise ValueError("encoding_aes_key: must be 43 characters of A-Z a-z 0-9 + /")
        key = binascii.a2b_base64(encoding_aes_key + "=")
        self._iv = key[:16]
        self._aes = Aes(algorithms.AES(key), modes.CBC(self._iv))
        self._appid = appid.encode()
        # Making a context costs more than using it, so one of each serves all messages; not for several threads.
        self._decryptor = self._aes.decryptor()
        self._encryptor = self._aes.encryptor()

    def decrypt(self, encrypted: str) -> bytes:
        """Return the message inside a base64 ciphertext; raises `DecryptError` for anything wrong."""
        try:
            data = binascii.a2b_base64(encrypted, strict_mode=True)
        except ValueError:  # binascii.Error, and non-ASCII text
            raise DecryptError("base64") from None
        if not data or len(data) % _BLOCK:
            raise DecryptError("block")
        # In CBC a block is read with the one before it: the IV in front puts the chain back to its start.
        plain = self._decryptor.update(self._iv + data)[16:]
        padding = plain[-1]
        if not 1 <= padding <= _BLOCK or not plain.endswith(_PADDINGS[padding]):
            raise DecryptError("padding")
        message_end = _HEADER + int.from_bytes(plain[16:_HEADER], "big")
        end = len(plain) - padding
        if message_end > end:
            raise DecryptError("length")
        if not hmac.compare_digest(plain[message_end:end], self._appid):
            raise DecryptError("appid")
        return plain[_HEADER:message_end]

    def encrypt(self, plaintext: bytes, *, random16: bytes | None = None) -> str:
        """Return the base64 ciphertext of a message.

        `random16` fixes the 16 random bytes (for test vectors); they come from the system otherwise.
        Raises `ValueError` when it is not 16 bytes.
        """
        if random16 is None:
            # The first block is random and read by nobody, so it may be chained to the message before.
            random16, encryptor = os.urandom(16), self._encryptor
        elif len(random16) == 16:
            encryptor = self._aes.encryptor()
        else:
            raise ValueError("random16: must be 16 bytes")
        plain = b"".join((random16, len(plaintext).to_bytes(4, "big"), plaintext, self._appid))
        padded = plain + _PADDINGS[_BLOCK - len(plain) % _BLOCK]
        return binascii.b2a_base64(encryptor.update(padded), newline=False).decode()
