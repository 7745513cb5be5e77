"""The built pages' files: what is no file is the page or not found, never an error and never a file elsewhere."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from web.pages import single_page

PAGE = "<!doctype html><title>工作台</title>"


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    (tmp_path / "console" / "assets").mkdir(parents=True)
    (tmp_path / "console" / "index.html").write_text(PAGE)
    (tmp_path / "console" / "assets" / "a.js").write_text("1")
    (tmp_path / "secret").write_text("2")
    app = web.Application()
    app.router.add_routes(single_page("console", tmp_path / "console", https=False))
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/console/", 200, PAGE),
        ("/console/staff/3", 200, PAGE),
        ("/console/assets/a.js", 200, "1"),
        ("/console/assets/b.js", 404, None),
        ("/console/%00", 200, PAGE),
        ("/console/assets/%00", 404, None),
        ("/console/assets/" + "a" * 300, 404, None),
        ("/console/" + "a/" * 3000, 200, PAGE),
        ("/console/..%2fsecret", 200, PAGE),
        ("/console/%2e%2e/secret", 200, PAGE),
        ("/console/assets/..%2f..%2fsecret", 404, None),
        ("/console//etc/passwd", 200, PAGE),
    ],
)
async def test_a_file_or_the_page(address: str, path: str, status: int, body: str | None) -> None:
    async with aiohttp.ClientSession() as http, http.get(URL(address + path, encoded=True)) as answer:
        assert answer.status == status
        assert body is None or await answer.text() == body
