"""Typed endpoints: a handler's signature says what it takes and gives; validation and OpenAPI follow from it.

    @surface.get("/gifts/{gift_id}", errors=[NotFound])
    async def gift(call: Call, gift_id: int) -> GiftView:
        "A gift of the points mall."

A parameter named `body` or `query` is a pydantic model of that part of the request, one that stands in the path
is converted to its type, and `call` is what the surface knows about the request. The docstring's first line is
the summary in the documentation. A `body` of type `bytes` is the request's body as it came, such as a picture.

An `ask` is a read by POST, for a question that may be personal: addresses end up in logs and histories, bodies do
not. It changes nothing, so it takes no Idempotency-Key and its answer is not kept.

A `download` is a read that returns a web.downloads.Download.

A `stream` is a read that goes on: its handler checks what it was asked for and returns a generator of web.streams.Said.

A surface with `permissions` wants one of them on the line of every route that is not public; who may do what is
for the surface's guard to say.
"""

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast, get_type_hints

from aiohttp import web
from pydantic import BaseModel, ValidationError

from scrm.errors import DomainError, Invalid, NotFound

T = TypeVar("T", bound=Callable[..., Awaitable[Any]])

# Bytes of a request that nobody allowed more.
MAX_BODY = 64 * 1024


_ROW_ID = re.compile(r"[1-9][0-9]{0,18}")


def _row_id(text: str) -> int:
    # Not int() alone: that takes "+1", " 1", "01" and "１" for 1, and a resource has one address.
    if not _ROW_ID.fullmatch(text) or (found := int(text)) >= 2**63:
        raise ValueError(text)
    return found


# How a part of the path becomes an argument; ValueError is one that names nothing.
CONVERT: dict[type, Callable[[str], Any]] = {int: _row_id, str: str}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation of a surface, as its signature says."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    summary: str
    description: str
    body: type[BaseModel] | type[bytes] | None
    query: type[BaseModel] | None
    in_path: tuple[tuple[str, type], ...]
    result: type[BaseModel] | None
    status: int
    errors: tuple[type[DomainError], ...]
    public: bool
    network: bool
    takes_call: bool
    permission: str
    max_body: int
    stream: bool
    download: bool
    automatic: bool
    asks: bool

    @property
    def writes(self) -> bool:
        """Whether it changes something: then it takes an Idempotency-Key."""
        return self.sends and not self.asks

    @property
    def sends(self) -> bool:
        """Whether it is called with a body, and with whatever shows that a browser meant to."""
        return self.method != "GET"


class Surface:
    """The endpoints of one surface, such as the members' API, under one prefix."""

    def __init__(self, name: str, prefix: str, *, permissions: Collection[str] | None = None) -> None:
        self.name = name
        self.prefix = prefix
        self.permissions = permissions
        self.endpoints: list[Endpoint] = []

    def get(self, path: str, **options: Any) -> Callable[[T], T]:
        """Register an operation that reads."""
        return self._register("GET", path, **options)

    def stream(self, path: str, **options: Any) -> Callable[[T], T]:
        """Register a read that goes on as server-sent events."""
        return self._register("GET", path, stream=True, **options)

    def ask(self, path: str, **options: Any) -> Callable[[T], T]:
        """Register a read whose question is a body."""
        return self._register("POST", path, asks=True, **options)

    def download(self, path: str, **options: Any) -> Callable[[T], T]:
        """Register a read that is a file."""
        return self._register("GET", path, download=True, **options)

    def post(self, path: str, **options: Any) -> Callable[[T], T]:
        """Register an operation that does something."""
        return self._register("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[T], T]:
        """Register an operation that sets something."""
        return self._register("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[T], T]:
        """Register an operation that removes something."""
        return self._register("DELETE", path, **options)

    def _register(
        self,
        method: str,
        path: str,
        *,
        status: int = 200,
        errors: Sequence[type[DomainError]] = (),
        public: bool = False,
        network: bool = False,
        permission: str = "",
        max_body: int = MAX_BODY,
        stream: bool = False,
        download: bool = False,
        automatic: bool = False,
        asks: bool = False,
    ) -> Callable[[T], T]:
        # `public`: nobody needs to be signed in. `network`: it calls outside, so it opens its transaction itself.
        # `permission`: what the caller must hold. `max_body`: bytes. `automatic`: pages ask for it by themselves.
        if self.permissions is not None and (permission in self.permissions) == public:
            raise TypeError(f"{method} {path}: must be public or name a known permission, not {permission!r}")

        def register(handler: T) -> T:
            read = _read(handler, method, path)
            self.endpoints.append(
                Endpoint(
                    **read,
                    method=method,
                    path=path,
                    handler=handler,
                    status=status,
                    errors=tuple(errors),
                    public=public,
                    network=network,
                    permission=permission,
                    max_body=max_body,
                    stream=stream,
                    download=download,
                    automatic=automatic,
                    asks=asks,
                )
            )
            return handler

        return register


def _read(handler: Callable[..., Awaitable[Any]], method: str, path: str) -> dict[str, Any]:
    """Return what an endpoint's signature and docstring say of it. Raises TypeError for one that says too little."""
    hints = get_type_hints(handler)
    names = list(inspect.signature(handler).parameters)
    in_path = tuple((name, hints[name]) for name in names if f"{{{name}}}" in path)
    unknown = set(names) - {"call", "body", "query"} - {name for name, _ in in_path}
    doc = inspect.getdoc(handler) or ""
    if unknown or not doc:
        raise TypeError(f"{method} {path}: parameters {sorted(unknown)} or a missing docstring")
    summary, _, description = doc.partition("\n")
    result = hints.get("return")
    return {
        "summary": summary.rstrip("."),
        "description": description.strip(),
        "body": hints.get("body") if "body" in names else None,
        "query": hints.get("query") if "query" in names else None,
        "in_path": in_path,
        "result": result if isinstance(result, type) and issubclass(result, BaseModel) else None,
        "takes_call": "call" in names,
    }


async def arguments(endpoint: Endpoint, request: web.Request, raw: bytes) -> dict[str, Any]:
    """Return the handler's arguments from a request; raises Invalid naming every field that is wrong."""
    given: dict[str, Any] = {}
    for name, kind in endpoint.in_path:
        try:
            given[name] = CONVERT[kind](request.match_info[name])
        except ValueError:
            raise NotFound from None
    if endpoint.query is not None:
        given["query"] = _validated(endpoint.query, dict(request.query))
    if endpoint.body is bytes:
        given["body"] = raw
    elif endpoint.body is not None:
        try:
            data = json.loads(raw or b"{}")
        except (ValueError, RecursionError):
            raise Invalid("请求体不是合法的 JSON", field="body") from None
        given["body"] = _validated(cast("type[BaseModel]", endpoint.body), data)
    return given


def _validated(model: type[BaseModel], data: object) -> BaseModel:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [(".".join(str(part) for part in item["loc"]) or "body", _sentence(item)) for item in error.errors()]
        title = "；".join(f"{field}：{sentence}" for field, sentence in problems[:5])
        raise Invalid(f"输入有误（{title}）", field=problems[0][0]) from None


# pydantic's own sentences are English; these are the ones that people meet.
_SENTENCES = {
    "missing": "不能缺少",
    "extra_forbidden": "没有这个字段",
    "string_too_short": "太短",
    "string_too_long": "太长",
    "string_pattern_mismatch": "格式不对",
    "string_type": "应为文字",
    "int_parsing": "应为整数",
    "int_type": "应为整数",
    "int_from_float": "应为整数",
    "bool_parsing": "应为 true 或 false",
    "greater_than_equal": "太小",
    "less_than_equal": "太大",
    "literal_error": "不是可选的值",
    "enum": "不是可选的值",
    "string_unicode": "含有无法识别的字符",
    "model_type": "应为对象",
    "model_attributes_type": "应为对象",
    "date_from_datetime_parsing": "应为日期",
}


def _sentence(item: Any) -> str:
    return _SENTENCES.get(item["type"], "不合要求")
