"""The calls that wechatpy lacks: what they say, and what they make of answers."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gateways.wechat import Ambiguous, WeChatClient, WeChatError
from kit.delivery import Sender
from tests.unit.gateways.conftest import CUSTOM_SEND, MakeClients, OddServer, says, serving

SENDER = Sender(1, "service", "wx0123456789abcdef", "5ec3e7")
OPENID = "oABCDEFGHIJKLMNOPQRSTUVWXYZ0"
OK = {"errcode": 0, "errmsg": "ok"}


def client_of(make_clients: MakeClients, odd: OddServer) -> WeChatClient:
    return make_clients(odd.url).for_account(SENDER)


@dataclass(frozen=True)
class Reading:
    """A call that reads one field, and a value of another kind than the field's."""

    name: str
    other: Any
    of: Callable[[WeChatClient], Awaitable[Any]]


FIELDS = [
    Reading("phone_info", "13800000000", lambda client: client.login.phone_number("P")),
    Reading("url_link", {}, lambda client: client.links.url_link("pages/a")),
    Reading("openlink", [], lambda client: client.links.url_scheme("pages/a")),
    Reading("trace_id", {}, lambda client: client.security.check_media(OPENID, "https://e.cn/a.jpg", 2, 1)),
    Reading("quota", [], lambda client: client.openapi.quota(CUSTOM_SEND)),
    Reading("kf_list", {}, lambda client: client.customservice.get_accounts()),
    Reading("kf_online_list", "", lambda client: client.customservice.get_online_accounts()),
]


async def test_bodies(make_clients: MakeClients) -> None:
    answer = {
        **OK,
        "phone_info": {"purePhoneNumber": "13800000000"},
        "trace_id": "t",
        "url_link": "https://wxaurl.cn/x",
        "openlink": "weixin://dl/business/?t=x",
        "quota": {"daily_limit": 5, "used": 1, "remain": 4},
    }
    async with serving(says(answer)) as odd:
        client = client_of(make_clients, odd)
        await client.kf.typing(OPENID)
        await client.kf.typing(OPENID, on=False)
        await client.notify.template(OPENID, "T", {"first": {"value": "您好"}}, client_msg_id="order-7")
        await client.notify.biz_send(OPENID, "T", {"thing1": {"value": "积分"}}, page="https://e.cn")
        await client.notify.send(OPENID, "T", {}, page="p", miniprogram_state="trial", lang="zh_CN")
        await client.security.check_text(OPENID, "内容", 2, title="标题")
        assert await client.security.check_media(OPENID, "https://e.cn/a.jpg", 2, 1) == "t"
        assert await client.login.phone_number("P") == {"purePhoneNumber": "13800000000"}
        assert await client.links.url_link("pages/a", "x=1", env_version="trial") == "https://wxaurl.cn/x"
        assert await client.links.url_scheme("pages/a", expire_days=7) == "weixin://dl/business/?t=x"
        assert await client.openapi.quota(CUSTOM_SEND) == {"daily_limit": 5, "used": 1, "remain": 4}
    assert list(zip(odd.paths, [json.loads(body) for body in odd.bodies], strict=True)) == [
        ("/cgi-bin/message/custom/typing", {"touser": OPENID, "command": "Typing"}),
        ("/cgi-bin/message/custom/typing", {"touser": OPENID, "command": "CancelTyping"}),
        (
            "/cgi-bin/message/template/send",
            {
                "touser": OPENID,
                "template_id": "T",
                "data": {"first": {"value": "您好"}},
                "client_msg_id": "order-7",
            },
        ),
        (
            "/cgi-bin/message/subscribe/bizsend",
            {"touser": OPENID, "template_id": "T", "page": "https://e.cn", "data": {"thing1": {"value": "积分"}}},
        ),
        (
            "/cgi-bin/message/subscribe/send",
            {
                "touser": OPENID,
                "template_id": "T",
                "page": "p",
                "data": {},
                "miniprogram_state": "trial",
                "lang": "zh_CN",
            },
        ),
        ("/wxa/msg_sec_check", {"version": 2, "scene": 2, "openid": OPENID, "content": "内容", "title": "标题"}),
        (
            "/wxa/media_check_async",
            {"media_url": "https://e.cn/a.jpg", "media_type": 2, "version": 2, "scene": 1, "openid": OPENID},
        ),
        ("/wxa/business/getuserphonenumber", {"code": "P"}),
        (
            "/wxa/generate_urllink",
            {"path": "pages/a", "query": "x=1", "env_version": "trial", "expire_type": 1, "expire_interval": 30},
        ),
        (
            "/wxa/generatescheme",
            {
                "jump_wxa": {"path": "pages/a", "query": "", "env_version": "release"},
                "expire_type": 1,
                "expire_interval": 7,
            },
        ),
        ("/cgi-bin/openapi/quota/get", {"cgi_path": CUSTOM_SEND}),
    ]


@pytest.mark.parametrize("call", FIELDS, ids=lambda call: call.name)
async def test_an_answer_without_its_field_is_ambiguous_and_names_it(make_clients: MakeClients, call: Reading) -> None:
    answers: list[Any] = [OK, {"code": 502}, {call.name: None}, {call.name: 7}, {call.name: call.other}]
    async with serving(says(*answers)) as odd:
        client = client_of(make_clients, odd)
        for _ in answers:
            with pytest.raises(Ambiguous, match=f"the answer lacks '{call.name}'"):
                await call.of(client)


async def test_an_answer_that_is_a_list_is_ambiguous(make_clients: MakeClients) -> None:
    async with serving(says([])) as odd:
        client = client_of(make_clients, odd)
        for call in FIELDS:
            with pytest.raises(Ambiguous, match="the answer is not a JSON object"):
                await call.of(client)
        with pytest.raises(Ambiguous):
            await client.login.code2session("C")


async def test_session_checks_are_signed(make_clients: MakeClients) -> None:
    async with serving(says(OK, {"errcode": 87009, "errmsg": "invalid signature"}, {"errcode": 40003})) as odd:
        client = client_of(make_clients, odd)
        assert await client.login.check_session(OPENID, "o0q0otL8aEzpcZL/FT9WsQ==") is True
        assert await client.login.check_session(OPENID, "o0q0otL8aEzpcZL/FT9WsQ==") is False
        with pytest.raises(WeChatError):
            await client.login.check_session(OPENID, "o0q0otL8aEzpcZL/FT9WsQ==")
    # The key is the text of the session_key, not its bytes: so signs Tencent's own example, whose message is
    # {"foo":"bar"} (miniprogram/dev/framework/server-ability, 用户登录态签名).
    assert dict(odd.seen[0].query) == {
        "openid": OPENID,
        "signature": "46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128",
        "sig_method": "hmac_sha256",
        "access_token": "T1",
    }
