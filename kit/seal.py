"""Encryption at rest for secrets and kept personal data: Fernet under a key derived from FENSI_SECRET_KEY."""

import base64
import hmac

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class UnsealError(ValueError):
    """What was stored cannot be opened with the present FENSI_SECRET_KEY."""


class Sealer:
    """Seals and opens short texts. Two seals of the same text differ; none can be opened without the key."""

    def __init__(self, secret_key: str) -> None:
        if len(secret_key) < 16:
            raise ValueError("FENSI_SECRET_KEY: at least 16 characters")
        derived = HKDF(hashes.SHA256(), 32, salt=b"fensi", info=b"at rest").derive(secret_key.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))
        self._fingerprint_key = HKDF(hashes.SHA256(), 32, salt=b"fensi", info=b"fingerprint").derive(
            secret_key.encode()
        )
        self._root = HKDF(hashes.SHA256(), 32, salt=b"fensi", info=b"keys").derive(secret_key.encode())

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes for signing, of this purpose alone; equal on every machine with the same secret."""
        return hmac.digest(self._root, purpose.encode(), "sha256")

    def seal(self, text: str) -> str:
        """Return `text` encrypted and authenticated, as ASCII."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the text of a seal; raises UnsealError when the key is another one."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeDecodeError) as error:
            raise UnsealError("sealed with another FENSI_SECRET_KEY") from error

    def fingerprint(self, text: str) -> str:
        """Return 64 hexadecimal digits, equal for equal texts, by which a sealed text can be found again.

        Keyed: whoever has only the database cannot try out all phone numbers or codes.
        """
        return hmac.digest(self._fingerprint_key, text.encode(), "sha256").hex()
