"""Errors as RFC 9457 problem documents: one middleware turns what the business refuses into an answer."""

import math
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from aiohttp import web

from kit.faults import describe
from scrm.errors import DomainError, Unavailable

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID = "X-Request-Id"


# aiohttp's own refusals that people meet, in words for people.
_TITLES = {
    400: ("bad_request", "请求无法理解"),
    404: ("not_found", "没有找到"),
    405: ("method_not_allowed", "不支持这个请求方法"),
    413: ("too_large", "请求内容太大"),
    415: ("unsupported_media_type", "不支持的内容类型"),
}


class TooMany(DomainError):  # noqa: N818  # reads as the answer it becomes
    """Too many requests; `Retry-After` says in how many seconds to come again."""

    status = 429
    code = "too_many_requests"
    title = "请求太频繁，请稍后再试"

    def __init__(self, seconds: int) -> None:
        super().__init__(retry_after=timedelta(seconds=seconds))


def problem(status: int, code: str, title: str, field: str | None = None) -> web.Response:
    """Return a problem document; `code` is stable, `title` is a sentence for people."""
    body: dict[str, object] = {"type": f"urn:fensi:problem:{code}", "code": code, "status": status, "title": title}
    if field:
        body["field"] = field
    headers = {"Retry-After": "2"} if status == 503 else None
    return web.json_response(body, status=status, content_type="application/problem+json", headers=headers)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every request an id, and every error a problem document. Nothing of a trace leaves the house."""
    request_id = uuid.uuid4().hex[:16]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    try:
        response = await handler(request)
    except Unavailable as error:
        log.warning("unavailable", path=request.match_info.route.resource, code=error.code)
        response = problem(error.status, error.code, error.title)
    except DomainError as error:
        response = problem(error.status, error.code, error.title, error.field)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
        elif error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
    except web.HTTPException as error:
        if error.status < 400:
            raise
        said = (error.reason.lower().replace(" ", "_"), error.reason)
        code, title = _TITLES.get(error.status, said)
        response = problem(error.status, code, title)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except Exception as error:  # noqa: BLE001  # the last line: answered, logged, and the service goes on
        log.error("request failed", method=request.method, error=describe(error))
        response = problem(500, "internal", "服务出错了，请稍后再试")
    if not response.prepared:
        response.headers[REQUEST_ID] = request_id
    return response
