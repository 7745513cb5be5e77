"""Every method of every wechatpy API object works over our transport, is replaced, is pure, or refuses.

A new release of wechatpy that brings a method which breaks fails here, by name.
"""

import datetime as dt
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from wechatpy.client.api.base import BaseWeChatAPI

from gateways.wechat import Unsupported, WeChatClient
from gateways.wechat.transport import SHOW_QR
from tests.unit.gateways.conftest import MakeClients, OddServer, says, serving
from tests.unit.gateways.test_wechat_client import SENDER

# They compute something and call nobody.
PURE = {
    "card.get_colors", "device.get_qrcode_url", "jsapi.get_jsapi_signature", "message.get_subscribe_authorize_url",
    "qrcode.get_url",
}  # fmt: skip
REFUSING = {
    "card.get_redirect_url", "cloud.upload_file", "wxa.check_media_async", "wxa.check_text_security",
}  # fmt: skip
# They use a token or ticket that is already kept.
QUIET = {"jsapi.get_jsapi_card_ticket", "jsapi.page_config", "media.get_url"}
ITERATING = {"user.iter_followers", "tag.iter_tag_users"}

# One answer that has every field that any of the methods picks out.
FIELDS = [
    "auth_url", "card_id", "cate_list", "category_list", "code", "content", "count", "deleted", "delete_list",
    "file_list", "group_detail", "groupid", "groups", "groups_detail", "id_list", "image_url", "info", "invoice_url",
    "ip_list", "job_id", "list", "location_id_list", "open_appid", "order", "order_list",
    "page_list", "priTmplId", "properties", "result_list", "rule_info", "s_media_id", "sessionlist", "shelves",
    "sku_table", "tag", "tagid_list", "tags", "template_id", "template_info", "ticket", "unionid", "url",
    "user_info_list",
]  # fmt: skip
ANSWER: dict[str, Any] = {name: f"a {name}" for name in FIELDS} | {
    "errcode": 0,
    "expires_in": 7200,
    "resp_data": "{}",
    "card": {},
    "kf_list": [],
    "kf_online_list": [],
    "data": {"user_action_set_id": 1, "list": [], "qrcode_url": "u"},
}

CALLING = 374  # so many make a call in 2.0.0a26; a method more or less deserves a look

DAY = dt.date(2026, 3, 9)
ARTICLE = {"title": "标题", "description": "简介", "url": "u", "image": "i", "thumb_media_id": "t", "content": "c"}
BY_NAME: dict[str, Any] = {
    "lang": "zh_CN", "articles": [ARTICLE], "article": ARTICLE, "media_file": b"bytes", "media": b"bytes", "pdf": b"p",
    "file_bytes": b"bytes", "image_data": b"bytes", "media_type": "image", "begin_date": DAY, "end_date": DAY,
    "create_indexes": [{}], "product_data": {}, "delivery_template": {}, "delivery_data": {}, "group_properties": {},
    "shelf_data": {},
}  # fmt: skip
BY_METHOD: dict[str, dict[str, Any]] = {
    "card.modify_stock": {"n": 3},
    "invoice.get_auth_url": {"source": "web", "redirect_url": "u", "auth_type": 1},
    "invoice.get_user_title_url": {"title": "抬头"},
    "shakearound.get_device_statistics": {"begin_date": 1, "end_date": 2},
    "shakearound.get_page_statistics": {"begin_date": 1, "end_date": 2},
}


def methods(client: WeChatClient) -> Iterator[tuple[str, Any]]:
    for name, api in sorted(vars(client).items()):
        if isinstance(api, BaseWeChatAPI):
            yield from methods_of(name, api)


def methods_of(name: str, api: BaseWeChatAPI) -> Iterator[tuple[str, Any]]:
    for inner, member in inspect.getmembers_static(api):
        if inner.startswith("_"):
            continue
        if isinstance(member, BaseWeChatAPI):
            yield from methods_of(f"{name}.{inner}", member)
        elif callable(member) or isinstance(member, classmethod | staticmethod):
            method = getattr(api, inner)
            if inspect.isroutine(method):
                yield f"{name}.{inner}", method


def arguments(name: str, method: Any) -> dict[str, Any]:
    """Give each required parameter something of a plausible shape."""
    found: dict[str, Any] = {}
    given = BY_NAME | BY_METHOD.get(name, {})
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in given:
            found[parameter.name] = given[parameter.name]
        elif parameter.default is parameter.empty:
            found[parameter.name] = [] if parameter.name.endswith(("list", "s")) else "7"
    return found


@pytest.fixture
async def odd() -> AsyncIterator[OddServer]:
    async with serving(says(ANSWER)) as server:
        yield server


async def test_every_method_of_wechatpy_is_accounted_for(make_clients: MakeClients, odd: OddServer) -> None:
    client = make_clients(odd.url).for_account(SENDER)
    found: dict[str, set[str]] = {
        "pure": set(),
        "refusing": set(),
        "iterating": set(),
        "quiet": set(),
        "calling": set(),
    }
    broken: dict[str, str] = {}
    for name, method in methods(client):
        odd.seen.clear()
        try:
            result = method(**arguments(name, method))
            if inspect.isasyncgen(result):
                kind = "iterating"
            elif inspect.isawaitable(result):
                await result
                kind = "calling" if odd.seen else "quiet"
            else:
                kind = "pure"
        except Unsupported:
            kind = "refusing"
        except Exception as error:  # noqa: BLE001  # whatever it is, it is collected and shown by name
            broken[name] = f"{type(error).__name__}: {error}"
            continue
        found[kind].add(name)
        for request in odd.seen:
            tokens = request.query.getall("access_token", [])
            assert tokens == ([] if request.path.startswith("/sns/") or request.path == SHOW_QR else ["T1"]), name
    assert broken == {}
    assert len(found.pop("calling")) == CALLING
    assert found == {"pure": PURE, "refusing": REFUSING, "iterating": ITERATING, "quiet": QUIET}
