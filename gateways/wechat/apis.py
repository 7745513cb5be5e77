"""wechatpy's API objects where an awaitable transport breaks them: methods replaced, or refused loudly.

Everything else of wechatpy returns what `client.get` and `client.post` return, and so is awaitable as it is.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from operator import itemgetter
from typing import Any, NoReturn
from urllib.parse import quote

from wechatpy.client import api

from gateways.wechat.errors import Unsupported
from gateways.wechat.transport import SHOW_QR, field

# mypy: disable-error-code="misc"
# (wechatpy publishes no types, so its classes are Any to mypy, which strict mode will not have subclassed)


def jssdk_signature(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """Return the signature of wx.config for a page; the part of `url` from '#' on does not count.

    https://developers.weixin.qq.com/doc/service/guide/h5/jssdk.html, appendix 1.
    """
    page = url.split("#", 1)[0]
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}"
    return hashlib.sha1(text.encode()).hexdigest()  # noqa: S324  # the platform's algorithm


class JSAPI(api.WeChatJSAPI):
    """Tickets of the JS-SDK, kept like tokens because their calls are few a day."""

    async def get_jsapi_ticket(self) -> str:
        """Return the ticket that signs pages."""
        ticket: str = await self._client.tickets("jsapi").get()
        return ticket

    async def get_jsapi_card_ticket(self) -> str:
        """Return the ticket that signs card calls."""
        ticket: str = await self._client.tickets("wx_card").get()
        return ticket

    async def get_jsapi_add_card_params(self, card_id: str, *args: Any, card_ticket: str = "", **kwargs: Any) -> Any:
        """Return the card_ext of wx.addCard."""
        ticket = card_ticket or await self.get_jsapi_card_ticket()
        return super().get_jsapi_add_card_params(card_id, *args, card_ticket=ticket, **kwargs)

    async def page_config(self, url: str, nonce: str, timestamp: int) -> dict[str, Any]:
        """Return appId, timestamp, nonceStr and signature for wx.config on the page at `url`."""
        signature = jssdk_signature(await self.get_jsapi_ticket(), nonce, timestamp, url)
        return {"appId": self.appid, "timestamp": timestamp, "nonceStr": nonce, "signature": signature}


async def _openids(
    get_page: Callable[[str | None], Awaitable[Mapping[str, Any]]], first: str | None
) -> AsyncIterator[str]:
    while True:
        page = await get_page(first)
        openids = page.get("data", {}).get("openid", [])
        for openid in openids:
            yield openid
        # The last page names a next_openid too; only the page after it is empty.
        first = page.get("next_openid")
        if not openids or not first:
            return


class User(api.WeChatUser):
    """Fans of the account."""

    async def iter_followers(self, first_user_id: str | None = None) -> AsyncIterator[str]:
        """Yield every openid, 10,000 to a call."""
        async for openid in _openids(self.get_followers, first_user_id):
            yield openid


class Tag(api.WeChatTag):
    """Tags of the account."""

    async def iter_tag_users(self, tag_id: int, first_user_id: str | None = None) -> AsyncIterator[str]:
        """Yield every openid that carries the tag, 10,000 to a call."""
        async for openid in _openids(partial(self.get_tag_users, tag_id), first_user_id):
            yield openid


class DataCube(api.WeChatDataCube):
    """Statistics of the account."""

    async def get_user_summary(self, begin_date: Any, end_date: Any) -> list[dict[str, Any]]:
        """Return follows and unfollows by day and source."""
        days = {"begin_date": self._to_date_str(begin_date), "end_date": self._to_date_str(end_date)}
        rows: list[dict[str, Any]] = await self._post("getusersummary", data=days, result_processor=itemgetter("list"))
        return rows


class QRCode(api.WeChatQRCode):
    """QR codes with parameters."""

    async def show(self, ticket: str | Mapping[str, Any]) -> bytes:
        """Return the picture of a code."""
        picture: bytes = await self._client.api("GET", SHOW_QR, params={"ticket": _ticket(ticket)})
        return picture

    def get_url(self, ticket: str | Mapping[str, Any]) -> str:
        """Return the address of the picture of a code."""
        return f"{self._client.mp_base_url}{SHOW_QR}?ticket={quote(_ticket(ticket), safe='')}"


class Material(api.WeChatMaterial):
    """Permanent material."""

    async def add(
        self, media_type: str, media_file: Any, title: str | None = None, introduction: str | None = None
    ) -> Any:
        """Upload; a video needs `title` and `introduction`, which travel beside the file as the API wants."""
        fields = None
        if media_type == "video":
            if not title or not introduction:
                raise ValueError("title, introduction: a video needs both")
            fields = {"description": json.dumps({"title": title, "introduction": introduction}, ensure_ascii=False)}
        return await self._post(
            "material/add_material", params={"type": media_type}, data=fields, files={"media": media_file}
        )


class Media(api.WeChatMedia):
    """Temporary material."""

    async def get_url(self, media_id: str) -> str:
        """Return an address to download from. It holds the access token: never store, show or log it."""
        token = await self._client.token()
        return f"{self._client.base_url}/cgi-bin/media/get?access_token={quote(token)}&media_id={quote(media_id)}"


class CustomService(api.WeChatCustomService):
    """Customer-service accounts and sessions."""

    async def delete_account(self, account: str) -> Any:
        """Delete a customer-service account."""
        return await self._get("kfaccount/del", params={"kf_account": account})

    # These two live under /cgi-bin, where wechatpy does not look for them.
    async def get_accounts(self) -> Any:
        """Return all customer-service accounts."""
        return field(await self._client.api("GET", "/cgi-bin/customservice/getkflist"), "kf_list", list)

    async def get_online_accounts(self) -> Any:
        """Return the accounts that are online, with their load."""
        return field(await self._client.api("GET", "/cgi-bin/customservice/getonlinekflist"), "kf_online_list", list)


class Card(api.WeChatCard):
    """Cards."""

    def get_redirect_url(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: wechatpy would sign the text of a coroutine and return a wrong address."""
        raise Unsupported("card.get_redirect_url: decrypt the code with card.decrypt_code and sign it yourself")


class Cloud(api.WeChatCloud):
    """Cloud development."""

    def upload_file(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: wechatpy would block the event loop for the length of the upload."""
        raise Unsupported("cloud.upload_file: would block the event loop")


class Wxa(api.WeChatWxa):
    """Mini-program."""

    def check_text_security(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: version 1 is frozen since 2021-09-01."""
        raise Unsupported("wxa.check_text_security: use client.security.check_text (version 2)")

    def check_media_async(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: version 1 is frozen since 2021-09-01."""
        raise Unsupported("wxa.check_media_async: use client.security.check_media (version 2)")


def _ticket(ticket: str | Mapping[str, Any]) -> str:
    return ticket if isinstance(ticket, str) else str(ticket["ticket"])
