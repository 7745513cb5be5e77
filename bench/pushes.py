"""The load: WeChat's pushes of distinct messages as ready HTTP requests, and how their answers are checked."""

import random
import time
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from wechatpy.crypto import WeChatCrypto

from bot.crypto import Cipher
from bot.signature import sign


@dataclass(frozen=True, slots=True)
class BenchAccount:
    """The account that every server of a run plays."""

    appid: str = "wx5823bf96d3bd56c7"
    token: str = "benchToken2026"  # noqa: S105  # signs nothing outside this run
    aes_key: str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
    name: str = "gh_7f083739789a"


ACCOUNT = BenchAccount()
QUESTION = "你们的营业时间是几点到几点？"
ANSWER = "每天 10:00 到 22:00 营业，节假日不休息。"
FANS = 10_000
NEW_EVERY = 50  # one message in this many comes from somebody never seen before


@dataclass(frozen=True, slots=True)
class Push:
    """One push: the whole HTTP request, and who wrote it."""

    request: bytes
    openid: str


def openid_of(number: int) -> str:
    """Return the openid of a fan who is known from the start, 0 to FANS - 1."""
    return f"oKnown{number:022d}"


class Writer:
    """Writes pushes that no other call has written: every MsgId is new."""

    def __init__(self) -> None:
        self._cipher = Cipher(ACCOUNT.aes_key, ACCOUNT.appid)
        self._random = random.Random(20_260_309)
        self._written = 0

    def write(self, count: int, *, path: str, safe: bool) -> list[Push]:
        """Return `count` pushes to `path`, signed now: they are good for the servers' window of ten minutes."""
        return [self._one(path, safe) for _ in range(count)]

    def _one(self, path: str, safe: bool) -> Push:
        self._written += 1
        number, now, nonce = self._written, str(int(time.time())), str(self._random.randrange(10**9, 10**10))
        new = number % NEW_EVERY == 0
        openid = f"oNew{number:024d}" if new else openid_of(self._random.randrange(FANS))
        message = (
            f"<xml><ToUserName><![CDATA[{ACCOUNT.name}]]></ToUserName>\n"
            f"<FromUserName><![CDATA[{openid}]]></FromUserName>\n<CreateTime>{now}</CreateTime>\n"
            f"<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[{QUESTION}]]></Content>\n"
            f"<MsgId>{24_000_000_000_000_000 + number}</MsgId>\n</xml>"
        ).encode()
        query = f"signature={sign(ACCOUNT.token, now, nonce)}&timestamp={now}&nonce={nonce}&openid={openid}"
        if safe:
            encrypted = self._cipher.encrypt(message, random16=self._random.randbytes(16))
            query += f"&encrypt_type=aes&msg_signature={sign(ACCOUNT.token, now, nonce, encrypted)}"
            message = (
                f"<xml>\n    <ToUserName><![CDATA[{ACCOUNT.name}]]></ToUserName>\n"
                f"    <Encrypt><![CDATA[{encrypted}]]></Encrypt>\n</xml>\n"
            ).encode()
        head = (
            f"POST {path}?{query} HTTP/1.1\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\nHost: 127.0.0.1\r\n"
            f"Pragma: no-cache\r\nContent-Type: text/xml\r\nContent-Length: {len(message)}\r\n\r\n"
        )
        return Push(head.encode() + message, openid)


def check(push: Push, body: bytes, *, safe: bool, text: str) -> None:
    """Assert, with wechatpy's codec as the independent reader, that `body` answers `push` with `text`."""
    if safe:
        envelope = ET.fromstring(body)  # noqa: S314  # a server of our own run wrote it
        read = {child.tag: child.text for child in envelope}
        crypto: Any = WeChatCrypto(ACCOUNT.token, ACCOUNT.aes_key, ACCOUNT.appid)
        body = crypto.decrypt_message(body, read["MsgSignature"], read["TimeStamp"], read["Nonce"]).encode()
    answer = {child.tag: child.text for child in ET.fromstring(body)}  # noqa: S314  # as above
    assert answer["ToUserName"] == push.openid, "the answer went to somebody else"
    assert answer["FromUserName"] == ACCOUNT.name
    assert answer["MsgType"] == "text"
    assert answer["Content"] == text, f"answered {answer['Content']!r} instead of {text!r}"
