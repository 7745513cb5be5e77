"""The bytes of the callback protocol: signatures, AES envelopes, XML and JSON, seen from WeChat's side."""

import base64
import hashlib
import json
import re
import struct
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from lxml import etree

BLOCK = 32  # PKCS#7 block of WeChat's envelope, not AES's 16
DEPTH = 64  # of JSON that is read: no message comes near it, and what copies it later calls itself per level
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class WireError(ValueError):
    """An answer that WeChat could not read; the text says why."""


def signature(*parts: str) -> str:
    """Return sha1 over the sorted parts, hexadecimal."""
    return hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()


def key_of(aes_key: str) -> bytes:
    """Decode a 43-character EncodingAESKey to 32 bytes. Raises WireError."""
    try:
        key = base64.b64decode(aes_key + "=")
    except ValueError as error:
        raise WireError("EncodingAESKey 不是 base64") from error
    if len(key) != 32:
        raise WireError("EncodingAESKey 应为 43 个字符")
    return key


def encrypt(aes_key: str, appid: str, plain: bytes, salt: bytes) -> str:
    """Seal a message: salt(16) + length + message + appid, AES-256-CBC, base64."""
    key = key_of(aes_key)
    data = salt + struct.pack(">I", len(plain)) + plain + appid.encode()
    pad = BLOCK - len(data) % BLOCK
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(data + bytes([pad]) * pad) + encryptor.finalize()).decode()


def decrypt(aes_key: str, appid: str, sealed: str) -> bytes:
    """Open an envelope. Raises WireError when any part of it is not as WeChat demands."""
    key = key_of(aes_key)
    try:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
        data = decryptor.update(base64.b64decode(sealed, validate=True)) + decryptor.finalize()
        (size,) = struct.unpack(">I", data[16:20])
    except (ValueError, struct.error) as error:
        raise WireError("密文无法解开") from error
    pad = data[-1]
    if not 1 <= pad <= BLOCK or data[-pad:] != bytes([pad]) * pad:
        raise WireError("密文填充不正确")
    if data[20 + size : -pad] != appid.encode():
        raise WireError("密文中的 appid 不符")
    return data[20 : 20 + size]


def to_xml(body: dict[str, Any]) -> bytes:
    """Render a push or envelope: strings in CDATA, numbers bare, a list as repeated elements.

    Characters that XML cannot carry are left out, as the platform does: people paste them.
    """
    return f"<xml>{_elements(body)}</xml>".encode()


def _elements(body: dict[str, Any]) -> str:
    parts = []
    for name, value in body.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                inner = _elements(item)
            elif isinstance(item, (int, float)):
                inner = str(item)
            else:
                inner = "<![CDATA[" + _NOT_XML.sub("", item).replace("]]>", "]]]]><![CDATA[>") + "]]>"
            parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)


def from_xml(raw: bytes) -> dict[str, Any]:
    """Read a reply; repeated elements become a list. Raises WireError for anything not well-formed."""
    try:
        root = etree.fromstring(raw, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise WireError(f"XML 格式不正确：{error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise WireError("XML 中不允许 DOCTYPE")
    value = _value(root)
    if root.tag != "xml" or not isinstance(value, dict):
        raise WireError("XML 的根元素应为 <xml>")
    return value


def _value(element: Any) -> Any:
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return element.text or ""
    result: dict[str, Any] = {}
    for child in children:
        value = _value(child)
        if child.tag not in result:
            result[child.tag] = value
        elif isinstance(result[child.tag], list):
            result[child.tag].append(value)
        else:
            result[child.tag] = [result[child.tag], value]
    return result


def to_json(body: object) -> bytes:
    """Render JSON as WeChat does: UTF-8, nothing escaped. Halves of characters are left out."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="ignore")


def from_json(raw: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises WireError for anything else, and for one nested too deeply."""
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise WireError("JSON 格式不正确") from error
    if not isinstance(value, dict):
        raise WireError("JSON 应为对象")
    level: list[Any] = [value]
    for _ in range(DEPTH):
        inside = (v.values() if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list)))
        level = [child for children in inside for child in children]
    if level:
        raise WireError("JSON 嵌套太深")
    return value
