"""The callback's envelope: what is proven is opened, everything else refused in the right order."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.crypto import Cipher
from bot.envelope import Envelope, Opened, is_probe
from bot.errors import CodecError, MalformedPush, Refused
from bot.messages import TextMessage
from bot.normalise import parse_body
from bot.replies import TextReply, render
from bot.signature import sign, verify
from tests.unit.bot.conftest import NOW, Account
from tests.unit.bot.pushes import EVENTS, MESSAGES, xml_message

TEXT = MESSAGES["text"]
JSON_TEXT = json.dumps(parse_body(TEXT)).encode()


def content(opened: Opened) -> str:
    assert isinstance(opened.message, TextMessage)
    return opened.message.content


def refusal(envelope: Envelope, body: bytes, query: Mapping[str, str], now: int = NOW) -> tuple[type[CodecError], str]:
    with pytest.raises(CodecError) as refused:
        envelope.open(body, query, now)
    return type(refused.value), refused.value.reason


@pytest.mark.parametrize("fmt", ["xml", "json"])
@pytest.mark.parametrize("mode", ["safe", "compatible"])
def test_safe_push_and_its_sealed_answer(account: Account, mode: Any, fmt: Literal["xml", "json"]) -> None:
    envelope = account.envelope(mode)
    body, query = account.safe_push(TEXT if fmt == "xml" else JSON_TEXT, fmt)

    opened = envelope.open(body, query, NOW)
    sealed = parse_body(envelope.seal(render(TextReply("好"), opened.message, NOW, opened.fmt), opened, NOW + 1))

    assert (opened.encrypted, opened.fmt, opened.nonce) == (True, fmt, "1320562132")
    assert content(opened) == "  你好 <b>&amp;😀  "
    assert (sealed["TimeStamp"], sealed["Nonce"]) == (str(NOW + 1), "1320562132")
    assert verify(sealed["MsgSignature"], account.token, str(NOW + 1), "1320562132", sealed["Encrypt"])
    answer = parse_body(Cipher(account.key, account.appid).decrypt(sealed["Encrypt"]))
    assert (answer["ToUserName"], answer["Content"]) == ("oFan", "好")


def test_json_seal_has_the_documented_types(account: Account) -> None:
    envelope = account.envelope()
    opened = envelope.open(*account.safe_push(JSON_TEXT, "json"), NOW)
    sealed = json.loads(envelope.seal(b"{}", opened, NOW))
    assert {name: type(value) for name, value in sealed.items()} == {
        "Encrypt": str,
        "MsgSignature": str,
        "TimeStamp": int,
        "Nonce": str,
    }


@pytest.mark.parametrize("body", [TEXT, JSON_TEXT])
def test_plain_push_and_its_clear_answer(account: Account, body: bytes) -> None:
    envelope = account.envelope("plain")
    opened = envelope.open(body, account.query(), NOW)
    assert (opened.encrypted, opened.message.openid) == (False, "oFan")
    assert envelope.seal(b"<xml/>", opened, NOW) == b"<xml/>"


@pytest.mark.parametrize("rendered", [b"", b"success"])
def test_success_and_silence_stay_clear(account: Account, rendered: bytes) -> None:
    envelope = account.envelope()
    opened = envelope.open(*account.safe_push(TEXT), NOW)
    assert envelope.seal(rendered, opened, NOW) == rendered


def test_compatible_mode_never_looks_at_the_clear_copy(account: Account) -> None:
    encrypted = Cipher(account.key, account.appid).encrypt(TEXT)
    forged = xml_message("text", f"<Content>forged</Content><Encrypt>{encrypted}</Encrypt>")
    opened = account.envelope("compatible").open(forged, account.query(encrypted), NOW)
    assert opened.encrypted
    assert content(opened) == "  你好 <b>&amp;😀  "


def test_a_fan_writing_about_encrypt_is_served(account: Account) -> None:
    tricks = "<Encrypt><![CDATA[AAAA]]]]><![CDATA[></Encrypt>"
    clear = f"<Content><![CDATA[{tricks}]]></Content>"
    assert content(account.envelope("plain").open(xml_message("text", clear), account.query(), NOW)) == (
        "<Encrypt><![CDATA[AAAA]]></Encrypt>"
    )
    encrypted = Cipher(account.key, account.appid).encrypt(TEXT)
    both = xml_message("text", f"{clear}<Encrypt><![CDATA[{encrypted}]]></Encrypt>")
    opened = account.envelope("compatible").open(both, account.query(encrypted), NOW)
    assert content(opened) == "  你好 <b>&amp;😀  "


def test_switching_an_account_over_loses_no_push(account: Account) -> None:
    envelope = Envelope(account.appid, account.token, account.key, "plain")
    assert not envelope.open(TEXT, account.query(), NOW).encrypted
    assert envelope.open(*account.safe_push(TEXT), NOW).encrypted


@pytest.mark.parametrize("mode", ["safe", "compatible"])
def test_nothing_is_taken_in_clear(account: Account, mode: Any) -> None:
    """Its signature covers no body: with one query that was overheard, any push could be forged."""
    envelope = account.envelope(mode)
    assert refusal(envelope, TEXT, account.query()) == (Refused, "not_encrypted")
    encrypted = Cipher(account.key, account.appid).encrypt(TEXT)
    overheard = account.query(encrypted) | account.query()
    assert refusal(envelope, TEXT, overheard) == (Refused, "not_encrypted")
    assert refusal(envelope, account.wrap(""), overheard) == (Refused, "not_encrypted")


def test_a_push_that_says_it_is_encrypted_has_to_be(account: Account) -> None:
    aes_without_cipher = account.query() | {"encrypt_type": "aes"}
    assert refusal(account.envelope("plain"), TEXT, aes_without_cipher) == (Refused, "not_encrypted")
    empty = account.wrap("")
    assert refusal(account.envelope(), empty, account.query("")) == (Refused, "not_encrypted")


def test_without_a_key_nothing_is_decrypted(account: Account) -> None:
    assert refusal(account.envelope("plain"), *account.safe_push(TEXT)) == (Refused, "no_key")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"msg_signature": "0" * 40}, "bad_signature"),
        ({"msg_signature": "签名"}, "bad_signature"),
        ({"msg_signature": "\ud800"}, "bad_signature"),
        ({"msg_signature": ""}, "bad_signature"),
        ({"nonce": "other"}, "bad_signature"),
        ({"nonce": "\ud800"}, "bad_signature"),
        ({"timestamp": str(NOW + 1)}, "bad_signature"),
        ({"timestamp": ""}, "bad_timestamp"),
        ({"timestamp": "\u0661\u0662"}, "bad_timestamp"),
        ({"timestamp": "-5"}, "bad_timestamp"),
        ({"timestamp": "9" * 5000}, "bad_timestamp"),
        ({"timestamp": str(NOW) + ".0"}, "bad_timestamp"),
        ({"timestamp": "0"}, "stale"),
    ],
)
def test_a_wrong_query_is_refused(account: Account, change: dict[str, str], reason: str) -> None:
    body, query = account.safe_push(TEXT)
    assert refusal(account.envelope(), body, query | change) == (Refused, reason)
    plain = {("signature" if name == "msg_signature" else name): value for name, value in change.items()}
    assert refusal(account.envelope("plain"), TEXT, account.query() | plain) == (Refused, reason)


@pytest.mark.parametrize("missing", ["timestamp", "nonce", "msg_signature"])
def test_a_missing_parameter_is_refused(account: Account, missing: str) -> None:
    body, query = account.safe_push(TEXT)
    del query[missing]
    assert refusal(account.envelope(), body, query)[0] is Refused


def test_the_plain_signature_does_not_open_a_safe_push(account: Account) -> None:
    body, query = account.safe_push(TEXT)
    assert refusal(account.envelope(), body, query | {"msg_signature": query["signature"]}) == (
        Refused,
        "bad_signature",
    )


def test_another_ciphertext_under_a_seen_signature_is_refused(account: Account) -> None:
    _, query = account.safe_push(TEXT)
    other, _ = account.safe_push(TEXT)
    assert refusal(account.envelope(), other, query) == (Refused, "bad_signature")


@pytest.mark.parametrize(("offset", "taken"), [(-600, True), (600, True), (-601, False), (601, False)])
def test_the_window_is_exact(account: Account, offset: int, taken: bool) -> None:
    body, query = account.safe_push(TEXT, at=NOW + offset)
    if taken:
        assert account.envelope().open(body, query, NOW).encrypted
    else:
        assert refusal(account.envelope(), body, query) == (Refused, "stale")


def test_another_accounts_push_is_refused(account: Account) -> None:
    assert refusal(account.envelope(), *account.safe_push(TEXT, appid="wx0000000000000000")) == (Refused, "appid")


@pytest.mark.parametrize(
    ("encrypted", "reason"),
    [
        ("AAAA", "decrypt:block"),
        ("A" * 43 + "=", "decrypt:padding"),
        ("AAA", "decrypt:base64"),
        ("密", "decrypt:base64"),
    ],
)
def test_a_signed_but_broken_ciphertext_is_malformed(account: Account, encrypted: str, reason: str) -> None:
    for fmt in ("xml", "json"):
        body = account.wrap(encrypted, fmt)
        assert refusal(account.envelope(), body, account.query(encrypted)) == (MalformedPush, reason)


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        (b"", "empty"),
        (b"<xml>", "xml"),
        (b"<xml/>", "field:MsgType"),
        (b'{"MsgType": "text"}', "field:FromUserName"),
        (b"\xff", "utf8"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>', "doctype"),
    ],
)
def test_a_proven_push_that_cannot_be_read_is_malformed(account: Account, plain: bytes, reason: str) -> None:
    assert refusal(account.envelope(), *account.safe_push(plain)) == (MalformedPush, reason)
    assert refusal(account.envelope("plain"), plain, account.query()) == (MalformedPush, reason)


def test_an_unsigned_body_is_not_even_parsed(account: Account) -> None:
    query = account.query() | {"signature": "0" * 40}
    assert refusal(account.envelope("plain"), b"<xml>", query) == (Refused, "bad_signature")
    assert refusal(account.envelope(), b"x" * 10_000_000, query) == (MalformedPush, "too_large")


def test_url_verification(account: Account) -> None:
    query = account.query() | {"echostr": "4375120948345356249"}
    envelope = account.envelope()
    assert envelope.verify_url(query, NOW) == "4375120948345356249"
    for change, reason in (
        ({"signature": "0" * 40}, "bad_signature"),
        ({"echostr": ""}, "no_echostr"),
        ({"timestamp": str(NOW - 601)}, "stale"),
        ({"timestamp": "now"}, "bad_timestamp"),
    ):
        with pytest.raises(Refused) as refused:
            envelope.verify_url(query | change, NOW)
        assert refused.value.reason == reason


def test_a_nonce_cannot_break_out_of_the_answer(account: Account) -> None:
    nonce = "]]><Encrypt>x</Encrypt>"
    envelope = account.envelope()
    encrypted = Cipher(account.key, account.appid).encrypt(TEXT)
    opened = envelope.open(account.wrap(encrypted), account.query(encrypted, nonce=nonce), NOW)
    sealed = parse_body(envelope.seal(b"<xml/>", opened, NOW))
    assert sealed["Nonce"] == nonce
    assert verify(sealed["MsgSignature"], account.token, str(NOW), nonce, sealed["Encrypt"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wx", "", None, "plain"), r"^token: "),
        (("wx", "t", None, "safe"), r"^encoding_aes_key: mode safe needs one"),
        (("wx", "t", "", "compatible"), r"^encoding_aes_key: mode compatible needs one"),
        (("wx", "t", "short", "safe"), r"^encoding_aes_key: must be 43"),
        (("wx", "t", "short", "plain"), r"^encoding_aes_key: must be 43"),
    ],
)
def test_a_wrong_account_names_its_field(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Envelope(*arguments)


def test_repr_shows_no_secret(account: Account) -> None:
    shown = repr(account.envelope())
    assert account.token not in shown
    assert account.key not in shown


@pytest.mark.parametrize(
    ("body", "probe"),
    [
        (b'{"action":"CheckContainerPath"}', True),
        (b"<xml><action>CheckContainerPath</action></xml>", True),
        (b"<xml>\n<action><![CDATA[CheckContainerPath]]></action>\n</xml>", True),
        (b'{"action":"CheckContainerPath","MsgType":"text"}', False),
        (b"CheckContainerPath", False),
        (b"\xffCheckContainerPath", False),
        (b'{"action":"CheckContainerPath"}' + b" " * 300, False),
        (b"", False),
        (TEXT, False),
    ],
)
def test_the_probe_is_known(body: bytes, probe: bool) -> None:
    assert is_probe(body) is probe


queries = st.dictionaries(
    st.sampled_from(["timestamp", "nonce", "signature", "msg_signature", "encrypt_type", "openid"]),
    st.text(st.characters(exclude_categories=())) | st.just(str(NOW)) | st.just("aes"),
)
bodies = (
    st.binary(max_size=200)
    | st.binary(max_size=60).map(lambda raw: b"<xml><Encrypt>" + raw + b"</Encrypt></xml>")
    | st.binary(max_size=60).map(lambda raw: b'{"Encrypt": "' + raw + b'"}')
    | st.text("<>/&;![]{}\":,xmlEncrypt?-CDATA \n'=", max_size=120).map(str.encode)
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A true push with a piece cut out and another put in."""
    body = draw(st.sampled_from([*MESSAGES.values(), *EVENTS.values(), JSON_TEXT]))
    start = draw(st.integers(0, len(body)))
    length = draw(st.integers(0, 8))
    return body[:start] + draw(st.binary(max_size=8)) + body[start + length :]


@given(damaged(), st.booleans())
@settings(max_examples=300)
def test_a_damaged_push_is_opened_or_malformed(body: bytes, inside: bool) -> None:
    account = Account()
    query = account.query()
    if inside:
        body, query = account.safe_push(body)
    with contextlib.suppress(MalformedPush):
        opened = account.envelope("safe" if inside else "plain").open(body, query, NOW)
        assert 0 < len(opened.message.dedupe_key) <= 200
        json.dumps(opened.message.fields, ensure_ascii=False).encode()


@given(bodies, queries, st.sampled_from(["plain", "compatible", "safe"]))
@settings(max_examples=300)
def test_anything_at_all_is_opened_or_refused(body: bytes, query: dict[str, str], mode: Any) -> None:
    with pytest.raises(CodecError):
        Account().envelope(mode).open(body, query, NOW)


@given(bodies, st.sampled_from(["plain", "compatible", "safe"]), st.booleans())
@settings(max_examples=300)
def test_anything_at_all_from_wechat_itself_is_opened_or_malformed(body: bytes, mode: Any, inside: bool) -> None:
    account = Account()
    query = account.query()
    if inside:
        body, query = account.safe_push(body)
    with pytest.raises(CodecError):
        account.envelope(mode).open(body, query, NOW)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))), st.text(min_size=1, max_size=20))
def test_round_trip_of_any_text(content_sent: str, nonce: str) -> None:
    account = Account()
    plain = json.dumps({"MsgType": "text", "FromUserName": "o", "CreateTime": 1, "Content": content_sent}).encode()
    encrypted = Cipher(account.key, account.appid).encrypt(plain)
    query = {"timestamp": str(NOW), "nonce": nonce, "msg_signature": sign(account.token, str(NOW), nonce, encrypted)}
    opened = account.envelope().open(account.wrap(encrypted), query, NOW)
    assert content(opened) == content_sent
