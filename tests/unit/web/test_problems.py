"""Errors as problem documents: every error has a code, a sentence, a request id, and nothing of a trace."""

from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from scrm.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from web.problems import problems


async def raises(request: web.Request) -> web.Response:
    """Raise what the path names."""
    errors = {
        "invalid": Invalid("昵称太长", field="nickname"),
        "notfound": NotFound(),
        "conflict": Conflict("已被使用", code="taken"),
        "forbidden": Forbidden(),
        "unavailable": Unavailable(code="database_away"),
        "bug": RuntimeError("13812345678 秘密"),
        "http": web.HTTPGone(),
        "redirect": web.HTTPFound("/elsewhere"),
    }
    raise errors[request.match_info["name"]]


async def fine(_request: web.Request) -> web.Response:
    """Say what the log would know."""
    return web.json_response(structlog.contextvars.get_contextvars())


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application(middlewares=[problems])
    app.router.add_get("/raise/{name}", raises)
    app.router.add_get("/fine", fine)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "status", "code", "title", "field"),
    [
        ("invalid", 422, "invalid", "昵称太长", "nickname"),
        ("notfound", 404, "not_found", "没有找到", None),
        ("conflict", 409, "taken", "已被使用", None),
        ("forbidden", 403, "forbidden", "没有权限", None),
        ("unavailable", 503, "database_away", "服务暂时不可用，请稍后再试", None),
        ("bug", 500, "internal", "服务出错了，请稍后再试", None),
        ("http", 410, "gone", "Gone", None),
    ],
)
async def test_each_error_is_a_problem_document(
    client: TestClient[web.Request, web.Application],
    capsys: pytest.CaptureFixture[str],
    name: str,
    status: int,
    code: str,
    title: str,
    field: str | None,
) -> None:
    response = await client.get(f"/raise/{name}")
    assert (response.status, response.content_type) == (status, "application/problem+json")
    body = await response.json(content_type=None)
    expected = {"type": f"urn:fensi:problem:{code}", "code": code, "status": status, "title": title}
    assert body == (expected | {"field": field} if field else expected)
    assert len(response.headers["X-Request-Id"]) == 16
    assert response.headers.get("Retry-After") == ("2" if status == 503 else None)
    said = capsys.readouterr().out
    assert "13812345678" not in said + await response.text()
    assert ("request failed" in said) == (name == "bug")


async def test_what_aiohttp_refuses_is_one_too(client: TestClient[web.Request, web.Application]) -> None:
    missing = await client.get("/nowhere")
    assert (missing.status, (await missing.json(content_type=None))["code"]) == (404, "not_found")
    wrong = await client.post("/fine")
    assert (wrong.status, (await wrong.json(content_type=None))["code"]) == (405, "method_not_allowed")


async def test_a_redirect_stays_one(client: TestClient[web.Request, web.Application]) -> None:
    response = await client.get("/raise/redirect", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, "/elsewhere")


async def test_every_request_has_an_id_of_its_own_which_the_log_knows(
    client: TestClient[web.Request, web.Application],
) -> None:
    seen = []
    for _ in range(3):
        response = await client.get("/fine")
        assert await response.json() == {"request_id": response.headers["X-Request-Id"]}
        seen.append(response.headers["X-Request-Id"])
    assert len(set(seen)) == 3
