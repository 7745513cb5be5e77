"""Files that are made while they are sent: an endpoint returns a `Download`, written piece by piece as it comes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import quote

import structlog
from aiohttp import web

from kit.faults import describe

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """A file on its way: its name as people see it, its type, and its bytes."""

    name: str
    content_type: str
    pieces: AsyncGenerator[bytes, None]


async def serve(request: web.Request, download: Download) -> web.StreamResponse:
    """Send a file; one that fails midway is cut off, so that the browser says so and nobody takes it for whole."""
    response = web.StreamResponse(
        headers={
            "Content-Type": download.content_type,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(download.name)}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",
        }
    )
    async with aclosing(download.pieces) as pieces:
        # The first piece is made before the answer begins, so that a refusal is still a problem document.
        first = await anext(pieces, b"")
        await response.prepare(request)
        try:
            await response.write(first)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
        except ConnectionError:
            pass  # the browser has gone
        except Exception as error:  # noqa: BLE001  # whatever it was, what was sent must not look whole
            log.warning("download broke off", path=request.path, error=describe(error))
            if request.transport is not None:
                request.transport.abort()
    return response
