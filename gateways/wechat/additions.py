"""The APIs that wechatpy lacks or knows only in an old form, each a few typed lines.

Chinese names and addresses: https://developers.weixin.qq.com/doc/service/ (公众号, 服务号) and
https://developers.weixin.qq.com/miniprogram/dev/ (小程序).
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from gateways.wechat.errors import WeChatError
from gateways.wechat.transport import field

Json = dict[str, Any]
EnvVersion = Literal["release", "trial", "develop"]
State = Literal["formal", "trial", "developer"]


class Caller(Protocol):
    """The part of the client that an API needs. Every call raises one of the tree of WeChatFailure."""

    @property
    def appid(self) -> str:
        """The account's appid."""
        ...

    @property
    def secret(self) -> str:
        """The account's secret."""
        ...

    async def api(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, data: Mapping[str, Any] | None = None
    ) -> Any:
        """Call an API by its path."""
        ...


def _given(**values: Any) -> Json:
    """Return the values that are not None: WeChat reads null as a value."""
    return {name: value for name, value in values.items() if value is not None}


class Kf:
    """Customer-service messages (客服消息)."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    async def send(
        self, openid: str, body: Mapping[str, Any], *, kf_account: str | None = None, ai: bool = False
    ) -> Json:
        """Send a message of any type; `body` is everything but `touser`, such as {"msgtype": "text", …}.

        `kf_account` shows that account's name and picture; `ai` marks the text as written by a machine.
        """
        message = {**body, "touser": openid}
        if kf_account is not None:
            message["customservice"] = {"kf_account": kf_account}
        if ai:
            message["aimsgcontext"] = {"is_ai_msg": 1}
        answer: Json = await self._client.api("POST", "/cgi-bin/message/custom/send", data=message)
        return answer

    async def typing(self, openid: str, on: bool = True) -> Json:
        """Show or hide 对方正在输入; lasts 15 s, allowed only where a message would be."""
        body = {"touser": openid, "command": "Typing" if on else "CancelTyping"}
        answer: Json = await self._client.api("POST", "/cgi-bin/message/custom/typing", data=body)
        return answer


class Notify:
    """Template messages (模板消息) and subscription notices (订阅通知, 小程序订阅消息).

    One accept of the fan allows one notice. Answer 0 means accepted; what became of it arrives as an event.
    """

    def __init__(self, client: Caller) -> None:
        self._client = client

    async def template(
        self,
        openid: str,
        template_id: str,
        data: Mapping[str, Any],
        *,
        url: str | None = None,
        miniprogram: Mapping[str, str] | None = None,
        client_msg_id: str | None = None,
    ) -> Json:
        """Send a template message; the platform sends one `client_msg_id` to a fan only once in ten minutes."""
        body = _given(
            touser=openid,
            template_id=template_id,
            url=url,
            miniprogram=miniprogram,
            data=data,
            client_msg_id=client_msg_id,
        )
        answer: Json = await self._client.api("POST", "/cgi-bin/message/template/send", data=body)
        return answer

    async def biz_send(
        self,
        openid: str,
        template_id: str,
        data: Mapping[str, Any],
        *,
        page: str | None = None,
        miniprogram: Mapping[str, str] | None = None,
    ) -> Json:
        """Send as a service account; `miniprogram` {appid, pagepath} wins over `page`."""
        body = _given(touser=openid, template_id=template_id, page=page, miniprogram=miniprogram, data=data)
        answer: Json = await self._client.api("POST", "/cgi-bin/message/subscribe/bizsend", data=body)
        return answer

    async def send(
        self,
        openid: str,
        template_id: str,
        data: Mapping[str, Any],
        *,
        page: str | None = None,
        miniprogram_state: State | None = None,
        lang: Literal["zh_CN", "en_US", "zh_HK", "zh_TW"] | None = None,
    ) -> Json:
        """Send as a mini-program; `miniprogram_state` says which version the notice opens."""
        body = _given(
            touser=openid, template_id=template_id, page=page, data=data, miniprogram_state=miniprogram_state, lang=lang
        )
        answer: Json = await self._client.api("POST", "/cgi-bin/message/subscribe/send", data=body)
        return answer


class Security:
    """Content security, version 2 (内容安全). The fan must have opened the mini-program within two hours."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    async def check_text(
        self,
        openid: str,
        content: str,
        scene: Literal[1, 2, 3, 4],
        *,
        title: str | None = None,
        nickname: str | None = None,
        signature: str | None = None,
    ) -> Json:
        """Return {"result": {"suggest": pass|review|risky, "label"}, "detail", "trace_id"}.

        `scene` 1 profile, 2 comment, 3 forum, 4 social log; `content` at most 2500 characters; `signature` is
        the fan's motto and counts for scene 1 only. 61010: the fan was not here lately.
        """
        body = _given(
            version=2, scene=scene, openid=openid, content=content, title=title, nickname=nickname, signature=signature
        )
        answer: Json = await self._client.api("POST", "/wxa/msg_sec_check", data=body)
        return answer

    async def check_media(
        self, openid: str, media_url: str, media_type: Literal[1, 2], scene: Literal[1, 2, 3, 4]
    ) -> str:
        """Have a sound (1) or picture (2) of at most 10 MB looked at; return the trace_id.

        The verdict arrives within 30 minutes as the event wxa_media_check with the same trace_id.
        """
        body = {"media_url": media_url, "media_type": media_type, "version": 2, "scene": scene, "openid": openid}
        answer: Json = await self._client.api("POST", "/wxa/media_check_async", data=body)
        return field(answer, "trace_id", str)


class Login:
    """Who a member of the mini-program is (登录, 手机号)."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    async def code2session(self, js_code: str) -> Json:
        """Return {"openid", "session_key", "unionid"?} for a code of wx.login, which counts once and for 5 minutes.

        The session_key must never leave the server. 40029 bad code, 40163 used code, 40226 high-risk fan.
        """
        params = {
            "appid": self._client.appid,
            "secret": self._client.secret,
            "js_code": js_code,
            "grant_type": "authorization_code",
        }
        answer: Json = await self._client.api("GET", "/sns/jscode2session", params=params)
        return answer

    async def check_session(self, openid: str, session_key: str) -> bool:
        """Return whether the session_key still holds."""
        try:
            await self._client.api("GET", "/wxa/checksession", params=_signed(openid, session_key))
        except WeChatError as error:
            if error.errcode == 87009:
                return False
            raise
        return True

    async def reset_session(self, openid: str, session_key: str) -> Json:
        """Replace the session_key; the answer holds the new one."""
        answer: Json = await self._client.api("GET", "/wxa/resetusersessionkey", params=_signed(openid, session_key))
        return answer

    async def phone_number(self, code: str, openid: str | None = None) -> Json:
        """Return {"phoneNumber", "purePhoneNumber", "countryCode", "watermark"} for a code of getPhoneNumber."""
        body = _given(code=code, openid=openid)
        answer: Json = await self._client.api("POST", "/wxa/business/getuserphonenumber", data=body)
        return field(answer, "phone_info", dict)


def _signed(openid: str, session_key: str) -> Json:
    signature = hmac.new(session_key.encode(), b"", hashlib.sha256).hexdigest()
    return {"openid": openid, "signature": signature, "sig_method": "hmac_sha256"}


class Links:
    """Ways into the mini-program from outside (URL Link, URL Scheme, 小程序码)."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    async def url_link(
        self,
        path: str = "",
        query: str = "",
        *,
        expire_days: int = 30,
        env_version: EnvVersion = "release",
    ) -> str:
        """Return a link for text messages, mails and web pages; lives `expire_days`, at most 30.

        `query` at most 1024 characters, without '?'. Not for personal mini-programs; 500,000 a day.
        """
        body = {
            "path": path,
            "query": query,
            "env_version": env_version,
            "expire_type": 1,
            "expire_interval": expire_days,
        }
        answer: Json = await self._client.api("POST", "/wxa/generate_urllink", data=body)
        return field(answer, "url_link", str)

    async def url_scheme(
        self,
        path: str = "",
        query: str = "",
        *,
        expire_days: int = 30,
        env_version: EnvVersion = "release",
    ) -> str:
        """Return a weixin:// address; lives `expire_days`, at most 30, and shares the quota of url_link."""
        body = {
            "jump_wxa": {"path": path, "query": query, "env_version": env_version},
            "expire_type": 1,
            "expire_interval": expire_days,
        }
        answer: Json = await self._client.api("POST", "/wxa/generatescheme", data=body)
        return field(answer, "openlink", str)

    async def code_unlimited(
        self,
        scene: str,
        page: str | None = None,
        *,
        check_path: bool | None = None,
        env_version: EnvVersion | None = None,
        width: int | None = None,
        is_hyaline: bool | None = None,
        line_color: Mapping[str, int] | None = None,
    ) -> bytes:
        """Return the picture of a 小程序码; any number of them exist, 5000 a minute may be asked for.

        `scene` 1 to 32 characters; `page` without leading slash and query; `width` 280 to 1280 pixels;
        `is_hyaline` transparent ground. check_path=False allows a page that is not published yet.
        """
        body = _given(
            scene=scene,
            page=page,
            check_path=check_path,
            env_version=env_version,
            width=width,
            is_hyaline=is_hyaline,
            line_color=line_color,
        )
        picture: bytes = await self._client.api("POST", "/wxa/getwxacodeunlimit", data=body)
        return picture


class OpenAPI:
    """How much of an API's daily quota is left (openapi 管理). Zeroing a quota is refused by the client."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    async def quota(self, cgi_path: str) -> Json:
        """Return {"daily_limit", "used", "remain"}; `cgi_path` such as "/cgi-bin/message/custom/send"."""
        answer: Json = await self._client.api("POST", "/cgi-bin/openapi/quota/get", data={"cgi_path": cgi_path})
        return field(answer, "quota", dict)
