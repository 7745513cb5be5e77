"""Server-sent events: what an endpoint says, written as it comes, until the browser, the session or the server ends."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

import structlog
from aiohttp import web
from pydantic import BaseModel

from kit.faults import describe
from scrm.errors import DomainError, Unavailable

log = structlog.get_logger(__name__)

# Seconds: proxies cut what is silent for a minute; a session that was ended keeps its stream no longer than this.
PULSE = 15.0


@dataclass(frozen=True, slots=True)
class Said:
    """An event for the browser: its name, data as a model, and what the browser names when it comes back."""

    event: str
    data: BaseModel
    id: str = ""


# What a streaming endpoint returns, once it has checked what it was asked for: an asynchronous generator.
Stream: TypeAlias = AsyncGenerator[Said, None]


class _OverError(Exception):
    """The stream has come to its end."""


async def serve(
    request: web.Request,
    stream: Stream,
    *,
    still: Callable[[], Awaitable[object]],
    closing: asyncio.Event,
    pulse: float = PULSE,
) -> web.StreamResponse:
    """Write the events of `stream` to the browser until one of them ends.

    Every `pulse` seconds `still` is asked whether the caller may go on listening; when it raises a refusal the
    browser is told `over` and the stream ends. `closing` ends it at once: the browser comes back to a server that
    is still there.
    """
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    try:
        async with aclosing(stream), asyncio.TaskGroup() as group:
            group.create_task(_write(response, stream))
            group.create_task(_watch(response, still, pulse))
            group.create_task(_wait(closing))
    except* _OverError:
        pass
    except* ConnectionError:
        pass  # the browser has gone
    except* Exception as errors:  # noqa: BLE001  # begun, nothing can be answered any more; the browser reconnects
        log.error("stream failed", path=request.path, error=describe(errors.exceptions[0]))
    return response


async def _write(response: web.StreamResponse, stream: Stream) -> None:
    await response.write(b"retry: 2000\n\n")
    async for said in stream:
        number = f"id: {said.id}\n" if said.id else ""
        await response.write(f"{number}event: {said.event}\ndata: {said.data.model_dump_json()}\n\n".encode())
    raise _OverError


async def _watch(response: web.StreamResponse, still: Callable[[], Awaitable[object]], pulse: float) -> None:
    while True:
        await asyncio.sleep(pulse)
        try:
            await still()
        except Unavailable:
            pass  # nobody knows; the next time
        except DomainError:
            await response.write(b"event: over\ndata: {}\n\n")
            raise _OverError from None
        await response.write(b": still here\n\n")


async def _wait(closing: asyncio.Event) -> None:
    await closing.wait()
    raise _OverError
