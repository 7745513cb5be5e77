"""One HTTP exchange with WeChat: how a call is written, and what its answer or its silence means."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from gateways.wechat.errors import Ambiguous, Rejected, Unreachable, WeChatError, WeChatFailure
from kit.guard import check_network_allowed

T = TypeVar("T")

API_HOST = "https://api.weixin.qq.com"
MP_HOST = "https://mp.weixin.qq.com"
SHOW_QR = "/cgi-bin/showqrcode"

# Answers of these are files, and JSON only on error; anywhere else an answer that is not JSON is a fault.
BINARY_PATHS = frozenset({
    "/cgi-bin/media/get", "/cgi-bin/media/get/jssdk", "/cgi-bin/material/get_material", SHOW_QR,
    "/cgi-bin/wxaapp/createwxaqrcode", "/wxa/getwxacode", "/wxa/getwxacodeunlimit", "/wxa/get_qrcode",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """A file of a multipart upload; WeChat judges it by the extension of its name."""

    name: str
    data: bytes
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Call:
    """One call, ready to be written any number of times. `path` begins with a slash and has no query."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    files: tuple[tuple[str, File], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()  # the other parts of a multipart upload
    within: float | None = None  # seconds in all; None: the transport's own


class Transport:
    """Makes calls over a shared aiohttp session.

    `base_url` replaces api.weixin.qq.com, `mp_base_url` replaces mp.weixin.qq.com (by default the same as
    `base_url`, where that is not WeChat's own). `connect` and `total` are seconds; waiting for a free connection
    of the session counts as connecting.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str = API_HOST,
        mp_base_url: str | None = None,
        connect: float = 3.0,
        total: float = 10.0,
    ) -> None:
        self._session = session
        self.base_url = base_url.rstrip("/")
        self.mp_base_url = (mp_base_url or (MP_HOST if self.base_url == API_HOST else base_url)).rstrip("/")
        self._connect = connect
        self._total = total

    async def send(self, call: Call, access_token: str | None = None) -> Any:
        """Return the answer: the JSON, or bytes of a file. Raises one of the tree of WeChatFailure."""
        check_network_allowed("wechat")
        params = list(call.params)
        if access_token is not None:
            params.append(("access_token", access_token))
        base = self.mp_base_url if call.path == SHOW_QR else self.base_url
        total = call.within or self._total
        # Failures are built here and raised outside the handlers: aiohttp's own messages hold the URL, and
        # with it the token, and must not survive as the context of ours.
        failure: WeChatFailure
        try:
            async with self._session.request(
                call.method,
                URL(base + call.path).with_query(params),
                data=_multipart(call) if call.files else call.body,
                headers={"Content-Type": "application/json"} if call.body is not None else None,
                timeout=aiohttp.ClientTimeout(total=total, connect=min(self._connect, total)),
                allow_redirects=False,
            ) as response:
                return _decode(call.path, response.status, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            failure = Unreachable(f"{call.path}: {type(error).__name__}")
        except (aiohttp.ClientError, TimeoutError) as error:
            failure = Ambiguous(f"{call.path}: {type(error).__name__}")
        raise failure


def _multipart(call: Call) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)  # names in UTF-8 as they are, like every other SDK sends them
    for name, value in call.fields:
        form.add_field(name, value)
    for name, file in call.files:
        form.add_field(name, file.data, filename=file.name, content_type=file.content_type)
    return form


def _decode(path: str, status: int, content: bytes) -> Any:
    if status >= 500:
        raise Ambiguous(f"{path}: HTTP {status}")
    if status >= 300:
        raise Rejected(f"{path}: HTTP {status}")
    answer: Any = None
    if content[:1] == b"{":
        try:
            answer = json.loads(content.decode("utf-8", "replace"), strict=False)
        except ValueError:
            answer = None
    if answer is None:
        if path in BINARY_PATHS:
            return content
        raise Ambiguous(f"{path}: the answer is not a JSON object")
    if isinstance(wrapped := answer.pop("base_resp", None), dict):
        answer |= wrapped  # the device APIs wrap their errcode
    if "errcode" in answer:
        _check_errcode(path, answer)
    return answer


def field(answer: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return what an answer must hold. Raises Ambiguous when it is missing, of another kind or an empty text.

    An answer may well be somebody else's: proxies speak JSON too.
    """
    value = answer.get(name)
    if not isinstance(value, kind) or value == "":
        raise Ambiguous(f"the answer lacks {name!r}")
    return value


def _check_errcode(path: str, answer: dict[str, Any]) -> None:
    try:
        answer["errcode"] = int(answer["errcode"])
    except (TypeError, ValueError):
        raise Ambiguous(f"{path}: errcode is not a number") from None
    if answer["errcode"] != 0:
        raise WeChatError(answer["errcode"], str(answer.get("errmsg", "")))


def json_body(body: Any) -> bytes:
    """Write JSON the way WeChat wants it: UTF-8, Chinese as it is. Raises TypeError for what is not JSON."""
    return json.dumps(body, ensure_ascii=False).encode()


def query(params: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    """Return the parameters as text, without those that are None."""
    pairs: list[tuple[str, str]] = []
    for name, value in (params or {}).items():
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, bool):
                pairs.append((name, "true" if one else "false"))
            elif one is not None:
                pairs.append((name, str(one)))
    return tuple(pairs)


async def read_file(field: str, given: Any) -> File:
    """Return an upload from a File, bytes, an open binary file, or a tuple (name, content[, content type]).

    The content is read whole, because a call may have to be written twice. Raises TypeError that names `field`.
    """
    if isinstance(given, File):
        return given
    name, content, *rest = given if isinstance(given, tuple) else (getattr(given, "name", field), given)
    if hasattr(content, "read"):
        content = await asyncio.to_thread(content.read)
    if not isinstance(content, bytes | bytearray):
        raise TypeError(f"{field}: expected bytes or a binary file, got {type(content).__name__}")
    short_name = str(name or field).replace("\\", "/").rsplit("/", 1)[-1]
    return File(short_name, bytes(content), *[kind for kind in rest[:1] if kind])
