"""Passwords: argon2id in a thread of its own, outside every transaction, and what a password must be like."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from scrm.errors import Invalid

SHORTEST, LONGEST = 10, 128
# Of no use, however long they are; compared without case.
_COMMON = frozenset({
    "1234567890", "12345678910", "0123456789", "0987654321", "1111111111", "password12", "password123", "password1234",
    "qwertyuiop", "1qaz2wsx3edc", "qwerty12345", "iloveyou123", "admin12345", "administrator", "a123456789",
    "woaini1314", "woaini520", "5201314520", "abc1234567", "aa12345678", "fensi12345", "changeme123",
})  # fmt: skip
# Read over the telephone without asking back: no 0/O, 1/l/I.
_LETTERS = "abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXY234679"


class Passwords:
    """Hashes and checks; a few at a time, since each takes 64 MiB and a tenth of a second of one core."""

    def __init__(self, hasher: PasswordHasher | None = None, *, at_once: int = 3) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(at_once)
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """Return what is stored of a password."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Say whether it is the password; without a stored one the answer is no, after the same work."""
        if stored is None and self._nobody is None:
            self._nobody = await self.hash(secrets.token_hex(16))
        async with self._turns:
            right = await asyncio.to_thread(self._verify, stored or self._nobody or "", password)
        return right and stored is not None

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


def check(password: str, *, login: str, field: str = "password") -> None:
    """Raise Invalid naming what is wrong with a new password."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"密码长度为 {SHORTEST} 到 {LONGEST} 位", field=field)
    plain = password.lower()
    if plain in _COMMON or len(set(plain)) < 5 or (len(login) >= 3 and login.lower() in plain):
        raise Invalid("密码太容易被猜到，请换一个（不要包含登录名）", code="weak_password", field=field)


def made_up() -> str:
    """Return a first password to be told to somebody: 14 letters, some 78 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(size)) for size in (5, 4, 5))
