"""Signatures and the AES envelope, against every way to get them wrong."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher as Aes
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from bot.crypto import Cipher
from bot.errors import DecryptError
from bot.signature import sign, verify

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APPID = "wx2c2769f8efd9abc2"
CIPHER = Cipher(KEY, APPID)


def raw_encrypt(plain: bytes, key: str = KEY) -> str:
    """AES without any framing, to build what no honest sender would."""
    raw = base64.b64decode(key + "=")
    encryptor = Aes(algorithms.AES(raw), modes.CBC(raw[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def framed(length: int | None = None, appid: bytes = APPID.encode(), padding: bytes | None = None) -> str:
    message = b"<xml/>"
    plain = b"r" * 16 + (len(message) if length is None else length).to_bytes(4, "big") + message + appid
    count = 32 - len(plain) % 32
    return raw_encrypt(plain + (bytes([count]) * count if padding is None else padding))


@given(st.binary(max_size=300), st.text(max_size=30))
def test_what_is_encrypted_decrypts(message: bytes, appid: str) -> None:
    cipher = Cipher(KEY, appid)
    assert cipher.decrypt(cipher.encrypt(message)) == message


def test_every_message_has_its_own_randomness() -> None:
    assert CIPHER.encrypt(b"a") != CIPHER.encrypt(b"a")
    assert CIPHER.encrypt(b"a", random16=b"0" * 16) == CIPHER.encrypt(b"a", random16=b"0" * 16)


@pytest.mark.parametrize("size", range(40))
def test_padding_always_fills_blocks_of_32(size: int) -> None:
    encrypted = CIPHER.encrypt(b"x" * size)
    assert len(base64.b64decode(encrypted)) % 32 == 0
    assert CIPHER.decrypt(encrypted) == b"x" * size


@pytest.mark.parametrize(
    ("encrypted", "reason"),
    [
        ("", "block"),
        ("AAAA", "block"),
        (base64.b64encode(b"x" * 48).decode(), "block"),
        ("!" * 64, "base64"),
        ("密文", "base64"),
        ("\ud800", "base64"),
        (framed()[:-1], "base64"),
        (framed() + "\n", "base64"),
        (framed(padding=b"\x00" * 20), "padding"),
        (framed(padding=b"\x21" * 20), "padding"),
        (framed(padding=b"\x01" * 19 + b"\x14"), "padding"),
        (framed(padding=b"\x14" * 18 + b"\x13\x14"), "padding"),
        (framed(length=25), "length"),
        (framed(length=2**32 - 1), "length"),
        (raw_encrypt(b"\x20" * 32), "length"),
        (framed(length=24), "appid"),
        (framed(length=0), "appid"),
        (framed(appid=APPID.encode() + b"x", padding=b"\x13" * 19), "appid"),
        (framed(appid=b"wx2c2769f8efd9abc3"), "appid"),
    ],
)
def test_whatever_is_wrong_is_a_decrypt_error(encrypted: str, reason: str) -> None:
    with pytest.raises(DecryptError) as refused:
        CIPHER.decrypt(encrypted)
    assert refused.value.reason == reason


def test_the_frames_of_these_tests_are_good_when_nothing_is_wrong() -> None:
    assert CIPHER.decrypt(framed()) == b"<xml/>"


@given(st.text(max_size=200) | st.binary(max_size=320).map(lambda raw: base64.b64encode(raw).decode()))
def test_garbage_raises_nothing_else(encrypted: str) -> None:
    with pytest.raises(DecryptError):
        CIPHER.decrypt(encrypted)


def test_a_key_whose_last_character_has_stray_bits_is_read() -> None:
    stray = KEY[:-1] + "H"  # E, F, G and H differ only in the two bits that 32 bytes do not have
    assert Cipher(stray, APPID).decrypt(CIPHER.encrypt(b"hello")) == b"hello"


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "=", KEY + "A", KEY[:-1] + "-", KEY[:-1] + "密", KEY + "\n"])
def test_a_wrong_key_names_its_field(key: str) -> None:
    with pytest.raises(ValueError, match=r"^encoding_aes_key: "):
        Cipher(key, APPID)


def test_random16_is_checked() -> None:
    with pytest.raises(ValueError, match=r"^random16: "):
        CIPHER.encrypt(b"", random16=b"short")


def test_signature_is_order_independent_and_exact() -> None:
    assert sign("AAAAA", "1714036504", "1514711492") == "f464b24fc39322e44b38aa78f5edd27bd1441696"
    assert verify("f464b24fc39322e44b38aa78f5edd27bd1441696", "1514711492", "AAAAA", "1714036504")
    assert not verify("F464B24FC39322E44B38AA78F5EDD27BD1441696", "1514711492", "AAAAA", "1714036504")
    assert not verify("f464b24fc39322e44b38aa78f5edd27bd1441696", "1514711492", "AAAAB", "1714036504")


@given(st.text(st.characters(exclude_categories=())), st.lists(st.text(st.characters(exclude_categories=()))))
def test_verify_never_raises(signature: str, parts: list[str]) -> None:
    assert not verify(signature, *parts)
    assert verify(sign(*parts), *parts)
