"""What the controls accept: each field's check and the sentence for what does not pass it."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from simulator import menus, wire
from simulator.actions import ActionError
from simulator.callbacks import is_http_url
from simulator.errors import RefusedError
from simulator.world import Json, Kind, Mode

Table = Mapping[str, tuple[Callable[[Any], bool], str]]

COPIES_MOST = 1000
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


def check(body: Json, table: Table) -> None:
    """Check every given field. Raises ActionError naming the first that is unknown or wrong."""
    for name, value in body.items():
        if name not in table:
            raise ActionError("没有这个设置", name)
        right, sentence = table[name]
        if not right(value):
            raise ActionError(sentence, name)


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 2000 and value.replace("\n", "").isprintable()


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0 and math.isfinite(value)


def _maybe(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or right(value)


def _one_of(*choices: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in choices, f"应为 {'、'.join(choices)}"


def _url(value: object) -> bool:
    return isinstance(value, str) and (not value or is_http_url(value))


def _copies(value: object) -> bool:
    return (
        isinstance(value, list) and [type(v) for v in value] == [int, int] and 0 <= value[0] <= value[1] <= COPIES_MOST
    )


def _aes_key(value: object) -> bool:
    try:
        return isinstance(value, str) and len(wire.key_of(value)) == 32
    except wire.WireError:
        return False


def _menu(value: object) -> bool:
    try:
        return isinstance(value, dict) and bool(menus.checked(value))
    except RefusedError:
        return False


def _conditional(value: object) -> bool:
    return isinstance(value, list) and all(
        _menu(one) and isinstance(one.get("matchrule"), dict) and _text(one.get("menuid")) for one in value
    )


def _templates(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(one, dict) and _text(one.get("title")) and _text(one.get("content")) for one in value.values()
    )


def _tags(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and type(one.get("id")) is int and _text(one.get("name")) for one in value
    )


ACCOUNT: Table = {
    "appid": (_id, "应为字母、数字、- 和 _，不超过 64 个"),
    "name": (lambda v: _text(v) and bool(v.strip()), "不能为空"),
    "kind": _one_of(*get_args(Kind)),
    "secret": (_text, "应为文字"),
    "username": (_id, "应为字母、数字、- 和 _，不超过 64 个"),
    "token": (_text, "应为文字"),
    "aes_key": (_aes_key, "应为 43 个字符的 EncodingAESKey"),
    "mode": _one_of(*get_args(Mode)),
    "format": _one_of("xml", "json"),
    "callback_url": (_url, "应为 http:// 或 https:// 地址"),
    "verified": (_flag, "应为 true 或 false"),
    "open_platform": (_flag, "应为 true 或 false"),
    "description": (_text, "应为文字"),
    "server": (_url, "应为 http:// 或 https:// 地址"),
    "ip_whitelist": (_texts, "应为地址的列表"),
    "pages": (_texts, "应为页面路径的列表"),
    "templates": (_templates, '应为 {编号: {"title", "content"}}'),
    "menu": (_maybe(_menu), '应为 {"button": […]}，与 menu/create 相同，或 null'),
    "conditional_menus": (_conditional, '应为 {"button", "matchrule", "menuid"} 的列表'),
    "tags": (_tags, '应为 {"id", "name"} 的列表'),
    "kf_online": (_texts, "应为客服账号的列表"),
}

FAN: Table = {
    "nickname": (lambda v: isinstance(v, str), "应为文字"),
    "unionid": (_maybe(_id), "应为字母、数字、- 和 _，不超过 64 个"),
    "phone": (_maybe(_text), "应为手机号"),
    "openids": (lambda v: isinstance(v, dict) and all(map(_id, v.values())), "应为 {appid: openid}"),
    "following": (_texts, "应为 appid 的列表"),
}

_FAULT: Table = {
    "appid": (_maybe(lambda v: isinstance(v, str)), "应为 appid"),
    "times": (_maybe(lambda v: type(v) is int), "应为次数，或 null 表示一直"),
    "probability": (lambda v: _number(v) and v <= 1, "应为 0 到 1"),
    "delay": (_number, "应为秒数"),
}
API_FAULT: Table = {
    **_FAULT,
    "path": (lambda v: isinstance(v, str), "应为接口路径或 *"),
    "errcode": (lambda v: type(v) is int, "应为整数"),
    "errmsg": (lambda v: isinstance(v, str), "应为文字"),
    "say": (lambda v: isinstance(v, str), "应为文字"),
    "drop": _one_of("before", "after"),
    "status": (lambda v: type(v) is int and 400 <= v <= 599, "应为 HTTP 错误码"),
}
CALLBACK_FAULT: Table = {
    **_FAULT,
    "jitter": (_number, "应为秒数"),
    "copies": (_copies, f"应为 [最少, 最多]，0 到 {COPIES_MOST}"),
    "concurrent": (_flag, "应为 true 或 false"),
    "urls": (lambda v: isinstance(v, list) and all(is_http_url(str(u)) for u in v), "应为 http 地址的列表"),
    "drop_responses": (lambda v: type(v) is int, "应为次数"),
}
