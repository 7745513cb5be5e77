"""Every route of the console, tried by everybody: nobody, each role, a role without anything, a first password."""

import asyncio
import json
import re
from typing import Any

import pytest

import console
from console.surface import SELF, SURFACE
from scrm.staff.permissions import BUILT_IN, KNOWN
from tests.console.conftest import PASSWORD, Browser, Office
from tests.contracts.repository import ROOT
from web.endpoints import Endpoint, Surface

DOCUMENT = console.document()
# What says of a text that it is a choice, a date or in a form of ours.
MACHINES = {"enum", "const", "pattern", "format"}
ENDPOINTS = sorted(SURFACE.endpoints, key=lambda one: (one.path, one.method))


async def tried(browser: Browser, endpoint: Endpoint) -> Any:
    """Ask for what is not there, with an empty body: whoever may, changes nothing by it."""
    path = re.sub(r"{\w+}", "999999", endpoint.path)
    return await browser.call(endpoint.method, path, {} if endpoint.body is not None else None)


def documented(endpoint: Endpoint) -> set[int]:
    operation = DOCUMENT["paths"][SURFACE.prefix + endpoint.path][endpoint.method.lower()]
    return {int(status) for status in operation["responses"]}


def test_there_are_routes_to_try() -> None:
    assert len(ENDPOINTS) >= 20
    assert {one.permission for one in ENDPOINTS if not one.public} >= {SELF, "staff.manage", "audit.read"}


def test_the_only_public_routes_are_signing_in_and_whether_one_is() -> None:
    assert [(one.method, one.path) for one in ENDPOINTS if one.public] == [("GET", "/session"), ("POST", "/sign-in")]


def test_every_route_says_who_may_use_it() -> None:
    assert {one.permission for one in ENDPOINTS if not one.public} <= KNOWN | {SELF}
    surface = Surface("any", "/any", permissions={"a.read"})
    for options in ({}, {"permission": "b.read"}, {"permission": "a.read", "public": True}):
        with pytest.raises(TypeError, match="must be public or name a known permission"):
            surface.get("/things", **options)


def test_what_somebody_types_stands_in_no_address() -> None:
    free = [
        (path, one["name"])
        for path, methods in DOCUMENT["paths"].items()
        for operation in methods.values()
        for one in operation.get("parameters", ())
        for schema in one["schema"].get("anyOf", [one["schema"]])
        if one["in"] == "query" and schema.get("type") == "string" and not MACHINES & schema.keys()
    ]
    # What a list gave, or a machine's word: nobody types these.
    assert sorted(free) == [
        ("/api/console/audit", "subject"),
        ("/api/console/inbox/{conversation_id}/media", "media_id"),
        ("/api/console/inbox/{conversation_id}/transcript", "before"),
        ("/api/console/reports/service", "skill"),
    ]


async def test_nobody_is_let_in(office: Office) -> None:
    for endpoint in ENDPOINTS:
        answer = await tried(office.browser(), endpoint)
        if endpoint.path == "/session":
            assert (answer.status, answer.body) == (200, {"signed_in": False})
        elif endpoint.public:
            assert answer.said == (422, "invalid"), endpoint.path
        else:
            assert answer.said == (401, "not_signed_in"), endpoint.path
        made_up = office.browser()
        made_up.cookie = "made-up"
        if not endpoint.public:
            assert (await tried(made_up, endpoint)).said == (401, "session_over"), endpoint.path


@pytest.mark.parametrize("role", [*sorted(BUILT_IN), "nothing"])
async def test_a_role_may_what_it_says_and_nothing_else(office: Office, role: str) -> None:
    allowed = BUILT_IN[role].permissions if role in BUILT_IN else frozenset[str]()
    who = await (office.person(role) if role in BUILT_IN else office.person(permissions=[]))
    for endpoint in ENDPOINTS:
        if endpoint.public:
            continue
        answer = await tried(await who.sign_in(), endpoint)
        if endpoint.permission == SELF or endpoint.permission in allowed:
            assert answer.status in documented(endpoint) - {401, 403, 429, 503}, (endpoint.path, answer)
        else:
            assert answer.said == (403, "forbidden"), (endpoint.path, answer)


async def test_a_first_password_opens_only_what_is_ones_own(office: Office) -> None:
    who = await office.person("admin", first=True)
    for endpoint in ENDPOINTS:
        if endpoint.public or endpoint.path == "/sign-out":
            continue
        answer = await tried(who, endpoint)
        if endpoint.permission == SELF:
            assert answer.status in documented(endpoint) - {401, 403}, endpoint.path
        else:
            assert answer.said == (403, "password_change_required"), endpoint.path
    assert (await who.get("/me")).body["permissions"] == []


BIG = 2**63
ODD: list[Any] = [
    None,
    [],
    "x",
    7,
    {"a": 1},
    {"login": "\x00", "password": "\x00"},
    {"name": "换\n行", "permissions": [None]},
]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
async def test_odd_requests_get_documented_answers(office: Office, endpoint: Endpoint) -> None:
    who = await office.person()
    paths = [re.sub(r"{\w+}", text, endpoint.path) for text in ("0", "-1", "x", str(BIG), "%00")]
    paths = paths[: 5 if "{" in endpoint.path else 1]
    queries = [f"limit={BIG}", "before=-1", "brand=x", "text=%00", "since=0001-01-01", "until=9999-12-31", "who=1"]
    asked: list[tuple[str, Any]] = [(path, None) for path in [*paths, *(f"{paths[0]}?{query}" for query in queries)]]
    asked += [(re.sub(r"{\w+}", "999999", endpoint.path), body) for body in ODD if endpoint.body is not None]
    for path, body in asked:
        await who.sign_in()
        answer = await who.call(endpoint.method, path, body)
        assert answer.status in documented(endpoint), (path, body, answer)


async def test_headers_that_are_no_text_do_no_harm(office: Office) -> None:
    who = await office.person()
    port = office.address.split(":")[2].split("/")[0]
    body = f'{{"login": "{who.login}", "password": "{PASSWORD}"}}'.encode()
    for path, expected, headers in [
        ("/sign-in", b"200", b"User-Agent: \xff\xfe\r\nX-Forwarded-For: \xff\r\n"),
        ("/sign-out", b"401", b"Cookie: fensi_staff=\xff\xfe\r\nX-CSRF-Token: \xff\r\n"),
    ]:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        head = f"POST /api/console{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n".encode()
        writer.write(head + headers + b"Connection: close\r\n\r\n" + body)
        assert (await reader.readline()).split()[1] == expected, path
        writer.close()
    stored = await office.rows("SELECT agent, address FROM staff_session")
    assert [(row["agent"], row["address"]) for row in stored] == [("??", "127.0.0.1")]


def test_the_committed_document_is_the_codes() -> None:
    assert json.loads((ROOT / "docs/openapi/console.json").read_text()) == DOCUMENT


def test_every_reference_of_the_document_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) <= set(DOCUMENT["components"]["schemas"])
    operations = [one for methods in DOCUMENT["paths"].values() for one in methods.values()]
    identifiers = [one["operationId"] for one in operations]
    assert len(identifiers) == len(set(identifiers)) == len(ENDPOINTS)
    assert sum("x-permission" in one for one in operations) == len(ENDPOINTS) - 2


async def test_the_document_is_shown_to_people(office: Office) -> None:
    async with office.http.get(f"{office.address}/docs") as answer:
        text = await answer.text()
    assert (answer.status, answer.content_type, text.count("<summary><b>")) == (200, "text/html", len(ENDPOINTS))
