"""What is not WeChat's, not fresh, not for us or not readable: a 4xx or `success`, counted, and nothing stored."""

import hashlib
import io
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs
from yarl import URL

from bot.normalise import MAX_BODY
from bot.refusals import Refusals
from bot.replies import TextReply
from kit.seal import Sealer
from simulator import wire
from tests.bot.desk import quick
from tests.bot.house import AES_KEY, SECRET_KEY, House, until
from tests.bot.metered import counted
from tests.bot.platform import Account

ANSWERS = quick(你好=TextReply("您好"))


async def nothing_happened(house: House, account: Account) -> bool:
    kept = await house.rows("SELECT 1 FROM malformed_push WHERE account_id = $1", account.id)
    return await house.events(account) == [] and kept == []


class TestVerification:
    """GET: WeChat asks whether this server knows the token."""

    async def test_the_echo_comes_back(self, house: House) -> None:
        account = await house.account()
        server = await house.server()
        query = {**account.signed(), "echostr": "4375120948345356249"}
        async with account.http.get(account.url(server), params=query) as response:
            assert (response.status, response.content_type) == (200, "text/plain")
            assert await response.text() == "4375120948345356249"

    async def test_an_echo_is_never_a_page(self, house: House) -> None:
        """The signature does not cover it."""
        account = await house.account()
        server = await house.server()
        query = {**account.signed(), "echostr": "<script>alert(1)</script>"}
        async with account.http.get(account.url(server), params=query) as response:
            assert (response.status, response.content_type) == (200, "text/plain")

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"signature": "0" * 40}, "bad_signature"),
            ({"signature": "é"}, "bad_signature"),
            ({"nonce": "another"}, "bad_signature"),
            ({"timestamp": "soon"}, "bad_timestamp"),
            ({"timestamp": "١٧٧٣٠٢٨٨٠٠"}, "bad_timestamp"),
            ({"echostr": ""}, "no_echostr"),
        ],
    )
    async def test_anything_else_is_refused(self, house: House, change: dict[str, str], reason: str) -> None:
        account = await house.account()
        server = await house.server()
        query = {**account.signed(), "echostr": "1", **change}
        async with (
            counted("fensi_push_refused_total", by=1, reason=reason),
            account.http.get(account.url(server), params=query) as response,
        ):
            assert (response.status, await response.text()) == (403, reason)


class TestRefused:
    """403: not proven, or not for us."""

    async def test_a_wrong_signature(self, house: House) -> None:
        account = await house.account()
        server = await house.server(ANSWERS)
        plain = account.render(account.text("oFan", "你好").body)
        sealed, body = account.envelope(plain)
        tampered = body.replace(sealed[:8].encode(), b"AAAAAAAA", 1)
        for sent, query in [
            (body, account.signed(sealed=sealed, token="guessed")),
            (body, {**account.signed(sealed=sealed), "msg_signature": "0" * 40}),
            (body, account.signed()),
            (tampered, account.signed(sealed=sealed)),
        ]:
            async with counted("fensi_push_refused_total", by=1, reason="bad_signature"):
                answer = await account.post(server, sent, query)
            assert (answer.status, answer.raw) == (403, b"bad_signature")
        assert await nothing_happened(house, account)

    @pytest.mark.parametrize("seconds", [-601, 601])
    async def test_a_time_that_is_not_now(self, house: House, seconds: int) -> None:
        account = await house.account()
        server = await house.server(ANSWERS)
        sealed, body = account.envelope(account.render(account.text("oFan", "你好").body))
        answer = await account.post(server, body, account.signed(sealed=sealed, at=account.now() + seconds))
        assert (answer.status, answer.raw) == (403, b"stale")
        nearly = seconds // abs(seconds) * 599
        answer = await account.post(server, body, account.signed(sealed=sealed, at=account.now() + nearly))
        assert answer.text == "您好"

    async def test_another_appid_inside(self, house: House) -> None:
        account = await house.account()
        server = await house.server(ANSWERS)
        sealed, body = account.envelope(account.render(account.text("oFan", "你好").body), appid="wxsomebodyelse")
        answer = await account.post(server, body, account.signed(sealed=sealed))
        assert (answer.status, answer.raw) == (403, b"appid")
        assert await nothing_happened(house, account)

    @pytest.mark.parametrize("mode", ["safe", "compatible"])
    async def test_clear_text_where_it_must_be_sealed(self, house: House, mode: str) -> None:
        account = await house.account(mode=mode)
        server = await house.server(ANSWERS)
        answer = await account.post(server, account.render(account.text("oFan", "你好").body), account.signed())
        assert (answer.status, answer.raw) == (403, b"not_encrypted")
        assert await nothing_happened(house, account)

    async def test_a_sealed_push_without_a_key_to_open_it(self, house: House) -> None:
        account = await house.account(mode="plain", aes_key=None)
        server = await house.server(ANSWERS)
        sealed = wire.encrypt(AES_KEY, account.appid, b"<xml></xml>", b"0" * 16)
        body = account.render({"ToUserName": "gh", "Encrypt": sealed})
        answer = await account.post(server, body, account.signed(sealed=sealed))
        assert (answer.status, answer.raw) == (403, b"no_key")

    async def test_the_clear_copy_of_compatible_mode_is_not_believed(self, house: House) -> None:
        account = await house.account(mode="compatible")
        server = await house.server(quick(真=TextReply("真"), 假=TextReply("假")))
        sealed, _ = account.envelope(account.render(account.text("oFan", "真").body))
        body = account.render({**account.text("oFan", "假").body, "Encrypt": sealed})
        assert (await account.post(server, body, account.signed(sealed=sealed))).text == "真"
        assert [payload["content"] for _, payload in await house.events(account)] == ["真"]


async def test_an_unknown_account_is_not_found(house: House) -> None:
    account = await house.account()
    server = await house.server(ANSWERS)
    for path in ("999999999", "0", "9" * 18, "9" * 19, "abc", "1.5", "-1", "", f"{account.id}/x"):
        async with account.http.post(f"{server.address}/wechat/{path}", data=b"x") as response:
            assert response.status == 404, path
            assert "Traceback" not in await response.text()


async def test_only_get_and_post(house: House) -> None:
    account = await house.account()
    server = await house.server(ANSWERS)
    for method in ("PUT", "DELETE", "PATCH", "HEAD"):
        async with account.http.request(method, account.url(server)) as response:
            assert response.status == 405


@pytest.mark.parametrize("size", [MAX_BODY + 1, 2 * MAX_BODY, 10 << 20])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_beyond_all_pushes_is_too_large(house: House, chunked: bool, size: int) -> None:
    account = await house.account()
    server = await house.server(ANSWERS)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 65536):
            yield b"x" * min(65536, size - start)

    body = pieces() if chunked else io.BytesIO(b"x" * size)
    async with (
        counted("fensi_push_refused_total", by=1, reason="too_large"),
        account.http.post(account.url(server), data=body, params=account.signed()) as response,
    ):
        assert (response.status, await response.text()) == (413, "too_large")
    assert (await account.text("oFan", "你好").to(server)).text == "您好"


@pytest.mark.parametrize(
    "body", [b'{"action":"CheckContainerPath"}', b"<xml><action>CheckContainerPath</action></xml>"]
)
async def test_the_probe_of_the_cloud_is_answered_unsigned(house: House, body: bytes) -> None:
    account = await house.account()
    server = await house.server(ANSWERS)
    answer = await account.post(server, body, {})
    assert (answer.status, answer.raw) == (200, b"success")
    assert await nothing_happened(house, account)


MALFORMED = [
    (b"", "empty"),
    (b"hello", "format"),
    (b"<xml><MsgType>text", "xml"),
    (b"<html></html>", "root"),
    (b"<xml><MsgType>text</MsgType></xml>", "field:FromUserName"),
    (b"<xml><FromUserName>oFan</FromUserName><CreateTime>1</CreateTime></xml>", "field:MsgType"),
    (b"\xff\xfe<xml></xml>", "utf8"),
    (b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>', "doctype"),
    (b'{"MsgType": "text",}', "json"),
    (b'["MsgType"]', "root"),
]


@pytest.mark.parametrize(("plain", "reason"), MALFORMED, ids=[reason for _, reason in MALFORMED])
@pytest.mark.parametrize("mode", ["plain", "safe"])
async def test_a_genuine_push_that_cannot_be_read_is_kept_sealed(
    house: House, plain: bytes, reason: str, mode: str
) -> None:
    account = await house.account(mode=mode)
    server = await house.server(ANSWERS)
    if mode == "safe":
        sealed, body = account.envelope(plain)
        query = account.signed(sealed=sealed)
    else:
        body, query = plain, account.signed()
    async with counted("fensi_push_refused_total", by=1, reason=reason.split(":", maxsplit=1)[0]):
        answer = await account.post(server, body, query)
    assert (answer.status, answer.raw) == (200, b"success")
    (kept,) = await house.rows("SELECT * FROM malformed_push WHERE account_id = $1", account.id)
    assert (kept["reason"], kept["received_at"]) == (reason, house.clock.now())
    assert Sealer(SECRET_KEY).open(kept["body_sealed"]) == body.decode("utf-8", "backslashreplace")
    assert await house.events(account) == []


@pytest.mark.parametrize(("plain", "reason"), MALFORMED, ids=[reason for _, reason in MALFORMED])
async def test_a_strangers_nonsense_is_a_bad_request(house: House, plain: bytes, reason: str) -> None:
    account = await house.account(mode="compatible")
    server = await house.server(ANSWERS)
    # "Encrypt" makes it worth reading before anything is proven.
    body = plain + b"<!-- Encrypt -->"
    query = {**account.signed(), "signature": hashlib.sha1(b"guess", usedforsecurity=False).hexdigest()}
    answer = await account.post(server, body, query)
    assert answer.status in {400, 403}
    assert len(answer.raw) < 40
    assert await nothing_happened(house, account)


async def test_a_malformed_push_of_a_stranger_is_named_and_forgotten(house: House) -> None:
    account = await house.account(mode="plain")
    server = await house.server(ANSWERS)
    answer = await account.post(server, b"<xml><Encrypt>", {**account.signed(), "signature": "0" * 40})
    assert (answer.status, answer.raw) == (400, b"xml")
    assert await nothing_happened(house, account)


class TestTelling:
    """What helps whoever looks for a refused push, and what the quick way of reading must not change."""

    async def test_every_refusal_has_an_id_of_its_own(self, house: House) -> None:
        account = await house.account()
        server = await house.server()
        ids = set()
        for _ in range(2):
            async with account.http.post(account.url(server), params={"signature": "no"}, data=b"x") as response:
                assert response.status == 403
                ids.add(response.headers["X-Request-Id"])
        assert len(ids) == 2
        assert all(len(each) == 16 for each in ids)

    async def test_the_log_has_the_id_that_was_handed_out(self, house: House) -> None:
        account = await house.account()
        server = await house.server()
        stranger = 999_999_999
        with capture_logs() as logs:
            ids = []
            for path, params in [
                (f"/wechat/{account.id}", {"signature": "no"}),
                (f"/wechat/{account.id}", {"signature": "no"}),
                (f"/wechat/{account.id}", {**account.signed(), "timestamp": "1"}),
                (f"/wechat/{stranger}", {}),
                (f"/wechat/{stranger + 1}", {}),
            ]:
                async with account.http.post(server.address + path, params=params, data=b"x") as response:
                    ids.append(response.headers["X-Request-Id"])
        told = [line for line in logs if line["event"] == "push refused"]
        assert [(line["account"], line["status"], line["reason"], line["request_id"]) for line in told] == [
            (account.id, 403, "bad_timestamp", ids[0]),
            (account.id, 403, "stale", ids[2]),
            (None, 404, "Not Found", ids[3]),
        ]
        assert {line["log_level"] for line in told} == {"warning"}

    async def test_a_flood_is_two_lines(self) -> None:
        refusals = Refusals(seconds=0.01)
        with capture_logs() as logs:
            for n in range(3):
                refusals.tell(7, 403, "stale", str(n))

            async def summed_up() -> bool:
                return len(logs) == 2

            await until(summed_up)
            refusals.tell(7, 403, "stale", "later")
        assert [(line["event"], line.get("request_id"), line.get("count")) for line in logs] == [
            ("push refused", "0", None),
            ("more pushes refused", None, 2),
            ("push refused", "later", None),
        ]

    async def test_an_escaped_query_is_read_as_well(self, house: House) -> None:
        account = await house.account()
        server = await house.server()
        query = {**account.signed(), "echostr": "a b+c%d"}
        async with account.http.get(account.url(server), params=query) as response:
            assert await response.text() == "a b+c%d"

    async def test_the_first_of_a_name_that_comes_twice_counts_either_way(self, house: House) -> None:
        account = await house.account()
        server = await house.server()
        right = "&".join(f"{name}={value}" for name, value in account.signed().items())
        for escaped in ("", "&x=%20"):
            url = URL(f"{account.url(server)}?{right}&echostr=1&echostr=2&signature=wrong{escaped}", encoded=True)
            async with account.http.get(url) as response:
                assert (response.status, await response.text()) == (200, "1")
