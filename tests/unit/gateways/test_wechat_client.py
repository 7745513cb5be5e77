"""How calls are written, how answers and silences are read, and what is repeated."""

import asyncio
import io
import json
import traceback
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateways.wechat import Ambiguous, Rejected, Unreachable, Unsupported, WeChatClient, WeChatError, policy
from gateways.wechat.apis import jssdk_signature
from gateways.wechat.errors import Action
from gateways.wechat.transport import API_HOST, MP_HOST, File, Transport
from kit.clock import ManualClock
from kit.delivery import Sender
from kit.guard import NetworkInTransactionError, no_network
from simulator.server import SimulatorServer
from simulator.world import Account, Thread
from tests.unit.gateways.conftest import (
    CUSTOM_SEND,
    STABLE_TOKEN,
    MakeClients,
    Naps,
    OddServer,
    Watching,
    hang_up,
    says,
    sender_of,
    serving,
)

SENDER = Sender(1, "service", "wx0123456789abcdef", "5ec3e7")
TEXT = {"msgtype": "text", "text": {"content": "你好，\U0001f9e7"}}
OPENID = "oABCDEFGHIJKLMNOPQRSTUVWXYZ0"
OK = {"errcode": 0, "errmsg": "ok"}


def client_of(make_clients: MakeClients, odd: OddServer, **options: Any) -> WeChatClient:
    return make_clients(odd.url, **options).for_account(SENDER)


class TestWriting:
    async def test_chinese_stays_chinese(self, make_clients: MakeClients) -> None:
        async with serving(says(OK)) as odd:
            client = client_of(make_clients, odd)
            await client.kf.send(OPENID, TEXT, kf_account="客服@brand", ai=True)
            await client.message.send_text(OPENID, "你好")
        assert b"\\u" not in odd.bodies[0] + odd.bodies[1]
        assert json.loads(odd.bodies[0]) == {
            **TEXT,
            "touser": OPENID,
            "customservice": {"kf_account": "客服@brand"},
            "aimsgcontext": {"is_ai_msg": 1},
        }
        assert "你好".encode() in odd.bodies[1]
        assert [request.content_type for request in odd.seen] == ["application/json"] * 2
        assert [dict(request.query) for request in odd.seen] == [{"access_token": "T1"}] * 2

    async def test_addresses_of_every_host_prefix_go_to_the_base_url(self, make_clients: MakeClients) -> None:
        async with serving(says({**OK, "list": []})) as odd:
            client = client_of(make_clients, odd)
            await client.menu.get()
            await client.customservice.get_wait_case()
            await client.datacube.get_user_summary("2026-03-01", "2026-03-02")
            await client.semantic.search("查一下明天的机票", "flight", city="北京")
            await client.wxa.get_audit_status(7)
        assert odd.paths == [
            "/cgi-bin/menu/get",
            "/customservice/kfsession/getwaitcase",
            "/datacube/getusersummary",
            "/semantic/semproxy/search",
            "/wxa/get_auditstatus",
        ]

    async def test_parameters_that_are_none_are_not_sent_and_truth_is_written_as_json_does(
        self, make_clients: MakeClients
    ) -> None:
        async with serving(says({**OK, "unionid": "u"})) as odd:
            client = client_of(make_clients, odd)
            assert await client.wxa.get_paid_unionid(OPENID, transaction_id="4200") == "u"
            await client.api("GET", "/cgi-bin/x", params={"a": True, "b": None, "c": [1, 2], "d": "中 文&"})
        assert dict(odd.seen[0].query) == {"openid": OPENID, "transaction_id": "4200", "access_token": "T1"}
        assert list(odd.seen[1].query.items()) == [
            ("a", "true"), ("c", "1"), ("c", "2"), ("d", "中 文&"), ("access_token", "T1"),
        ]  # fmt: skip

    async def test_sns_needs_no_token(self, make_clients: MakeClients) -> None:
        async with serving(says({"openid": OPENID, "session_key": "k"})) as odd:
            client = client_of(make_clients, odd)
            assert await client.login.code2session("C") == {"openid": OPENID, "session_key": "k"}
            await client.wxa.code_to_session("C")
        expected = {"appid": SENDER.appid, "secret": "5ec3e7", "js_code": "C", "grant_type": "authorization_code"}
        assert [dict(request.query) for request in odd.seen] == [expected, expected]
        assert odd.tokens_given == 0

    async def test_uploads_survive_a_replay_whole(self, make_clients: MakeClients, tmp_path: Path) -> None:
        parts: list[list[tuple[str, str, Any]]] = []
        answers = [{"errcode": 40001, "errmsg": "token"}, {"media_id": "m1"}]

        async def receive(request: web.Request) -> web.StreamResponse:
            form = await request.post()
            parts.append([
                (name, part.filename, part.file.read()) if isinstance(part, web.FileField) else (name, "", part)
                for name, part in form.items()
            ])  # fmt: skip
            return web.json_response(answers.pop(0) if len(answers) > 1 else answers[0])

        picture = tmp_path / "图.jpg"
        picture.write_bytes(b"\xff\xd8picture")
        async with serving(receive) as odd:
            client = client_of(make_clients, odd)
            with picture.open("rb") as file:
                assert await client.media.upload("image", file) == {"media_id": "m1"}
            await client.media.upload("voice", ("a.mp3", io.BytesIO(b"sound"), "audio/mpeg"))
            await client.wxa.ocr_biz_license(filename="l.png", file_bytes=b"png", mime_type="image/png")
            await client.material.add("video", File("v.mp4", b"film"), title="片名", introduction="简介")
            await client.media.upload("thumb", b"bytes")
        assert parts[:2] == [[("media", "图.jpg", b"\xff\xd8picture")]] * 2
        assert [request.query["access_token"] for request in odd.seen[:2]] == ["T1", "T2"]
        assert parts[2] == [("media", "a.mp3", b"sound")]
        assert parts[3] == [("img", "l.png", b"png")]
        assert parts[4] == [
            ("description", "", json.dumps({"title": "片名", "introduction": "简介"}, ensure_ascii=False)),
            ("media", "v.mp4", b"film"),
        ]
        assert parts[5] == [("media", "media", b"bytes")]

    async def test_an_upload_that_is_no_file_names_its_field(self, make_clients: MakeClients) -> None:
        async with serving(says(OK)) as odd:
            with pytest.raises(TypeError, match=r"^media: expected bytes or a binary file, got str"):
                await client_of(make_clients, odd).media.upload("image", ("a.jpg", "text"))
        assert odd.paths == []


class TestReading:
    async def test_files_are_bytes_and_their_errors_are_errors(self, make_clients: MakeClients) -> None:
        async with serving(says(b"\x89PNG\r\n", {"errcode": 41030, "errmsg": "invalid page rid: 5f1b-77aa-1"})) as odd:
            client = client_of(make_clients, odd)
            assert await client.links.code_unlimited("a=1", "pages/index", check_path=False) == b"\x89PNG\r\n"
            with pytest.raises(WeChatError) as caught:
                await client.wxa.get_wxa_code_unlimited("a=1")
        assert json.loads(odd.bodies[0]) == {"scene": "a=1", "page": "pages/index", "check_path": False}
        assert (caught.value.errcode, caught.value.rid) == (41030, "5f1b-77aa-1")

    async def test_json_that_calls_itself_text_is_json(self, make_clients: MakeClients) -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(text='{"errcode": "0", "tags": [{"name": "星标\n组"}]}', content_type="text/plain")

        async with serving(answer) as odd:
            assert (await client_of(make_clients, odd).tag.get())[0] == {"name": "星标\n组"}

    async def test_openids_do_not_reach_the_text_of_errors(self, make_clients: MakeClients) -> None:
        async with serving(says({"errcode": 40003, "errmsg": f"invalid openid hint: [{OPENID}]"})) as odd:
            with pytest.raises(WeChatError) as caught:
                await client_of(make_clients, odd).kf.send(OPENID, TEXT)
        assert str(caught.value) == "errcode 40003: invalid openid hint: [(openid)]"

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (200, b"<html>login</html>", Ambiguous),
            (200, b"", Ambiguous),
            (200, b'{"errcode": 0', Ambiguous),
            (200, b'{"errcode": "x"}', Ambiguous),
            (302, b"", Rejected),
            (404, b"{}", Rejected),
            (502, b'{"errcode": 0}', Ambiguous),
        ],
    )
    async def test_answers_that_are_none(
        self, make_clients: MakeClients, status: int, body: bytes, kind: type[Exception]
    ) -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=body, headers={"Location": "/elsewhere"} if status == 302 else {})

        async with serving(answer) as odd:
            with pytest.raises(kind):
                await client_of(make_clients, odd).kf.send(OPENID, TEXT)
        assert odd.paths == [CUSTOM_SEND]

    async def test_a_missing_field_is_ambiguous_and_named(self, make_clients: MakeClients) -> None:
        async with serving(says(OK)) as odd:
            with pytest.raises(Ambiguous, match=r"/cgi-bin/getcallbackip: the answer lacks 'ip_list'"):
                await client_of(make_clients, odd).misc.get_wechat_ips()


class TestTrouble:
    async def test_a_send_whose_answer_is_lost_is_ambiguous_and_not_repeated(
        self, make_clients: MakeClients, naps: Naps
    ) -> None:
        async with serving(hang_up) as odd:
            with pytest.raises(Ambiguous):
                await client_of(make_clients, odd).kf.send(OPENID, TEXT)
        assert (odd.paths, naps.taken) == ([CUSTOM_SEND], [])

    async def test_a_send_without_answer_in_time_is_ambiguous_and_not_repeated(
        self, make_clients: MakeClients, naps: Naps
    ) -> None:
        release = asyncio.Event()

        async def wait(_: web.Request) -> web.StreamResponse:
            await release.wait()
            return web.json_response(OK)

        async with serving(wait) as odd:
            client = client_of(make_clients, odd)
            with pytest.raises(Ambiguous):
                await client.api("POST", CUSTOM_SEND, data=TEXT, within=0.05)
            release.set()
        assert (odd.paths, naps.taken) == ([CUSTOM_SEND], [])

    async def test_no_connection_means_surely_not_sent(self, make_clients: MakeClients, unused_tcp_port: int) -> None:
        client = make_clients(f"http://127.0.0.1:{unused_tcp_port}").for_account(SENDER)
        with pytest.raises(Unreachable):
            await client.kf.send(OPENID, TEXT)

    async def test_no_connection_in_time_means_surely_not_sent_and_shows_no_token(
        self, make_clients: MakeClients
    ) -> None:
        arrived, release = asyncio.Event(), asyncio.Event()

        async def wait(_: web.Request) -> web.StreamResponse:
            arrived.set()
            await release.wait()
            return web.json_response(OK)

        async with serving(wait) as odd:
            client = client_of(make_clients, odd, connections=1, connect=0.1)
            assert await client.token() == "T1"
            busy = asyncio.create_task(client.kf.send(OPENID, TEXT))
            await arrived.wait()
            with pytest.raises(Unreachable) as caught:  # waits for the only connection in vain
                await client.kf.send(OPENID, TEXT)
            release.set()
            await busy
        assert odd.paths == [CUSTOM_SEND]
        told = "".join(traceback.format_exception(caught.value))
        assert "access_token" not in told
        assert caught.value.__context__ is None

    async def test_reads_are_repeated_after_passing_trouble(self, make_clients: MakeClients, naps: Naps) -> None:
        busy = {"errcode": -1, "errmsg": "system error"}
        watching = Watching()
        async with serving(says(busy, busy, {"menu": {}})) as odd:
            assert await client_of(make_clients, odd, observer=watching).menu.get() == {"menu": {}}
        assert naps.taken == [0.2, 0.8]
        assert watching.calls == [
            (1, STABLE_TOKEN, "ok"),
            (1, "/cgi-bin/menu/get", "-1"),
            (1, "/cgi-bin/menu/get", "-1"),
            (1, "/cgi-bin/menu/get", "ok"),
        ]

    async def test_reads_give_up_in_the_end(self, make_clients: MakeClients, naps: Naps) -> None:
        watching = Watching()
        async with serving(hang_up) as odd:
            with pytest.raises(Ambiguous):
                await client_of(make_clients, odd, observer=watching).user.get_batch([OPENID])
        assert (len(odd.paths), naps.taken) == (3, [0.2, 0.8])
        assert watching.calls[1:] == [(1, "/cgi-bin/user/info/batchget", "ambiguous")] * 3

    @pytest.mark.parametrize("errcode", [-1, 45009])
    async def test_sends_are_not_repeated_and_neither_are_reads_that_were_refused(
        self, make_clients: MakeClients, naps: Naps, errcode: int
    ) -> None:
        async with serving(says({"errcode": errcode, "errmsg": "no"})) as odd:
            client = client_of(make_clients, odd)
            with pytest.raises(WeChatError):
                await client.kf.send(OPENID, TEXT)
            with pytest.raises(WeChatError):
                await client.menu.delete()
            with pytest.raises(WeChatError):
                await (client.menu.get() if errcode != -1 else client.qrcode.create({}))
        assert (len(odd.paths), naps.taken) == (3, [])

    async def test_the_time_for_repeating_is_limited(self, make_clients: MakeClients, clock: ManualClock) -> None:
        async def slowly(_: web.Request) -> web.StreamResponse:
            clock.advance(seconds=14.9)
            return web.json_response({"errcode": -1})

        async with serving(slowly) as odd:
            with pytest.raises(WeChatError):
                await client_of(make_clients, odd).menu.get()
        assert len(odd.paths) == 1

    async def test_a_rejected_token_is_replaced_once(self, make_clients: MakeClients) -> None:
        async with serving(says({"errcode": 42001, "errmsg": "expired"})) as odd:
            with pytest.raises(WeChatError):
                await client_of(make_clients, odd).kf.send(OPENID, TEXT)
        assert [request.query["access_token"] for request in odd.seen] == ["T1", "T2"]


class TestRefusals:
    @pytest.mark.parametrize(
        "path", ["/cgi-bin/" + "clear_quota", "/cgi-bin/" + "clear_quota/v2", "/cgi-bin/openapi/quota/clear"]
    )
    async def test_quotas_are_never_zeroed(self, make_clients: MakeClients, path: str) -> None:
        async with serving(says(OK)) as odd:
            with pytest.raises(Unsupported):
                await client_of(make_clients, odd).api("POST", path, data={})
        assert (odd.paths, odd.tokens_given) == ([], 0)

    async def test_the_token_goes_to_nobody_else(self, make_clients: MakeClients) -> None:
        async with serving(says(OK)) as odd:
            client = client_of(make_clients, odd)
            for url in ("https://example.com/cgi-bin/menu/get", "http://api.weixin.qq.com/cgi-bin/menu/get"):
                with pytest.raises(Unsupported):
                    await client.get(url)
        assert odd.tokens_given == 0

    async def test_what_is_synchronous_in_wechatpy_is_refused(self, make_clients: MakeClients) -> None:
        client = make_clients("http://127.0.0.1:1").for_account(SENDER)
        with pytest.raises(Unsupported):
            _ = client.access_token
        with pytest.raises(Unsupported):
            _ = client.session
        with pytest.raises(Unsupported):
            client.fetch_access_token()

    async def test_never_called_inside_a_transaction(self, make_clients: MakeClients) -> None:
        async with serving(says(OK)) as odd:
            client = client_of(make_clients, odd)
            with no_network(), pytest.raises(NetworkInTransactionError):
                await client.kf.send(OPENID, TEXT)
        assert odd.tokens_given == 0


class TestReplacements:
    async def test_followers_and_tagged_fans_come_one_by_one(self, make_clients: MakeClients) -> None:
        def page(openids: list[str], after: str) -> dict[str, Any]:
            return {"count": len(openids), "data": {"openid": openids}, "next_openid": after}

        end = {"count": 0, "next_openid": "b"}
        async with serving(says(page(["a", "b"], "b"), end, page(["c"], "c"), page([], ""))) as odd:
            client = client_of(make_clients, odd)
            assert [openid async for openid in client.user.iter_followers()] == ["a", "b"]
            assert [openid async for openid in client.tag.iter_tag_users(100)] == ["c"]
        assert [request.query.get("next_openid") for request in odd.seen[:2]] == [None, "b"]
        assert json.loads(odd.bodies[3]) == {"tagid": 100, "next_openid": "c"}

    async def test_followers_of_the_simulated_account(
        self, wechat: SimulatorServer, account: Account, fan: Thread, make_clients: MakeClients
    ) -> None:
        client = make_clients(wechat.url).for_account(sender_of(account))
        assert [openid async for openid in client.user.iter_followers()] == [fan.openid]

    async def test_qr_code_from_ticket_to_picture(
        self, wechat: SimulatorServer, account: Account, make_clients: MakeClients
    ) -> None:
        client = make_clients(wechat.url).for_account(sender_of(account))
        code = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": "门店-1"}}}
        made = await client.qrcode.create(code)
        assert (await client.qrcode.show(made)).startswith(b"\x89PNG")
        async with aiohttp.ClientSession() as browser, browser.get(client.qrcode.get_url(made)) as response:
            assert response.status == 200

    async def test_page_configuration_is_signed(self, make_clients: MakeClients) -> None:
        vector = Path(__file__).parents[4] / "shared/vectors/official/jssdk_signature.json"
        if not vector.exists():
            pytest.skip("the vectors are not here")
        v = json.loads(vector.read_text())
        async with serving(says({"ticket": v["jsapi_ticket"], "expires_in": 7200})) as odd:
            client = client_of(make_clients, odd)
            made = await client.jsapi.page_config(v["url"] + "#top", v["noncestr"], v["timestamp"])
        assert made == {
            "appId": SENDER.appid,
            "timestamp": v["timestamp"],
            "nonceStr": v["noncestr"],
            "signature": v["signature"],
        }
        assert jssdk_signature(v["jsapi_ticket"], v["noncestr"], v["timestamp"], v["url"]) == v["signature"]


def test_hosts() -> None:
    session: Any = None
    assert Transport(session).mp_base_url == MP_HOST
    assert Transport(session, "http://127.0.0.1:9/").base_url == "http://127.0.0.1:9"
    assert Transport(session, "http://127.0.0.1:9/").mp_base_url == "http://127.0.0.1:9"
    assert Transport(session, API_HOST, "http://127.0.0.1:9").mp_base_url == "http://127.0.0.1:9"


async def test_a_client_is_kept_until_its_secret_changes(make_clients: MakeClients) -> None:
    clients = make_clients("http://127.0.0.1:1")
    first = clients.for_account(SENDER)
    assert clients.for_account(Sender(1, "service", SENDER.appid, SENDER.secret)) is first
    changed = clients.for_account(Sender(1, "service", SENDER.appid, "another"))
    assert changed is not first
    assert clients.for_account(Sender(2, "service", "wx2", "another")) is not changed


def test_every_errcode_has_one_action() -> None:
    assert policy(45015) is Action.WINDOW_CLOSED
    assert policy(45009) is Action.QUOTA_DAY
    assert policy(99999) is Action.FATAL
