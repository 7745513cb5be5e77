"""The server's routes, described: for `fensi routes` and the committed OpenAPI document."""

import inspect
from typing import Any

import console
import miniprogram_api
from app.settings import Settings
from console.surface import SURFACE as CONSOLE
from miniprogram_api.surface import SURFACE as MEMBERS

CALLBACK_NOTE = (
    "WeChat calls this, nobody else: signed by the account's token, encrypted in safe mode. "
    "The body and the answer are WeChat's own XML or JSON."
)


def described_routes(settings: Settings) -> list[tuple[str, str, str]]:
    """Return (method, path, summary) of every route."""
    from app.server import health_routes
    from bot.callback import Callback

    del settings
    found: list[tuple[str, str, str]] = []
    for route in [*Callback.described(), *health_routes()]:
        summary = (inspect.getdoc(route.handler) or "").splitlines()[0]
        found.append((route.method, route.path.replace(r":\d{1,18}", ""), summary))
    return sorted(found, key=lambda row: (row[1], row[0]))


def surface_routes() -> list[tuple[str, str, str]]:
    """Return (method, path, summary) of every route of the mini-program's API and the console's."""
    found = [(one.method, each.prefix + one.path, one.summary) for each in (MEMBERS, CONSOLE) for one in each.endpoints]
    return sorted(found, key=lambda row: (row[1], row[0]))


def document(settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the server's own endpoints."""
    paths: dict[str, Any] = {}
    for method, path, summary in described_routes(settings):
        operation: dict[str, Any] = {"summary": summary, "responses": _responses(path)}
        if path.startswith("/wechat/"):
            operation["description"] = CALLBACK_NOTE
            operation["parameters"] = [
                {"name": "account", "in": "path", "required": True, "schema": {"type": "integer"}},
                *(
                    {
                        "name": name,
                        "in": "query",
                        "required": name in {"timestamp", "nonce"},
                        "schema": {"type": "string"},
                    }
                    for name in ("signature", "timestamp", "nonce", "echostr", "encrypt_type", "msg_signature")
                ),
            ]
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fensi 粉丝: server", "version": "0.1.0"},
        "paths": paths,
    }


def _responses(path: str) -> dict[str, Any]:
    if path.startswith("/wechat/"):
        return {
            "200": {"description": "the answer, or `success`"},
            "400": {"description": "not readable"},
            "403": {"description": "signature, time or appid is wrong"},
            "404": {"description": "no such account"},
            "413": {"description": "too large"},
            "503": {"description": "not stored: bring it again"},
        }
    responses: dict[str, Any] = {"200": {"description": "ok"}}
    if path == "/readyz":
        responses["503"] = {"description": "names the part that is away"}
    return responses


def documents(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return all OpenAPI documents by the name of their file."""
    return {"server": document(settings), "miniprogram": miniprogram_api.document(), "console": console.document()}
