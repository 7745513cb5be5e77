"""OpenAPI 3.1 of a surface, from its typed endpoints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from scrm.errors import Conflict, DomainError, Invalid
from web.endpoints import Endpoint, Surface


class Problem(BaseModel):
    """An error, after RFC 9457. `code` is stable; `title` is a sentence in Chinese; `field` names what is wrong."""

    type: str
    code: str
    status: int
    title: str
    field: str | None = None


IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_.:-]+$"},
    "description": "同一个键和同样的内容只执行一次，再次请求得到同样的回答；内容不同为 422，仍在执行为 409。",
}


@dataclass(frozen=True, slots=True)
class Security:
    """How callers of a surface show who they are, and the header parameters of whatever is no plain read besides."""

    name: str
    scheme: dict[str, str]
    headers: Sequence[dict[str, Any]] = ()


BEARER = Security("bearer", {"type": "http", "scheme": "bearer"})


def document(
    surface: Surface,
    *,
    title: str,
    version: str,
    description: str,
    always: dict[int, str],
    security: Security = BEARER,
) -> dict[str, Any]:
    """Return the OpenAPI document; `always` are the statuses any operation of this surface may answer."""
    models: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [(Problem, "serialization")]
    for endpoint in surface.endpoints:
        if endpoint.body is not None and endpoint.body is not bytes:
            models.append((cast("type[BaseModel]", endpoint.body), "validation"))
        if endpoint.result is not None:
            models.append((endpoint.result, "serialization"))
    # No model is both taken and given, so each has one name.
    _, schemas = models_json_schema(list(dict.fromkeys(models)), ref_template="#/components/schemas/{model}")
    if doubles := [name for name in schemas.get("$defs", {}) if "__" in name]:
        raise ValueError(f"two models of one name: {', '.join(doubles)}")
    paths: dict[str, Any] = {}
    outer = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", surface.prefix)
    ]
    for endpoint in surface.endpoints:
        path = paths.setdefault(surface.prefix + endpoint.path, {"parameters": outer} if outer else {})
        path[endpoint.method.lower()] = _operation(endpoint, always, security)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {security.name: security.scheme},
        },
    }


def _operation(endpoint: Endpoint, always: dict[int, str], security: Security) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 1} if kind is int else {"type": "string"},
        }
        for name, kind in endpoint.in_path
    ]
    if endpoint.query is not None:
        schema = endpoint.query.model_json_schema()
        required = set(schema.get("required", []))
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema.get("properties", {}).items()
        ]
    if endpoint.writes and not endpoint.public:
        parameters.append(IDEMPOTENCY)
    if endpoint.sends and not endpoint.public:
        parameters += security.headers
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": _responses(endpoint, always),
        "security": [] if endpoint.public else [{security.name: []}],
    }
    if endpoint.permission:
        operation["x-permission"] = endpoint.permission
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.body is bytes:
        binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": binary}
    elif endpoint.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{endpoint.body.__name__}"}}},
        }
    return operation


def _responses(endpoint: Endpoint, always: dict[int, str]) -> dict[str, Any]:
    errors: list[type[DomainError]] = list(endpoint.errors)
    if endpoint.body is not None or endpoint.query is not None:
        errors.append(Invalid)
    if endpoint.writes and not endpoint.public:
        errors += [Conflict, Invalid]
    found: dict[int, str] = dict(always)
    if not endpoint.public:
        found[401] = "未登录，或登录已失效"
    if endpoint.permission:
        found[403] = "没有权限"
    for error in errors:
        found.setdefault(error.status, (error.__doc__ or "").splitlines()[0])
    if endpoint.in_path:
        found.setdefault(404, "没有，或不属于您")
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[str, Any] = {}
    if endpoint.stream:
        content = {"text/event-stream": {"schema": {"type": "string"}}}
        responses[str(endpoint.status)] = {"description": endpoint.summary, "content": content}
    elif endpoint.download:
        content = {"text/csv": {"schema": {"type": "string", "format": "binary"}}}
        responses[str(endpoint.status)] = {"description": endpoint.summary, "content": content}
    elif endpoint.result is None:
        responses[str(endpoint.status)] = {"description": "完成"}
    else:
        schema = {"$ref": f"#/components/schemas/{endpoint.result.__name__}"}
        responses[str(endpoint.status)] = {
            "description": endpoint.summary,
            "content": {"application/json": {"schema": schema}},
        }
    for status, description in sorted(found.items()):
        responses[str(status)] = {"description": description, "content": problem}
    return responses
