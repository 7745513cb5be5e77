"""The surface as a whole: limits, odd requests, the committed document."""

import json
import re
from typing import Any

import pytest

from tests.api.conftest import DOCUMENT, NO_LIMITS, Mini
from tests.api.test_repetitions import HOME
from tests.contracts.repository import ROOT
from web.dispatch import Limits, Rate

SLOW = Rate(1, 3)


async def test_a_member_who_asks_too_much_waits_and_others_do_not(mini: Mini) -> None:
    phone, other = await mini.member(), await mini.member("小红")
    async with mini.limited(Limits(member=SLOW)) as address:
        phone.address = other.address = address
        assert [(await phone.get("/me")).status for _ in range(4)] == [200, 200, 200, 429]
        answer = await phone.get("/me")
        assert (answer.code, answer.headers["Retry-After"]) == ("too_many_requests", "1")
        assert (await other.get("/me")).status == 200
        mini.clock.advance(seconds=1)
        assert [(await phone.get("/me")).status for _ in range(2)] == [200, 429]


async def test_an_address_that_asks_too_much_waits(mini: Mini) -> None:
    phone = await mini.member()
    async with mini.limited(Limits(address=SLOW)) as address:
        phone.address = address
        assert [(await phone.get("/me", token="x")).status for _ in range(4)] == [401, 401, 401, 429]
        # Behind a proxy on this machine, the address is what the proxy says last.
        forwarded = {"X-Forwarded-For": "203.0.113.1, 203.0.113.9"}
        assert (await phone.get("/me", headers=forwarded)).status == 200
        # Of IPv6 a customer has a whole network: it counts as one.
        places = [{"X-Forwarded-For": f"2001:db8::{n}"} for n in range(4)]
        assert [(await phone.get("/me", headers=one)).status for one in places] == [200, 200, 200, 429]
        assert (await phone.get("/me", headers={"X-Forwarded-For": "2001:db8:0:1::1"})).status == 200
    async with mini.limited(Limits(public=SLOW)) as address:
        phone.address = address
        assert [(await phone.post("/sign-in", {"code": "x"})).status for _ in range(4)] == [422, 422, 422, 429]
        assert (await phone.get("/me")).status == 200


BIG = 2**63
ODD: list[Any] = [b"", b"{", b"[" * 60_000, b"null", b"[]", b"\xff\xfe", b'"x"', b'{"a":1}', b'{"code":"\\u0000"}']


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path.removeprefix("/api/mp/{appid}"), method.upper(), operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


@pytest.mark.parametrize(("path", "method", "operation"), operations(), ids=lambda value: str(value)[:30])
async def test_odd_requests_get_documented_answers(
    mini: Mini, path: str, method: str, operation: dict[str, Any]
) -> None:
    phone = await mini.member()
    documented = set(operation["responses"])
    bodies = ODD if method in {"POST", "PUT"} and "sign-out" not in path else [None]
    asked: list[tuple[str, Any]] = [(path.format_map(One()), body) for body in bodies]
    queries = (f"?limit={BIG}&before=-1", "?asset=%00&month=0000-13", "?nobody=1")
    asked += [(path.format_map(One()) + query, None) for query in queries]
    if "{" in path:
        asked += [(re.sub(r"{\w+}", number, path), None) for number in ("0", "-1", "x", str(BIG), "1e3", "%00")]
    async with mini.limited(NO_LIMITS) as phone.address:
        for target, body in asked:
            answer = await phone.call(method, target, body)
            assert str(answer.status) in documented, (method, target, body, answer)


class One(dict[str, str]):
    """Puts 1 for whatever stands in braces."""

    def __missing__(self, key: str) -> str:
        return "1"


@pytest.mark.parametrize("field", sorted(HOME))
@pytest.mark.parametrize("value", ["", "  ", "a\x00b", "\ud800", "长" * 129, None, 7, [], {}, "换\n行"])
async def test_the_field_that_is_wrong_is_named(mini: Mini, field: str, value: object) -> None:
    phone = await mini.member()
    answer = await phone.post("/addresses", HOME | {field: value})
    assert (answer.status, answer.body["field"]) == (422, field)


async def test_what_is_not_there_and_what_is_too_large(mini: Mini) -> None:
    phone = await mini.member()
    nowhere = await phone.get("/nowhere")
    assert (nowhere.status, nowhere.code, nowhere.body["title"]) == (404, "not_found", "没有找到")
    wrong = await phone.call("DELETE", "/tasks")
    assert (wrong.status, wrong.code, wrong.headers["Allow"]) == (405, "method_not_allowed", "GET")
    large = await phone.post("/addresses", b" " * (64 * 1024 + 1))
    assert (large.status, large.code) == (413, "too_large")
    assert len(nowhere.headers["X-Request-Id"]) == 16
    phone.appid = "wxnobody"
    assert (await phone.get("/me")).body["field"] == "appid"


async def test_the_document_is_shown_to_people(mini: Mini) -> None:
    async with mini.http.get(f"{mini.server.address}/api/mp/docs") as answer:
        text = await answer.text()
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert text.count("<summary><b>") == len(operations())
    assert re.findall(r"<script|src=|://", text) == []


def test_the_committed_document_is_the_codes() -> None:
    assert json.loads((ROOT / "docs/openapi/miniprogram.json").read_text()) == DOCUMENT


def test_every_reference_of_the_document_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert named <= set(DOCUMENT["components"]["schemas"])
    identifiers = [operation["operationId"] for _, _, operation in operations()]
    assert len(identifiers) == len(set(identifiers))
